/** Flight, delivery, fact and registration: wire and domain. Decoders throw BrokerError `invalid` or `incompatible`. */
import { invalid } from '../domain/errors.ts';
import type { EventKind, Fact } from '../domain/event.ts';
import { isDeliveryId, isEventId, isFlightId, isGroupId, isInvocationId, isNodeId, isSessionId } from '../domain/ids.ts';
import type { Delivery, Flight } from '../domain/records.ts';
import type { Registration, RegistryHead, SignedRecord } from '../domain/registration.ts';
import { quoted } from '../domain/text.ts';
import type * as wire from '../gen/beckon/v1/record.ts';
import { deliveryState, failureReason, flightState, verdict, visibility, waitingReason } from './enums.ts';
import { decodeOptionalErrorInfo, encodeErrorInfo } from './error-info.ts';
import { buffer, bytes, clockValue, id, list, name, optionalId, optionalText, optionalWhole, present, required, text, texts, whole } from './fields.ts';
import { decodeLimits, encodeLimits } from './work.ts';

export function encodeFlight(flight: Flight): wire.Flight {
  const { waiting } = flight;
  return {
    id: flight.id,
    invocationId: flight.invocationId,
    target: flight.target,
    originNodeId: flight.originNodeId,
    ownerNodeId: flight.ownerNodeId,
    caller: flight.caller,
    state: flightState.toWire(flight.state),
    run: flight.run,
    lastSeq: flight.lastSeq,
    rerunnable: flight.rerunnable,
    limits: encodeLimits(flight.limits),
    holdUntilMs: flight.holdUntilMs,
    totalUntilMs: flight.totalUntilMs,
    acceptedAtMs: flight.acceptedAtMs,
    receivedAtMs: flight.receivedAtMs,
    startedAtMs: flight.startedAtMs,
    finishedAtMs: flight.finishedAtMs,
    cancelRequestedAtMs: flight.cancelRequestedAtMs,
    verdictBy: verdict.toWire(flight.verdictBy),
    exitCode: flight.exitCode,
    error: flight.error === undefined ? undefined : encodeErrorInfo(flight.error),
    ended: flight.ended,
    signal: flight.signal ?? '',
    waiting:
      waiting === undefined
        ? undefined
        : {
            reason: waitingReason.toWire(waiting.reason),
            request: waiting.request,
            prompt: waiting.prompt,
            choices: [...waiting.choices],
            sinceMs: waiting.sinceMs,
            untilMs: waiting.untilMs,
          },
    stdoutBytes: flight.stdoutBytes,
    stderrBytes: flight.stderrBytes,
    prunedAtMs: flight.prunedAtMs,
    quarantinedAtMs: flight.quarantinedAtMs,
    sessionId: flight.sessionId ?? '',
    groupId: flight.groupId ?? '',
  };
}

