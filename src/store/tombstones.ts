/** Invocations that are never taken (again): cancelled before they came, or pruned after they ended. */
import type { InvocationId } from '../domain/ids.ts';
import type { Connection } from './connection.ts';

export class TombstoneTable {
  readonly #get;
  readonly #insert;
  readonly #insertPruned;

  constructor(db: Connection) {
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

  leave(origin: number, id: InvocationId, atMs: number): void {
    this.#insert.run(origin, id, atMs);
  }

  leavePruned(origin: number, id: InvocationId, atMs: number): void {
    this.#insertPruned.run(origin, id, atMs);
  }
}
