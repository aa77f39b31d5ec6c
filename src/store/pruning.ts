/**
 * Removes what has been kept long enough: first the bytes of tasks and output, later the records. One call is one
 * short transaction. A key of a caller and the fact that an invocation was taken are never removed.
 */
import type { FlightState } from '../domain/flight.ts';
import type { InvocationId } from '../domain/ids.ts';
import type { PruneLimits } from '../domain/store-port.ts';
import type { Connection } from './connection.ts';
import { lengthOf } from './large-bytes.ts';
import type { Input, Wire } from './protocol.ts';
import type { Tables } from './tables.ts';

/** Rows touched, and bytes let go, by one call. A single task is let go whole, up to 16 MiB. */
export const mostRows = 256;
export const mostFreedBytes = 2 * 1024 * 1024;

interface Candidate {
  readonly invocation_id: InvocationId;
  readonly origin: number;
  readonly peer: number | null;
  readonly owned: 0 | 1;
  readonly state: FlightState;
  readonly finished_at_ms: number;
  readonly stored_bytes: number;
  readonly pruned_seq: number;
  readonly last_seq: number;
}

/** One whose process is kept for later turns is what its orphan would be known by; a worktree that is kept here can only be had through its flights. */
const isFree = `
  AND NOT EXISTS (SELECT 1 FROM flight_processes p WHERE p.invocation_id = flights.invocation_id)
  AND NOT EXISTS (
    SELECT 1 FROM flight_worktrees l JOIN worktrees w ON w.made_for = l.made_for
    WHERE l.invocation_id = flights.invocation_id AND w.state = 'kept' AND w.name IS NOT NULL)`;

const oldest = (isBare: 0 | 1): string => `
  SELECT invocation_id, origin, peer, owned, state, finished_at_ms, stored_bytes, pruned_seq, last_seq FROM flights
  WHERE finished_at_ms IS NOT NULL AND (acked_seq IS NULL OR acked_seq >= last_seq) AND (stored_bytes = 0) = ${isBare}
    ${isBare === 1 ? isFree : ''}
  ORDER BY finished_at_ms LIMIT 1`;

/** Not used since, and no turn of it is still to come. */
const idleSessions = `
  SELECT id FROM agent_sessions s WHERE last_used_at_ms < ?
    AND NOT EXISTS (SELECT 1 FROM flights f WHERE f.session_id = s.id AND f.finished_at_ms IS NULL) ORDER BY last_used_at_ms LIMIT ?`;

/** @returns whether the next call of `prune` would find something */
export function pruningReads(db: Connection): { prunable(limits: PruneLimits): boolean } {
  const full = db.prepare<[], Candidate>(oldest(0));
  const bare = db.prepare<[], Candidate>(oldest(1));
  const sum = db.prepare<[], { bytes: number }>('SELECT bytes FROM stored_sum WHERE one = 1');
  const idle = db.prepare<[number, number], { id: string }>(idleSessions);
  return {
    prunable({ outputsBeforeMs, mostBytes, recordsBeforeMs }) {
      const first = full.get();
      if (first !== undefined && (first.finished_at_ms < outputsBeforeMs || (sum.get()?.bytes ?? 0) > mostBytes)) return true;
      return (bare.get()?.finished_at_ms ?? Infinity) < recordsBeforeMs || idle.get(recordsBeforeMs, 1) !== undefined;
    },
  };
}

/** What is left of one call's share. */
interface Budget {
  rows: number;
  bytes: number;
}

export class PruningWrites {
  readonly #tables: Tables;
  readonly #statements;

