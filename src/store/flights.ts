/** Flights: what the writer does with their rows, and the reads by index. */
import type { FlightState } from '../domain/flight.ts';
import type { GroupId, InvocationId, SessionId } from '../domain/ids.ts';
import { endTold } from '../domain/notification.ts';
import type { Connection, Statement } from './connection.ts';
import type { Arrivals } from './arrivals.ts';
import type { StateTally } from './caches.ts';
import { dueAtMs } from './flight-row.ts';
import type { FlightRow } from './flight-row.ts';
import type { QueueCounts } from './queue-counts.ts';

const ofInvocation = 'i.caller, i.rerunnable, i.hold_ms, i.total_ms, i.run_ms, i.idle_ms, i.group_id';
export const flightColumns = `f.*, ${ofInvocation}`;
const byId = `SELECT ${flightColumns} FROM flights f JOIN invocations i ON i.id = f.invocation_id WHERE f.invocation_id = ?`;

export class FlightTable {
  readonly #get;
  readonly #insert;
  readonly #save;
  readonly #saveOutput;
  readonly #saveAcked;
  readonly #saveNotified;
  readonly #active;
  readonly #queued;
  readonly #queues: QueueCounts;
  readonly #tally: StateTally;
  readonly #arrivals: Arrivals | undefined;

