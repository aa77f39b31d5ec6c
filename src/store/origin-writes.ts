/** What the origin of an invocation stores: acceptance, transport, the owner's words, its own verdicts. */
import { conflict, denied, internal, invalid, notFound } from '../domain/errors.ts';
import type { BrokerError } from '../domain/errors.ts';
import type { Stamp } from '../domain/event.ts';
import { maxOutputChunk } from '../domain/flight-event.ts';
import type { FlightEvent, Outcome } from '../domain/flight-event.ts';
import { canRefine, isTerminal } from '../domain/flight.ts';
import { invocationOfFlight } from '../domain/ids.ts';
import type { FlightId, GroupId, InvocationId, NodeId, SessionId } from '../domain/ids.ts';
import type { FailureReason } from '../domain/delivery.ts';
import type { AcceptInput } from '../domain/store-port.ts';
import type { Flight } from '../domain/records.ts';
import type { DeliveryRow } from './deliveries.ts';
import { end, refine, takeEvent } from './flight-life.ts';
import { flightOf } from './flight-row.ts';
import type { FlightRow } from './flight-row.ts';
import { newFlightRow, sizeOf } from './new-flight.ts';
import type { Input, Wire } from './protocol.ts';
import { Refusal } from './refusal.ts';
import type { Tables } from './tables.ts';

export class OriginWrites {
  readonly #tables: Tables;

  constructor(tables: Tables) {
    this.#tables = tables;
  }

  accept(input: AcceptInput): Wire<'accept'> | Refusal {
    const { nodes, self, idempotency, flights, invocations, queues, held, sessions, revocations } = this.#tables;
    const { stamp, invocation, task, key, payloadHash, plan, notify } = input;
    if (key !== undefined) {
      const known = idempotency.get(invocation.caller, key);
      if (known !== undefined) return this.#again(known.invocationId, known.payloadHash === payloadHash);
    }
    const origin = nodes.of(invocation.originNodeId);
    const owner = nodes.of(invocation.ownerNodeId);
    if (origin !== self) throw internal('an origin accepts only its own invocations');
    // Removed since its address was looked up.
    if (owner !== self) revocations.check(owner, 'unavailable');
    if ((owner === self) !== (plan.kind === 'local')) throw internal(`the plan ${plan.kind} does not fit the owner`);
    const { target } = invocation;
    let isFull = plan.kind === 'local' ? queues.refusal({ target, origin }, plan) : undefined;
    if (plan.kind === 'defer' && plan.heldLimit !== undefined) isFull = held.refusal(owner, { target, limit: plan.heldLimit, atMs: stamp.atMs, isAway: plan.reason !== 'overload' });
    // Before anything is written: nothing has to be undone, however many come.
    if (isFull !== undefined) return new Refusal(isFull);
    const session = plan.kind === 'local' && plan.sessionOwner !== undefined ? sessions.take(invocation, plan.sessionOwner, stamp) : undefined;
    const row = newFlightRow(invocation, { origin, owner, self, storedBytes: sizeOf(task), session, atMs: stamp.atMs });
    if (plan.kind === 'send') row.sent_at_ms = stamp.atMs;
    invocations.insert(invocation, origin, owner, task);
    if (key !== undefined) idempotency.insert(invocation.caller, key, { invocationId: invocation.id, payloadHash });
    flights.insert(row, notify);
    if (plan.kind === 'defer') held.added(owner);
    this.#plan(input, row);
    return session;
  }

  /** All or none. The key stands for the first of them, and so for the group. */
  acceptAll({ members, key, ...shared }: Input<'acceptAll'>): Wire<'acceptAll'> {
    const sessions: (SessionId | undefined)[] = [];
    for (const [index, each] of members.entries()) {
      const answer = this.accept({ ...shared, ...each, ...(key === undefined || index > 0 ? {} : { key }) });
      if (answer instanceof Refusal) throw answer.error;
      if (typeof answer === 'object') return knownGroup(answer);
      sessions.push(answer);
    }
    return { sessions };
  }

