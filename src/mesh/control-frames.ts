/** What two nodes say, as frames of the control and data streams. Decoders throw BrokerError `invalid` or `incompatible`. */
import { invalid } from '../domain/errors.ts';
import { contentBytes } from '../domain/flight-event.ts';
import { parseHostPort } from '../domain/host-port.ts';
import { isInvocationId, isNodeId } from '../domain/ids.ts';
import type { InvocationId, NodeId } from '../domain/ids.ts';
import { checkTaskSize } from '../domain/invocation.ts';
import type { Invocation, Task } from '../domain/invocation.ts';
import { admitKinds } from '../domain/admit-rule.ts';
import type { ControlMessage, FlightEvents, Forward, Roster } from '../domain/messages.ts';
import type * as admission from '../gen/beckon/v1/admission.ts';
import type * as wire from '../gen/beckon/v1/mesh.ts';
import { failureReason, flightState } from '../rpc/enums.ts';
import { decodeErrorInfo, decodeOptionalErrorInfo, encodeErrorInfo } from '../rpc/error-info.ts';
import { buffer, bytes, clockValue, id, list, name, present, required, text, whole } from '../rpc/fields.ts';
import { decodeSignedRecord, encodeSignedRecord } from '../rpc/records.ts';
import { decodeRegistryChange, decodeRegistryEntry, encodeRegistryChange, encodeRegistryEntry } from '../rpc/registry.ts';
import { decodeFlightEvent, decodeInvocation, decodeReply, decodeTask, encodeFlightEvent, encodeInvocation, encodeReply, encodeTask } from '../rpc/work.ts';

type Frame = NonNullable<wire.ControlFrame['frame']>;
/** Frames that are the core's business; the others keep the session itself. */
export type MessageFrame = Extract<
  Frame,
  { $case: 'forward' | 'receipt' | 'reject' | 'draining' | 'sync' | 'syncReply' | 'cancel' | 'cancelledUnknown' | 'reply' | 'replyOutcome' | 'eventAck' | 'registryChange' | 'registryEntry' | 'presence' | 'roster' }
>;

/** The largest task that travels inside its `Forward`, encoded, bytes. A larger one follows in pieces. */
export const largestInlineTask = 32 * 1024;

const mostItems = 10_000;
const mostMembers = 2_000;
const mostRules = 2_000;
const mostAddresses = 32;

/** A Forward without its task: `taskBytes` of it, encoded, follow on the data stream. */
export interface ForwardHead {
  readonly invocation: Invocation;
  readonly attempt: number;
  readonly hlc: Forward['hlc'];
  readonly taskBytes: number;
}

/** @param taskBytes given when the task follows in pieces */
export function encodeForward(message: Forward, taskBytes?: number): Frame {
  const task = taskBytes === undefined ? encodeTask(message.task) : undefined;
  const invocation = encodeInvocation(message.invocation);
  return { $case: 'forward', value: { invocation, task, taskBytes, attempt: message.attempt, hlc: message.hlc } };
}

export function decodeForward(message: wire.Forward): Forward | ForwardHead {
  const head = {
    invocation: decodeInvocation(required(message.invocation, 'forward.invocation')),
    attempt: whole(message.attempt, 'forward.attempt'),
    hlc: clockValue(message.hlc, 'forward.hlc'),
  };
  if (message.task !== undefined) return completeForward(head, decodeTask(message.task));
  return { ...head, taskBytes: whole(required(message.taskBytes, 'forward.task'), 'forward.task_bytes') };
}

/** @throws BrokerError `invalid` when the task is larger than any may be */
export function completeForward({ invocation, attempt, hlc }: Omit<ForwardHead, 'taskBytes'>, task: Task): Forward {
  checkTaskSize(task);
  return { type: 'forward', invocation, task, attempt, hlc };
}

