/** What nodes tell of their facts, flights and themselves: wire and domain. Decoders throw BrokerError `invalid` or `incompatible`. */
import { flightStates } from '../domain/flight.ts';
import { isInvocationId, isNodeId } from '../domain/ids.ts';
import type { Backlog, FlightStanding, FoundFlight, NodeReport, ObservationAnswer, ObservationQuery, Owing, SlowAgent, Troubled, TroubledFlight } from '../domain/observation.ts';
import { peerStates } from '../domain/peer.ts';
import type * as mesh from '../gen/beckon/v1/mesh.ts';
import type * as wire from '../gen/beckon/v1/observation.ts';
import { flightState, peerState, verdict } from './enums.ts';
import { clockValue, id, list, name, optionalText, optionalWhole, present, required, text, whole } from './fields.ts';
import { decodeFact, encodeFact } from './records.ts';

const mostFacts = 100_000;
const mostTroubled = 100;
const mostStates = 50;
const longestWhy = 4096;

type WireQuery = NonNullable<mesh.Query['query']>;
type WireAnswer = NonNullable<mesh.Answer['answer']>;
type Cases = 'trace' | 'facts' | 'find' | 'report';

export function encodeObservationQuery(query: ObservationQuery): Extract<WireQuery, { $case: Cases }> {
  switch (query.type) {
    case 'trace':
      return { $case: 'trace', value: { invocationId: query.invocationId } };
    case 'facts':
      return { $case: 'facts', value: { after: query.after, sinceMs: query.sinceMs, limit: query.limit, hlc: query.hlc } };
    case 'find':
      return { $case: 'find', value: { suffix: query.suffix } };
    case 'report':
      return { $case: 'report', value: { sinceMs: query.sinceMs } };
  }
}

export function decodeObservationQuery(query: Extract<WireQuery, { $case: Cases }>): ObservationQuery {
  switch (query.$case) {
    case 'trace':
      return { type: 'trace', invocationId: id(isInvocationId, query.value.invocationId, 'trace.invocation_id') };
    case 'facts': {
      const { after, sinceMs, limit, hlc } = query.value;
      return {
        type: 'facts',
        limit: Math.max(1, whole(limit, 'facts.limit')),
        hlc: clockValue(hlc, 'facts.hlc'),
        ...present({ after: optionalWhole(after, 'facts.after'), sinceMs: optionalWhole(sinceMs, 'facts.since_ms') }),
      };
    }
    case 'find':
      return { type: 'find', suffix: text(name(query.value.suffix, 'find.suffix'), 'find.suffix', 26) };
    case 'report':
      return { type: 'report', sinceMs: whole(query.value.sinceMs, 'report.since_ms') };
  }
}

export function encodeObservationAnswer(answer: ObservationAnswer): Extract<WireAnswer, { $case: Cases }> {
  switch (answer.type) {
    case 'trace':
      return { $case: 'trace', value: { facts: answer.facts.map(encodeFact), standing: answer.standing === undefined ? undefined : encodeStanding(answer.standing) } };
    case 'facts': {
      const { facts, next, more, hlc, putBack } = answer;
      return { $case: 'facts', value: { facts: facts.map(encodeFact), next, more, hlc, putBack } };
    }
    case 'find':
      return { $case: 'find', value: { found: answer.found.map((each) => ({ ...each })) } };
    case 'report':
      return { $case: 'report', value: { report: encodeNodeReport(answer.report) } };
  }
}

export function decodeObservationAnswer(answer: Extract<WireAnswer, { $case: Cases }>): ObservationAnswer {
  switch (answer.$case) {
    case 'trace': {
      const { facts, standing } = answer.value;
      return { type: 'trace', facts: list(facts, 'trace.facts', mostFacts).map(decodeFact), ...(standing === undefined ? {} : { standing: decodeStanding(standing) }) };
    }
    case 'facts': {
      const { facts, next, more, hlc, putBack } = answer.value;
      return { type: 'facts', facts: list(facts, 'facts', mostFacts).map(decodeFact), next: whole(next, 'facts.next'), more, hlc: clockValue(hlc, 'facts.hlc'), putBack };
    }
    case 'find':
      return { type: 'find', found: list(answer.value.found, 'found', 2).map(decodeFound) };
    case 'report':
      return { type: 'report', report: decodeNodeReport(required(answer.value.report, 'report')) };
  }
}

function decodeFound({ invocationId, originNodeId, ownerNodeId }: wire.FoundFlight): FoundFlight {
  return {
    invocationId: id(isInvocationId, invocationId, 'found.invocation_id'),
    originNodeId: id(isNodeId, originNodeId, 'found.origin_node_id'),
    ownerNodeId: id(isNodeId, ownerNodeId, 'found.owner_node_id'),
  };
}

export function encodeStanding({ state, verdictBy, receivedAtMs, startedAtMs, finishedAtMs, ...rest }: FlightStanding): wire.FlightStanding {
  return { ...rest, state: flightState.toWire(state), verdictBy: verdict.toWire(verdictBy), receivedAtMs, startedAtMs, finishedAtMs };
}