  #again(id: InvocationId, isSame: boolean): Wire<'accept'> {
    if (!isSame) throw conflict(`this key stands for another request, ${id}`, 'use another key, or send the same request');
    const row = this.#tables.flights.get(id);
    if (row === undefined) throw conflict(`this key stands for ${id}, whose records were pruned`, 'use another key');
    return flightOf(row, this.#tables.nodes);
  }

  #plan({ stamp, invocation, plan }: AcceptInput, row: FlightRow): void {
    const { facts, deliveries } = this.#tables;
    const delivery: DeliveryRow = {
      invocation_id: invocation.id,
      from_node: row.origin,
      to_node: row.owner,
      status: plan.kind === 'local' ? 'received' : plan.kind === 'send' ? 'sent' : 'deferred',
      attempts: plan.kind === 'send' ? 1 : 0,
      failure_reason: plan.kind === 'defer' ? plan.reason : null,
      failure_detail: plan.kind === 'defer' ? plan.detail : null,
      created_at_ms: stamp.atMs,
      updated_at_ms: stamp.atMs,
      received_at_ms: plan.kind === 'local' ? stamp.atMs : null,
    };
    deliveries.insert(delivery, plan.kind === 'send' ? plan.attemptId : undefined);
    const about = { invocation: invocation.id, peer: row.peer };
    const { redriveOf } = invocation;
    const again = redriveOf === undefined ? {} : { redriveOf };
    facts.append(stamp, 'invocation.accepted', { ...about, detail: { target: row.target, caller: invocation.caller, ...again } });
    if (redriveOf !== undefined) facts.append(stamp, 'invocation.redriven', { invocation: redriveOf, peer: row.peer, detail: { as: invocation.id } });
    if (plan.kind === 'local') facts.append(stamp, 'invocation.received', { ...about, detail: { target: row.target } });
    else if (plan.kind === 'send') facts.append(stamp, 'delivery.sent', { ...about, detail: { attempt: '1' } });
    else facts.append(stamp, 'delivery.deferred', { ...about, detail: { reason: plan.reason, why: plan.detail } });
  }

  beginAttempt({ stamp, invocationId, attemptId }: Input<'beginAttempt'>): boolean {
    const { flights, deliveries, facts } = this.#tables;
    const delivery = deliveries.get(invocationId);
    const flight = flights.get(invocationId);
    if (delivery === undefined || flight === undefined || delivery.status !== 'deferred') return false;
    if (isTerminal(flight.state) || flight.cancel_requested_at_ms !== null) return false;
    deliveries.send(delivery, attemptId, stamp.atMs);
    if (flight.sent_at_ms === null) {
      flight.sent_at_ms = stamp.atMs;
      flights.save(flight, flight.state);
    }
    facts.append(stamp, 'delivery.sent', {
      invocation: invocationId, peer: delivery.to_node, detail: { attempt: String(delivery.attempts) },
    });
    return true;
  }

  loseAttempts({ stamp, toNodeId, reason, detail }: Input<'loseAttempts'>): number {
    const to = this.#tables.nodes.find(toNodeId);
    const lost = to === undefined ? [] : this.#tables.deliveries.sentTo(to);
    for (const id of lost) this.#lose(id, stamp, reason, detail);
    return lost.length;
  }

  /** At start no link exists, so that no attempt can be open. */
  loseAllAttempts(stamp: Stamp): void {
    for (const id of this.#tables.deliveries.sent()) this.#lose(id, stamp, 'peer_unreachable', 'this node restarted');
  }

  #lose(id: InvocationId, stamp: Stamp, reason: FailureReason, why: string): void {
    const { deliveries, facts } = this.#tables;
    const delivery = deliveries.get(id);
    if (delivery === undefined || !deliveries.move(delivery, { to: 'deferred', atMs: stamp.atMs, reason, detail: why })) return;
    facts.append(stamp, 'delivery.deferred', { invocation: id, peer: delivery.to_node, detail: { reason, why } });
  }

  defer({ stamp, invocationId, fromNodeId, attempt, reason, detail }: Input<'defer'>): Flight | undefined {
    const known = this.#ofOwner(invocationId, fromNodeId);
    if (known === undefined || known.delivery.status !== 'sent' || known.delivery.attempts !== attempt) return undefined;
    this.#lose(invocationId, stamp, reason, detail);
    return flightOf(known.flight, this.#tables.nodes);
  }

  receipt({ stamp, invocationId, fromNodeId, receivedAtMs }: Input<'receipt'>): Flight | undefined {
    const known = this.#ofOwner(invocationId, fromNodeId);
    if (known === undefined) return undefined;
    const { flight, delivery } = known;
    const state = flight.state;
    if (this.#received(flight, delivery, stamp, receivedAtMs)) this.#tables.flights.save(flight, state);
    return flightOf(flight, this.#tables.nodes);
  }

  reject({ stamp, invocationId, fromNodeId, reason, error }: Input<'reject'>): Flight | undefined {
    const { flights, deliveries, facts, nodes } = this.#tables;
    const known = this.#ofOwner(invocationId, fromNodeId);
    if (known === undefined) return undefined;
    const { flight, delivery } = known;
    const about = { invocation: invocationId, peer: flight.owner };
    if (deliveries.move(delivery, { to: 'rejected', atMs: stamp.atMs, reason, detail: error.message })) {
      facts.append(stamp, 'delivery.rejected', { ...about, detail: { reason, error: error.code } });
      const state = flight.state;
      const outcome: Outcome = { state: 'failed', error };
      const change = !isTerminal(state) ? end(flight, outcome, 'owner', stamp.atMs)
        : flight.verdict_by === 'origin' && canRefine(state, 'failed') ? refine(flight, outcome, stamp.atMs)
        : undefined;
      if (change !== undefined) {
        flights.save(flight, state);
        facts.append(stamp, change.what, { ...about, detail: change.detail });
      }
    }
    return flightOf(flight, nodes);
  }

  endAtOrigin({ stamp, flightId, outcome, delivery: fate, unlessSent }: Input<'endAtOrigin'>): Flight | undefined {
    const { flights, deliveries, facts, nodes } = this.#tables;
    const flight = this.#known(flightId);
    const { invocation_id: id, state } = flight;
    if (isTerminal(state) || (unlessSent && flight.sent_at_ms !== null)) return undefined;
    const about = { invocation: id, peer: flight.peer };
    const delivery = fate === undefined ? undefined : deliveries.get(id);
    if (fate !== undefined && delivery !== undefined) {
      const move = { to: fate.status, atMs: stamp.atMs, reason: fate.reason, ...(outcome.error === undefined ? {} : { detail: outcome.error.message }) };
      if (deliveries.move(delivery, move)) facts.append(stamp, `delivery.${fate.status}`, { ...about, detail: { reason: fate.reason } });
    }
    const change = end(flight, outcome, 'origin', stamp.atMs);
    flights.save(flight, state);
    facts.append(stamp, change.what, { ...about, detail: change.detail });
    return flightOf(flight, nodes);
  }

  applyEvents(input: Input<'applyEvents'>): Wire<'applyEvents'> {
    const { stamp, invocationId, fromNodeId, receivedAtMs, events } = input;
    const { flights, flightEvents, facts, nodes, worktrees } = this.#tables;
    const known = this.#ofOwner(invocationId, fromNodeId);
    if (known === undefined) return undefined;
    const { flight, delivery } = known;
    const state = flight.state;
    const about = { invocation: invocationId, peer: flight.owner };
    let isChanged = this.#received(flight, delivery, stamp, receivedAtMs);
    const seqs: number[] = [];
    for (const event of events) {
      if (event.seq <= flight.last_seq) continue;
      if (event.seq !== flight.last_seq + 1) break;
      // What followed would grow this store for ever, and change what people were shown as the end.
      if (this.#isToldWhole(flight)) throw misfit(flight, event, 'its owner has ended it already');
      const change = takeForeign(flight, event);
      flightEvents.insert(invocationId, event);
      if (event.body.kind === 'started' && event.body.worktree !== undefined) worktrees.learn(invocationId, event.body.worktree, event.atMs);
      seqs.push(event.seq);
      if (event.body.kind !== 'output') isChanged = true;
      if (change !== undefined) facts.append(stamp, change.what, { ...about, detail: change.detail });
    }
    if (isChanged) flights.save(flight, state);
    else if (seqs.length > 0) flights.saveOutput(flight);
    return { flight: flightOf(flight, nodes), applied: seqs };
  }

  requestCancel({ stamp, flightId, by }: Input<'requestCancel'>): Flight {
    const { flights, facts, nodes } = this.#tables;
    const flight = this.#known(flightId);
    if (isTerminal(flight.state)) throw conflict(`${flightId} has ended already: it is ${flight.state}`);
    if (flight.cancel_requested_at_ms === null) {
      flight.cancel_requested_at_ms = stamp.atMs;
      flights.save(flight, flight.state);
      facts.append(stamp, 'flight.cancel_requested', { invocation: flight.invocation_id, peer: flight.peer, detail: { by } });
    }
    if (flight.owned === 1 || flight.sent_at_ms !== null) return flightOf(flight, nodes);
    // It never left: no crash can come between the wish and the end.
    const delivery = { status: 'cancelled', reason: 'cancelled' } as const;
    return this.endAtOrigin({ stamp, flightId, outcome: { state: 'cancelled', ended: 0 }, delivery, unlessSent: true }) ?? flightOf(flight, nodes);
  }

  /** The owner has it: said by a receipt, or by its events. True when the flight's row is changed and to be saved. */
  #received(flight: FlightRow, delivery: DeliveryRow, stamp: Stamp, receivedAtMs: number): boolean {
    const { deliveries, facts } = this.#tables;
    if (!deliveries.move(delivery, { to: 'received', atMs: stamp.atMs, receivedAtMs })) return false;
    flight.received_at_ms = receivedAtMs;
    facts.append(stamp, 'delivery.received', { invocation: flight.invocation_id, peer: flight.owner });
    return true;
  }

  /** The owner has said how it ended, whoever's verdict counts. */
  #isToldWhole({ invocation_id: id, state, verdict_by: by, last_seq: seq }: FlightRow): boolean {
    return isTerminal(state) && (by === 'owner' || this.#tables.flightEvents.isEnd(id, seq));
  }

  /** @throws BrokerError `denied` when another node than its owner speaks of it */
  #ofOwner(id: InvocationId, from: NodeId): { flight: FlightRow; delivery: DeliveryRow } | undefined {
    const { flights, deliveries, nodes, self, revocations } = this.#tables;
    const flight = flights.get(id);
    if (flight === undefined) return undefined;
    if (flight.owner !== nodes.find(from) || flight.owner === self) throw denied(`${id} is not for this node to speak of`);
    revocations.check(flight.owner, 'denied');
    const delivery = deliveries.get(id);
    if (delivery === undefined) throw internal(`${id} has no delivery`);
    return { flight, delivery };
  }

  #known(flightId: FlightId): FlightRow {
    const flight = this.#tables.flights.get(invocationOfFlight(flightId));
    if (flight === undefined) throw notFound(`no flight ${flightId} here`);
    return flight;
  }
}

function knownGroup({ groupId, invocationId }: Flight): { readonly known: GroupId } {
  if (groupId === undefined) throw conflict(`this key stands for another request, ${invocationId}`, 'use another key');
  return { known: groupId };
}

/** A peer's event that does not fit is the peer's fault. */
function takeForeign(flight: FlightRow, event: FlightEvent): ReturnType<typeof takeEvent> {
  if (event.body.kind === 'output' && event.body.bytes.length > maxOutputChunk) {
    throw misfit(flight, event, `it holds ${event.body.bytes.length} bytes, more than ${maxOutputChunk}`);
  }
  try {
    return takeEvent(flight, event);
  } catch (thrown) {
    throw misfit(flight, event, thrown instanceof Error ? thrown.message : 'it does not fit');
  }
}

function misfit(flight: FlightRow, event: FlightEvent, why: string): BrokerError {
  return invalid(`event ${event.seq} (${event.body.kind}) of ${flight.invocation_id} is refused: ${why}`);
}
