/** Invocations that are never taken (again): cancelled before they came, or pruned after they ended. */
import { overload } from '../domain/errors.ts';
import type { InvocationId } from '../domain/ids.ts';
import type { Connection } from './connection.ts';

/**
 * Of one origin, of what was cancelled before it came. An honest one leaves some when it cancels what is on its way; who leaves
 * more fills the disk of a node whose agents it need not even be allowed to call.
 */
const mostCancelled = 50_000;
const retryAfterMs = 3_600_000;

export class TombstoneTable {
  readonly #most: number;
  /** Of each origin, once it was counted. */
  readonly #cancelled = new Map<number, number>();
  readonly #count;
  readonly #get;
  readonly #insert;
  readonly #insertPruned;

  constructor(db: Connection, most = mostCancelled) {
    this.#most = most;
    this.#count = db.prepare<[number], { n: number }>('SELECT count(*) AS n FROM tombstones WHERE origin = ? AND pruned = 0');
    this.#get = db.prepare<[number, InvocationId], { pruned: 0 | 1 }>('SELECT pruned FROM tombstones WHERE origin = ? AND invocation_id = ?');
    this.#insert = db.prepare<[number, InvocationId, number]>(
      'INSERT INTO tombstones (origin, invocation_id, at_ms) VALUES (?, ?, ?) ON CONFLICT DO NOTHING',
    );
    this.#insertPruned = db.prepare<[number, InvocationId, number]>(
      'INSERT INTO tombstones (origin, invocation_id, at_ms, pruned) VALUES (?, ?, ?, 1) ON CONFLICT DO NOTHING',
    );
  }

  why(origin: number, id: InvocationId): 'cancelled' | 'pruned' | undefined {
    const row = this.#get.get(origin, id);
    return row === undefined ? undefined : row.pruned === 1 ? 'pruned' : 'cancelled';
  }

  /** @throws BrokerError `overload` when its origin has left too many */
  leave(origin: number, id: InvocationId, atMs: number): void {
    if (this.why(origin, id) !== undefined) return;
    const before = this.#cancelled.get(origin) ?? this.#count.get(origin)?.n ?? 0;
    if (before >= this.#most) throw overload(`its origin has cancelled ${before} invocations that never came`, retryAfterMs);
    this.#insert.run(origin, id, atMs);
    this.#cancelled.set(origin, before + 1);
  }

  leavePruned(origin: number, id: InvocationId, atMs: number): void {
    this.#insertPruned.run(origin, id, atMs);
  }
}
