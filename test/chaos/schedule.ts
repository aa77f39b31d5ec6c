/** Which faults happen when: all of it follows from the seed. Real processes take their own time, so only the plan repeats exactly. */
import type { Dice } from './dice.ts';

/** Where the writer of the store dies: the labels of its group commit. */
export const storeSteps = ['before-begin', 'before-commit', 'after-commit'] as const;
export type StoreStep = (typeof storeSteps)[number];

export type Pair = readonly [string, string];

export type Fault =
  /** SIGKILL, and up again after `forMs`. */
  | { readonly kind: 'kill'; readonly node: string; readonly forMs: number }
  /** SIGKILL from inside, by the store's writer, at this step of one of its next commits. */
  | { readonly kind: 'crash'; readonly node: string; readonly step: StoreStep; readonly commits: number; readonly forMs: number }
  /** SIGSTOP, and SIGCONT after `forMs`. */
  | { readonly kind: 'stop'; readonly node: string; readonly forMs: number }
  /** The wall clock of one node jumps, and stays there. */
  | { readonly kind: 'clock'; readonly node: string; readonly jumpMs: number; readonly forMs: number }
  | { readonly kind: 'disk'; readonly node: string; readonly forMs: number }
  /** `down`, orderly or by force, and up again. */
  | { readonly kind: 'restart'; readonly node: string; readonly force: boolean; readonly forMs: number }
  /** Connections are reset, or stay open while nothing gets through. */
  | { readonly kind: 'partition'; readonly between: Pair; readonly how: 'reset' | 'silence'; readonly forMs: number }
  | { readonly kind: 'delay'; readonly between: Pair; readonly delayMs: number; readonly forMs: number }
  /** The connection breaks in the middle of what is sent. */
  | { readonly kind: 'cut'; readonly between: Pair; readonly afterBytes: number; readonly forMs: number };

export type FaultKind = Fault['kind'];
export type Planned = Fault & { readonly atMs: number };

export interface PlanOptions {
  readonly durationMs: number;
  readonly nodes: readonly string[];
  /** Nodes whose disk can be filled. */
  readonly smallDisks: readonly string[];
}

/** From the end of one fault to the next of the same node or link, ms: at least this. */
const restMs = 1500;
/** Longer than a session survives silence, and than a peer is merely suspect. */
const longestMs = 22_000;
/** What a node takes to be back, about. */
const bootMs = 1500;

export function plan(dice: Dice, { durationMs, nodes, smallDisks }: PlanOptions): Planned[] {
  const kinds: FaultKind[] = ['kill', 'kill', 'crash', 'crash', 'stop', 'partition', 'partition', 'delay', 'cut', 'cut', 'restart', 'restart', 'clock'];
  if (smallDisks.length > 0) kinds.push('disk');
  const pairs = nodes.flatMap((a, index) => nodes.slice(index + 1).map((b): Pair => [a, b]));
  const freeAt = new Map<string, number>();
  const planned: Planned[] = [];
  for (let atMs = dice.between(500, 1500); atMs < durationMs; atMs += dice.between(300, 3000)) {
    const fault = throwFault(dice, dice.pick(kinds), { node: dice.pick(nodes), pair: dice.pick(pairs), smallDisks, longestMs: Math.max(4000, Math.min(longestMs, durationMs / 4)) });
    const where = placeOf(fault);
    if ((freeAt.get(where) ?? 0) > atMs) continue;
    freeAt.set(where, atMs + fault.forMs + restMs + ('node' in fault ? bootMs : 0));
    planned.push({ ...fault, atMs });
  }
  return planned;
}

/** The node or the link: what suffers one fault at a time. */
export function placeOf(fault: Fault): string {
  return 'node' in fault ? fault.node : fault.between.join('-');
}

function throwFault(dice: Dice, kind: FaultKind, at: { readonly node: string; readonly pair: Pair; readonly smallDisks: readonly string[]; readonly longestMs: number }): Fault {
  const { node, pair: between } = at;
  // Short ones find other faults than those that are longer than a session survives.
  const forMs = Math.min(at.longestMs, dice.chance(0.25) ? dice.between(10_000, longestMs) : dice.between(50, 4000));
  switch (kind) {
    case 'kill':
      return { kind, node, forMs: Math.min(forMs, 8000) };
    case 'crash':
      return { kind, node, step: dice.pick(storeSteps), commits: dice.between(1, 20), forMs: Math.min(forMs, 4000) };
    case 'stop':
      return { kind, node, forMs };
    case 'clock':
      return { kind, node, jumpMs: (dice.chance(0.5) ? 1 : -1) * dice.between(1000, 600_000), forMs: 0 };
    case 'disk':
      return { kind, node: dice.pick(at.smallDisks), forMs: Math.min(forMs, 5000) };
    case 'restart':
      return { kind, node, force: dice.chance(0.6), forMs: Math.min(forMs, 3000) };
    case 'partition':
      return { kind, between, how: dice.pick(['reset', 'silence']), forMs };
    case 'delay':
      return { kind, between, delayMs: dice.between(5, 400), forMs };
    case 'cut':
      return { kind, between, afterBytes: dice.between(0, dice.chance(0.5) ? 2000 : 200_000), forMs: 1000 };
  }
}

export function describe(fault: Fault): string {
  const { kind, forMs, ...rest } = fault;
  const words = Object.entries(rest).filter(([name]) => name !== 'atMs').map(([name, value]) => `${name} ${Array.isArray(value) ? value.join('-') : String(value)}`);
  return `${kind} ${words.join(', ')}${forMs > 0 ? ` for ${forMs} ms` : ''}`;
}