export function encodeControl(message: Exclude<ControlMessage, Forward>): Frame {
  switch (message.type) {
    case 'receipt':
      return { $case: 'receipt', value: { invocationId: message.invocationId, receivedAtMs: message.receivedAtMs, hlc: message.hlc } };
    case 'reject':
      return {
        $case: 'reject',
        value: {
          invocationId: message.invocationId,
          reason: failureReason.toWire(message.reason),
          error: encodeErrorInfo(message.error),
          hlc: message.hlc,
        },
      };
    case 'draining':
      return { $case: 'draining', value: { invocationId: message.invocationId, attempt: message.attempt, hlc: message.hlc } };
    case 'sync':
      return { $case: 'sync', value: { items: message.items.map((item) => ({ ...item })) } };
    case 'sync_reply':
      return {
        $case: 'syncReply',
        value: {
          items: message.items.map((item) => ({
            invocationId: item.invocationId,
            state: flightState.toWire(item.state === 'unknown' ? undefined : item.state),
            run: item.run,
            lastSeq: item.lastSeq,
          })),
        },
      };
    case 'cancel':
      return { $case: 'cancel', value: { invocationId: message.invocationId, hlc: message.hlc } };
    case 'cancelled_unknown':
      return { $case: 'cancelledUnknown', value: { invocationId: message.invocationId, hlc: message.hlc } };
    case 'reply': {
      const { invocationId, request, reply, by, hlc } = message;
      return { $case: 'reply', value: { invocationId, request, ...encodeReply(reply), by, hlc } };
    }
    case 'reply_outcome': {
      const { invocationId, request, error, hlc } = message;
      return { $case: 'replyOutcome', value: { invocationId, request, error: error === undefined ? undefined : encodeErrorInfo(error), hlc } };
    }
    case 'event_ack':
      return { $case: 'eventAck', value: { invocationId: message.invocationId, seq: message.seq, unknown: message.unknown } };
    case 'registry_change':
      return { $case: 'registryChange', value: encodeRegistryChange(message.change) };
    case 'registry_entry':
      return { $case: 'registryEntry', value: encodeRegistryEntry(message.entry) };
    case 'presence':
      return { $case: 'presence', value: encodeSignedRecord(message.presence) };
    case 'roster':
      return {
        $case: 'roster',
        value: {
          members: message.members.map(({ chain, addresses }) => ({
            chain: { leaf: buffer(chain.leaf), issuer: buffer(chain.issuer) },
            addresses: [...addresses],
          })),
          rules: message.admission === undefined ? undefined : encodeAdmission(message.admission),
          authorities: buffer(message.authorities ?? new Uint8Array()),
        },
      };
  }
}

export function decodeControl(frame: Exclude<MessageFrame, { $case: 'forward' }>): Exclude<ControlMessage, Forward> {
  switch (frame.$case) {
    case 'receipt':
      return {
        type: 'receipt',
        invocationId: invocationId(frame.value),
        receivedAtMs: whole(frame.value.receivedAtMs, 'receipt.received_at_ms'),
        hlc: clockValue(frame.value.hlc),
      };
    case 'reject':
      return {
        type: 'reject',
        invocationId: invocationId(frame.value),
        // That it was refused is understood; the error says why in words.
        reason: failureReason.fromWireOr(frame.value.reason, 'peer_rejected'),
        error: decodeErrorInfo(required(frame.value.error, 'reject.error')),
        hlc: clockValue(frame.value.hlc),
      };
    case 'draining':
      return { type: 'draining', invocationId: invocationId(frame.value), attempt: whole(frame.value.attempt, 'draining.attempt'), hlc: clockValue(frame.value.hlc) };
    case 'sync':
      return {
        type: 'sync',
        items: list(frame.value.items, 'sync.items', mostItems).map((item) => ({
          invocationId: invocationId(item),
          receipted: item.receipted,
          lastSeq: whole(item.lastSeq, 'sync.last_seq'),
          cancelRequested: item.cancelRequested,
        })),
      };
    case 'syncReply':
      return {
        type: 'sync_reply',
        items: list(frame.value.items, 'sync_reply.items', mostItems).map((item) => ({
          invocationId: invocationId(item),
          // A state of a newer version is one in which it goes on: its end comes as an event.
          state: item.state === 0 ? 'unknown' : (flightState.knownFromWire(item.state) ?? 'running'),
          run: whole(item.run, 'sync_reply.run'),
          lastSeq: whole(item.lastSeq, 'sync_reply.last_seq'),
        })),
      };
    case 'cancel':
      return { type: 'cancel', invocationId: invocationId(frame.value), hlc: clockValue(frame.value.hlc) };
    case 'cancelledUnknown':
      return { type: 'cancelled_unknown', invocationId: invocationId(frame.value), hlc: clockValue(frame.value.hlc) };
    case 'reply':
      return {
        type: 'reply',
        invocationId: invocationId(frame.value),
        request: name(frame.value.request, 'reply.request'),
        reply: decodeReply(frame.value),
        by: name(frame.value.by, 'reply.by'),
        hlc: clockValue(frame.value.hlc),
      };
    case 'replyOutcome':
      return {
        type: 'reply_outcome',
        invocationId: invocationId(frame.value),
        request: name(frame.value.request, 'reply_outcome.request'),
        hlc: clockValue(frame.value.hlc),
        ...present({ error: decodeOptionalErrorInfo(frame.value.error) }),
      };
    case 'eventAck':
      return {
        type: 'event_ack',
        invocationId: invocationId(frame.value),
        seq: whole(frame.value.seq, 'event_ack.seq'),
        unknown: frame.value.unknown,
      };
    case 'registryChange':
      return { type: 'registry_change', change: decodeRegistryChange(frame.value) };
    case 'registryEntry':
      return { type: 'registry_entry', entry: decodeRegistryEntry(frame.value) };
    case 'presence':
      return { type: 'presence', presence: decodeSignedRecord(frame.value) };
    case 'roster':
      return {
        type: 'roster',
        members: list(frame.value.members, 'roster.members', mostMembers).map(decodeMember),
        ...(frame.value.rules === undefined ? {} : { admission: decodeAdmission(frame.value.rules) }),
        ...(frame.value.authorities.length === 0 ? {} : { authorities: bytes(frame.value.authorities) }),
      };
  }
}

