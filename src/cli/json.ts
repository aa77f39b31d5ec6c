/** The JSON that scripts read: shapes of the contract. Times are ISO 8601 UTC with ms. */
import type { ErrorInfo } from '../domain/errors.ts';
import type { Delivery, DeliveryAttempt, Flight } from '../domain/records.ts';
import type { PeerView } from '../domain/mesh-port.ts';
import { isUtf8, splitUtf8 } from '../domain/text.ts';
import type { AgentView, FlightDetail, NodeStatus, TraceView, WaitingView } from '../client/types.ts';
import type { DiffSummary } from '../domain/worktree.ts';
import { isoTime } from './output.ts';

/** Drops what is undefined, so that an optional key is absent rather than null. */
function present(fields: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}

function time(ms: number | undefined): string | undefined {
  return ms === undefined ? undefined : isoTime(ms);
}

export function errorDocument(error: ErrorInfo | { toInfo(): ErrorInfo }): object {
  const info = 'toInfo' in error ? error.toInfo() : error;
  return present({
    code: info.code,
    message: info.message,
    hint: info.hint ?? '',
    candidates: info.candidates?.map((each) => present({ ...each, lastSeenMs: undefined, lastSeen: time(each.lastSeenMs) })),
    detail: info.detail !== undefined && Object.keys(info.detail).length > 0 ? info.detail : undefined,
    retryAfterMs: info.retryAfterMs,
  });
}

export function bytesFields(bytes: Uint8Array): { text: string } | { base64: string } {
  return isUtf8(bytes) ? { text: new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes) } : { base64: base64(bytes) };
}

/** `output` is text with U+FFFD for what is not UTF-8; then `base64` has the bytes. */
export function outputFields(bytes: Uint8Array, truncated: boolean): { output: string; base64?: string; truncated: boolean } {
  const whole = truncated ? splitUtf8(bytes, Math.max(4, bytes.length)).head : bytes;
  const output = new TextDecoder('utf-8', { ignoreBOM: true }).decode(whole);
  return isUtf8(whole) ? { output, truncated } : { output, base64: base64(whole), truncated };
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('base64');
}

export function statusDocument(status: NodeStatus): object {
  return {
    node: {
      id: status.nodeId,
      name: status.name,
      owner: status.owner,
      epoch: status.epoch,
      version: status.version,
      pid: status.pid,
      listen: status.listen,
      draining: status.draining,
      ...(status.refused === undefined ? {} : { refused: status.refused }),
    },
    mesh: status.mesh === undefined ? null : { id: status.mesh.id, name: status.mesh.name },
    ...(status.removed === undefined ? {} : { removed: { mesh: status.removed.meshName, by: status.removed.by, at: isoTime(status.removed.atMs) } }),
    peers: status.peers,
    flights: status.flights,
  };
}

export function agentDocument(view: AgentView): object {
  const { registration, endpoint } = view;
  return present({
    address: registration.address,
    node: view.nodeName,
    harness: registration.harness,
    state: view.state,
    available: registration.available,
    note: view.note,
    unavailableWhy: registration.available ? undefined : registration.unavailableWhy,
    nodeId: registration.nodeId,
    owner: view.owner,
    default: registration.isDefault,
    visibility: registration.visibility,
    capabilities: registration.capabilities,
    labels: registration.labels,
    description: registration.description,
    lastSeen: time(view.lastSeenMs),
    presence: view.presence === undefined ? undefined : { state: view.presence.running + view.presence.queued > 0 ? 'busy' : 'free', ...view.presence },
    shares: view.shares,
    endpoint:
      endpoint === undefined
        ? undefined
        : { cwd: endpoint.cwd, argv: endpoint.argv, env: endpoint.env.map(nameOnly), permissions: endpoint.permissions, isolate: endpoint.isolate, concurrency: endpoint.concurrency, queue: endpoint.queue },
  });
}

/** Values given with `--env NAME=VALUE` may be secrets: only their names are shown. */
function nameOnly(entry: string): string {
  const at = entry.indexOf('=');
  return at < 0 ? entry : `${entry.slice(0, at)}=…`;
}

export function flightDocument(flight: Flight, names: Names = {}): Record<string, unknown> {
  return present({
    id: flight.id,
    invocationId: flight.invocationId,
    state: flight.state,
    target: flight.target,
    session: flight.sessionId,
    origin: names[flight.originNodeId],
    originNodeId: flight.originNodeId,
    owner: names[flight.ownerNodeId],
    ownerNodeId: flight.ownerNodeId,
    caller: flight.caller,
    group: flight.groupId,
    run: flight.run,
    lastSeq: flight.lastSeq,
    rerunnable: flight.rerunnable,
    acceptedAt: time(flight.acceptedAtMs),
    receivedAt: time(flight.receivedAtMs),
    startedAt: time(flight.startedAtMs),
    finishedAt: time(flight.finishedAtMs),
    holdUntil: time(flight.holdUntilMs),
    totalUntil: time(flight.totalUntilMs),
    cancelRequestedAt: time(flight.cancelRequestedAtMs),
    prunedAt: time(flight.prunedAtMs),
    quarantinedAt: time(flight.quarantinedAtMs),
    verdictBy: flight.verdictBy,
    exitCode: flight.exitCode,
    signal: flight.signal,
    error: flight.error === undefined ? undefined : errorDocument(flight.error),
    ended: flight.ended,
    waiting: flight.waiting === undefined ? undefined : waitingDocument(flight.waiting),
    stdoutBytes: flight.stdoutBytes,
    stderrBytes: flight.stderrBytes,
  });
}