export function decodeFlight(message: wire.Flight): Flight {
  return {
    id: id(isFlightId, message.id, 'flight.id'),
    invocationId: id(isInvocationId, message.invocationId, 'flight.invocation_id'),
    target: name(message.target, 'flight.target'),
    originNodeId: id(isNodeId, message.originNodeId, 'flight.origin_node_id'),
    ownerNodeId: id(isNodeId, message.ownerNodeId, 'flight.owner_node_id'),
    caller: name(message.caller, 'flight.caller'),
    state: flightState.fromWire(message.state),
    run: whole(message.run, 'flight.run'),
    lastSeq: whole(message.lastSeq, 'flight.last_seq'),
    rerunnable: message.rerunnable,
    limits: decodeLimits(required(message.limits, 'flight.limits')),
    holdUntilMs: whole(message.holdUntilMs, 'flight.hold_until_ms'),
    totalUntilMs: whole(message.totalUntilMs, 'flight.total_until_ms'),
    acceptedAtMs: whole(message.acceptedAtMs, 'flight.accepted_at_ms'),
    stdoutBytes: whole(message.stdoutBytes, 'flight.stdout_bytes'),
    stderrBytes: whole(message.stderrBytes, 'flight.stderr_bytes'),
    ...present({
      receivedAtMs: optionalWhole(message.receivedAtMs, 'flight.received_at_ms'),
      startedAtMs: optionalWhole(message.startedAtMs, 'flight.started_at_ms'),
      finishedAtMs: optionalWhole(message.finishedAtMs, 'flight.finished_at_ms'),
      cancelRequestedAtMs: optionalWhole(message.cancelRequestedAtMs, 'flight.cancel_requested_at_ms'),
      verdictBy: verdict.optionalFromWire(message.verdictBy),
      exitCode: message.exitCode,
      error: decodeOptionalErrorInfo(message.error),
      ended: optionalWhole(message.ended, 'flight.ended'),
      signal: optionalText(message.signal, 'flight.signal'),
      waiting: message.waiting === undefined ? undefined : decodeWaiting(message.waiting),
      prunedAtMs: optionalWhole(message.prunedAtMs, 'flight.pruned_at_ms'),
      quarantinedAtMs: optionalWhole(message.quarantinedAtMs, 'flight.quarantined_at_ms'),
      sessionId: optionalId(isSessionId, message.sessionId, 'flight.session_id'),
      groupId: optionalId(isGroupId, message.groupId, 'flight.group_id'),
    }),
  };
}

function decodeWaiting(message: wire.Waiting): NonNullable<Flight['waiting']> {
  return {
    reason: waitingReason.fromWire(message.reason),
    request: text(message.request, 'waiting.request'),
    prompt: text(message.prompt, 'waiting.prompt'),
    choices: list(message.choices, 'waiting.choices', 100).map((choice) => text(choice, 'waiting.choice')),
    sinceMs: whole(message.sinceMs, 'waiting.since_ms'),
    ...present({ untilMs: optionalWhole(message.untilMs, 'waiting.until_ms') }),
  };
}

export function encodeDelivery(delivery: Delivery): wire.Delivery {
  return {
    id: delivery.id,
    invocationId: delivery.invocationId,
    fromNodeId: delivery.fromNodeId,
    toNodeId: delivery.toNodeId,
    target: delivery.target,
    status: deliveryState.toWire(delivery.status),
    attempts: delivery.attempts,
    failureReason: failureReason.toWire(delivery.failureReason),
    failureDetail: delivery.failureDetail ?? '',
    createdAtMs: delivery.createdAtMs,
    updatedAtMs: delivery.updatedAtMs,
    receivedAtMs: delivery.receivedAtMs,
  };
}

export function decodeDelivery(message: wire.Delivery): Delivery {
  return {
    id: id(isDeliveryId, message.id, 'delivery.id'),
    invocationId: id(isInvocationId, message.invocationId, 'delivery.invocation_id'),
    fromNodeId: id(isNodeId, message.fromNodeId, 'delivery.from_node_id'),
    toNodeId: id(isNodeId, message.toNodeId, 'delivery.to_node_id'),
    target: name(message.target, 'delivery.target'),
    status: deliveryState.fromWire(message.status),
    attempts: whole(message.attempts, 'delivery.attempts'),
    createdAtMs: whole(message.createdAtMs, 'delivery.created_at_ms'),
    updatedAtMs: whole(message.updatedAtMs, 'delivery.updated_at_ms'),
    ...present({
      failureReason: failureReason.optionalFromWire(message.failureReason),
      failureDetail: optionalText(message.failureDetail, 'delivery.failure_detail'),
      receivedAtMs: optionalWhole(message.receivedAtMs, 'delivery.received_at_ms'),
    }),
  };
}

export function encodeFact(fact: Fact): wire.Fact {
  return {
    id: fact.id,
    atMs: fact.atMs,
    hlc: fact.hlc,
    nodeId: fact.nodeId,
    what: fact.what,
    invocationId: fact.invocationId ?? '',
    peerNodeId: fact.peerNodeId ?? '',
    detail: { ...fact.detail },
  };
}

