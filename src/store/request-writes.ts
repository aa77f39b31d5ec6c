/** Requests of agents and the replies to them, at the owner and where a reply was given. */
import { requestKinds } from '../domain/audit.ts';
import type { Act } from '../domain/audit.ts';
import { conflict, denied, fromInfo, internal, notFound } from '../domain/errors.ts';
import type { Stamp } from '../domain/event.ts';
import type { FlightEventBody } from '../domain/flight-event.ts';
import { flightOfInvocation, invocationOfFlight } from '../domain/ids.ts';
import type { InvocationId } from '../domain/ids.ts';
import { answeredAlready, flawOfReply, isSameReply } from '../domain/request.ts';
import type { Reply } from '../domain/request.ts';
import type { FactDetail } from './events.ts';
import { takeEvent } from './flight-life.ts';
import { flightOf, parseError } from './flight-row.ts';
import type { FlightRow } from './flight-row.ts';
import type { Input, Wire } from './protocol.ts';
import { replyOf } from './replies.ts';
import type { ReplyRow } from './replies.ts';
import type { Tables } from './tables.ts';

/** Who says it: a person, at this node or at another one. */
interface Word {
  readonly request: string;
  readonly reply: Reply | 'timeout';
  readonly by: string;
  readonly from: number;
  readonly act: Act | undefined;
}

export class RequestWrites {
  readonly #tables: Tables;

  constructor(tables: Tables) {
    this.#tables = tables;
  }

  ask({ stamp, flightId, request, ask, untilMs }: Input<'ask'>): Wire<'ask'> {
    const row = this.#owned(invocationOfFlight(flightId));
    if (row.state !== 'running') return undefined;
    const { reason, prompt, choices } = ask;
    return this.#report(row, stamp, { kind: 'waiting', reason, request, prompt, choices, untilMs });
  }

  giveReply({ stamp, act, flightId, request, reply, by }: Input<'giveReply'>): Wire<'giveReply'> {
    const { flights, replies, facts, nodes, self } = this.#tables;
    const id = invocationOfFlight(flightId);
    const row = flights.get(id);
    if (row === undefined) throw notFound(`no flight ${flightId} here`);
    const given = replies.get(id, request);
    if (given !== undefined) return { flight: flightOf(row, nodes), isSettled: this.#again(given, reply, self), isTaken: false };
    const flaw = flawIn(row, request, reply);
    if (flaw !== undefined) throw flaw;
    const word: Word = { request, reply, by, from: self, act };
    if (row.owned === 1) {
      this.#take(row, stamp, word);
      return { flight: flightOf(row, nodes), isSettled: true, isTaken: true };
    }
    replies.insert(rowOf(row, stamp, word, null));
    this.#record(row, stamp, word);
    facts.append(stamp, 'flight.reply_given', { invocation: id, peer: row.peer, detail: { request, reply: reply.kind, by } });
    return { flight: flightOf(row, nodes), isSettled: false, isTaken: false };
  }

  receiveReply({ stamp, act, invocationId, originNodeId, request, reply, by }: Input<'receiveReply'>): Wire<'receiveReply'> {
    const { flights, replies, nodes } = this.#tables;
    const row = flights.get(invocationId);
    if (row === undefined) throw notFound(`no flight of ${invocationId} is known to its owner`);
    const from = nodes.find(originNodeId);
    if (row.owned === 0 || row.origin !== from) throw denied(`${invocationId} is not for this node to answer for`);
    const given = replies.get(invocationId, request);
    if (given !== undefined) {
      this.#again(given, reply, from);
      return { flight: flightOf(row, nodes), isTaken: false };
    }
    const flaw = flawIn(row, request, reply);
    if (flaw !== undefined) throw flaw;
    this.#take(row, stamp, { request, reply, by, from, act });
    return { flight: flightOf(row, nodes), isTaken: true };
  }

  settleReply({ stamp, invocationId, fromNodeId, request, error }: Input<'settleReply'>): boolean {
    const { replies, facts, nodes, self } = this.#tables;
    const given = replies.get(invocationId, request);
    if (given === undefined || given.settled_at_ms !== null || given.from_node !== self) return false;
    if (given.owner !== nodes.find(fromNodeId)) throw denied(`${invocationId} is not for this node to speak of`);
    replies.settle(invocationId, request, stamp.atMs, error);
    if (error !== undefined) {
      const detail = { request, error: error.code, why: error.message };
      facts.append(stamp, 'flight.reply_refused', { invocation: invocationId, peer: given.owner, detail });
    }
    return true;
  }

  timeOutRequest({ stamp, flightId, request }: Input<'timeOutRequest'>): Wire<'timeOutRequest'> {
    const row = this.#owned(invocationOfFlight(flightId));
    if (row.state !== 'waiting' || row.waiting_request !== request) return undefined;
    return this.#take(row, stamp, { request, reply: 'timeout', by: '', from: this.#tables.self, act: undefined });
  }

  /** True when nothing is left to be said of it. @throws BrokerError `conflict` when another reply counts; the owner's refusal */
  #again(given: ReplyRow, reply: Reply, from: number): boolean {
    const known = replyOf(given);
    if (known === undefined || given.from_node !== from || !isSameReply(known, reply)) throw answeredAlready(given.request, given.kind);
    const error = parseError(given.error);
    if (error !== null) throw fromInfo(error);
    return given.settled_at_ms !== null;
  }

