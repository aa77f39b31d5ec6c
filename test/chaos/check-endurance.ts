/** What both stopped nodes have of every invocation of an endurance run: all of them, each once, each whole. */
import { readFileSync } from 'node:fs';
import Database from 'better-sqlite3';
import type { Verdict } from './verdict.ts';

/** All that was asked one way. */
export interface Way {
  readonly origin: Ledgered;
  readonly owner: Ledgered;
  /** Each was answered with one of these. */
  readonly acknowledged: ReadonlySet<string>;
  readonly count: number;
  /** A line a run: the number of the task. */
  readonly ledgerPath: string;
}

interface Ledgered {
  readonly name: string;
  readonly nodeId: string;
  readonly databasePath: string;
}

interface Row {
  readonly id: string;
  readonly state: string;
  readonly run: number;
  readonly last_seq: number;
  readonly acked_seq: number | null;
  readonly events: number;
  readonly lowest: number | null;
  readonly highest: number | null;
  readonly starts: number;
  readonly ends: number;
}

const rowsOf = `
SELECT f.invocation_id AS id, f.state, f.run, f.last_seq, f.acked_seq, count(e.seq) AS events, min(e.seq) AS lowest, max(e.seq) AS highest,
  coalesce(sum(e.kind = 'started'), 0) AS starts, coalesce(sum(e.kind = 'finished'), 0) AS ends
FROM flights f LEFT JOIN flight_events e ON e.invocation_id = f.invocation_id
WHERE f.origin = (SELECT number FROM nodes WHERE id = ?) GROUP BY f.invocation_id`;

export function checkEndurance(way: Way, verdict: Verdict): void {
  const { origin, owner, acknowledged, count } = way;
  const evidence = { from: origin.name, to: owner.name };
  verdict.that('G1', 'everything that was asked for was acknowledged, each under an id of its own', acknowledged.size === count, () => ({ ...evidence, count, acknowledged: acknowledged.size }));
  const sides = [origin, owner].map((node) => open(node, (db) => {
    const rows = new Map(db.prepare<[string], Row>(rowsOf).all(origin.nodeId).map((row) => [row.id, row]));
    for (const row of rows.values()) checkRow(row, { ...evidence, at: node.name }, verdict);
    return rows;
  }));
  for (const [index, rows] of sides.entries()) {
    const at = index === 0 ? 'origin' : 'owner';
    verdict.that('G3', `the ${at} has as many as were asked for`, rows.size === count, () => ({ ...evidence, at, count, has: rows.size }));
    for (const id of acknowledged) verdict.that('G1', `the ${at} has everything that was acknowledged`, rows.has(id), () => ({ ...evidence, id }));
  }
  const [atOrigin, atOwner] = sides;
  for (const [id, row] of atOrigin ?? []) {
    verdict.that('G6', 'the origin has every event that the owner has', row.last_seq === atOwner?.get(id)?.last_seq, () => ({ ...evidence, row, owner: atOwner?.get(id) }));
  }
  for (const row of atOwner?.values() ?? []) {
    verdict.that('G6', 'the owner knows that the origin has all of it', (row.acked_seq ?? -1) >= row.last_seq, () => ({ ...evidence, row }));
  }
  checkFacts(way, verdict);
  checkLedger(way, verdict);
}

function checkRow(row: Row, at: object, verdict: Verdict): void {
  verdict.that('G5', 'every flight has completed, on both sides', row.state === 'completed', () => ({ ...at, row }));
  verdict.that('G4', 'every flight has one run, started once and finished once', row.run === 1 && row.starts === 1 && row.ends === 1, () => ({ ...at, row }));
  verdict.that('G6', 'the events of a flight are numbered from 1 without a gap', row.lowest === 1 && row.highest === row.last_seq && row.events === row.last_seq, () => ({ ...at, row }));
}

/** Facts are never changed or removed: what happened twice is there twice. */
function checkFacts({ origin, owner, count }: Way, verdict: Verdict): void {
  const expected = [[origin, 'invocation.accepted'], [origin, 'delivery.received'], [origin, 'flight.finished'], [owner, 'invocation.received'], [owner, 'flight.started'], [owner, 'flight.finished']] as const;
  for (const [node, what] of expected) {
    open(node, (db) => {
      const facts = db.prepare<[string, string], { facts: number; ids: number }>(`
        SELECT count(*) AS facts, count(DISTINCT e.invocation_id) AS ids FROM events e JOIN flights f ON f.invocation_id = e.invocation_id
        WHERE e.what = ? AND f.origin = (SELECT number FROM nodes WHERE id = ?)`).get(what, origin.nodeId);
      verdict.that('G7', `there is one ${what} of each at its ${node === origin ? 'origin' : 'owner'}`, facts?.facts === count && facts.ids === count, () => ({ from: origin.name, to: owner.name, ...facts }));
    });
  }
  open(origin, (db) => {
    // A receipt that comes with the next link belongs to an attempt that was lost with the last one.
    const all = db.prepare<[string], { deliveries: number; received: number; open: number; twice: number }>(`
      SELECT count(*) AS deliveries, sum(status = 'received') AS received, sum(open) AS open, sum(received > 1) AS twice FROM (
        SELECT d.status, sum(a.ended_at_ms IS NULL) AS open, sum(a.outcome = 'received') AS received
        FROM deliveries d JOIN flights f ON f.invocation_id = d.invocation_id JOIN delivery_attempts a ON a.invocation_id = d.invocation_id
        WHERE f.origin = (SELECT number FROM nodes WHERE id = ?) GROUP BY d.invocation_id)`).get(origin.nodeId);
    verdict.that('G7', 'every delivery was received, its attempts are over, and one at most was answered', all?.deliveries === count && all.received === count && all.open === 0 && all.twice === 0, () => ({ from: origin.name, count, ...all }));
  });
}

/** What the agents did in the world. */
function checkLedger({ origin, count, ledgerPath }: Way, verdict: Verdict): void {
  const runs = new Map<string, number>();
  for (const line of readFileSync(ledgerPath, 'utf8').split('\n').slice(0, -1)) runs.set(line, (runs.get(line) ?? 0) + 1);
  for (let number = 0; number < count; number += 1) {
    verdict.that('G4', 'every task was done once, in the world', runs.get(String(number)) === 1, () => ({ from: origin.name, number, times: runs.get(String(number)) ?? 0 }));
  }
  verdict.that('G4', 'nothing was done that nobody asked for', runs.size === count, () => ({ from: origin.name, count, done: runs.size }));
}

function open<Result>({ databasePath }: Ledgered, use: (db: Database.Database) => Result): Result {
  const db = new Database(databasePath, { readonly: true, fileMustExist: true });
  try {
    return use(db);
  } finally {
    db.close();
  }
}
