/** The operator's view, for local clients: what they ask and what they are told. */
import type { BrokerApi, LocalCaller, TraceView } from '../broker/api.ts';
import type { ExportLine, MeshReport, TailUpdate } from '../broker/operator-api.ts';
import type { ControlServiceServer } from '../gen/beckon/v1/control.ts';
import type { TraceResponse } from '../gen/beckon/v1/inspection.ts';
import type * as wire from '../gen/beckon/v1/operator.ts';
import { optionalText, optionalWhole, present, whole } from '../rpc/fields.ts';
import { serverStream, unary } from '../rpc/handler.ts';
import type { Edge } from '../rpc/handler.ts';
import { encodeNodeReport, encodeStanding } from '../rpc/observation.ts';
import { encodeDelivery, encodeFact, encodeFlight } from '../rpc/records.ts';
import { encodeInvocation } from '../rpc/work.ts';
import { encodeGap } from './gap.ts';
import { encodeAttempt, encodePeer } from './views.ts';

export function operatorHandlers(api: BrokerApi, edge: Edge<LocalCaller>): Pick<ControlServiceServer, 'tail' | 'report' | 'export'> {
  return {
    tail: serverStream(edge, async function* (_caller, { node, sinceMs, noFollow }, signal) {
      const input = { noFollow, ...present({ node: optionalText(node, 'node'), sinceMs: optionalWhole(sinceMs, 'since_ms') }) };
      for await (const update of api.tail(input, signal)) yield encodeTailUpdate(update);
    }),
    report: unary(edge, async (_caller, { sinceMs }) => encodeReport(await api.report(whole(sinceMs, 'since_ms')))),
    export: serverStream(edge, async function* (_caller, { sinceMs, untilMs }, signal) {
      const input = present({ sinceMs: optionalWhole(sinceMs, 'since_ms'), untilMs: optionalWhole(untilMs, 'until_ms') });
      for await (const line of api.export(input, signal)) yield { line: encodeExportLine(line) };
    }),
  };
}

export function encodeTrace(trace: TraceView): TraceResponse {
  return {
    invocationId: trace.invocationId,
    entries: trace.entries.map(({ fact, nodeName, peerName }) => ({ fact: encodeFact(fact), nodeName, peerName: peerName ?? '' })),
    gaps: trace.gaps.map(encodeGap),
    parties: trace.parties.map(({ standing, ...rest }) => ({ ...rest, standing: standing === undefined ? undefined : encodeStanding(standing) })),
  };
}

function encodeTailUpdate(update: TailUpdate): wire.TailResponse {
  const { atMs, nodeName } = update;
  switch (update.type) {
    case 'fact':
      return { atMs, update: { $case: 'fact', value: { fact: encodeFact(update.fact), nodeName, peerName: update.peerName ?? '', late: update.late } } };
    case 'gap':
      return { atMs, update: { $case: 'gap', value: { nodeId: update.nodeId, nodeName, why: update.why, knownUntilMs: update.knownUntilMs } } };
    case 'back':
      return { atMs, update: { $case: 'back', value: { nodeId: update.nodeId, nodeName } } };
  }
}

function encodeReport(report: MeshReport): wire.ReportResponse {
  const { atMs, sinceMs, nodeId, meshName = '' } = report;
  return {
    ...{ atMs, sinceMs, nodeId, meshName },
    peers: report.peers.map(encodePeer),
    nodes: report.nodes.map(encodeNodeReport),
    gaps: report.gaps.map((gap) => ({ sinceMs: undefined, lastSeenMs: undefined, ...gap })),
    certificates: report.certificates.map((each) => ({ ...each })),
    names: report.names.map((each) => ({ ...each })),
  };
}

function encodeExportLine(line: ExportLine): wire.ExportResponse['line'] {
  switch (line.type) {
    case 'begin': {
      const { type: _type, names, ...rest } = line;
      return { $case: 'begin', value: { ...rest, names: names.map((each) => ({ ...each })) } };
    }
    case 'flight':
      return {
        $case: 'flight',
        value: {
          flight: encodeFlight(line.flight),
          invocation: encodeInvocation(line.invocation),
          delivery: line.delivery === undefined ? undefined : encodeDelivery(line.delivery),
          attempts: line.attempts.map(encodeAttempt),
        },
      };
    case 'fact':
      return { $case: 'fact', value: encodeFact(line.fact) };
    case 'end':
      return { $case: 'end', value: { atMs: line.atMs, flights: line.flights, facts: line.facts } };
  }
}
