/** Answers to the questions that a mesh puts to a mesh: who hears whom, and who can dial whom. */
import type { NodeId } from '../domain/ids.ts';
import type { PeerAnswer, ReachQuery } from '../domain/messages.ts';
import type { LinkDemand } from './link-demand.ts';
import type { Outgoing } from './outgoing.ts';
import type { Session } from './session.ts';

/** A peer that is asked after answers within this, or is not heard. */
export const probeMs = 2_000;

export interface ReachAnswersParts {
  readonly live: ReadonlyMap<NodeId, Session>;
  readonly demand: LinkDemand;
  readonly outgoing: Pick<Outgoing, 'testAll'>;
  readonly want: (nodeId: NodeId) => Promise<unknown>;
}

export async function answerReach({ live, demand, outgoing, want }: ReachAnswersParts, { peer, hello }: Session, query: ReachQuery): Promise<PeerAnswer> {
  if (query.type === 'dial_back') return { type: 'dial_back', results: await outgoing.testAll(hello?.addresses ?? [], peer.nodeId) };
  // No link here does not mean that it can't be heard: in a large mesh few are linked.
  if (demand.rests(query.nodeId)) await want(query.nodeId);
  const asked = live.get(query.nodeId);
  return { type: 'reach', reached: (await asked?.probe(probeMs)) === true, epoch: asked?.epoch ?? 0 };
}
