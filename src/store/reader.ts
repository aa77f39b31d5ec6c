/** The short reads of the port, on the calling thread: each by index and bounded, and only of what is durable. */
import { flightOfInvocation, invocationOfFlight } from '../domain/ids.ts';
import type { GroupId, InvocationId, NodeId } from '../domain/ids.ts';
import type { Flight } from '../domain/records.ts';
import type { StoreReads } from '../domain/store-port.ts';
import { agentSessionReads } from './agent-sessions.ts';
import { agentShareReads } from './agent-shares.ts';
import { agentReads } from './agents.ts';
import { auditReads } from './audit.ts';
import type { AuditSeal } from './audit.ts';
import { NodeNumbers } from './caches.ts';
import type { Connection } from './connection.ts';
import { deliveryReads } from './deliveries.ts';
import { factReads } from './events.ts';
import { flightEventReads } from './flight-events.ts';
import { flightOf, isHeld } from './flight-row.ts';
import { flightProcessReads } from './flight-processes.ts';
import { flightReads } from './flights.ts';
import { lastId } from './id-range.ts';
import { keyedRead } from './idempotency.ts';
import { invocationReads } from './invocations.ts';
import { nodeReads } from './nodes.ts';
import { projectReads } from './projects.ts';
import { pruningReads } from './pruning.ts';
import { queueReads } from './queue-reads.ts';
import { replyReads } from './replies.ts';
import { revocationReads } from './revocations.ts';
import { registrationReads } from './registrations.ts';
import { enrolmentReads } from './enrolment.ts';
import { trustReads } from './trust.ts';
import { worktreeReads } from './worktrees.ts';

/** Before every id. */
const firstId = '';

