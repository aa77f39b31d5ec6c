/** The thread that commits for the accept floor: all that arrived while the last commit synced shares the next. */
import Database from 'better-sqlite3';
import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads';

const port = parentPort;
if (port === null) throw new Error('it runs as a worker');
const { database } = workerData as { readonly database: string };
const db = new Database(database);
for (const pragma of ['journal_mode = WAL', 'synchronous = FULL', 'fullfsync = ON']) db.pragma(pragma);
db.exec(`
  CREATE TABLE invocations (id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE);
  CREATE TABLE payloads (id INTEGER PRIMARY KEY, task BLOB NOT NULL);
  CREATE TABLE flights (id INTEGER PRIMARY KEY, state TEXT NOT NULL, accepted_at_ms INTEGER NOT NULL);
  CREATE INDEX flights_by_state ON flights (state, accepted_at_ms);`);
const [begin, commit, savepoint, release] = ['BEGIN IMMEDIATE', 'COMMIT', 'SAVEPOINT member', 'RELEASE member'].map((sql) => db.prepare(sql)) as [Database.Statement, Database.Statement, Database.Statement, Database.Statement];
const invocation = db.prepare('INSERT INTO invocations (id, key) VALUES (?, ?)');
const payload = db.prepare('INSERT INTO payloads (id, task) VALUES (?, ?)');
const flight = db.prepare("INSERT INTO flights (id, state, accepted_at_ms) VALUES (?, 'queued', ?)");
const waiting: Uint8Array[] = [];
let last = 0;

/** Of one commit, at most. */
const mostMembers = 512;

function commitBatch(): void {
  const tasks = waiting.splice(0, mostMembers);
  begin.run();
  for (const task of tasks) {
    savepoint.run();
    last += 1;
    // Keys that callers choose come in no order.
    invocation.run(last, `${(last * 2_654_435_761) % 4_294_967_296}-${last}`);
    payload.run(last, task);
    flight.run(last, Date.now());
    release.run();
  }
  commit.run();
  port?.postMessage(tasks.length);
}

function takeArrived(): void {
  for (let next = receiveMessageOnPort(port!); next !== undefined; next = receiveMessageOnPort(port!)) waiting.push(...(next.message as Uint8Array[]));
}

port.on('message', (tasks: Uint8Array[]) => {
  waiting.push(...tasks);
  takeArrived();
  while (waiting.length > 0) {
    commitBatch();
    takeArrived();
  }
});
port.postMessage('ready');
