/** What speaks against one peer, and for it, while this node hears nothing of it; and the words for it. */
import type { NodeId } from '../domain/ids.ts';
import { mostTelling } from './dial-fault.ts';
import type { TargetView } from './dialler.ts';
import { suspicionBounds, suspicionMs } from './suspicion.ts';

/** Who said goodbye comes back by itself; others are asked about it only then. */
const certainForMs = 60_000;

export interface Doubt {
  readonly nodeId: NodeId;
  /** Why it began, or why it was given up, for people. */
  cause: string;
  /** Monotonic ms: heard of after that, the peer is no suspect. */
  readonly beganMs: number;
  /** From when on it counts: later than it began while this side has grace. */
  countsFromMs: number;
  /** The peer said goodbye: nothing has to be found out. */
  readonly isCertain: boolean;
  /** It was called unreachable. */
  isGone: boolean;
  /** Rounds of asking others, so far. */
  rounds: number;
  nextRoundMs: number;
  asked: number;
  /** Members that do not hear it either, and those that do: by id, with their names. */
  readonly confirmedBy: Map<NodeId, string>;
  readonly reachedBy: Map<NodeId, string>;
}

export function newDoubt(nodeId: NodeId, cause: string, nowMs: number, { countsFromMs = nowMs, isCertain = false, isGone = false } = {}): Doubt {
  const nextRoundMs = isCertain ? nowMs + certainForMs : countsFromMs;
  return { nodeId, cause, beganMs: nowMs, countsFromMs, isCertain, isGone, rounds: 0, nextRoundMs, asked: 0, confirmedBy: new Map(), reachedBy: new Map() };
}

/** How long the suspicion lasts before the peer is called unreachable, ms from `countsFromMs`. */
export function patienceMs({ asked, confirmedBy, reachedBy }: Doubt, tries: readonly TargetView[], isLinked: boolean): number {
  // Its machine answers for it at every address: the process is gone, and has had its chance to come back.
  const isRefused = tries.length > 0 && tries.every(({ failures }) => failures > 0) && tries.some(({ fault }) => fault === 'refused');
  if (isRefused && !isLinked) return suspicionBounds.minMs;
  return reachedBy.size > 0 ? suspicionBounds.maxMs : suspicionMs(confirmedBy.size, asked);
}

/** @param tries of its addresses; none while there is a link that is silent */
export function wordsOf({ cause, isCertain, confirmedBy, reachedBy }: Doubt, tries: readonly TargetView[]): string {
  const own = isCertain ? cause : (mostTelling(tries)?.why ?? cause);
  if (reachedBy.size > 0) return `${own}, but ${namesOf(reachedBy)} ${reachedBy.size === 1 ? 'reaches' : 'reach'} it`;
  if (confirmedBy.size > 0 && !isCertain) return `${own}, and ${namesOf(confirmedBy)} ${confirmedBy.size === 1 ? 'does' : 'do'} not hear it either`;
  return own;
}

function namesOf(members: ReadonlyMap<NodeId, string>): string {
  const names = [...members.values()].toSorted();
  const last = names.pop() ?? '';
  return names.length === 0 ? last : `${names.join(', ')} and ${last}`;
}
