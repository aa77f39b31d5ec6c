/** One word out of the database of a node that is down, without a lock and without writing. */
import { rmSync, statSync } from 'node:fs';
import Database from 'better-sqlite3';
import { isSqliteError } from './sqlite-errors.ts';

/** The mesh that its node is a member of; undefined when there is none, or nothing can be read. */
export function meshIn(path: string): string | undefined {
  const index = `${path}-shm`;
  const hadIndex = statSync(index, { throwIfNoEntry: false }) !== undefined;
  let db: Database.Database | undefined;
  try {
    db = new Database(path, { readonly: true, fileMustExist: true, timeout: 0 });
    return db.prepare<[], { readonly name: string }>('SELECT mesh_name AS name FROM mesh').get()?.name;
  } catch (thrown) {
    if (isSqliteError(thrown) || (thrown instanceof TypeError && /does not exist/.test(thrown.message))) return undefined;
    throw thrown;
  } finally {
    db?.close();
    if (!hadIndex) rmSync(index, { force: true });
  }
}
