/** The operator's view as a node answers it. Readers throw BrokerError `invalid` or `incompatible`. */
import type { TraceView } from '../broker/api.ts';
import type { ExportLine, MeshReport, TailUpdate } from '../broker/operator-api.ts';
import { invalid } from '../domain/errors.ts';
import { asNodeId, isInvocationId } from '../domain/ids.ts';
import type { TraceResponse } from '../gen/beckon/v1/inspection.ts';
import type * as wire from '../gen/beckon/v1/operator.ts';
import { id, present, required } from '../rpc/fields.ts';
import { decodeNodeReport, decodeStanding } from '../rpc/observation.ts';
import { decodeDelivery, decodeFact, decodeFlight } from '../rpc/records.ts';
import { decodeInvocation } from '../rpc/work.ts';
import { decodeAttempt, decodePeer } from './answers.ts';
import { decodeGap } from './gap.ts';

export function decodeTrace(message: TraceResponse): TraceView {
  return {
    invocationId: id(isInvocationId, message.invocationId, 'invocation_id'),
    entries: message.entries.map(({ fact, nodeName, peerName }) => ({
      fact: decodeFact(required(fact, 'entry.fact')),
      nodeName,
      ...(peerName === '' ? {} : { peerName }),
    })),
    gaps: message.gaps.map(decodeGap),
    parties: message.parties.map(({ nodeId, standing, ...rest }) => ({ ...rest, nodeId: asNodeId(nodeId), ...(standing === undefined ? {} : { standing: decodeStanding(standing) }) })),
  };
}

/** Undefined for what this version does not know. */
export function decodeTailUpdate({ atMs, update }: wire.TailResponse): TailUpdate | undefined {
  switch (update?.$case) {
    case 'fact': {
      const { fact, nodeName, peerName, late } = update.value;
      return { type: 'fact', atMs, fact: decodeFact(required(fact, 'fact')), nodeName, late, ...(peerName === '' ? {} : { peerName }) };
    }
    case 'gap': {
      const { nodeId, nodeName, why, knownUntilMs } = update.value;
      return { type: 'gap', atMs, nodeId: asNodeId(nodeId), nodeName, why, ...present({ knownUntilMs }) };
    }
    case 'back':
      return { type: 'back', atMs, nodeId: asNodeId(update.value.nodeId), nodeName: update.value.nodeName };
    case undefined:
      return undefined;
  }
}

export function decodeReport(message: wire.ReportResponse): MeshReport {
  const { atMs, sinceMs, nodeId, meshName } = message;
  return {
    ...{ atMs, sinceMs, nodeId: asNodeId(nodeId) },
    ...(meshName === '' ? {} : { meshName }),
    peers: message.peers.map(decodePeer),
    nodes: message.nodes.map(decodeNodeReport),
    gaps: message.gaps.map((gap) => ({
      ...{ nodeId: asNodeId(gap.nodeId), nodeName: gap.nodeName, why: gap.why },
      ...present({ sinceMs: gap.sinceMs, lastSeenMs: gap.lastSeenMs }),
    })),
    certificates: message.certificates.map((each) => ({ ...each, nodeId: asNodeId(each.nodeId) })),
    names: decodeNames(message.names),
  };
}

export function decodeExportLine({ line }: wire.ExportResponse): ExportLine {
  switch (line?.$case) {
    case 'begin': {
      const { nodeId, names, ...rest } = line.value;
      return { type: 'begin', ...rest, nodeId: asNodeId(nodeId), names: decodeNames(names) };
    }
    case 'flight': {
      const { flight, invocation, delivery, attempts } = line.value;
      const carried = delivery === undefined ? undefined : decodeDelivery(delivery);
      return {
        type: 'flight',
        flight: decodeFlight(required(flight, 'flight')),
        invocation: decodeInvocation(required(invocation, 'invocation')),
        attempts: carried === undefined ? [] : attempts.map((each) => decodeAttempt(carried.id, each)),
        ...(carried === undefined ? {} : { delivery: carried }),
      };
    }
    case 'fact':
      return { type: 'fact', fact: decodeFact(line.value) };
    case 'end':
      return { type: 'end', ...line.value };
    case undefined:
      throw invalid('the export holds a line that this version of Beckon does not know');
  }
}

function decodeNames(names: readonly wire.NodeName[]): MeshReport['names'] {
  return names.map(({ nodeId, name }) => ({ nodeId: asNodeId(nodeId), name }));
}
