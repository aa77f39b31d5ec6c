/** What the use cases answer, as messages. */
import type { AgentsUpdate, AgentView, DiffPart, FlightUpdate, MemberView, NodeStatus, PeersUpdate, ResolveResult, WaitingView } from '../broker/api.ts';
import { flightStates } from '../domain/flight.ts';
import type { PeerView } from '../domain/mesh-port.ts';
import type { Applicant } from '../domain/admit-rule.ts';
import { peerStates } from '../domain/peer.ts';
import type { DeliveryAttempt } from '../domain/records.ts';
import { AttemptOutcome } from '../gen/beckon/v1/inspection.ts';
import type * as admission from '../gen/beckon/v1/admission.ts';
import type * as agent from '../gen/beckon/v1/agent.ts';
import type * as wire from '../gen/beckon/v1/control.ts';
import type * as wireInvoke from '../gen/beckon/v1/invoke.ts';
import type * as inspection from '../gen/beckon/v1/inspection.ts';
import type * as membership from '../gen/beckon/v1/membership.ts';
import { flightState, peerState } from '../rpc/enums.ts';
import { encodeShare } from '../rpc/sharing.ts';
import { encodeErrorInfo } from '../rpc/error-info.ts';
import { buffer } from '../rpc/fields.ts';
import { encodeFlight, encodeRegistration } from '../rpc/records.ts';
import { encodeGap } from './gap.ts';
import type { ReadDiffResponse } from '../gen/beckon/v1/worktree.ts';
import { encodeFlightEvent } from '../rpc/work.ts';
import { encodeDiffSummary } from '../rpc/worktrees.ts';

export function encodeStatus(status: NodeStatus): wire.GetStatusResponse {
  return {
    nodeId: status.nodeId,
    name: status.name,
    owner: status.owner,
    epoch: status.epoch,
    version: status.version,
    meshId: status.mesh?.id ?? '',
    meshName: status.mesh?.name ?? '',
    peers: peerStates.flatMap((state) => {
      const count = status.peers[state];
      return count === undefined ? [] : [{ state: peerState.toWire(state), count }];
    }),
    flights: encodeCounts(status.flights),
    pid: status.pid,
    listen: [...status.listen],
    draining: status.draining,
    removed: status.removed,
    refused: status.refused ?? '',
  };
}

export function encodeCounts(counts: NodeStatus['flights']): wire.FlightCount[] {
  return flightStates.flatMap((state) => {
    const count = counts[state];
    return count === undefined ? [] : [{ state: flightState.toWire(state), count }];
  });
}

export function encodeAgent(view: AgentView): agent.AgentDetail {
  const { endpoint } = view;
  return {
    registration: encodeRegistration(view.registration),
    endpoint:
      endpoint === undefined
        ? undefined
        : {
            agentId: endpoint.agentId,
            cwd: endpoint.cwd,
            argv: [...endpoint.argv],
            env: [...endpoint.env],
            path: endpoint.path,
            permissions: endpoint.permissions,
            isolate: endpoint.isolate,
            concurrency: endpoint.concurrency,
            queue: endpoint.queue,
          },
    presence: { nodeName: view.nodeName, owner: view.owner, state: view.state, lastSeenMs: view.lastSeenMs },
    load: view.presence,
    note: view.note ?? '',
    shares: (view.shares ?? []).map(encodeShare),
  };
}

export function encodeResolved(result: ResolveResult): agent.ResolveResponse {
  return {
    targets: [...result.targets],
    candidates: result.candidates.map((each) => ({ ...each })),
    error: result.error === undefined ? undefined : encodeErrorInfo(result.error),
  };
}

export function encodeUpdate(update: FlightUpdate): wireInvoke.FlightUpdate {
  return { atMs: update.atMs, update: encodeStep(update) };
}

