/** What a node answers, in the words of the domain. Readers throw BrokerError `invalid` or `incompatible`. */
import type { BackupProgress, BackupReport } from '../domain/backup-report.ts';
import type { AcceptedGroup, AgentsUpdate, AgentView, DiffPart, FlightDetail, FlightUpdate, GoneAgent, MemberView, NodeStatus, PeersUpdate, ResolveResult, SettledWorktree, ShareResult, WaitingView } from '../broker/api.ts';
import { internal, invalid, unavailable } from '../domain/errors.ts';
import { admitKinds } from '../domain/admit-rule.ts';
import type { AdmitRule, Applicant } from '../domain/admit-rule.ts';
import type { NodeId } from '../domain/ids.ts';
import { asMeshId, asNodeId, isAgentId, isAttemptId, isFlightId, isGroupId, isInvocationId } from '../domain/ids.ts';
import type { DeliveryId } from '../domain/ids.ts';
import { permissions } from '../domain/invocation.ts';
import type { PeerView } from '../domain/mesh-port.ts';
import { isPeerState } from '../domain/peer.ts';
import type { DeliveryAttempt } from '../domain/records.ts';
import { quoted } from '../domain/text.ts';
import { AttemptOutcome } from '../gen/beckon/v1/inspection.ts';
import type * as admission from '../gen/beckon/v1/admission.ts';
import type * as agent from '../gen/beckon/v1/agent.ts';
import type * as wire from '../gen/beckon/v1/control.ts';
import type * as wireInvoke from '../gen/beckon/v1/invoke.ts';
import type * as record from '../gen/beckon/v1/record.ts';
import type * as sharing from '../gen/beckon/v1/sharing.ts';
import type * as worktree from '../gen/beckon/v1/worktree.ts';
import type * as inspection from '../gen/beckon/v1/inspection.ts';
import type * as membership from '../gen/beckon/v1/membership.ts';
import { flightState, peerState } from '../rpc/enums.ts';
import { decodeErrorInfo } from '../rpc/error-info.ts';
import { bytes, id, present, required } from '../rpc/fields.ts';
import { decodeDelivery, decodeFlight, decodeRegistration } from '../rpc/records.ts';
import { decodeShare } from '../rpc/sharing.ts';
import { decodeFlightEvent, decodeInvocation } from '../rpc/work.ts';
import { decodeGap } from './gap.ts';
import { decodeDiffSummary, decodeIsolation, optionalObjectName } from '../rpc/worktrees.ts';

export function decodeStatus(message: wire.GetStatusResponse): NodeStatus {
  return {
    nodeId: asNodeId(message.nodeId),
    name: message.name,
    owner: message.owner,
    epoch: message.epoch,
    version: message.version,
    ...(message.meshId === '' ? {} : { mesh: { id: asMeshId(message.meshId), name: message.meshName } }),
    peers: Object.fromEntries(message.peers.map(({ state, count }) => [peerState.fromWire(state), count])),
    flights: decodeCounts(message.flights),
    pid: message.pid,
    listen: message.listen,
    draining: message.draining,
    ...(message.removed === undefined ? {} : { removed: message.removed }),
    ...(message.refused === '' ? {} : { refused: message.refused }),
  };
}

function decodeCounts(counts: readonly wire.FlightCount[]): NodeStatus['flights'] {
  return Object.fromEntries(counts.map(({ state, count }) => [flightState.fromWire(state), count]));
}

export function decodeBackup(message: wire.BackupResponse): BackupReport {
  const { path, bytes: size, schemaVersion, epoch, agents, members } = message;
  return { path, bytes: size, schemaVersion, epoch, agents, members, flights: decodeCounts(message.flights) };
}

/** Its steps, until it says what it holds. A step of another version is none that could be told. */
export async function readBackup(updates: AsyncIterable<wire.BackupInStepsResponse>, tell: (progress: BackupProgress) => void): Promise<BackupReport> {
  for await (const { update } of updates) {
    const { $case, value } = required(update, 'update');
    if ($case === 'report') return decodeBackup(value);
    const { step, done, total } = value;
    if (step === 'check') tell({ step });
    else if (step === 'copy' || step === 'match') tell({ step, done, total });
  }
  throw unavailable('the node here did not say how the backup ended');
}

