/** The process behind `Watch`: read-only connections to the databases of all nodes, looked at every few milliseconds. */
import Database from 'better-sqlite3';
import type { Question, Reply, WatchedDatabase } from './watch.ts';

/** How late a change may be noticed, ms; a whole registry, in rounds of that. */
const everyMs = 3;
const roundsForCounts = 30;

interface Open {
  readonly nodeId: string;
  /** Grows with each commit of the node. */
  readonly version: () => unknown;
  readonly number: (nodeId: string) => number | undefined;
  readonly row: (node: number, address: string) => { readonly available: number } | undefined;
  readonly counts: () => { readonly registrations: number; readonly members: number };
  readonly close: () => void;
}

interface Look {
  readonly question: Extract<Question, { type: 'row' | 'count' }>;
  readonly untilMs: number;
  readonly missing: Map<Open, unknown>;
  readonly atMs: number[];
}

const open = new Map<string, Open>();
const looks = new Set<Look>();

function opened({ path, nodeId }: WatchedDatabase): Open {
  const db = new Database(path, { readonly: true, fileMustExist: true, timeout: 5000 });
  const version = db.prepare('PRAGMA data_version').pluck();
  const number = db.prepare<[string], { number: number }>('SELECT number FROM nodes WHERE id = ?');
  const row = db.prepare<[number, string], { available: number }>('SELECT available FROM registrations WHERE node = ? AND address = ?');
  const counts = db.prepare<[string, string], { registrations: number; members: number }>(`
    SELECT (SELECT count(*) FROM registrations WHERE node <> (SELECT number FROM nodes WHERE id = ?)) AS registrations,
      (SELECT count(*) FROM members WHERE node <> (SELECT number FROM nodes WHERE id = ?)) AS members`);
  const numbers = new Map<string, number>();
  return {
    nodeId,
    version: () => version.get(),
    number: (of) => {
      const known = numbers.get(of) ?? number.get(of)?.number;
      if (known !== undefined) numbers.set(of, known);
      return known;
    },
    row: (node, address) => row.get(node, address),
    counts: () => counts.get(nodeId, nodeId) ?? { registrations: 0, members: 0 },
    close: () => db.close(),
  };
}

function isThere(database: Open, question: Look['question']): boolean {
  if (question.type === 'count') {
    const { registrations, members } = database.counts();
    return registrations === question.registrations && members === question.members;
  }
  const node = database.number(question.owner);
  const row = node === undefined ? undefined : database.row(node, question.address);
  switch (question.wanted) {
    case 'present':
      return row !== undefined;
    case 'absent':
      return row === undefined;
    case 'available':
      return row?.available === 1;
    case 'unavailable':
      return row?.available === 0;
  }
}

function reply(message: Reply): void {
  process.send?.(message);
}

function look(each: Look, versions: ReadonlyMap<Open, unknown>): void {
  const { question, missing, atMs } = each;
  for (const [database, seen] of missing) {
    const version = versions.get(database);
    if (version === seen) continue;
    missing.set(database, version);
    if (!isThere(database, question)) continue;
    missing.delete(database);
    atMs.push(Number(process.hrtime.bigint()) / 1e6);
  }
  if (missing.size === 0) reply({ type: 'seen', id: question.id, atMs });
  else if (performance.now() > each.untilMs) reply({ type: 'late', id: question.id, missing: [...missing.keys()].map(({ nodeId }) => nodeId) });
  else return;
  looks.delete(each);
}

let rounds = 0;

function round(): void {
  rounds += 1;
  const due = [...looks].filter(({ question }) => question.type === 'row' || rounds % roundsForCounts === 0);
  const versions = new Map<Open, unknown>();
  for (const { missing } of due) for (const database of missing.keys()) if (!versions.has(database)) versions.set(database, database.version());
  for (const each of due) look(each, versions);
  setTimeout(round, everyMs);
}

process.on('message', (question: Question) => {
  const { type, id } = question;
  switch (type) {
    case 'open':
      for (const database of question.databases) {
        open.get(database.nodeId)?.close();
        open.set(database.nodeId, opened(database));
      }
      break;
    case 'forget':
      open.get(question.nodeId)?.close();
      open.delete(question.nodeId);
      break;
    case 'row':
    case 'count': {
      const of = [...open.values()].filter(({ nodeId }) => (type === 'row' ? nodeId !== question.owner : question.only === undefined || nodeId === question.only));
      looks.add({ question, untilMs: performance.now() + question.timeoutMs, missing: new Map(of.map((database) => [database, undefined])), atMs: [] });
      break;
    }
  }
  reply({ type: 'watching', id });
});
process.on('disconnect', () => process.exit(0));
round();