/** Node id to name, as far as known. */
export type Names = Readonly<Record<string, string>>;

function waitingDocument({ sinceMs, untilMs, ...rest }: NonNullable<Flight['waiting']>): object {
  return present({ ...rest, since: time(sinceMs), until: time(untilMs) });
}

export function flightShowDocument(detail: FlightDetail): object {
  const { flight, delivery } = detail;
  const names = { [flight.originNodeId]: detail.originName, [flight.ownerNodeId]: detail.ownerName };
  const receipt = (atMs: number | undefined, node: string, evidence: object): object | null =>
    atMs === undefined ? null : { at: isoTime(atMs), node, ...evidence };
  const finishedBy = flight.verdictBy === 'origin' ? detail.originName : detail.ownerName;
  return {
    flight: { ...flightDocument(flight, names), ...present({ redriveOf: detail.invocation.redriveOf, isolation: detail.isolation }), ...outputFields(detail.output, detail.truncated) },
    receipts: {
      accepted: receipt(flight.acceptedAtMs, detail.originName, { invocationId: flight.invocationId, nodeId: flight.originNodeId }),
      received: receipt(flight.receivedAtMs, detail.ownerName, {
        nodeId: flight.ownerNodeId,
        ...(delivery === undefined ? {} : { deliveryId: delivery.id, attempts: delivery.attempts }),
      }),
      started: receipt(flight.startedAtMs, detail.ownerName, { nodeId: flight.ownerNodeId, run: flight.run }),
      finished: receipt(
        flight.finishedAtMs,
        finishedBy,
        present({ state: flight.state, verdictBy: flight.verdictBy, exitCode: flight.exitCode, signal: flight.signal, ended: flight.ended }),
      ),
    },
  };
}

/** Without `patch` when only the files were asked for. */
export function diffDocument(flightId: string, summary: DiffSummary, patch: Uint8Array | undefined): object {
  const { head, dirty, tree, truncated, files, fileCount, nested } = summary;
  const { output, base64: bytes } = patch === undefined ? {} : outputFields(patch, truncated);
  return present({
    flightId,
    head,
    dirty,
    tree,
    patch: output,
    base64: bytes,
    truncated,
    files: files.map(({ path, added = null, removed = null }) => ({ path, added, removed })),
    filesOmitted: fileCount > files.length ? fileCount - files.length : undefined,
    nested: nested.length > 0 ? nested : undefined,
  });
}

export function inboxDocument({ waiting, gaps }: WaitingView): object {
  return {
    waiting: waiting.flatMap(({ flight, nodeId, nodeName }) =>
      flight.waiting === undefined
        ? []
        : [{ flightId: flight.id, invocationId: flight.invocationId, target: flight.target, ...waitingDocument(flight.waiting), node: nodeName, nodeId }],
    ),
    gaps: gaps.map(gapDocument),
  };
}

function gapDocument({ nodeId, nodeName, why }: TraceView['gaps'][number]): object {
  return { node: nodeName, why, nodeId };
}

export function deliveryDocument(delivery: Delivery, names: Names = {}): Record<string, unknown> {
  return present({
    id: delivery.id,
    invocationId: delivery.invocationId,
    from: names[delivery.fromNodeId] ?? delivery.fromNodeId,
    fromNodeId: delivery.fromNodeId,
    to: names[delivery.toNodeId] ?? delivery.toNodeId,
    toNodeId: delivery.toNodeId,
    target: delivery.target,
    status: delivery.status,
    attempts: delivery.attempts,
    failureReason: delivery.failureReason,
    failureDetail: delivery.failureDetail,
    createdAt: time(delivery.createdAtMs),
    updatedAt: time(delivery.updatedAtMs),
    receivedAt: time(delivery.receivedAtMs),
  });
}

export function attemptDocument(attempt: DeliveryAttempt): object {
  return present({
    id: attempt.id,
    number: attempt.number,
    startedAt: time(attempt.startedAtMs),
    endedAt: time(attempt.endedAtMs),
    outcome: attempt.outcome,
    why: attempt.why,
  });
}

export function peerDocument(peer: PeerView): object {
  return {
    name: peer.name,
    nodeId: peer.nodeId,
    state: peer.state,
    why: peer.why,
    since: isoTime(peer.sinceMs),
    address: peer.address ?? null,
    path: peer.path ?? null,
    source: peer.source ?? null,
    rttMs: peer.rttMs ?? null,
    lastSeen: time(peer.lastSeenMs) ?? null,
    version: peer.version ?? null,
  };
}

export function traceDocument(trace: TraceView): object {
  return {
    invocationId: trace.invocationId,
    entries: trace.entries.map(({ fact, nodeName, peerName }) =>
      present({
        node: nodeName,
        at: isoTime(fact.atMs),
        hlc: String(fact.hlc),
        what: fact.what,
        id: fact.id,
        nodeId: fact.nodeId,
        peer: peerName,
        peerNodeId: fact.peerNodeId,
        detail: fact.detail,
      }),
    ),
    gaps: trace.gaps.map(gapDocument),
  };
}
