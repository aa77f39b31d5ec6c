/** What the owner of an agent stores of the flights it runs: receipt, runs, output, verdicts, what the origin has got. */
import { conflict, denied, internal, invalid, notFound } from '../domain/errors.ts';
import type { ErrorInfo } from '../domain/errors.ts';
import type { Stamp } from '../domain/event.ts';
import { isTerminal } from '../domain/flight.ts';
import type { FlightEvent, FlightEventBody } from '../domain/flight-event.ts';
import { flightOfInvocation, invocationOfFlight } from '../domain/ids.ts';
import type { FlightId, SessionId } from '../domain/ids.ts';
import type { Flight } from '../domain/records.ts';
import type { RunChunk } from '../domain/store-port.ts';
import { afterRestart, mayHaveRun } from '../domain/reconciliation.ts';
import { eventOfChunk } from './flight-events.ts';
import { startNew, takeEvent } from './flight-life.ts';
import { report } from './flight-report.ts';
import { flightOf, optional } from './flight-row.ts';
import type { FlightRow } from './flight-row.ts';
import { newFlightRow, sizeOf } from './new-flight.ts';
import type { Input, Wire } from './protocol.ts';
import { Refusal } from './refusal.ts';
import type { Tables } from './tables.ts';

const longestAgentSession = 1024;

const diedWhileRunning: ErrorInfo = {
  code: 'unavailable',
  message: 'the node stopped while this ran: it may or may not have done its work',
};

export class OwnerWrites {
  readonly #tables: Tables;

  constructor(tables: Tables) {
    this.#tables = tables;
  }

  receive({ stamp, invocation, task, queueLimit, retryAfterMs, sessionOwner, originOwner, start = false }: Input<'receive'>): Wire<'receive'> | Refusal {
    const { nodes, self, flights, flightEvents, invocations, tombstones, queues, facts, sessions, revocations } = this.#tables;
    const origin = nodes.of(invocation.originNodeId);
    const owner = nodes.of(invocation.ownerNodeId);
    if (origin === self || owner !== self) throw internal(`${invocation.id} is not for this node to receive`);
    revocations.check(origin, 'denied');
    const known = flights.get(invocation.id);
    if (known !== undefined) {
      if (known.origin !== origin) throw conflict(`${invocation.id} is known here from another node`);
      return { known: flightOf(known, nodes) };
    }
    const gone = tombstones.why(origin, invocation.id);
    if (gone === 'cancelled') return gone;
    if (gone === 'pruned') throw conflict(`${invocation.id} was taken here before, and its records were pruned`);
    const isFull = queues.refusal({ target: invocation.target, origin }, { queueLimit, ...optional('retryAfterMs', retryAfterMs ?? null) });
    if (isFull !== undefined) return new Refusal(isFull);
    const session = sessionOwner === undefined ? undefined : sessions.take(invocation, sessionOwner, stamp);
    const row = newFlightRow(invocation, { origin, owner, self, storedBytes: sizeOf(task), session, originOwner, atMs: stamp.atMs });
    const started = start && queues.waiting(row.target) === 0 ? startNew(row, stamp) : undefined;
    invocations.insert(invocation, origin, owner, task);
    flights.insert(row);
    facts.append(stamp, 'invocation.received', { invocation: invocation.id, peer: origin, detail: { target: row.target } });
    if (started === undefined) return { session, isStarted: false };
    flightEvents.insert(invocation.id, started.event);
    facts.append(stamp, started.change.what, { invocation: invocation.id, peer: origin, detail: started.change.detail });
    return { session, isStarted: true };
  }

  start({ stamp, flightId, worktree }: Input<'start'>): { flight: Flight; event: FlightEvent } | undefined {
    const row = this.#owned(flightId);
    if (row.state !== 'queued' || row.quarantined_at_ms !== null) return undefined;
    if (worktree !== undefined) this.#tables.worktrees.begin(row.invocation_id, worktree, row.session_id, stamp.atMs);
    const where = worktree === undefined ? {} : { worktree: { head: worktree.head, branch: worktree.branch, dirty: worktree.dirty } };
    return this.#report(row, stamp, { kind: 'started', run: row.run + 1, ...optional('session', row.session_id), ...where });
  }

  recordProcess({ flightId, process }: Input<'recordProcess'>): void {
    const row = this.#owned(flightId);
    if (row.state === 'running' || row.state === 'waiting') this.#tables.flightProcesses.insert(row.invocation_id, process);
  }

  bindSession({ flightId, agentSession }: Input<'bindSession'>): void {
    const { session_id: session } = this.#owned(flightId);
    if (session === null) throw conflict(`${flightId} is no turn of a session`);
    if (agentSession === '' || agentSession.length > longestAgentSession) throw invalid(`an agent’s name of its session has 1 to ${longestAgentSession} characters`);
    this.#tables.sessions.bind(session, agentSession);
  }

  /** @returns the seq of the first chunk */
  appendOutput({ flightId, chunks }: Input<'appendOutput'>): Wire<'appendOutput'> {
    const row = this.#owned(flightId);
    if (!takesOutput(row)) throw conflict(`${flightId} takes no output: it is ${row.state}`);
    const first = row.last_seq + 1;
    this.#append(row, chunks);
    this.#tables.flights.saveOutput(row);
    return first;
  }

