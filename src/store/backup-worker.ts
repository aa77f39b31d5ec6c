/** The thread of one backup, which is told by the store's own when to do what. */
import { closeSync, fsyncSync, lstatSync, openSync, renameSync, rmSync, statSync } from 'node:fs';
import { constants, setPriority } from 'node:os';
import { dirname, isAbsolute } from 'node:path';
import { parentPort, workerData } from 'node:worker_threads';
import type { FlightState } from '../domain/flight.ts';
import { BrokerError, conflict, internal, invalid, toBrokerError, unavailable } from '../domain/errors.ts';
import type { BackupReport } from '../domain/store-port.ts';
import { codeOf, wordsOf } from '../domain/system-error.ts';
import { openReading, openWriting } from './connection.ts';
import type { Connection } from './connection.ts';
import { failure } from './group-commit.ts';
import { FileCopy, logOf } from './file-copy.ts';
import type { CopyStep } from './file-copy.ts';
import { versionOf } from './migrations.ts';
import { packAnswers, unpackRequests } from './parcel.ts';
import type { FromWorker, Request, ToWorker } from './protocol.ts';
import { copiedKey } from './rollback.ts';
import { fromSqlite } from './sqlite-errors.ts';

const port = parentPort;
if (port === null) throw internal('a backup runs as a worker only');
const post = (message: FromWorker): void => {
  port.postMessage(message);
};

/**
 * To Linux a thread is a process with a priority of its own (setpriority(2), "C library/kernel differences"): this one takes what
 * others leave. Elsewhere it would be the whole process, and nothing is changed.
 */
function giveWay(): void {
  if (process.platform === 'linux') setPriority(0, constants.priority.PRIORITY_LOW);
}

/** Done at once, MiB: what rests between the steps counts the way here and back, too; what holds its moment has no time for that. */
const blocksAStep = { copy: 4, match: 64 } as const;

/** The file is there, whole, checked and on the disk when `finish` returns; after an error there is none. */
class Backup {
  readonly #path: string;
  /** Under this name until it is whole: a node that dies before leaves nothing that looks like a backup. */
  readonly #partial: string;
  readonly #copy: FileCopy;

  constructor({ db, path, file, to }: { readonly db: Connection; readonly path: string; readonly file: number; readonly to: string }) {
    this.#path = to;
    this.#partial = `${to}.partial`;
    make(to);
    try {
      make(this.#partial);
      this.#copy = new FileCopy({ db, path, file, to: this.#partial, toLog: logOf(this.#partial) });
    } catch (thrown) {
      rmSync(to, { force: true });
      throw thrown;
    }
  }

  step(pass: 'copy' | 'match'): CopyStep {
    try {
      for (let blocks = 1; ; blocks += 1) {
        const step = this.#copy[pass]();
        if (step.isOver || blocks === blocksAStep[pass]) return step;
      }
    } catch (thrown) {
      this.#drop();
      throw notWritten(this.#path, thrown);
    }
  }

  finish(): BackupReport {
    try {
      this.#copy.close();
      mark(this.#partial);
      sync(this.#partial);
      const report = check(this.#partial);
      // Over the empty file that has kept the name.
      renameSync(this.#partial, this.#path);
      sync(dirname(this.#path));
      return { ...report, path: this.#path };
    } catch (thrown) {
      this.#drop();
      throw notWritten(this.#path, thrown);
    }
  }

  /** What it has of others' is given back, and nothing is left of it. */
  #drop(): void {
    this.#copy.close();
    for (const path of [this.#partial, logOf(this.#partial), `${this.#partial}-shm`, `${this.#partial}-journal`, this.#path]) rmSync(path, { force: true });
  }
}

function notWritten(path: string, thrown: unknown): unknown {
  const code = codeOf(thrown);
  if (thrown instanceof BrokerError || !/^E[A-Z]+$/.test(code)) return thrown;
  const hint = code === 'ENOSPC' || code === 'EDQUOT' ? 'make room, or write it to another disk' : undefined;
  return new BrokerError('unavailable', `the backup ${path} can’t be written: ${thrown instanceof Error ? thrown.message : code}`, { cause: thrown, ...(hint === undefined ? {} : { hint }) });
}

/** The copy is made into a file that is there and empty: made here, it is never readable by others. */
function make(path: string): void {
  if (!isAbsolute(path)) throw invalid(`the path of a backup is absolute, and ${path} is not`);
  if (lstatSync(path, { throwIfNoEntry: false }) !== undefined) throw conflict(`${path} exists already`, 'name a file that does not: a backup is never written over');
  try {
    closeSync(openSync(path, 'wx', 0o600));
  } catch (thrown) {
    const code = codeOf(thrown);
    if (code === 'EEXIST') throw conflict(`${path} exists already`, 'name a file that does not: a backup is never written over');
    if (code === 'ENOENT' || code === 'ENOTDIR') throw new BrokerError('invalid', `there is no directory ${dirname(path)}`, { cause: thrown });
    throw unavailable(`${path} can’t be made: ${wordsOf(thrown)}`);
  }
}

/** Whoever puts it back in place is to know that time has gone on since. */
function mark(path: string): void {
  const copy = openWriting(path);
  try {
    copy.prepare('INSERT INTO settings (key, value) VALUES (?, ?) ON CONFLICT (key) DO NOTHING').run(copiedKey, '');
    copy.pragma('journal_mode = DELETE');
  } finally {
    copy.close();
  }
}

function sync(path: string): void {
  const file = openSync(path, 'r');
  try {
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}

function check(path: string): BackupReport {
  const copy = openReading(path);
  try {
    // Of indexes only that they are sound: they are the store's, byte for byte, and comparing each entry takes three times as long.
    const found = String(copy.pragma('quick_check(1)', { simple: true }));
    if (found !== 'ok') throw unavailable(`the backup is damaged and was removed: ${found}`, 'is the disk sound?');
    if ((copy.pragma('foreign_key_check') as unknown[]).length > 0) throw unavailable('the backup has records that miss others, and was removed');
    const count = (table: string): number => (copy.prepare(`SELECT count(*) AS count FROM ${table}`).get() as { count: number }).count;
    const flights = copy.prepare('SELECT state, count FROM flight_counts WHERE count > 0').all() as { state: FlightState; count: number }[];
    const epoch = copy.prepare("SELECT value FROM settings WHERE key = 'boot_epoch'").get() as { value: string } | undefined;
    return {
      path,
      bytes: statSync(path).size,
      schemaVersion: versionOf(copy),
      epoch: Number(epoch?.value ?? 0),
      agents: count('agents'),
      members: count('members'),
      flights: Object.fromEntries(flights.map((each) => [each.state, each.count])),
    };
  } finally {
    copy.close();
  }
}

try {
  giveWay();
  const { path, file, to } = workerData as { path: string; file: number; to: string };
  const db = openReading(path);
  let backup: Backup | undefined;
  const answer = ({ name }: Request): unknown => {
    switch (name) {
      case 'begin':
        backup = new Backup({ db, path, file, to });
        return undefined;
      case 'copy':
      case 'match':
        return backup?.step(name);
      default:
        return backup?.finish();
    }
  };
  port.on('message', (message: ToWorker) => {
    if (message === 'close') {
      db.close();
      port.close();
      return;
    }
    for (const request of unpackRequests(message)) {
      try {
        post(packAnswers([{ id: request.id, value: answer(request) }]));
      } catch (thrown) {
        post(packAnswers([failure(request.id, fromSqlite(thrown, 'the backup'))]));
      }
    }
  });
  post('ready');
} catch (thrown) {
  post({ failed: toBrokerError(thrown).toInfo() });
  port.close();
}
