/** The two kinds of connection: the one that writes, and those that read. */
import Database from 'better-sqlite3';

export type Connection = Database.Database;
/** A prepared statement: what it is bound to, and what a row of it is. */
export type Statement<Values extends unknown[], Row> = Database.Statement<Values, Row>;

/** 'BEKN': tells a database of ours from another program's. */
export const applicationId = 0x42_45_4b_4e;

/** Pages written to the log between checkpoints: 32 MiB. Fewer, and pages that many commits touch are copied too often. */
const checkpointPages = 8192;

/**
 * SQLite compiles a statement again for each other value of a parameter wherever a value might change the plan, as in
 * every join and every range: about ten times the work of running it (https://sqlite.org/c3ref/prepare.html). The value
 * of `+?` is the same, and the plan does not depend on it: so each statement is compiled once.
 */
function compiledOnce(db: Connection): Connection {
  const prepare = db.prepare.bind(db) as (sql: string) => unknown;
  db.prepare = ((sql: string) => prepare(sql.replace(/'[^']*'|--[^\n]*|\?/g, (part) => (part === '?' ? '+?' : part)))) as typeof db.prepare;
  return db;
}

/**
 * Every commit on it is on the disk before it returns: WAL with a sync of the log at each commit; on macOS, where
 * fsync stops at the drive's cache, with F_FULLFSYNC.
 */
export function openWriting(path: string): Connection {
  const db = new Database(path, { fileMustExist: true, timeout: 0 });
  // Functions that do more than compute are not for what a file brings along (https://sqlite.org/security.html).
  db.pragma('trusted_schema = OFF');
  db.pragma('foreign_keys = ON');
  db.pragma('synchronous = FULL');
  db.pragma('fullfsync = 1');
  db.pragma('checkpoint_fullfsync = 1');
  db.pragma('cache_size = -16000');
  db.pragma('temp_store = MEMORY');
  db.pragma(`wal_autocheckpoint = ${checkpointPages}`);
  db.pragma('journal_size_limit = 67108864');
  return compiledOnce(db);
}

/** Sees what is committed, which here means what is on the disk. */
export function openReading(path: string): Connection {
  const db = new Database(path, { readonly: true, fileMustExist: true, timeout: 1000 });
  db.pragma('trusted_schema = OFF');
  db.pragma('cache_size = -4000');
  db.pragma('temp_store = MEMORY');
  return compiledOnce(db);
}
