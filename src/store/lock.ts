/**
 * One process a node: SQLite's lock on a small file beside the store. The kernel lets go of it whatever way the process
 * ends. The file is removed while the lock is still held, so that another process may have opened what is no longer
 * there: it notices by the inode and tries again.
 */
import { closeSync, openSync, rmSync, statSync } from 'node:fs';
import Database from 'better-sqlite3';
import { BrokerError, conflict, unavailable } from '../domain/errors.ts';
import { codeOf, wordsOf } from '../domain/system-error.ts';
import { fromSqlite, isSqliteError } from './sqlite-errors.ts';

export interface Lock {
  /** Idempotent. */
  release(): void;
}

const mostTries = 100;

/** @throws BrokerError `conflict` when another process has it, `invalid` when the file is something else, `unavailable` */
export function acquireLock(path: string): Lock {
  for (let tries = 0; tries < mostTries; tries += 1) {
    makeFile(path);
    const before = inodeOf(path);
    if (before === undefined) continue;
    const db = lock(path);
    if (db === undefined) continue;
    if (inodeOf(path) === before) return held(db, path);
    db.close();
  }
  throw unavailable(`the lock ${path} changes hands all the time`, 'try again');
}

/** Never opens a file that exists: closing it would end this process's own lock on it, as POSIX has it. */
function makeFile(path: string): void {
  try {
    closeSync(openSync(path, 'wx', 0o600));
  } catch (thrown) {
    if (codeOf(thrown) !== 'EEXIST') throw unavailable(`the lock ${path} can’t be made: ${wordsOf(thrown)}`);
  }
}

function lock(path: string): Database.Database | undefined {
  let db: Database.Database | undefined;
  try {
    db = new Database(path, { fileMustExist: true, timeout: 0 });
    db.exec('BEGIN EXCLUSIVE');
    return db;
  } catch (thrown) {
    db?.close();
    if (!isSqliteError(thrown)) throw fromSqlite(thrown, `taking the lock ${path}`);
    if (/^SQLITE_(BUSY|LOCKED)/.test(thrown.code)) throw conflict('a node is already running here', 'see beckon status, or stop it: beckon down');
    if (thrown.code.startsWith('SQLITE_CANTOPEN') && inodeOf(path) === undefined) return undefined;
    if (thrown.code.startsWith('SQLITE_NOTADB')) {
      throw new BrokerError('invalid', `${path} is not a lock file of beckon`, { hint: 'move it away', cause: thrown });
    }
    throw fromSqlite(thrown, `taking the lock ${path}`);
  }
}

function held(db: Database.Database, path: string): Lock {
  return {
    release() {
      if (!db.open) return;
      rmSync(path, { force: true });
      db.close();
    },
  };
}

function inodeOf(path: string): bigint | undefined {
  return statSync(path, { bigint: true, throwIfNoEntry: false })?.ino;
}
