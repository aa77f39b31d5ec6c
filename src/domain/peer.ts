/** What this node believes of another node: states and legal moves. Timers and evidence live with the session. */
import { isLegal } from './moves.ts';
import type { Moves } from './moves.ts';

export const peerStates = ['discovered', 'alive', 'suspect', 'unreachable', 'left', 'removed', 'incompatible'] as const;
export type PeerState = (typeof peerStates)[number];

/** Why a member of a large mesh is `discovered`, and not dialled. */
export const restWords = 'no link is needed: one is made when there is work';

/**
 * Suspicion always comes before `unreachable`, except for a peer that was never reached. `left` and `removed` are
 * undone only by enrolling again, which starts over at `discovered`. A peer that was alive is `discovered` again when its
 * link was let go because nobody needs it; one of a large mesh that was unreachable is so when it has spoken since.
 */
export const peerMoves: Moves<PeerState> = {
  discovered: ['alive', 'unreachable', 'left', 'removed', 'incompatible'],
  alive: ['discovered', 'suspect', 'left', 'removed', 'incompatible'],
  suspect: ['discovered', 'alive', 'unreachable', 'left', 'removed', 'incompatible'],
  unreachable: ['discovered', 'alive', 'left', 'removed', 'incompatible'],
  left: ['discovered', 'removed'],
  removed: ['discovered'],
  incompatible: ['alive', 'unreachable', 'left', 'removed'],
};

export function isPeerState(value: unknown): value is PeerState {
  return (peerStates as readonly unknown[]).includes(value);
}

export function canMovePeer(from: PeerState, to: PeerState): boolean {
  return isLegal(peerMoves, from, to);
}