  #take(row: FlightRow, stamp: Stamp, word: Word): NonNullable<Wire<'timeOutRequest'>> {
    const { request, reply, by } = word;
    this.#tables.replies.insert(rowOf(row, stamp, word, stamp.atMs));
    this.#record(row, stamp, word);
    const said = reply === 'timeout' ? reply : reply.kind;
    return this.#report(row, stamp, { kind: 'resumed' }, { request, reply: said, ...(by === '' ? {} : { by }) });
  }

  /** What was asked, and what was said to it in words, is the flight's. */
  #record(row: FlightRow, stamp: Stamp, { request, reply, act }: Word): void {
    if (reply !== 'timeout') this.#tables.audit.append(stamp, { kind: requestKinds[reply.kind], about: { flight: flightOfInvocation(row.invocation_id), agent: row.target, request } }, act);
  }

  #report(row: FlightRow, stamp: Stamp, body: FlightEventBody, detail: FactDetail = {}): NonNullable<Wire<'ask'>> {
    const { flights, flightEvents, facts, nodes } = this.#tables;
    const event = { seq: row.last_seq + 1, atMs: stamp.atMs, hlc: stamp.hlc, body };
    const { state } = row;
    const change = takeEvent(row, event);
    if (change === undefined) throw internal(`a ${body.kind} of ${row.invocation_id} changed nothing`);
    flightEvents.insert(row.invocation_id, event);
    flights.save(row, state);
    facts.append(stamp, change.what, { invocation: row.invocation_id, peer: row.peer, detail: { ...change.detail, ...detail } });
    return { flight: flightOf(row, nodes), event };
  }

  #owned(id: InvocationId): FlightRow {
    const row = this.#tables.flights.get(id);
    if (row === undefined) throw notFound(`no flight of ${id} here`);
    if (row.owned === 0) throw conflict(`the flight of ${id} is not owned by this node`);
    return row;
  }
}

function flawIn(row: FlightRow, request: string, reply: Reply): ReturnType<typeof flawOfReply> {
  const asking = {
    state: row.state,
    isCancelling: row.cancel_requested_at_ms !== null,
    request: row.waiting_request ?? undefined,
    reason: row.waiting_reason ?? undefined,
  };
  return flawOfReply(asking, request, reply);
}

function rowOf(row: FlightRow, stamp: Stamp, { request, reply, by, from }: Word, settledAtMs: number | null): Omit<ReplyRow, 'error'> {
  return {
    invocation_id: row.invocation_id,
    request,
    kind: reply === 'timeout' ? reply : reply.kind,
    text: reply !== 'timeout' && reply.kind === 'text' ? reply.text : null,
    given_by: by,
    from_node: from,
    owner: row.owner,
    given_at_ms: stamp.atMs,
    settled_at_ms: settledAtMs,
  };
}
