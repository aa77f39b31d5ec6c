/** Idempotency keys, scoped by caller. They outlive the records that they led to. */
import type { InvocationId } from '../domain/ids.ts';
import type { Connection, Statement } from './connection.ts';

export interface Keyed {
  readonly invocationId: InvocationId;
  readonly payloadHash: string;
}

export function keyedRead(db: Connection): Statement<[string, string], Keyed> {
  return db.prepare<[string, string], Keyed>(
    'SELECT invocation_id AS invocationId, payload_hash AS payloadHash FROM idempotency WHERE caller = ? AND key = ?',
  );
}

export class IdempotencyTable {
  readonly #get;
  readonly #insert;

  constructor(db: Connection) {
    this.#get = keyedRead(db);
    this.#insert = db.prepare('INSERT INTO idempotency (caller, key, invocation_id, payload_hash) VALUES (?, ?, ?, ?)');
  }

  get(caller: string, key: string): Keyed | undefined {
    return this.#get.get(caller, key);
  }

  insert(caller: string, key: string, { invocationId, payloadHash }: Keyed): void {
    this.#insert.run(caller, key, invocationId, payloadHash);
  }
}
