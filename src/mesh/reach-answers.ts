/** Answers to the questions that a mesh puts to a mesh: who hears whom, and who can dial whom. */
import type { NodeId } from '../domain/ids.ts';
import type { PeerAnswer, ReachQuery } from '../domain/messages.ts';
import type { Outgoing } from './outgoing.ts';
import type { Session } from './session.ts';

/** A peer that is asked after answers within this, or is not heard. */
export const probeMs = 2_000;

export interface ReachAnswersParts {
  readonly live: ReadonlyMap<NodeId, Session>;
  readonly outgoing: Pick<Outgoing, 'testAll'>;
  /** One try, for a node that no link was needed with. */
  readonly look: (nodeId: NodeId) => Promise<unknown>;
}

export async function answerReach({ live, outgoing, look }: ReachAnswersParts, { peer, hello }: Session, query: ReachQuery): Promise<PeerAnswer> {
  if (query.type === 'dial_back') return { type: 'dial_back', results: await outgoing.testAll(hello?.addresses ?? [], peer.nodeId) };
  // No link here does not mean that it can't be heard: in a large mesh few are linked.
  await look(query.nodeId);
  const asked = live.get(query.nodeId);
  return { type: 'reach', reached: (await asked?.probe(probeMs)) === true, epoch: asked?.epoch ?? 0 };
}