  constructor(db: Connection, queues: QueueCounts, tally: StateTally, arrivals?: Arrivals) {
    this.#queues = queues;
    this.#tally = tally;
    this.#arrivals = arrivals;
    this.#get = db.prepare<[InvocationId], FlightRow>(byId);
    this.#insert = db.prepare(`
      INSERT INTO flights (invocation_id, origin, owner, peer, owned, target, agent, session_id, state, run, last_seq, acked_seq,
        hold_until_ms, total_until_ms, due_at_ms, accepted_at_ms, sent_at_ms, received_at_ms, started_at_ms, stdout_bytes, stderr_bytes, stored_bytes, notify, origin_owner)
      VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, 0, ?, ?, ?)`);
    this.#save = db.prepare(`
      UPDATE flights SET state = ?, run = ?, last_seq = ?, due_at_ms = ?, sent_at_ms = ?, received_at_ms = ?, started_at_ms = ?,
        finished_at_ms = ?, cancel_requested_at_ms = ?, verdict_by = ?, exit_code = ?, signal = ?, error = ?, ended = ?,
        waiting_reason = ?, waiting_request = ?, waiting_prompt = ?, waiting_choices = ?, waiting_since_ms = ?,
        waiting_until_ms = ?, stdout_bytes = ?, stderr_bytes = ?, stored_bytes = ?, quarantined_at_ms = ?, session_id = ?
      WHERE invocation_id = ?`);
    this.#saveOutput = db.prepare('UPDATE flights SET last_seq = ?, stdout_bytes = ?, stderr_bytes = ?, stored_bytes = ? WHERE invocation_id = ?');
    this.#saveNotified = db.prepare(`UPDATE flights SET notified = ?, notify = iif(? = '${endTold}', 2, notify) WHERE invocation_id = ?`);
    this.#saveAcked = db.prepare('UPDATE flights SET acked_seq = ? WHERE invocation_id = ?');
    this.#active = db.prepare<[string, number], { invocation_id: InvocationId }>(
      'SELECT invocation_id FROM flights WHERE state = ? AND owner = ? ORDER BY invocation_id',
    );
    this.#queued = db.prepare<[string], { invocation_id: InvocationId }>(queuedSql);
  }

  get(id: InvocationId): FlightRow | undefined {
    return this.#get.get(id);
  }

  insert(row: FlightRow, notify = false): void {
    this.#insert.run(
      row.invocation_id, row.origin, row.owner, row.peer, row.owned, row.target, row.agent, row.session_id, row.state, row.run, row.last_seq, row.acked_seq,
      row.hold_until_ms, row.total_until_ms, dueAtMs(row), row.accepted_at_ms, row.sent_at_ms, row.received_at_ms, row.started_at_ms,
      row.stored_bytes, notify ? 1 : 0, row.origin_owner,
    );
    this.#tally.moved(undefined, row.state);
    this.#arrivals?.flight(row.state);
    if (row.owned === 1 && row.state === 'queued') this.#queues.change(row, 1);
  }

  /** @param from the state that the row has in the database */
  save(row: FlightRow, from: FlightState): void {
    this.#save.run(
      row.state, row.run, row.last_seq, dueAtMs(row), row.sent_at_ms, row.received_at_ms, row.started_at_ms,
      row.finished_at_ms, row.cancel_requested_at_ms, row.verdict_by, row.exit_code, row.signal, row.error, row.ended,
      row.waiting_reason, row.waiting_request, row.waiting_prompt, row.waiting_choices, row.waiting_since_ms,
      row.waiting_until_ms, row.stdout_bytes, row.stderr_bytes, row.stored_bytes, row.quarantined_at_ms, row.session_id, row.invocation_id,
    );
    if (row.state === from) return;
    this.#tally.moved(from, row.state);
    this.#arrivals?.flight(row.state);
    if (row.owned === 0) return;
    if (from === 'queued') this.#queues.change(row, -1);
    if (row.state === 'queued') this.#queues.change(row, 1);
  }

  /** As `save`, when only output was added. */
  saveOutput(row: FlightRow): void {
    this.#saveOutput.run(row.last_seq, row.stdout_bytes, row.stderr_bytes, row.stored_bytes, row.invocation_id);
  }

  saveAcked(id: InvocationId, seq: number): void {
    this.#saveAcked.run(seq, id);
  }

  saveNotified(id: InvocationId, told: string): void {
    this.#saveNotified.run(told, told, id);
  }

  /** Owned by that node and in that state, oldest first. */
  ownedIn(state: FlightState, owner: number): InvocationId[] {
    return this.#active.all(state, owner).map((each) => each.invocation_id);
  }

  queued(target: string): InvocationId[] {
    return this.#queued.all(target).map((each) => each.invocation_id);
  }
}

const queuedSql = "SELECT invocation_id FROM flights INDEXED BY flights_queued WHERE target = ? AND state = 'queued' AND owned = 1";
interface IdRow {
  readonly invocation_id: InvocationId;
}

export interface FlightReads {
  readonly get: Statement<[InvocationId], FlightRow>;
  /** The last four characters, then the whole suffix. */
  readonly bySuffix: Statement<[string, string], IdRow>;
  readonly newest: Statement<[string], IdRow>;
  readonly sent: Statement<[number, string, number], IdRow & { readonly received: 0 | 1; readonly last_seq: number; readonly cancelled: 0 | 1 }>;
  readonly unacknowledged: Statement<[number, string, number], IdRow & { readonly acked_seq: number; readonly last_seq: number }>;
  readonly toNotify: Statement<[], IdRow & { readonly notified: string | null }>;
  /** At work in that session. */
  readonly inSession: Statement<[SessionId], IdRow>;
  readonly quarantined: Statement<[number, string, number], IdRow>;
  readonly openFor: Statement<[number, string, number], IdRow>;
  readonly ofGroup: Statement<[string], IdRow>;
  /** The last four characters, the id before it, then the whole suffix. */
  readonly nextGroup: Statement<[string, string, string], { readonly group_id: GroupId }>;
  readonly due: Statement<[number, number], Pick<FlightRow, 'invocation_id' | 'hold_until_ms' | 'run' | 'state' | 'owned' | 'sent_at_ms'>>;
  readonly nextDue: Statement<[number], { readonly due_at_ms: number }>;
}

/** Each by index and bounded by its limit or by what is open, never by history. */
export function flightReads(db: Connection): FlightReads {
  return {
    get: db.prepare(byId),
    bySuffix: db.prepare(`
      SELECT invocation_id FROM flights WHERE substr(invocation_id, -4) = ? AND invocation_id LIKE '%' || ?
      ORDER BY invocation_id DESC LIMIT 2`),
    newest: db.prepare(
      'SELECT invocation_id FROM flights WHERE invocation_id < ? ORDER BY invocation_id DESC LIMIT 1',
    ),
    sent: db.prepare(`
      SELECT invocation_id, received_at_ms IS NOT NULL AS received, last_seq, cancel_requested_at_ms IS NOT NULL AS cancelled
      FROM flights WHERE owner = ? AND sent_at_ms IS NOT NULL AND finished_at_ms IS NULL AND invocation_id > ?
      ORDER BY invocation_id LIMIT ?`),
    unacknowledged: db.prepare(`
      SELECT invocation_id, acked_seq, last_seq FROM flights
      WHERE origin = ? AND acked_seq < last_seq AND invocation_id > ? ORDER BY invocation_id LIMIT ?`),
    toNotify: db.prepare('SELECT invocation_id, notified FROM flights WHERE notify = 1 ORDER BY invocation_id'),
    inSession: db.prepare(`
      SELECT invocation_id FROM flights
      WHERE session_id = ? AND finished_at_ms IS NULL AND state IN ('waking', 'running', 'waiting') AND owned = 1 LIMIT 1`),
    quarantined: db.prepare(`
      SELECT invocation_id FROM flights
      WHERE origin = ? AND quarantined_at_ms IS NOT NULL AND invocation_id > ? ORDER BY invocation_id LIMIT ?`),
    openFor: db.prepare(`
      SELECT invocation_id FROM flights
      WHERE peer = ? AND owned = 1 AND finished_at_ms IS NULL AND invocation_id > ? ORDER BY invocation_id LIMIT ?`),
    ofGroup: db.prepare('SELECT id AS invocation_id FROM invocations WHERE group_id = ? ORDER BY id'),
    nextGroup: db.prepare(`
      SELECT group_id FROM invocations
      WHERE group_id IS NOT NULL AND substr(group_id, -4) = ? AND group_id > ? AND group_id LIKE '%' || ? ORDER BY group_id LIMIT 1`),
    due: db.prepare(`
      SELECT invocation_id, hold_until_ms, run, state, owned, sent_at_ms
      FROM flights WHERE due_at_ms <= ? ORDER BY due_at_ms LIMIT ?`),
    nextDue: db.prepare(
      'SELECT due_at_ms FROM flights WHERE due_at_ms > ? ORDER BY due_at_ms LIMIT 1',
    ),
  };
}
