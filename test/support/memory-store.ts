/** The SQL of a real store on a database in memory, without threads and without a disk: for tests that make many. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import Database from 'better-sqlite3';
import { unavailable } from '../../src/domain/errors.ts';
import type { NodeId } from '../../src/domain/ids.ts';
import type { Store, StoreWrites } from '../../src/domain/store-port.ts';
import type { Connection } from '../../src/store/connection.ts';
import { migrate } from '../../src/store/migrations.ts';
import { readerOver } from '../../src/store/reader.ts';
import { openTables } from '../../src/store/tables.ts';
import { performWith, writeHandlers } from '../../src/store/write-handlers.ts';
import { auditSealOf } from './temp-store.ts';

let template: Buffer | undefined;

/** A database with the newest schema, in memory. */
export function memoryDatabase(content?: Buffer): Connection {
  if (template === undefined) {
    const made = new Database(':memory:');
    migrate(made, ':memory:');
    template = made.serialize();
    made.close();
  }
  const db = new Database(content ?? template);
  db.pragma('foreign_keys = ON');
  return db;
}

/** Writes one after the other, each a moment after it is asked for. */
export function storeOver(db: Connection, nodeId: NodeId, failing: ReadonlySet<string> = new Set()): Store {
  const perform = performWith(writeHandlers(db, openTables(db, nodeId)));
  let last: Promise<unknown> = Promise.resolve();
  const write = new Proxy({} as StoreWrites, {
    get: (_target, name) => (input: unknown) => {
      const done = last.then(() => nextTurn()).then(() => {
        if (failing.has(String(name))) throw unavailable('the disk is full');
        return db.transaction(() => perform(String(name), input))();
      });
      last = Promise.allSettled([done]);
      return done;
    },
  });
  return { write, read: readerOver(db, auditSealOf(nodeId)), inspect: {} as Store['inspect'], backup: () => Promise.reject(new Error('not here')), close: () => Promise.resolve() };
}
