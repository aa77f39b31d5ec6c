/** The writer of the floor: three rows an item, all that waits in one commit, which is on the disk before its items are acknowledged. */
import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import Database from 'better-sqlite3';

/** The number by which its sender knows an item, and the item itself. */
export type Item = readonly [number: number, content: Uint8Array];

const port = parentPort!;
const db = new Database(workerData as string);
db.pragma('journal_mode = WAL');
db.pragma('synchronous = FULL');
db.pragma('fullfsync = 1');
db.exec(`
  CREATE TABLE items (id TEXT PRIMARY KEY, content BLOB NOT NULL) STRICT, WITHOUT ROWID;
  CREATE TABLE states (id TEXT PRIMARY KEY, state TEXT NOT NULL, at_ms INTEGER NOT NULL) STRICT, WITHOUT ROWID;
  CREATE INDEX states_by_state ON states (state, id);
  CREATE TABLE facts (number INTEGER PRIMARY KEY, id TEXT NOT NULL, what TEXT NOT NULL, at_ms INTEGER NOT NULL) STRICT;
`);
const item = db.prepare('INSERT INTO items (id, content) VALUES (?, ?)');
const state = db.prepare('INSERT INTO states (id, state, at_ms) VALUES (?, ?, ?)');
const fact = db.prepare('INSERT INTO facts (id, what, at_ms) VALUES (?, ?, ?)');
const [begin, commit, savepoint, release] = ['BEGIN IMMEDIATE', 'COMMIT', 'SAVEPOINT member', 'RELEASE member'].map((sql) => db.prepare(sql));
let count = 0;

function write(content: Uint8Array): void {
  savepoint?.run();
  const [id, atMs] = [`itm_${String(count).padStart(26, '0')}`, Date.now()];
  count += 1;
  item.run(id, content);
  state.run(id, 'queued', atMs);
  fact.run(id, 'accepted', atMs);
  release?.run();
}

port.on('message', (first: readonly Item[]) => {
  const items = [...first];
  for (let next = receiveMessageOnPort(port); next !== undefined; next = receiveMessageOnPort(port)) items.push(...(next.message as readonly Item[]));
  begin?.run();
  for (const [, content] of items) write(content);
  commit?.run();
  port.postMessage(items.map(([number]) => number));
});
port.postMessage('ready');
