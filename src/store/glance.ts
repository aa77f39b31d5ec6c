/** One word out of the database of a node that is down, without a lock and without writing. */
import { statSync } from 'node:fs';
import Database from 'better-sqlite3';
import { isSqliteError } from './sqlite-errors.ts';

/** The mesh that its node is a member of; undefined when there is none, or nothing can be read. */
export function meshIn(path: string): string | undefined {
  // A connection that may write takes its neighbours away when it closes; beside a log, which may be a running node's, nothing is touched.
  const readonly = statSync(`${path}-wal`, { throwIfNoEntry: false }) !== undefined;
  let db: Database.Database | undefined;
  try {
    db = new Database(path, { readonly, fileMustExist: true, timeout: 0 });
    return db.prepare<[], { readonly name: string }>('SELECT mesh_name AS name FROM mesh').get()?.name;
  } catch (thrown) {
    if (isSqliteError(thrown) || (thrown instanceof TypeError && /does not exist/.test(thrown.message))) return undefined;
    throw thrown;
  } finally {
    db?.close();
  }
}