  constructor(db: Connection, tables: Tables) {
    this.#tables = tables;
    const remove = (table: string) => db.prepare<[InvocationId]>(`DELETE FROM ${table} WHERE invocation_id = ?`);
    this.#statements = {
      full: db.prepare<[], Candidate>(oldest(0)),
      bare: db.prepare<[], Candidate>(oldest(1)),
      payload: db.prepare<[InvocationId], { bytes: number; files: number }>(`
        SELECT ${lengthOf('p', 'text')} + coalesce((SELECT sum(${lengthOf('f')}) FROM payload_files f WHERE f.invocation_id = p.invocation_id), 0) AS bytes,
          files FROM payloads p WHERE p.invocation_id = ?`),
      removePayload: remove('payloads'),
      events: db.prepare<[InvocationId, number, number], { seq: number; bytes: number | null }>(
        `SELECT seq, coalesce(${lengthOf('e')}, iif(kind = 'started', NULL, length(detail))) AS bytes FROM flight_events e WHERE invocation_id = ? AND seq > ? ORDER BY seq LIMIT ?`,
      ),
      empty: db.prepare<[InvocationId, number]>("UPDATE flight_events SET bytes = iif(bytes IS NULL, NULL, x''), large = NULL, detail = iif(kind = 'started', detail, NULL) WHERE invocation_id = ? AND seq = ?"),
      save: db.prepare<[number, number, number, InvocationId]>(
        'UPDATE flights SET stored_bytes = ?, pruned_seq = ?, pruned_at_ms = ? WHERE invocation_id = ?',
      ),
      firstEvents: db.prepare<[InvocationId, InvocationId, number]>(`
        DELETE FROM flight_events WHERE invocation_id = ?
          AND seq IN (SELECT seq FROM flight_events WHERE invocation_id = ? ORDER BY seq LIMIT ?)`),
      firstFacts: db.prepare<[InvocationId, number]>(
        'DELETE FROM events WHERE number IN (SELECT number FROM events WHERE invocation_id = ? LIMIT ?)',
      ),
      records: [remove('delivery_attempts'), remove('deliveries'), remove('payloads'), remove('flights')],
      removeInvocation: db.prepare<[InvocationId]>('DELETE FROM invocations WHERE id = ?'),
      removeSessions: db.prepare<[number, number]>(`DELETE FROM agent_sessions WHERE id IN (${idleSessions})`),
      allow: db.prepare("INSERT INTO settings (key, value) VALUES ('pruning', '')"),
      forbid: db.prepare("DELETE FROM settings WHERE key = 'pruning'"),
    };
  }

  prune({ stamp, outputsBeforeMs, mostBytes, recordsBeforeMs }: Input<'prune'>): Wire<'prune'> {
    const { full, bare, allow, forbid, removeSessions } = this.#statements;
    const { stored } = this.#tables;
    const budget: Budget = { rows: mostRows, bytes: mostFreedBytes };
    const done = { outputs: 0, records: 0, bytes: 0 };
    while (hasRoom(budget)) {
      const next = full.get();
      if (next === undefined || (next.finished_at_ms >= outputsBeforeMs && stored.total() <= mostBytes)) break;
      const left = this.#pruneBytes(next, budget, stamp.atMs);
      done.bytes += next.stored_bytes - left;
      if (left === 0) done.outputs += 1;
    }
    allow.run();
    while (hasRoom(budget)) {
      const next = bare.get();
      if (next === undefined || next.finished_at_ms >= recordsBeforeMs) break;
      if (this.#pruneRecords(next, budget, stamp.atMs)) done.records += 1;
    }
    forbid.run();
    if (hasRoom(budget)) removeSessions.run(recordsBeforeMs, budget.rows);
    return done;
  }

  /** @returns the bytes that it still holds */
  #pruneBytes(flight: Candidate, budget: Budget, atMs: number): number {
    const { payload, removePayload, events, empty, save } = this.#statements;
    const id = flight.invocation_id;
    let freed = 0;
    const task = payload.get(id);
    if (task !== undefined) {
      removePayload.run(id);
      spend(budget, 1 + task.files, task.bytes);
      freed += task.bytes;
    }
    let seq = flight.pruned_seq;
    while (seq < flight.last_seq && hasRoom(budget)) {
      // A few at a time: a page of events may hold far more bytes than are to be let go.
      const page = events.all(id, seq, 16);
      for (const event of page) {
        if (event.bytes !== null && event.bytes > 0) empty.run(id, event.seq);
        spend(budget, 1, event.bytes ?? 0);
        freed += event.bytes ?? 0;
        seq = event.seq;
      }
      if (page.length === 0) seq = flight.last_seq;
    }
    spend(budget, 1, 0);
    const left = seq >= flight.last_seq ? 0 : Math.max(1, flight.stored_bytes - freed);
    save.run(left, seq, atMs, id);
    this.#tables.stored.changed(left - flight.stored_bytes);
    return left;
  }

  /** @returns whether nothing of it is left but that it was here */
  #pruneRecords(flight: Candidate, budget: Budget, atMs: number): boolean {
    const { firstEvents, firstFacts, records, removeInvocation } = this.#statements;
    const { tally, tombstones, worktrees } = this.#tables;
    const id = flight.invocation_id;
    for (const remove of [(limit: number) => firstFacts.run(id, limit), (limit: number) => firstEvents.run(id, id, limit)]) {
      const limit = budget.rows;
      const { changes } = remove(limit);
      spend(budget, changes, 0);
      if (changes === limit) return false;
    }
    spend(budget, worktrees.forget(id), 0);
    for (const remove of records) spend(budget, remove.run(id).changes, 0);
    removeInvocation.run(id);
    if (flight.owned === 1 && flight.peer !== null) tombstones.leavePruned(flight.origin, id, atMs);
    tally.moved(flight.state, undefined);
    spend(budget, 2, 0);
    return true;
  }
}

function hasRoom({ rows, bytes }: Budget): boolean {
  return rows > 0 && bytes > 0;
}

function spend(budget: Budget, rows: number, bytes: number): void {
  budget.rows -= rows;
  budget.bytes -= bytes;
}
