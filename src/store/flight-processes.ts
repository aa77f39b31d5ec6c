/** Which processes were spawned for flights of this node and are there: of those that run, and kept for their sessions. */
import type { FlightProcess, ProcessMark } from '../domain/harness-port.ts';
import { flightOfInvocation } from '../domain/ids.ts';
import type { InvocationId } from '../domain/ids.ts';
import type { Connection } from './connection.ts';

interface ProcessRow {
  readonly invocation_id: InvocationId;
  readonly pid: number;
  readonly session: number;
  readonly started_at: string;
  readonly boot_id: string;
}

export class FlightProcessTable {
  readonly #insert;
  readonly #forget;
  readonly #forgetAll;

  constructor(db: Connection) {
    this.#insert = db.prepare('INSERT OR REPLACE INTO flight_processes (invocation_id, pid, session, started_at, boot_id) VALUES (?, ?, ?, ?, ?)');
    this.#forget = db.prepare('DELETE FROM flight_processes WHERE invocation_id = ?');
    this.#forgetAll = db.prepare('DELETE FROM flight_processes');
  }

  insert(id: InvocationId, { pid, session, startedAt, bootId }: ProcessMark): void {
    this.#insert.run(id, pid, session, startedAt, bootId);
  }

  forget(id: InvocationId): void {
    this.#forget.run(id);
  }

  forgetAll(): void {
    this.#forgetAll.run();
  }
}

export function flightProcessReads(db: Connection) {
  const all = db.prepare<[], ProcessRow>('SELECT * FROM flight_processes');
  return {
    processes: (): FlightProcess[] =>
      all.all().map((row) => ({
        flightId: flightOfInvocation(row.invocation_id),
        pid: row.pid,
        session: row.session,
        startedAt: row.started_at,
        bootId: row.boot_id,
      })),
  };
}
