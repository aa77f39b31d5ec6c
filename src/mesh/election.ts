/** Which of two sessions with one peer stays. Both ends decide by what both know, and so decide alike. */
import type { NodeId } from '../domain/ids.ts';

/** Two sessions that begin further apart are no race: dialling and greeting take twice 3 s at most. */
export const raceMs = 10_000;

export interface Claim {
  /** The peer's boot nonce. */
  readonly bootNonce: string;
  readonly dialledBy: NodeId;
}

/**
 * - `take_new`: the peer dialled although there is a session because it no longer hears anything on that one, or the new
 *   one is the one that the lower node id dialled;
 * - `keep_old`: the other way round;
 * - `other_boot`: a restart if the old process is dead; if it is alive, two processes hold the key of one node at once.
 */
export type Choice = 'take_new' | 'keep_old' | 'other_boot';

/** @param oldAgeMs how long the old session has been there */
export function choose(old: Claim, fresh: Claim, oldAgeMs: number): Choice {
  if (fresh.bootNonce !== old.bootNonce) return 'other_boot';
  if (fresh.dialledBy === old.dialledBy || oldAgeMs > raceMs) return 'take_new';
  return fresh.dialledBy < old.dialledBy ? 'take_new' : 'keep_old';
}