/** @returns as many messages as it takes for none to be over `mostBytes`, in order; the receiver sees them one by one */
export function encodeFlightEvents(message: FlightEvents, mostBytes: number): wire.FlightEvents[] {
  const { receivedAtMs } = message;
  const messages: wire.FlightEvents[] = [];
  let size = Number.POSITIVE_INFINITY;
  for (const event of message.events) {
    const eventBytes = event.body.kind === 'output' ? event.body.bytes.length + 64 : 1024 + contentBytes(event.body);
    if (size + eventBytes > mostBytes) {
      messages.push({ invocationId: message.invocationId, receivedAtMs, events: [] });
      size = 0;
    }
    messages.at(-1)?.events.push(encodeFlightEvent(event));
    size += eventBytes;
  }
  return messages.length > 0 ? messages : [{ invocationId: message.invocationId, receivedAtMs, events: [] }];
}

export function decodeFlightEvents(message: wire.FlightEvents): FlightEvents {
  return {
    type: 'flight_events',
    invocationId: invocationId(message),
    receivedAtMs: whole(message.receivedAtMs, 'flight_events.received_at_ms'),
    events: message.events.map(decodeFlightEvent),
  };
}

export function decodeDialRequest({ nodeId, addresses }: wire.DialRequest): { nodeId: NodeId; addresses: string[] } {
  return {
    nodeId: id(isNodeId, nodeId, 'dial_request.node_id'),
    addresses: list(addresses, 'dial_request.addresses', mostAddresses).map((address) => {
      parseHostPort(address);
      return address;
    }),
  };
}

export interface Piece {
  readonly invocationId: InvocationId;
  readonly offset: number;
  readonly content: Uint8Array;
}

export function decodePiece(message: wire.TaskPiece): Piece {
  if (message.content.length === 0) throw invalid('a piece of a task is empty');
  return {
    invocationId: invocationId(message),
    offset: whole(message.offset, 'task_piece.offset'),
    content: bytes(message.content),
  };
}

function decodeMember(member: wire.RosterMember): { chain: { leaf: Uint8Array; issuer: Uint8Array }; addresses: string[] } {
  const chain = required(member.chain, 'member.chain');
  return {
    chain: { leaf: bytes(chain.leaf), issuer: bytes(chain.issuer) },
    addresses: list(member.addresses, 'member.addresses', mostAddresses).map((address) => name(address, 'member.address')),
  };
}

function invocationId(message: { readonly invocationId: string }): InvocationId {
  return id(isInvocationId, message.invocationId, 'invocation id');
}

function encodeAdmission({ rules, proof }: NonNullable<Roster['admission']>): admission.AdmitRules {
  return { rules: rules.map(({ kind, value }) => ({ kind, value })), issuer: buffer(proof.certificate), attestation: buffer(proof.attestation) };
}

/** A kind of rule that only a newer version knows is left out: it lets nobody in here. */
function decodeAdmission({ rules, issuer, attestation }: admission.AdmitRules): NonNullable<Roster['admission']> {
  const known = list(rules, 'roster.rules', mostRules).flatMap(({ kind, value }) => {
    const found = admitKinds.find((each) => each === kind);
    return found === undefined ? [] : [{ kind: found, value: text(value, 'rule', 200) }];
  });
  return { rules: known, proof: { certificate: bytes(issuer), attestation: bytes(attestation) } };
}