export function decodeStanding(message: wire.FlightStanding): FlightStanding {
  return {
    originNodeId: id(isNodeId, message.originNodeId, 'standing.origin_node_id'),
    ownerNodeId: id(isNodeId, message.ownerNodeId, 'standing.owner_node_id'),
    state: flightState.fromWire(message.state),
    run: whole(message.run, 'standing.run'),
    lastSeq: whole(message.lastSeq, 'standing.last_seq'),
    acceptedAtMs: whole(message.acceptedAtMs, 'standing.accepted_at_ms'),
    cancelRequested: message.cancelRequested,
    ...present({
      receivedAtMs: optionalWhole(message.receivedAtMs, 'standing.received_at_ms'),
      startedAtMs: optionalWhole(message.startedAtMs, 'standing.started_at_ms'),
      finishedAtMs: optionalWhole(message.finishedAtMs, 'standing.finished_at_ms'),
      verdictBy: verdict.optionalFromWire(message.verdictBy),
    }),
  };
}

export function encodeNodeReport(report: NodeReport): wire.NodeReport {
  const { flights, peers, undelivered, dead, indeterminate, waiting, slow, owing, refused, ...rest } = report;
  return {
    ...rest,
    flights: flightStates.flatMap((state) => (flights[state] === undefined ? [] : [{ state: flightState.toWire(state), count: flights[state] }])),
    peers: peerStates.flatMap((state) => (peers[state] === undefined ? [] : [{ state: peerState.toWire(state), count: peers[state] }])),
    undelivered: encodeBacklog(undelivered),
    dead: encodeTroubled(dead),
    indeterminate: encodeTroubled(indeterminate),
    waiting: encodeBacklog(waiting),
    slow: slow.map((each) => ({ oldestQueuedMs: undefined, longestRunMs: undefined, usualRunMs: undefined, ...each })),
    refused: refused ?? '',
    owing: owing.map(({ nodeId, undelivered: waits, open }) => ({ nodeId, undelivered: encodeBacklog(waits), open: open.count, openMore: open.more })),
  };
}

export function decodeNodeReport(message: wire.NodeReport): NodeReport {
  return {
    nodeId: id(isNodeId, message.nodeId, 'report.node_id'),
    name: name(message.name, 'report.name'),
    owner: text(message.owner, 'report.owner'),
    version: text(message.version, 'report.version'),
    epoch: whole(message.epoch, 'report.epoch'),
    draining: message.draining,
    // A state that only a newer version has is left out.
    flights: Object.fromEntries(list(message.flights, 'report.flights', mostStates).flatMap(({ state, count }) => { const known = flightState.knownFromWire(state); return known === undefined ? [] : [[known, whole(count, 'report.flights')]]; })),
    peers: Object.fromEntries(list(message.peers, 'report.peers', mostStates).flatMap(({ state, count }) => { const known = peerState.knownFromWire(state); return known === undefined ? [] : [[known, whole(count, 'report.peers')]]; })),
    undelivered: decodeBacklog(message.undelivered),
    dead: decodeTroubled(message.dead),
    indeterminate: decodeTroubled(message.indeterminate),
    waiting: decodeBacklog(message.waiting),
    slow: list(message.slow, 'report.slow', mostTroubled).map(decodeSlow),
    owing: list(message.owing, 'report.owing', mostTroubled).map(decodeOwing),
    ...present({ refused: optionalText(message.refused, 'report.refused') }),
  };
}

function decodeOwing({ nodeId, undelivered, open, openMore }: wire.Owing): Owing {
  return { nodeId: id(isNodeId, nodeId, 'owing.node_id'), undelivered: decodeBacklog(undelivered), open: { count: whole(open, 'owing.open'), more: openMore } };
}

function encodeBacklog({ count, more, oldest }: Backlog): wire.Backlog {
  return { count, more, oldest: oldest === undefined ? undefined : { ...oldest } };
}

function decodeBacklog(message: wire.Backlog | undefined): Backlog {
  const { count, more, oldest } = required(message, 'backlog');
  return { count: whole(count, 'backlog.count'), more, ...(oldest === undefined ? {} : { oldest: decodeTroubledFlight(oldest) }) };
}

function encodeTroubled({ count, more, newest }: Troubled): wire.Troubled {
  return { count, more, newest: newest.map((each) => ({ ...each })) };
}

function decodeTroubled(message: wire.Troubled | undefined): Troubled {
  const { count, more, newest } = required(message, 'troubled');
  return { count: whole(count, 'troubled.count'), more, newest: list(newest, 'troubled.newest', mostTroubled).map(decodeTroubledFlight) };
}

function decodeTroubledFlight(message: wire.TroubledFlight): TroubledFlight {
  return {
    ...decodeFound(message),
    target: name(message.target, 'troubled.target'),
    sinceMs: whole(message.sinceMs, 'troubled.since_ms'),
    why: text(message.why, 'troubled.why', longestWhy),
    attempts: whole(message.attempts, 'troubled.attempts'),
  };
}

function decodeSlow(message: wire.SlowAgent): SlowAgent {
  return {
    address: name(message.address, 'slow.address'),
    queued: whole(message.queued, 'slow.queued'),
    running: whole(message.running, 'slow.running'),
    why: text(message.why, 'slow.why', longestWhy),
    ...present({
      oldestQueuedMs: optionalWhole(message.oldestQueuedMs, 'slow.oldest_queued_ms'),
      longestRunMs: optionalWhole(message.longestRunMs, 'slow.longest_run_ms'),
      usualRunMs: optionalWhole(message.usualRunMs, 'slow.usual_run_ms'),
    }),
  };
}