export function decodeAgent(message: agent.AgentDetail | undefined): AgentView {
  const detail = required(message, 'agent');
  const registration = decodeRegistration(required(detail.registration, 'agent.registration'));
  const presence = required(detail.presence, 'agent.presence');
  return {
    registration,
    nodeName: presence.nodeName,
    owner: presence.owner,
    state: decodePresence(presence.state),
    ...present({
      lastSeenMs: presence.lastSeenMs,
      note: detail.note === '' ? undefined : detail.note,
      endpoint: detail.endpoint === undefined ? undefined : decodeEndpoint(registration, detail.endpoint),
      presence: detail.load,
      shares: presence.state === 'here' ? detail.shares.map(decodeShare) : undefined,
    }),
  };
}

export function decodeShared({ address, shares, changed }: sharing.ShareAgentResponse): ShareResult {
  return { address, shares: shares.map(decodeShare), changed };
}

export function decodeGroup(groupId: string, flights: readonly record.Flight[]): Pick<AcceptedGroup, 'groupId' | 'flights'> {
  return { groupId: id(isGroupId, groupId, 'group_id'), flights: flights.map(decodeFlight) };
}

/** Puts together again what came in several messages. */
export async function* decodeAgentsUpdates(messages: AsyncIterable<agent.WatchAgentsResponse>): AsyncGenerator<AgentsUpdate> {
  let agents: AgentView[] = [];
  let gone: GoneAgent[] = [];
  for await (const message of messages) {
    agents.push(...message.agents.map(decodeAgent));
    gone.push(...message.gone.map(({ nodeId, address }) => ({ nodeId: asNodeId(nodeId), address })));
    if (message.more) continue;
    yield { atMs: message.atMs, agents, gone };
    [agents, gone] = [[], []];
  }
}

function decodePresence(state: string): AgentView['state'] {
  if (state === 'here') return state;
  return presenceOf(state);
}

function decodeEndpoint(registration: AgentView['registration'], message: agent.Endpoint): NonNullable<AgentView['endpoint']> {
  const permission = permissions.find((each) => each === message.permissions);
  if (permission === undefined) throw invalid('endpoint.permissions is none that this version knows');
  return {
    agentId: id(isAgentId, message.agentId, 'endpoint.agent_id'),
    address: registration.address,
    harness: registration.harness,
    cwd: message.cwd,
    argv: message.argv,
    env: message.env,
    path: message.path,
    permissions: permission,
    isolate: message.isolate,
    ...(message.concurrency === undefined ? {} : { concurrency: message.concurrency }),
    ...(message.queue === undefined ? {} : { queue: message.queue }),
  };
}

export function decodeResolved(message: agent.ResolveResponse): ResolveResult {
  return {
    targets: message.targets,
    candidates: message.candidates.map(({ address, chosen, why }) => ({ address, chosen, why })),
    ...(message.error === undefined ? {} : { error: decodeErrorInfo(message.error) }),
  };
}

export function decodeUpdate(message: wireInvoke.FlightUpdate | undefined): FlightUpdate {
  const { atMs, update } = required(message, 'update');
  switch (update?.$case) {
    case 'accepted':
      return decodeAccepted(atMs, update.value);
    case 'held':
      return { type: 'held', atMs, why: update.value.why, untilMs: update.value.untilMs };
    case 'received':
      return { type: 'received', atMs, nodeId: asNodeId(update.value.nodeId), nodeName: update.value.nodeName };
    case 'event':
      return { type: 'event', atMs, event: decodeFlightEvent(update.value) };
    case 'finished': {
      const { flight, output, truncated } = update.value;
      return { type: 'finished', atMs, flight: decodeFlight(required(flight, 'finished.flight')), output: bytes(output), truncated };
    }
    case undefined:
      throw invalid('the update is of a kind that this version of Beckon does not know');
  }
}

export function decodeDetail(message: wire.GetFlightResponse): FlightDetail {
  return {
    flight: decodeFlight(required(message.flight, 'flight')),
    ...(message.delivery === undefined ? {} : { delivery: decodeDelivery(message.delivery) }),
    invocation: decodeInvocation(required(message.invocation, 'invocation')),
    output: bytes(message.output),
    truncated: message.truncated,
    originName: message.originName,
    ownerName: message.ownerName,
    ...(message.isolation === undefined ? {} : { isolation: decodeIsolation(message.isolation) }),
  };
}

