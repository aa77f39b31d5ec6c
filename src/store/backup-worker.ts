/** The thread of one backup: it reads one moment of the database, whatever is written meanwhile, and holds up nobody. */
import { closeSync, fdatasyncSync, fsyncSync, lstatSync, openSync, rmSync, statSync } from 'node:fs';
import { constants, setPriority } from 'node:os';
import { dirname, isAbsolute } from 'node:path';
import { parentPort, workerData } from 'node:worker_threads';
import type { FlightState } from '../domain/flight.ts';
import { BrokerError, conflict, internal, invalid, toBrokerError, unavailable } from '../domain/errors.ts';
import type { BackupReport } from '../domain/store-port.ts';
import { openReading, openWriting } from './connection.ts';
import type { Connection } from './connection.ts';
import { failure } from './group-commit.ts';
import { versionOf } from './migrations.ts';
import { packAnswers, unpackRequests } from './parcel.ts';
import type { FromWorker, ToWorker } from './protocol.ts';
import { copiedKey } from './rollback.ts';
import { fromSqlite } from './sqlite-errors.ts';

const port = parentPort;
if (port === null) throw internal('a backup runs as a worker only');
const post = (message: FromWorker): void => {
  port.postMessage(message);
};

/**
 * Linux gives this thread a tenth of a processor that others want too: to it a thread is a process with a priority of its own
 * (setpriority(2), "C library/kernel differences"). Elsewhere it would be the whole process, and nothing is changed.
 */
function giveWay(): void {
  if (process.platform === 'linux') setPriority(0, constants.priority.PRIORITY_BELOW_NORMAL);
}

/** The file is there, whole, checked and on the disk when this returns; after an error there is none. */
async function backUp(db: Connection, path: string): Promise<BackupReport> {
  make(path);
  try {
    await copy(db, path);
    mark(path);
    sync(path);
    sync(dirname(path));
    return check(path);
  } catch (thrown) {
    rmSync(path, { force: true });
    throw thrown;
  }
}

/** Pages copied at once, 1 MiB; and between two such steps this thread rests. */
const pagesAtOnce = 256;
const restMs = 3;
/** Steps after which what was written is brought to the disk: all at the end would make the commits of others wait. */
const stepsASync = 16;

/**
 * Page by page, in one read transaction: it is the moment that is copied, whatever is written meanwhile
 * (https://sqlite.org/backup.html). While it lasts the log can't be emptied into the database, so it is kept short: what
 * takes longer is done with the copy.
 */
async function copy(db: Connection, path: string): Promise<void> {
  const file = openSync(path, 'r');
  const rest = new Int32Array(new SharedArrayBuffer(4));
  let steps = 0;
  db.exec('BEGIN');
  try {
    db.prepare('SELECT count(*) FROM sqlite_schema').get();
    await db.backup(path, {
      progress: () => {
        steps += 1;
        if (steps % stepsASync === 0) fdatasyncSync(file);
        Atomics.wait(rest, 0, 0, restMs);
        return pagesAtOnce;
      },
    });
  } finally {
    db.exec('ROLLBACK');
    closeSync(file);
  }
}

/** The copy is made into a file that is there and empty: made here, it is never readable by others. */
function make(path: string): void {
  if (!isAbsolute(path)) throw invalid(`the path of a backup is absolute, and ${path} is not`);
  if (lstatSync(path, { throwIfNoEntry: false }) !== undefined) throw conflict(`${path} exists already`, 'name a file that does not: a backup is never written over');
  try {
    closeSync(openSync(path, 'wx', 0o600));
  } catch (thrown) {
    const code = thrown instanceof Error && 'code' in thrown ? String(thrown.code) : '';
    if (code === 'EEXIST') throw conflict(`${path} exists already`, 'name a file that does not: a backup is never written over');
    if (code === 'ENOENT' || code === 'ENOTDIR') throw new BrokerError('invalid', `there is no directory ${dirname(path)}`, { cause: thrown });
    throw unavailable(`${path} can't be made: ${thrown instanceof Error ? thrown.message : String(thrown)}`);
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
  const { path } = workerData as { path: string };
  const db = openReading(path);
  port.on('message', (message: ToWorker) => {
    if (message === 'close') {
      db.close();
      port.close();
      return;
    }
    for (const { id, input } of unpackRequests(message)) {
      backUp(db, input as string).then(
        (value) => post(packAnswers([{ id, value }])),
        (thrown: unknown) => post(packAnswers([failure(id, fromSqlite(thrown, 'the backup'))])),
      );
    }
  });
  post('ready');
} catch (thrown) {
  post({ failed: toBrokerError(thrown).toInfo() });
  port.close();
}
