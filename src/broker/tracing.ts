/** One invocation on the nodes that it touched, in one timeline; of a node that can't be asked: why, and what is not known therefore. */
import { toBrokerError } from '../domain/errors.ts';
import type { Fact } from '../domain/event.ts';
import { compareHlc } from '../domain/hlc.ts';
import type { NodeId } from '../domain/ids.ts';
import { standingOf } from '../domain/observation.ts';
import type { FlightStanding } from '../domain/observation.ts';
import type { Store } from '../domain/store-port.ts';
import { flightOfInvocation } from '../domain/ids.ts';
import { unknownWithout } from '../domain/trace-gaps.ts';
import type { TraceView } from './api.ts';
import type { AskMembers } from './ask-members.ts';
import type { TraceParty } from './operator-api.ts';
import type { Self } from './self.ts';
import { whereabouts } from './whereabouts.ts';
import type { WhereaboutsParts } from './whereabouts.ts';

export interface TracingParts extends WhereaboutsParts {
  readonly store: Store;
  readonly self: Self;
  readonly members: AskMembers;
}

type Heard = { readonly facts: readonly Fact[]; readonly standing?: FlightStanding } | { readonly why: string };

/** @throws BrokerError as `whereabouts` does */
export async function trace(parts: TracingParts, argument: string): Promise<TraceView> {
  const { nodes } = parts;
  const { invocationId, originNodeId, ownerNodeId } = await whereabouts(parts, argument);
  const heard = await Promise.all([...new Set([originNodeId, ownerNodeId])].map(async (nodeId) => ({ nodeId, ...(await hear(parts, nodeId, invocationId)) })));
  const parties: TraceParty[] = heard.map((each) => ({
    nodeId: each.nodeId,
    nodeName: nodes.nameOf(each.nodeId),
    isOrigin: each.nodeId === originNodeId,
    isOwner: each.nodeId === ownerNodeId,
    ...('why' in each || each.standing === undefined ? {} : { standing: each.standing }),
  }));
  const gaps = heard.flatMap((each) => {
    if (!('why' in each)) return [];
    const { nodeId, why } = each;
    const role = { isOrigin: nodeId === originNodeId, isOwner: nodeId === ownerNodeId };
    const other = parties.find((party) => party.nodeId !== nodeId)?.standing;
    const { sinceMs } = parts.members.absence(nodeId);
    return [{ nodeId, nodeName: nodes.nameOf(nodeId), why, ...(sinceMs === undefined ? {} : { sinceMs }), unknown: unknownWithout(role, other) }];
  });
  const entries = heard
    .flatMap((each) => ('why' in each ? [] : each.facts))
    .toSorted((a, b) => compareHlc(a.hlc, b.hlc) || (a.nodeId < b.nodeId ? -1 : 1))
    .map((fact) => ({
      fact,
      nodeName: nodes.nameOf(fact.nodeId),
      ...(fact.peerNodeId === undefined ? {} : { peerName: nodes.nameOf(fact.peerNodeId) }),
    }));
  return { invocationId, entries, gaps, parties };
}

async function hear({ store, self, members }: TracingParts, nodeId: NodeId, invocationId: TraceView['invocationId']): Promise<Heard> {
  if (nodeId === self.nodeId) {
    const flight = store.read.flight(flightOfInvocation(invocationId));
    return { facts: await store.inspect.facts(invocationId), ...(flight === undefined ? {} : { standing: standingOf(flight) }) };
  }
  try {
    return await members.ask(nodeId, { type: 'trace', invocationId });
  } catch (error) {
    return { why: toBrokerError(error).message };
  }
}
