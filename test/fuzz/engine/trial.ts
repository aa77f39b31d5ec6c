/** One input and what came of it: what every run of the fuzzer, every minimising and every replay of the corpus goes through. */
import { Broken } from './boundary.ts';
import type { Target, Verdict } from './boundary.ts';

/** What counts as a hang. */
export const longestMs = 1_000;
const mostWarming = 40;

/** `growth` is found over many inputs, and is no one's. */
export type FindKind = 'crash' | 'broken' | 'state' | 'hang';

export interface Find {
  readonly kind: FindKind;
  /** For people. */
  readonly what: string;
  /** The same for the same defect, as far as can be told. */
  readonly signature: string;
}

export type Outcome = { readonly verdict: Verdict } | { readonly find: Find };

export async function tried(target: Target, input: Uint8Array): Promise<Outcome> {
  await target.settle?.();
  const before = target.state?.();
  const beganMs = performance.now();
  let verdict: Verdict;
  try {
    const given = target.run(input);
    verdict = typeof given === 'string' ? given : await given;
  } catch (error) {
    return { find: findOf(error) };
  }
  const tookMs = performance.now() - beganMs;
  if (tookMs > longestMs) return { find: hang(tookMs) };
  if (verdict === 'refused' && target.state !== undefined) {
    const after = target.state();
    if (after !== before) return { find: { kind: 'state', what: `it was refused, and changed ${differences(before ?? '', after)}`, signature: 'state' } };
  }
  return { verdict };
}

/** Code that was never run is slow, and no input's fault: it is run by what is well-formed, and nobody looks at the time. */
export async function warmedUp(target: Target, seeds: readonly Uint8Array[]): Promise<void> {
  for (const seed of seeds.slice(0, mostWarming)) await tried(target, seed);
  await target.renew?.();
}

export function hang(tookMs: number): Find {
  return { kind: 'hang', what: `it took ${Math.round(tookMs)} ms`, signature: 'hang' };
}

export function findOf(error: unknown): Find {
  const isBroken = error instanceof Broken;
  const [message = '', ...stack] = (error instanceof Error ? (error.stack ?? error.message) : String(error)).split('\n');
  const place = stack.find((line) => line.includes('/src/')) ?? stack.find((line) => line.includes('/node_modules/')) ?? '';
  const where = /([\w.-]+):\d+:\d+\)?$/.exec(place.trim())?.[1] ?? '';
  const words = message.slice(0, 300);
  return { kind: isBroken ? 'broken' : 'crash', what: `${words}${where === '' ? '' : ` (${where})`}`, signature: `${isBroken ? 'broken' : 'crash'} ${words.replace(/["'“].*["'”]|\d+|[0-9a-f]{8,}/g, '').slice(0, 80)} ${where}` };
}

function differences(before: string, after: string): string {
  const at = [...before].findIndex((character, index) => character !== after[index]);
  const from = Math.max(0, (at < 0 ? before.length : at) - 30);
  return `…${before.slice(from, from + 80)}… to …${after.slice(from, from + 80)}…`;
}
