/** The operator's view as scripts read it. Times are ISO 8601 UTC with ms. */
import type { ExportLine, MeshReport, TailUpdate, TraceParty, TraceView } from '../client/types.ts';
import type { Fact } from '../domain/event.ts';
import type { Backlog, Count, NodeReport, SlowAgent, Troubled, TroubledFlight } from '../domain/observation.ts';
import { attemptDocument, deliveryDocument, flightDocument, gapDocument, peerDocument, present, time } from './json.ts';
import type { Names } from './json.ts';
import { isoTime } from './output.ts';

type Placed = { readonly fact: Fact; readonly nodeName: string; readonly peerName?: string };

export function traceDocument(trace: TraceView): object {
  return {
    invocationId: trace.invocationId,
    entries: trace.entries.map((each) => ({ node: each.nodeName, at: isoTime(each.fact.atMs), ...factFields(each) })),
    gaps: trace.gaps.map(gapDocument),
    parties: trace.parties.map(partyDocument),
  };
}

/** All but the node's name and the time. */
export function factFields({ fact, peerName }: Placed): object {
  return present({
    hlc: String(fact.hlc),
    what: fact.what,
    id: fact.id,
    nodeId: fact.nodeId,
    invocationId: fact.invocationId,
    peer: peerName,
    peerNodeId: fact.peerNodeId,
    detail: fact.detail,
  });
}

export function partyDocument({ nodeId, nodeName, isOrigin, isOwner, standing }: TraceParty): object {
  const known =
    standing === undefined
      ? {}
      : {
          state: standing.state,
          run: standing.run,
          lastSeq: standing.lastSeq,
          acceptedAt: time(standing.acceptedAtMs),
          receivedAt: time(standing.receivedAtMs),
          startedAt: time(standing.startedAtMs),
          finishedAt: time(standing.finishedAtMs),
          verdictBy: standing.verdictBy,
          cancelRequested: standing.cancelRequested,
        };
  return present({ node: nodeName, nodeId, role: isOrigin && isOwner ? 'both' : isOrigin ? 'origin' : 'owner', ...known });
}

/** An object of `tail`, without its type and time. */
export function tailFields(update: TailUpdate): object {
  switch (update.type) {
    case 'fact':
      return { node: update.nodeName, ...factFields(update), ...(update.late ? { late: true } : {}) };
    case 'gap':
      return present({ node: update.nodeName, why: update.why, nodeId: update.nodeId, knownUntil: time(update.knownUntilMs) });
    case 'back':
      return { node: update.nodeName, nodeId: update.nodeId };
  }
}

export function reportDocument(report: MeshReport): object {
  const names = namesOf(report.names);
  return {
    at: isoTime(report.atMs),
    since: isoTime(report.sinceMs),
    nodeId: report.nodeId,
    mesh: report.meshName ?? null,
    peers: report.peers.map(peerDocument),
    nodes: report.nodes.map((each) => nodeDocument(each, names)),
    gaps: report.gaps.map(({ nodeId, nodeName, why, sinceMs, lastSeenMs }) => present({ node: nodeName, why, nodeId, since: time(sinceMs), lastSeen: time(lastSeenMs) })),
    certificates: report.certificates.map(({ nodeId, nodeName, endsAtMs }) => ({ node: nodeName, nodeId, endsAt: isoTime(endsAtMs), ended: endsAtMs <= report.atMs })),
  };
}

function nodeDocument(report: NodeReport, names: Names): object {
  const { nodeId, name, owner, version, epoch, draining, flights, peers, refused } = report;
  return present({
    ...{ node: name, nodeId, owner, version, epoch, draining, refused, flights, peers },
    undelivered: backlogDocument(report.undelivered, names),
    dead: troubledDocument(report.dead, names),
    indeterminate: troubledDocument(report.indeterminate, names),
    waiting: backlogDocument(report.waiting, names),
    slow: report.slow.map(slowDocument),
    owing: report.owing.map((each) => ({ node: names[each.nodeId] ?? each.nodeId, nodeId: each.nodeId, undelivered: backlogDocument(each.undelivered, names), open: countDocument(each.open) })),
  });
}

function countDocument({ count, more }: Count): object {
  return { count, ...(more ? { more } : {}) };
}

function backlogDocument({ oldest, ...count }: Backlog, names: Names): object {
  return { ...countDocument(count), ...(oldest === undefined ? {} : { oldest: troubledFlightDocument(oldest, names) }) };
}

function troubledDocument({ newest, ...count }: Troubled, names: Names): object {
  return { ...countDocument(count), newest: newest.map((each) => troubledFlightDocument(each, names)) };
}

function troubledFlightDocument({ invocationId, target, originNodeId, ownerNodeId, sinceMs, why, attempts }: TroubledFlight, names: Names): object {
  return { invocationId, target, origin: names[originNodeId] ?? originNodeId, owner: names[ownerNodeId] ?? ownerNodeId, since: isoTime(sinceMs), why, attempts };
}

function slowDocument(agent: SlowAgent): object {
  return { ...agent };
}

/** An object of `export`, without its type and time. */
export function exportFields(line: ExportLine, names: Names): object {
  switch (line.type) {
    case 'begin':
      return { node: line.nodeName, nodeId: line.nodeId, version: line.version };
    case 'flight': {
      const { prompt: _prompt, choices: _choices, ...waiting } = (line.flight.waiting ?? {}) as Partial<NonNullable<typeof line.flight.waiting>>;
      const { addressTyped, redriveOf, ancestry } = line.invocation;
      return present({
        ...flightDocument(line.flight, names),
        waiting: line.flight.waiting === undefined ? undefined : present({ reason: waiting.reason, request: waiting.request, since: time(waiting.sinceMs), until: time(waiting.untilMs) }),
        addressTyped,
        redriveOf,
        parent: ancestry.parentId,
        root: ancestry.rootId,
        delivery: line.delivery === undefined ? undefined : { ...deliveryDocument(line.delivery, names), tries: line.attempts.map(attemptDocument) },
      });
    }
    case 'fact': {
      const { peerNodeId, nodeId } = line.fact;
      return { node: names[nodeId] ?? nodeId, ...factFields({ fact: line.fact, nodeName: '', ...(peerNodeId === undefined ? {} : { peerName: names[peerNodeId] ?? peerNodeId }) }) };
    }
    case 'end':
      return { flights: line.flights, facts: line.facts };
  }
}

export function namesOf(names: MeshReport['names']): Names {
  return Object.fromEntries(names.map(({ nodeId, name }) => [nodeId, name]));
}
