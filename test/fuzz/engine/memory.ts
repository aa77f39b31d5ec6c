/** Whether what a boundary keeps grows with what it is given: looked at after each third, everything collected. */
import type { FindKind } from './trial.ts';

export interface Held {
  readonly inputs: number;
  readonly heap: number;
  readonly rss: number;
}

/** Less is noise: compiled code, caches with a bound. */
const leastStep = 768 * 1024;
const leastPerInput = 24;
/** Between the first look and the last: of fewer nothing is said, while code is still compiled. */
const leastInputs = 3_000;
/** Native memory is given back when it pleases the allocator. */
const leastRss = 96 * 1024 * 1024;

/** @param own bytes that the fuzzer itself holds */
export function held(inputs: number, own: number): Held {
  for (let round = 0; round < 3; round += 1) globalThis.gc?.();
  const { heapUsed, external, rss } = process.memoryUsage();
  return { inputs, heap: heapUsed + external - own, rss: rss - own };
}

export function growth([first, second, third]: readonly Held[]): { readonly kind: FindKind | 'growth'; readonly what: string } | undefined {
  if (first === undefined || second === undefined || third === undefined) return undefined;
  if (third.inputs - first.inputs < leastInputs) return undefined;
  const steps = [second.heap - first.heap, third.heap - second.heap];
  const perInput = (third.heap - first.heap) / Math.max(1, third.inputs - first.inputs);
  const mb = (bytes: number): string => (bytes / 1024 / 1024).toFixed(1);
  if (Math.min(...steps) > leastStep && perInput > leastPerInput) return { kind: 'growth', what: `${Math.round(perInput)} bytes an input: heap ${[first, second, third].map(({ heap }) => mb(heap)).join(', ')} MB after each third` };
  if (third.rss - second.rss > leastRss && second.rss - first.rss > leastRss) return { kind: 'growth', what: `resident memory ${[first, second, third].map(({ rss }) => mb(rss)).join(', ')} MB after each third` };
  return undefined;
}