/**
 * A trace must show what happened on a newer node too: a kind of fact that this version lacks is kept as it came, so
 * `what` may hold a text outside `eventKinds`.
 */
export function decodeFact(message: wire.Fact): Fact {
  if (!/^[a-z_]{1,40}\.[a-z_]{1,40}$/.test(message.what)) throw invalid(`fact.what is no kind of fact: ${quoted(message.what)}`);
  return {
    id: id(isEventId, message.id, 'fact.id'),
    atMs: whole(message.atMs, 'fact.at_ms'),
    hlc: clockValue(message.hlc, 'fact.hlc'),
    nodeId: id(isNodeId, message.nodeId, 'fact.node_id'),
    what: message.what as EventKind,
    detail: texts(message.detail, 'fact.detail'),
    ...present({
      invocationId: optionalId(isInvocationId, message.invocationId, 'fact.invocation_id'),
      peerNodeId: optionalId(isNodeId, message.peerNodeId, 'fact.peer_node_id'),
    }),
  };
}

export function encodeRegistration(registration: Registration): wire.Registration {
  return {
    address: registration.address,
    nodeId: registration.nodeId,
    harness: registration.harness,
    capabilities: [...registration.capabilities],
    labels: { ...registration.labels },
    visibility: visibility.toWire(registration.visibility),
    description: registration.description,
    isDefault: registration.isDefault,
    available: registration.available,
    unavailableWhy: registration.unavailableWhy ?? '',
  };
}

export function decodeRegistration(message: wire.Registration): Registration {
  return {
    address: name(message.address, 'registration.address'),
    nodeId: id(isNodeId, message.nodeId, 'registration.node_id'),
    harness: name(message.harness, 'registration.harness'),
    capabilities: list(message.capabilities, 'registration.capabilities', 100).map((each) => name(each, 'capability')),
    labels: texts(message.labels, 'registration.labels'),
    // Of another node: that it is told to this one is what counts, and its owner decides on every use.
    visibility: visibility.fromWireOr(message.visibility, 'mesh'),
    description: text(message.description, 'registration.description'),
    isDefault: message.isDefault,
    available: message.available,
    ...present({ unavailableWhy: optionalText(message.unavailableWhy, 'registration.unavailable_why') }),
  };
}

/** Of one node, of each kind. */
const mostAddresses = 32;

export function encodeRegistryHead(head: RegistryHead): wire.RegistryHead {
  return { ...head, addresses: [...head.addresses], gossipAddresses: [...head.gossipAddresses], authorities: buffer(head.authorities ?? new Uint8Array()) };
}

export function decodeRegistryHead(message: wire.RegistryHead): RegistryHead {
  if (!/^[0-9a-f]{64}$/.test(message.rootHash)) throw invalid('head.root_hash is not a sha256 in lower-case hex');
  return {
    nodeId: id(isNodeId, message.nodeId, 'head.node_id'),
    epoch: whole(message.epoch, 'head.epoch'),
    version: whole(message.version, 'head.version'),
    count: whole(message.count, 'head.count'),
    rootHash: message.rootHash,
    addresses: list(message.addresses, 'head.addresses', mostAddresses).map((each) => name(each, 'head.address')),
    gossipAddresses: list(message.gossipAddresses, 'head.gossip_addresses', mostAddresses).map((each) => name(each, 'head.gossip_address')),
    ...(message.authorities.length === 0 ? {} : { authorities: bytes(message.authorities) }),
  };
}

export function encodeSignedRecord(record: SignedRecord): wire.SignedRecord {
  return { payload: buffer(record.payload), signature: buffer(record.signature) };
}

/** The signature is not checked here. */
export function decodeSignedRecord(message: wire.SignedRecord): SignedRecord {
  if (message.payload.length === 0 || message.signature.length === 0) throw invalid('a signed record is empty');
  return { payload: bytes(message.payload), signature: bytes(message.signature) };
}
