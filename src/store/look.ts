/**
 * A first look at a database file, which changes nothing: not its bytes, not its neighbours. What can't be used is
 * refused here, before anything is opened for writing.
 */
import { closeSync, fstatSync, lstatSync, openSync, readSync, rmSync, statSync } from 'node:fs';
import type { Stats } from 'node:fs';
import Database from 'better-sqlite3';
import { BrokerError, denied, unavailable } from '../domain/errors.ts';
import { flawOfPrivateFile } from '../domain/private-file.ts';
import { wordsOf } from '../domain/system-error.ts';
import { applicationId } from './connection.ts';
import { strangerIn } from './own-schema.ts';
import { fromSqlite, isSqliteError } from './sqlite-errors.ts';

const headerBytes = 100;
const magic = 'SQLite format 3\0';
/** A log left behind means that the last shutdown was unclean. Up to this size the whole file is checked then. */
const mostCheckedBytes = 32 * 1024 * 1024;

/**
 * @param newest the newest schema version that this program knows
 * @returns `none` when there is no file or an empty one, `older` when its schema is to be brought to the newest version
 * @throws BrokerError `denied` for another owner or a mode that lets others in, `incompatible` for a newer or foreign
 * database, `invalid` for a damaged one, `conflict` when another process holds it, `unavailable` when it can't be read
 */
export function look(path: string, newest: number): 'none' | 'ours' | 'older' {
  const stat = checkFile(path);
  if (stat === undefined || stat.size === 0) return 'none';
  const version = checkHeader(path, stat, newest);
  checkInside(path, stat);
  return version < newest ? 'older' : 'ours';
}

/**
 * The same look, and then all of it is read: for a node that is down.
 * @returns `none` when there is no file, `ok`, or the first thing that is wrong inside
 * @throws as `look` does
 */
export function examine(path: string, newest: number): string {
  if (look(path, newest) === 'none') return 'none';
  return inside(path, (db) => String(db.pragma('quick_check(1)', { simple: true })));
}

function checkFile(path: string): Stats | undefined {
  const stat = lstatSync(path, { throwIfNoEntry: false });
  if (stat === undefined) return undefined;
  const flaw = flawOfPrivateFile(path, stat, process.getuid?.());
  if (flaw !== undefined) throw denied(`the database ${path} is refused: ${flaw.why}`, flaw.hint);
  return stat;
}

/** The header of the main file, as https://sqlite.org/fileformat2.html gives it. Migrations keep its version true. */
function checkHeader(path: string, stat: Stats, newest: number): number {
  const header = readHeader(path);
  if (header.length < headerBytes || header.toString('latin1', 0, 16) !== magic) throw damaged(path, 'it is not a SQLite database');
  const application = header.readUInt32BE(68);
  if (application !== applicationId) throw foreign(path);
  const version = header.readUInt32BE(60);
  if (version > newest) {
    throw new BrokerError('incompatible', `the database ${path} has schema version ${version}, and this program knows versions up to ${newest}`, {
      hint: 'run the newer beckon that wrote it, or restore the backup beside it',
      detail: { version: String(version), newest: String(newest) },
    });
  }
  const rawPageSize = header.readUInt16BE(16);
  const pageSize = rawPageSize === 1 ? 65_536 : rawPageSize;
  const isCountValid = header.readUInt32BE(24) === header.readUInt32BE(92);
  const promised = header.readUInt32BE(28) * pageSize;
  if (isCountValid && promised > stat.size && !hasLog(path)) {
    throw damaged(path, `it has ${stat.size} bytes where its header promises ${promised}`);
  }
  return version;
}

function readHeader(path: string): Buffer {
  const buffer = Buffer.alloc(headerBytes);
  try {
    const file = openSync(path, 'r');
    try {
      return buffer.subarray(0, fstatSync(file).isFile() ? readSync(file, buffer, 0, headerBytes, 0) : 0);
    } finally {
      closeSync(file);
    }
  } catch (thrown) {
    throw unavailable(`the database ${path} can’t be read: ${wordsOf(thrown)}`);
  }
}

/** Opens it without writing: reads the schema and asks for the lock that writing needs. */
function checkInside(path: string, stat: Stats): void {
  inside(path, (db, log) => {
    const stranger = strangerIn(db);
    if (stranger !== undefined) throw damaged(path, `${stranger} in it is none of beckon’s`);
    if (log && stat.size <= mostCheckedBytes) {
      const found = String(db.pragma('quick_check(1)', { simple: true }));
      if (found !== 'ok') throw damaged(path, found);
    }
    if (!log) db.exec('BEGIN IMMEDIATE; ROLLBACK');
  });
}

/** Leaves the neighbours of the file as they were. @throws BrokerError */
export function inside<Found>(path: string, read: (db: Database.Database, log: boolean) => Found): Found {
  const log = hasLog(path);
  const hadIndex = isThere(`${path}-shm`);
  let db: Database.Database | undefined;
  try {
    db = opened(path, log);
    return read(db, log);
  } catch (thrown) {
    throw refusal(path, thrown);
  } finally {
    closed(path, db, log && !hadIndex);
  }
}

/**
 * For reads of a node that is down, under its lock. @returns undefined where there is no database, or one of an older version
 * @throws as `look` does
 */
export async function peek<Found>(path: string, newest: number, read: (db: Database.Database) => Promise<Found>): Promise<Found | undefined> {
  if (look(path, newest) === 'none') return undefined;
  const log = hasLog(path);
  const hadIndex = isThere(`${path}-shm`);
  let db: Database.Database | undefined;
  try {
    db = opened(path, log);
    return Number(db.pragma('user_version', { simple: true })) < newest ? undefined : await read(db);
  } catch (thrown) {
    throw refusal(path, thrown);
  } finally {
    closed(path, db, log && !hadIndex);
  }
}

/** A connection that may write takes its neighbours away when it closes, but would also empty a log into the file. */
function opened(path: string, log: boolean): Database.Database {
  return new Database(path, { readonly: log, fileMustExist: true, timeout: 0 });
}

function closed(path: string, db: Database.Database | undefined, madeIndex: boolean): void {
  db?.close();
  if (madeIndex) rmSync(`${path}-shm`, { force: true });
}

export function refusal(path: string, thrown: unknown): BrokerError {
  if (isSqliteError(thrown) && /^SQLITE_(BUSY|LOCKED)/.test(thrown.code)) {
    return new BrokerError('conflict', `the database ${path} is in use by another process`, {
      hint: 'close the program that has it open', cause: thrown,
    });
  }
  if (isSqliteError(thrown) && /^SQLITE_(CORRUPT|NOTADB|ERROR)/.test(thrown.code)) return damaged(path, thrown.message, thrown);
  return fromSqlite(thrown, `opening the database ${path}`);
}

function hasLog(path: string): boolean {
  return (statSync(`${path}-wal`, { throwIfNoEntry: false })?.size ?? 0) > 0;
}

function isThere(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false }) !== undefined;
}

function damaged(path: string, why: string, cause?: unknown): BrokerError {
  return new BrokerError('invalid', `the database ${path} is damaged: ${why}`, {
    hint: 'it was left as it is: restore a backup, or move it away to begin anew', cause,
  });
}

function foreign(path: string): BrokerError {
  return new BrokerError('incompatible', `the database ${path} is not one of beckon’s`, {
    hint: 'it was left as it is: move it away',
  });
}