function encodeStep(update: FlightUpdate): wireInvoke.FlightUpdate['update'] {
  switch (update.type) {
    case 'accepted': {
      const { invocationId, flightId, target, deduplicated, notes = [] } = update;
      return { $case: 'accepted', value: { invocationId, flightId, target, deduplicated, notes: [...notes] } };
    }
    case 'held':
      return { $case: 'held', value: { why: update.why, untilMs: update.untilMs } };
    case 'received':
      return { $case: 'received', value: { nodeId: update.nodeId, nodeName: update.nodeName } };
    case 'event':
      return { $case: 'event', value: encodeFlightEvent(update.event) };
    case 'finished':
      return {
        $case: 'finished',
        value: { flight: encodeFlight(update.flight), output: buffer(update.output), truncated: update.truncated },
      };
  }
}

const outcomes = {
  received: AttemptOutcome.RECEIVED,
  rejected: AttemptOutcome.REJECTED,
  lost: AttemptOutcome.LOST,
} as const;

export function encodeAttempt(attempt: DeliveryAttempt): inspection.DeliveryAttempt {
  return {
    id: attempt.id,
    number: attempt.number,
    startedAtMs: attempt.startedAtMs,
    endedAtMs: attempt.endedAtMs,
    outcome: attempt.outcome === undefined ? AttemptOutcome.UNSPECIFIED : outcomes[attempt.outcome],
    why: attempt.why ?? '',
  };
}

export function encodeDiffPart(part: DiffPart): ReadDiffResponse['part'] {
  if (part.type === 'content') return { $case: 'content', value: buffer(part.bytes) };
  return { $case: 'begin', value: { flightId: part.flightId, ownerName: part.ownerName, summary: encodeDiffSummary(part.summary) } };
}

export function encodeWaiting({ waiting, gaps }: WaitingView): inspection.ListWaitingResponse {
  return {
    waiting: waiting.map(({ flight, nodeId, nodeName }) => ({ flight: encodeFlight(flight), nodeId, nodeName })),
    gaps: gaps.map(encodeGap),
  };
}

export function encodePeer(peer: PeerView): inspection.Peer {
  return {
    name: peer.name,
    nodeId: peer.nodeId,
    state: peerState.toWire(peer.state),
    why: peer.why,
    sinceMs: peer.sinceMs,
    address: peer.address ?? '',
    path: peer.path ?? '',
    source: peer.source ?? '',
    rttMs: peer.rttMs,
    lastSeenMs: peer.lastSeenMs,
    version: peer.version ?? '',
  };
}

/** In one message, so that each is far from the largest that a client takes. */
const agentsPerMessage = 500;

export function* encodeAgentsUpdate({ atMs, agents, gone }: AgentsUpdate): Generator<agent.WatchAgentsResponse> {
  let [from, fromGone] = [0, 0];
  do {
    const message = { atMs, agents: agents.slice(from, from + agentsPerMessage).map(encodeAgent), gone: gone.slice(fromGone, fromGone + agentsPerMessage) };
    from += agentsPerMessage;
    fromGone += agentsPerMessage;
    yield { ...message, more: from < agents.length || fromGone < gone.length };
  } while (from < agents.length || fromGone < gone.length);
}

export function encodePeersUpdate(update: PeersUpdate): inspection.WatchPeersResponse {
  const { atMs } = update;
  if (update.type === 'all') return { atMs, update: { $case: 'all', value: { peers: update.peers.map(encodePeer) } } };
  return { atMs, update: { $case: 'changed', value: { peer: encodePeer(update.peer), from: peerState.toWire(update.from) } } };
}

export function encodeApplicant({ name, nodeId, address, login, tags, sinceMs, why }: Applicant): admission.Applicant {
  return { name, nodeId, address, login: login ?? '', tags: [...tags], sinceMs, why };
}

export function encodeMember({ name, nodeId, owner, state }: MemberView): membership.Member {
  const isSelf = state === 'self';
  return { name, nodeId, owner, state, isSelf };
}
