/** The schema's versions, and the way from an older one to the newest. */
import { createHash } from 'node:crypto';
import { existsSync, openSync, closeSync, statSync } from 'node:fs';
import Database from 'better-sqlite3';
import { internal, invalid } from '../domain/errors.ts';
import { applicationId } from './connection.ts';
import type { Connection } from './connection.ts';
import { schema0001 } from './schema-0001.ts';
import { schema0002 } from './schema-0002.ts';
import { schema0003 } from './schema-0003.ts';
import { schema0004 } from './schema-0004.ts';
import { schema0005 } from './schema-0005.ts';
import { schema0006 } from './schema-0006.ts';
import { schema0007 } from './schema-0007.ts';
import { schema0008 } from './schema-0008.ts';
import { schema0009 } from './schema-0009.ts';
import { schema0010 } from './schema-0010.ts';
import { schema0011 } from './schema-0011.ts';
import { schema0012 } from './schema-0012.ts';
import { schema0013 } from './schema-0013.ts';
import { schema0014 } from './schema-0014.ts';
import { schema0015 } from './schema-0015.ts';
import { schema0016 } from './schema-0016.ts';
import { schema0017 } from './schema-0017.ts';
import { schema0018 } from './schema-0018.ts';
import { schema0019 } from './schema-0019.ts';
import { schema0020 } from './schema-0020.ts';
import { schema0021 } from './schema-0021.ts';

/** Entry n leads from version n to n + 1. Never edited once released: a change is a new entry. */
export const migrations: readonly string[] = [schema0001, schema0002, schema0003, schema0004, schema0005, schema0006, schema0007, schema0008, schema0009, schema0010, schema0011, schema0012, schema0013, schema0014, schema0015, schema0016, schema0017, schema0018, schema0019, schema0020, schema0021];

export const schemaVersion = migrations.length;

export function versionOf(db: Connection): number {
  return Number(db.pragma('user_version', { simple: true }));
}

/**
 * Brings the database to the newest version, a transaction a step. A database that holds anything is copied first, to
 * a file beside it. Outside WAL while it lasts, so that the version in the file's header is never behind the log.
 * @param tell is told what takes its time, before it is begun, and at the end where the copy is
 * @returns the path of the backup, when there was something to back up and to change
 */
export function migrate(db: Connection, path: string, steps: readonly string[] = migrations, tell: (text: string) => void = () => undefined): string | undefined {
  const from = versionOf(db);
  if (from > steps.length) throw internal(`schema version ${from} is not known`);
  let backup: string | undefined;
  if (from < steps.length) {
    if (from > 0) backup = backUp(db, path, from, (to) => tell(`the store is of version ${from} and becomes one of version ${steps.length}: first a copy of it, ${megabytes(path)} MB, is made at ${to}`));
    db.pragma('journal_mode = DELETE');
    prepareSteps(db);
    for (const [index, sql] of steps.entries()) {
      if (index >= from) step(db, sql, index + 1);
    }
    if (backup !== undefined) tell(`the store is of version ${steps.length} now; a copy of it as it was: ${backup}`);
  }
  db.pragma('journal_mode = WAL');
  return backup;
}

/**
 * That it has the tables of the version that it names: the next step would fail on any others, with a part of the way gone.
 * @throws BrokerError `invalid`, before anything is changed
 */
export function checkSchema(db: Connection, steps: readonly string[]): void {
  const version = versionOf(db);
  const own = new Database(':memory:');
  try {
    prepareSteps(own);
    for (const sql of steps.slice(0, version)) own.exec(sql);
    if (schemaOf(own) !== schemaOf(db)) throw invalid(`the database says that it is of version ${version}, and has other tables than that version`, 'it was left as it is: restore a backup, or move it away to begin anew');
  } finally {
    own.close();
  }
}

/** What SQLite itself adds, as for its statistics, is left out. */
function schemaOf(db: Connection): string {
  return JSON.stringify(db.prepare("SELECT type, name, tbl_name, sql FROM sqlite_schema WHERE name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY type, name").raw().all());
}

function prepareSteps(db: Connection): void {
  db.function('sha256', { deterministic: true, directOnly: true }, (content) => createHash('sha256').update(content as Uint8Array).digest('hex'));
}

function step(db: Connection, sql: string, version: number): void {
  db.transaction(() => {
    db.exec(sql);
    db.pragma(`application_id = ${applicationId}`);
    db.pragma(`user_version = ${version}`);
  }).exclusive();
}

const megabytes = (path: string): number => Math.ceil(statSync(path).size / 1e6);

function backUp(db: Connection, path: string, version: number, begun: (path: string) => void): string {
  let backup = `${path}.v${version}.backup`;
  for (let count = 2; existsSync(backup); count += 1) backup = `${path}.v${version}-${count}.backup`;
  begun(backup);
  // VACUUM INTO takes an empty file as it is: made here, it is never readable by others.
  closeSync(openSync(backup, 'wx', 0o600));
  db.prepare('VACUUM INTO ?').run(backup);
  return backup;
}