export function readerOver(db: Connection, seal: AuditSeal): StoreReads {
  const nodes = new NodeNumbers(db);
  const { auditHead, auditHashAt } = auditReads(db, seal);
  const flights = flightReads(db);
  const invocations = invocationReads(db, nodes);
  const keys = keyedRead(db);
  const flightEvents = flightEventReads(db);
  const deliveries = deliveryReads(db, nodes);
  const facts = factReads(db, nodes);
  const replies = replyReads(db);
  const sessions = agentSessionReads(db);
  const agents = agentReads(db, nodes);
  const registry = registrationReads(db, nodes);
  const trust = trustReads(db, nodes);
  const epochs = nodeReads(db, nodes);
  const pruning = pruningReads(db);
  const worktrees = worktreeReads(db);

  const flight = (id: InvocationId): Flight | undefined => {
    const row = flights.get.get(id);
    return row === undefined ? undefined : flightOf(row, nodes);
  };
  const known = (ids: readonly { readonly invocation_id: InvocationId }[]): Flight[] =>
    ids.map((each) => flight(each.invocation_id)).filter((each) => each !== undefined);
  /** The rows that `read` gives of a node, if the store has it at all. */
  const ofNode = <Row>(nodeId: NodeId, read: (number: number) => Row[]): Row[] => {
    const number = nodes.find(nodeId);
    return number === undefined ? [] : read(number);
  };

  const groupsBySuffix = (suffix: string): GroupId[] => {
    const first = flights.nextGroup.get(suffix.slice(-4), '', suffix)?.group_id;
    const second = first === undefined ? undefined : flights.nextGroup.get(suffix.slice(-4), first, suffix)?.group_id;
    return [first, second].filter((each) => each !== undefined);
  };

  return {
    lastHlc: facts.lastHlc,
    newestFact: facts.newestFact,
    flight: (id) => flight(invocationOfFlight(id)),
    flightsBySuffix: (suffix) => (/^[0-9A-Z]{4,26}$/.test(suffix) ? known(flights.bySuffix.all(suffix.slice(-4), suffix)) : []),
    newestFlight: () => known(flights.newest.all(lastId))[0],
    keyed: (caller, key) => keys.get(caller, key),
    invocation: (id) => invocations.invocation(id),
    task: (id) => invocations.task(id),
    taskBytes: (id) => invocations.taskBytes(id),
    events: (id, afterSeq, maxBytes) => flightEvents.events(invocationOfFlight(id), afterSeq, maxBytes),
    delivery: (id) => deliveries.delivery(id),
    reply: (id, request) => replies.reply(id, request),
    openReplies: (ownerNodeId, limit) => ofNode(ownerNodeId, (owner) => replies.open(owner, limit)),
    unsent: (toNodeId, after, limit) => ofNode(toNodeId, (to) => deliveries.deferred(to, after ?? firstId, limit)),
    openAt: (ownerNodeId, after, limit) =>
      ofNode(ownerNodeId, (owner) => flights.sent.all(owner, after ?? firstId, limit)).map((row) => ({
        invocationId: row.invocation_id,
        receipted: row.received === 1,
        lastSeq: row.last_seq,
        cancelRequested: row.cancelled === 1,
      })),
    unacknowledged: (originNodeId, after, limit) =>
      ofNode(originNodeId, (origin) => flights.unacknowledged.all(origin, after ?? firstId, limit)).map((row) => ({
        invocationId: row.invocation_id,
        ackedSeq: row.acked_seq,
        lastSeq: row.last_seq,
      })),
    ...queueReads(db, nodes),
    session: (id) => sessions.session(id),
    toNotify: () => flights.toNotify.all().map((row) => ({ flightId: flightOfInvocation(row.invocation_id), told: row.notified ?? undefined })),
    turnOf: (id) => {
      const row = flights.inSession.get(id);
      return row === undefined ? undefined : flightOfInvocation(row.invocation_id);
    },
    quarantined: (originNodeId, after, limit) =>
      ofNode(originNodeId, (origin) => flights.quarantined.all(origin, after ?? firstId, limit)).map((row) => row.invocation_id),
    openFor: (originNodeId, after, limit) => ofNode(originNodeId, (origin) => flights.openFor.all(origin, after ?? firstId, limit)).map((row) => row.invocation_id),
    seenEpochs: (nodeId) => epochs.seenEpochs(nodeId),
    prunable: (limits) => pruning.prunable(limits),
    due: (nowMs, limit) =>
      flights.due.all(nowMs, limit).map((row) => ({
        flightId: flightOfInvocation(row.invocation_id),
        which: isHeld(row) && row.hold_until_ms <= nowMs ? 'hold' : 'total',
      })),
    worktree: (id) => worktrees.worktree(invocationOfFlight(id)),
    worktreeNamed: worktrees.worktreeNamed,
    worktreeOfSession: worktrees.worktreeOfSession,
    nextDeadlineMs: (afterMs = 0) => flights.nextDue.get(afterMs)?.due_at_ms,
    processes: flightProcessReads(db).processes,
    endpoints: agents.endpoints,
    endpoint: (address) => agents.endpoint(address),
    ownRegistrations: agents.registrations,
    ownRegistration: (address) => agents.registration(address),
    ...agentShareReads(db),
    group: (id) => known(flights.ofGroup.all(id)),
    groupsBySuffix: (suffix) => (/^[0-9A-Z]{4,26}$/.test(suffix) ? groupsBySuffix(suffix) : []),
    registryHeads: registry.heads,
    registryHead: (nodeId) => registry.head(nodeId),
    registrations: (nodeId) => registry.registrations(nodeId),
    signedRegistration: (nodeId, hash) => registry.signed(nodeId, hash),
    invite: (secretHash) => trust.invite(secretHash),
    membership: () => trust.membership(),
    mesh: () => trust.mesh(),
    members: trust.members,
    member: (nodeId) => trust.member(nodeId),
    membersNamed: trust.membersNamed,
    hasLeft: (meshId) => trust.hasLeft(meshId),
    formerName: (nodeId) => trust.formerName(nodeId),
    removedFrom: () => trust.removedFrom(),
    ...revocationReads(db, nodes),
    ...enrolmentReads(db, nodes),
    ...projectReads(db),
    auditHead,
    auditHashAt,
  };
}
