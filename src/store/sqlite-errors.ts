/** What SQLite throws, in the words of the domain. */
import Database from 'better-sqlite3';
import { BrokerError, internal } from '../domain/errors.ts';

/** Faults of the disk or the file: nothing of the transaction can be relied on. */
const environmental = /^SQLITE_(FULL|IOERR|CORRUPT|NOTADB|NOMEM|READONLY|CANTOPEN|PROTOCOL|BUSY|LOCKED|PERM|AUTH|INTERRUPT)(_|$)/;

export function isSqliteError(thrown: unknown): thrown is Error & { readonly code: string } {
  return thrown instanceof Database.SqliteError;
}

/** True when the fault is of the disk, the file or its locks, and not of the one statement that met it. */
export function isEnvironmental(thrown: unknown): boolean {
  return isSqliteError(thrown) && environmental.test(thrown.code);
}

/** A BrokerError as it is; `what` says what was being done. */
export function fromSqlite(thrown: unknown, what: string): BrokerError {
  if (thrown instanceof BrokerError) return thrown;
  if (!isSqliteError(thrown)) return internal(`${what} failed inside the store`, thrown);
  const of = (code: 'unavailable' | 'invalid' | 'conflict' | 'internal', why: string, hint?: string): BrokerError =>
    new BrokerError(code, `${what}: ${why}`, { hint, detail: { sqlite: thrown.code }, cause: thrown });
  if (thrown.code.startsWith('SQLITE_FULL')) return of('unavailable', 'the disk is full', 'make room; nothing was changed');
  if (/^SQLITE_(BUSY|LOCKED)/.test(thrown.code)) return of('unavailable', 'another process holds the database');
  if (/^SQLITE_(CORRUPT|NOTADB)/.test(thrown.code)) return of('unavailable', 'the database is damaged', 'stop the node and restore a backup');
  if (/^SQLITE_(READONLY|PERM|CANTOPEN)/.test(thrown.code)) return of('unavailable', 'the database can’t be written');
  if (thrown.code.startsWith('SQLITE_TOOBIG')) return of('invalid', 'the record is too big');
  if (/^SQLITE_CONSTRAINT_(PRIMARYKEY|UNIQUE|ROWID)/.test(thrown.code)) return of('conflict', 'a record of this id exists already');
  if (isEnvironmental(thrown)) return of('unavailable', 'the disk reports an error');
  return of('internal', 'the database refused a statement');
}
