/** Invocations that were cancelled before they came. */
import type { InvocationId } from '../domain/ids.ts';
import type { Connection } from './connection.ts';

export class TombstoneTable {
  readonly #get;
  readonly #insert;

  constructor(db: Connection) {
    this.#get = db.prepare<[number, InvocationId], { one: 1 }>('SELECT 1 AS one FROM tombstones WHERE origin = ? AND invocation_id = ?');
    this.#insert = db.prepare<[number, InvocationId, number]>(
      'INSERT INTO tombstones (origin, invocation_id, at_ms) VALUES (?, ?, ?) ON CONFLICT DO NOTHING',
    );
  }

  has(origin: number, id: InvocationId): boolean {
    return this.#get.get(origin, id) !== undefined;
  }

  leave(origin: number, id: InvocationId, atMs: number): void {
    this.#insert.run(origin, id, atMs);
  }
}
