/**
 * Ids of spans and traces, made from what is stored: whoever tells a step again, after a restart or a lost message, tells
 * it under the same id, and what was given to an agent as its parent is the id under which the run is told later.
 */
import type { GroupId, InvocationId, NodeId } from './ids.ts';
import type { Digest } from './ports.ts';

/**
 * What of an invocation has a span. At its origin `invoke` (all of it), `accept`, `hold` (after so many attempts),
 * `forward` (an attempt); at its owner `flight` (all of it), `start` and `run` (of a run); `finish` and `refine` at both.
 */
export type Step =
  | 'invoke'
  | 'accept'
  | `hold ${number}`
  | `forward ${number}`
  | 'flight'
  | `start ${number}`
  | `run ${number}`
  | 'finish'
  | 'refine';

/** Where a step is taken. */
export interface StepPlace {
  readonly traceId: string;
  readonly invocationId: InvocationId;
  readonly nodeId: NodeId;
}

const [traceDigits, spanDigits] = [32, 16];

export function spanIdOf(digest: Digest, { traceId, invocationId, nodeId }: StepPlace, step: Step): string {
  return digest(['beckon span', traceId, invocationId, nodeId, step]).slice(0, spanDigits);
}

/** Of a trace that begins with an invocation, or with all of a group. */
export function traceIdOf(digest: Digest, id: InvocationId | GroupId): string {
  return digest(['beckon trace', id]).slice(0, traceDigits);
}

/** The same share of traces at every node, by the rightmost 56 bits of their ids, which are random where any are. */
export function isAmong(traceId: string, ratio: number): boolean {
  return Number.parseInt(traceId.slice(-14), 16) < ratio * 2 ** 56;
}