  #append(row: FlightRow, chunks: readonly RunChunk[]): void {
    for (const chunk of chunks) {
      const event = eventOfChunk(chunk, row.last_seq + 1);
      takeEvent(row, event);
      this.#tables.flightEvents.insert(row.invocation_id, event);
    }
  }

  finish({ stamp, flightId, outcome, keepsProcesses = false, last = [] }: Input<'finish'>): { flight: Flight; event: FlightEvent } | undefined {
    const row = this.#owned(flightId);
    if (isTerminal(row.state)) return undefined;
    if (takesOutput(row)) this.#append(row, last);
    // Whatever ends it now: nobody here knows whether it ran.
    if (row.quarantined_at_ms !== null) return this.#report(row, stamp, { kind: 'finished', state: 'indeterminate', error: mayHaveRun });
    return report(this.#tables, row, stamp, { kind: 'finished', ...outcome }, keepsProcesses);
  }

  receiveCancel({ stamp, invocationId, originNodeId }: Input<'receiveCancel'>): Flight | 'tombstone' {
    const { nodes, flights, tombstones, facts } = this.#tables;
    const origin = nodes.of(originNodeId);
    const row = flights.get(invocationId);
    if (row === undefined) {
      tombstones.leave(origin, invocationId, stamp.atMs);
      return 'tombstone';
    }
    if (row.origin !== origin) throw denied(`${invocationId} is not for this node to cancel`);
    if (!isTerminal(row.state) && row.cancel_requested_at_ms === null) {
      row.cancel_requested_at_ms = stamp.atMs;
      flights.save(row, row.state);
      facts.append(stamp, 'flight.cancel_requested', { invocation: invocationId, peer: origin, detail: { by: 'origin' } });
    }
    return flightOf(row, nodes);
  }

  acknowledged({ flightId, originNodeId, seq }: Input<'acknowledged'>): void {
    const { nodes, flights } = this.#tables;
    const id = invocationOfFlight(flightId);
    const row = flights.get(id);
    if (row === undefined || row.acked_seq === null) return;
    if (row.origin !== nodes.find(originNodeId)) throw denied(`${flightId} is not for this node to acknowledge`);
    const acked = Math.min(seq, row.last_seq);
    if (acked > row.acked_seq) flights.saveAcked(id, acked);
  }

  recover({ stamp, nodeId, ended, mayReturn = [] }: Input<'recover'>): { indeterminate: FlightId[]; requeued: FlightId[]; open: FlightId[] } {
    const { nodes, flights, flightProcesses } = this.#tables;
    const owner = nodes.of(nodeId);
    const returning = new Set(mayReturn);
    flightProcesses.forgetAll();
    const inSession = this.#endedInSessions(ended);
    const found = { indeterminate: [] as FlightId[], requeued: [] as FlightId[], open: [] as FlightId[] };
    // Each list is read before any of it moves.
    const ids = (['waking', 'running', 'waiting'] as const).flatMap((state) => flights.ownedIn(state, owner));
    for (const id of ids) {
      const row = flights.get(id);
      if (row === undefined) continue;
      const flightId = flightOfInvocation(id);
      switch (afterRestart(row.state, { mayRerun: mayRerun(row), mayReturn: returning.has(row.target) && row.quarantined_at_ms === null })) {
        case 'await':
          found.open.push(flightId);
          break;
        case 'requeue':
          this.#report(row, stamp, { kind: 'requeued', run: row.run + 1 });
          found.requeued.push(flightId);
          break;
        case 'indeterminate': {
          const count = (ended?.get(flightId) ?? 0) + ((row.session_id === null ? 0 : inSession.get(row.session_id)) ?? 0);
          this.#report(row, stamp, { kind: 'finished', state: 'indeterminate', error: diedWhileRunning, ...(count === 0 ? {} : { ended: count }) });
          found.indeterminate.push(flightId);
          break;
        }
        case 'keep':
      }
    }
    return found;
  }

  giveUp({ stamp, flightId, error }: Input<'giveUp'>): { flight: Flight; event: FlightEvent } | undefined {
    const row = this.#owned(flightId);
    switch (afterRestart(row.state, { mayRerun: mayRerun(row), mayReturn: false })) {
      case 'requeue':
        return this.#report(row, stamp, { kind: 'requeued', run: row.run + 1 });
      case 'indeterminate':
        return this.#report(row, stamp, { kind: 'finished', state: 'indeterminate', error });
      case 'keep':
      case 'await':
        return undefined;
    }
  }

  /** The process of a turn may be one that was spawned for an earlier turn. */
  #endedInSessions(ended: ReadonlyMap<FlightId, number> = new Map()): Map<SessionId, number> {
    const counts = new Map<SessionId, number>();
    for (const [flightId, count] of ended) {
      const row = this.#tables.flights.get(invocationOfFlight(flightId));
      if (row !== undefined && isTerminal(row.state) && row.session_id !== null) counts.set(row.session_id, (counts.get(row.session_id) ?? 0) + count);
    }
    return counts;
  }

  #report(row: FlightRow, stamp: Stamp, body: FlightEventBody): { flight: Flight; event: FlightEvent } {
    return report(this.#tables, row, stamp, body);
  }

  #owned(flightId: FlightId): FlightRow {
    const row = this.#tables.flights.get(invocationOfFlight(flightId));
    if (row === undefined) throw notFound(`no flight ${flightId} here`);
    if (row.owned === 0) throw internal(`${flightId} is not owned by this node`);
    return row;
  }
}

function takesOutput(row: FlightRow): boolean {
  return row.state === 'running' || row.state === 'waiting';
}

/** What its caller wanted ended does not run a second time. */
function mayRerun(row: FlightRow): boolean {
  return row.rerunnable === 1 && row.cancel_requested_at_ms === null && row.quarantined_at_ms === null;
}