export function decodeDiffPart(message: worktree.ReadDiffResponse): DiffPart {
  switch (message.part?.$case) {
    case 'begin': {
      const { flightId, ownerName, summary } = message.part.value;
      return { type: 'begin', flightId: id(isFlightId, flightId, 'flight_id'), ownerName, summary: decodeDiffSummary(required(summary, 'summary')) };
    }
    case 'content':
      return { type: 'content', bytes: bytes(message.part.value) };
    case undefined:
      throw invalid('the part of the diff is of a kind that this version of Beckon does not know');
  }
}

export function decodeSettled({ flightId, ownerName, isolation, tip }: worktree.SettleWorktreeResponse): SettledWorktree {
  return {
    flightId: id(isFlightId, flightId, 'flight_id'),
    ownerName,
    isolation: decodeIsolation(required(isolation, 'isolation')),
    ...present({ tip: optionalObjectName(tip, 'tip') }),
  };
}

const outcomes = new Map<number, NonNullable<DeliveryAttempt['outcome']>>([
  [AttemptOutcome.RECEIVED, 'received'],
  [AttemptOutcome.REJECTED, 'rejected'],
  [AttemptOutcome.LOST, 'lost'],
]);

export function decodeAttempt(deliveryId: DeliveryId, message: inspection.DeliveryAttempt): DeliveryAttempt {
  return {
    id: id(isAttemptId, message.id, 'attempt.id'),
    deliveryId,
    number: message.number,
    startedAtMs: message.startedAtMs,
    ...present({
      endedAtMs: message.endedAtMs,
      outcome: outcomes.get(message.outcome),
      why: message.why === '' ? undefined : message.why,
    }),
  };
}

export function decodeWaitingList(message: inspection.ListWaitingResponse): WaitingView {
  return {
    waiting: message.waiting.map(({ flight, nodeId, nodeName }) => ({ flight: decodeFlight(required(flight, 'flight')), nodeId: asNodeId(nodeId), nodeName })),
    gaps: message.gaps.map(decodeGap),
  };
}

export function decodeAccepted(atMs: number, message: wireInvoke.Accepted): Extract<FlightUpdate, { type: 'accepted' }> {
  const { invocationId, flightId, target, deduplicated, notes } = message;
  return {
    type: 'accepted',
    atMs,
    invocationId: id(isInvocationId, invocationId, 'accepted.invocation_id'),
    flightId: id(isFlightId, flightId, 'accepted.flight_id'),
    target,
    deduplicated,
    ...(notes.length === 0 ? {} : { notes }),
  };
}

export function decodePeer(message: inspection.Peer): PeerView {
  const path = message.path === 'outbound' || message.path === 'inbound' ? message.path : undefined;
  return {
    // A seed where nobody has shown who it is yet.
    nodeId: message.nodeId === '' ? ('' as NodeId) : asNodeId(message.nodeId),
    name: message.name,
    state: peerState.fromWire(message.state),
    why: message.why,
    sinceMs: message.sinceMs,
    ...present({
      address: message.address === '' ? undefined : message.address,
      path,
      source: message.source === '' ? undefined : message.source,
      rttMs: message.rttMs,
      lastSeenMs: message.lastSeenMs,
      version: message.version === '' ? undefined : message.version,
    }),
  };
}

export function decodePeersUpdate({ atMs, update }: inspection.WatchPeersResponse): PeersUpdate {
  const { $case, value } = required(update, 'update');
  if ($case === 'all') return { type: 'all', atMs, peers: value.peers.map(decodePeer) };
  return { type: 'changed', atMs, peer: decodePeer(required(value.peer, 'changed.peer')), ...present({ from: peerState.optionalFromWire(value.from) }) };
}

export function decodeMember(message: membership.Member): MemberView {
  const { name, owner } = message;
  return { name, nodeId: asNodeId(message.nodeId), owner, state: message.isSelf ? 'self' : presenceOf(message.state) };
}

function presenceOf(state: string): PeerView['state'] {
  if (isPeerState(state)) return state;
  throw invalid(`${quoted(state)} is no state that this version of Beckon knows`);
}

export function decodeApplicant({ nodeId, login, ...rest }: admission.Applicant): Applicant {
  return { ...rest, nodeId: asNodeId(nodeId), ...(login === '' ? {} : { login }) };
}

export function decodeRule({ kind, value }: admission.AdmitRule): AdmitRule {
  const found = admitKinds.find((each) => each === kind);
  if (found === undefined) throw internal(`the node answered with a rule of an unknown kind: ${kind}`);
  return { kind: found, value };
}
