/** Where long bytes are: not in the row that speaks of them, which would be read whole by whoever looks for its neighbours. */
import type { Connection } from './connection.ts';

/** Up to here they stay in their row, which fits its page or nearly: reading it costs less than a second place. */
export const mostInRow = 4 * 1024;

const nothing = new Uint8Array(0);

/** For the row: its own bytes, and the id of those that are elsewhere. */
export type Placed = readonly [inRow: Uint8Array, large: number | bigint | null];

export class LargeBytes {
  readonly #insert;

  constructor(db: Connection) {
    this.#insert = db.prepare<[Uint8Array]>('INSERT INTO large_bytes (bytes) VALUES (?)');
  }

  place(bytes: Uint8Array): Placed {
    return bytes.length <= mostInRow ? [bytes, null] : [nothing, this.#insert.run(bytes).lastInsertRowid];
  }
}

/** As SQL: the bytes of a row of `table`, wherever they are. */
export function bytesOf(table: string, column = 'bytes'): string {
  return `iif(${table}.large IS NULL, ${table}.${column}, (SELECT l.bytes FROM large_bytes l WHERE l.id = ${table}.large))`;
}

/** As SQL: how many they are. None of them is read. */
export function lengthOf(table: string, column = 'bytes'): string {
  return `iif(${table}.large IS NULL, length(${table}.${column}), (SELECT length(l.bytes) FROM large_bytes l WHERE l.id = ${table}.large))`;
}
