/** What benches and tests start from: a store as a node leaves it after a year. */
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { flightOfInvocation } from '../../../src/domain/ids.ts';
import type { InvocationId } from '../../../src/domain/ids.ts';
import type { Connection } from '../../../src/store/connection.ts';
import { openDatabase } from '../../../src/store/open-database.ts';
import { readerOver } from '../../../src/store/reader.ts';
import { withoutIndexes } from '../../bench/stored/copies.ts';
import { storeHistory } from '../../bench/stored/history.ts';
import type { Stored } from '../../bench/stored/history.ts';
import { auditSealOf, nodeIdFor, openTempStore, Story, textTask } from '../../support/temp-store.ts';
import type { TempStore } from '../../support/temp-store.ts';
import { scratchDirectory } from './scratch.ts';

const me = nodeIdFor(1);
const nowMs = 1_800_000_000_000;
const dayMs = 24 * 3_600_000;
const history = { nodeId: me, nodeName: 'laptop', nowMs };

function filled(invocations: number): { db: Connection; stored: Stored; path: string } {
  const path = join(scratchDirectory(), 'beckon.db');
  const stored = storeHistory({ ...history, path, invocations });
  return { db: openDatabase(path), stored, path };
}

const one = (db: Connection, sql: string): number => Number(db.prepare(sql).pluck().get());
const schemaOf = (db: Connection): unknown => db.prepare('SELECT type, name, sql FROM sqlite_schema ORDER BY type, name').all();

describe('a stored history', () => {
  test('is whole: every reference leads somewhere, and the sums that a store keeps are those of its rows', () => {
    const { db, stored } = filled(3000);
    expect(stored.invocations).toBe(3000);
    expect(db.pragma('foreign_key_check')).toEqual([]);
    expect(db.pragma('integrity_check', { simple: true })).toBe('ok');
    expect(one(db, 'SELECT count(*) FROM invocations')).toBe(3000);
    expect(one(db, 'SELECT bytes FROM stored_sum')).toBe(one(db, 'SELECT sum(stored_bytes) FROM flights'));
    expect(one(db, 'SELECT bytes FROM stored_sum')).toBe(one(db, `SELECT (SELECT sum(length(text)) FROM payloads) + (SELECT sum(length(bytes)) FROM flight_events)`));
    const counts = db.prepare('SELECT state, count FROM flight_counts WHERE count > 0 ORDER BY state').all();
    expect(counts).toEqual(db.prepare('SELECT state, count(*) AS count FROM flights GROUP BY state ORDER BY state').all());
    expect(one(db, 'SELECT count(*) FROM flights f WHERE last_seq <> (SELECT count(*) FROM flight_events e WHERE e.invocation_id = f.invocation_id)')).toBe(0);
    expect(one(db, 'SELECT count(*) FROM flights WHERE substr(invocation_id, -4) IN (SELECT substr(invocation_id, -4) FROM flights GROUP BY 1 HAVING count(*) > 3)')).toBe(0);
    expect(one(db, "SELECT count(*) FROM invocations WHERE root_id <> id AND parent_id IS NULL OR (SELECT p.root_id FROM invocations p WHERE p.id = invocations.parent_id) <> root_id")).toBe(0);
    expect(one(db, "SELECT count(*) FROM flights WHERE session_id IS NOT NULL AND owned = 1 AND session_id NOT IN (SELECT id FROM agent_sessions)")).toBe(0);
    expect(schemaOf(db)).toEqual(schemaOf(openDatabase(join(scratchDirectory(), 'empty.db'))));
    db.close();
  });

  test('has all kinds, five events each, over the whole year and nothing in the future', () => {
    const { db, stored } = filled(3000);
    expect(stored.events / stored.invocations).toBeGreaterThan(4.5);
    expect(stored.events / stored.invocations).toBeLessThan(5.5);
    expect(db.prepare('SELECT state FROM flight_counts WHERE count > 0 ORDER BY state').pluck().all()).toEqual(['cancelled', 'completed', 'expired', 'failed', 'indeterminate', 'queued', 'running', 'waiting']);
    expect(db.prepare('SELECT DISTINCT status FROM deliveries ORDER BY 1').pluck().all()).toEqual(['cancelled', 'dead', 'deferred', 'received', 'rejected', 'sent']);
    expect(one(db, 'SELECT count(DISTINCT peer) FROM flights')).toBe(6);
    expect(one(db, "SELECT count(*) FROM flights WHERE agent = 'once'")).toBe(1);
    for (const what of ['parent_id IS NOT NULL', 'group_id IS NOT NULL']) expect(one(db, `SELECT count(*) FROM invocations WHERE ${what}`)).toBeGreaterThan(10);
    for (const table of ['agent_sessions', 'replies', 'idempotency']) expect(one(db, `SELECT count(*) FROM ${table}`)).toBeGreaterThan(10);
    expect(one(db, 'SELECT min(accepted_at_ms) FROM flights')).toBeLessThan(nowMs - 359 * dayMs);
    const latest = one(db, 'SELECT max(at_ms) FROM events');
    expect(latest).toBeGreaterThan(nowMs - 3_600_000);
    expect(latest).toBeLessThan(nowMs);
    expect(one(db, "SELECT count(*) FROM flights WHERE finished_at_ms IS NULL AND total_until_ms < " + nowMs)).toBe(0);
    expect(one(db, `SELECT count(*) FROM flights WHERE stored_bytes > 0 AND finished_at_ms < ${nowMs - 31 * dayMs}`)).toBe(0);
    expect(one(db, `SELECT count(*) FROM flights WHERE stored_bytes = 0 AND finished_at_ms > ${nowMs - 29 * dayMs} AND started_at_ms IS NOT NULL`)).toBe(0);
    expect(one(db, "SELECT count(*) FROM events WHERE hlc <> printf('%012x', at_ms) || substr(hlc, 13)")).toBe(0);
    db.close();
  });

  test('reads as the records that were lived, each with its own ids', () => {
    const { db } = filled(400);
    const read = readerOver(db, auditSealOf(me));
    const ids = db.prepare('SELECT invocation_id FROM flights').pluck().all() as InvocationId[];
    for (const id of ids) {
      const flight = read.flight(flightOfInvocation(id));
      const invocation = read.invocation(id);
      expect(invocation?.acceptedAtMs).toBe(flight?.acceptedAtMs);
      expect(read.events(flightOfInvocation(id), 0, 1e9)).toHaveLength(flight?.lastSeq ?? -1);
      if (flight?.originNodeId === me) expect(read.delivery(id)?.invocationId).toBe(id);
    }
    db.close();
  });
});

test('indexes that were left out while rows came are all there again', () => {
  const db = openDatabase(join(scratchDirectory(), 'beckon.db'));
  const before = schemaOf(db);
  const count = (): number => one(db, "SELECT count(*) FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL AND tbl_name = 'flights'");
  expect(count()).toBeGreaterThan(5);
  withoutIndexes(db, () => expect(count()).toBe(0));
  expect(schemaOf(db)).toEqual(before);
  db.close();
});

describe('a store opened on it', () => {
  let temp: TempStore;
  beforeAll(async () => {
    temp = await openTempStore(me);
    await temp.store.close();
    storeHistory({ ...history, path: temp.path, invocations: 500 });
    await temp.reopen();
    return () => temp[Symbol.asyncDispose]();
  });

  test('goes on from where it is', async () => {
    const { store } = temp;
    const story = new Story(nowMs);
    const before = await store.inspect.countFlights();
    await store.write.boot({ stamp: story.stamp(), nodeId: me, version: '1' });
    const { indeterminate } = await store.write.recover({ stamp: story.stamp(), nodeId: me });
    expect(indeterminate).toEqual([]);
    const invocation = story.invocation({ origin: me, owner: me });
    const { flight } = await store.write.accept(story.accept(invocation, undefined, { task: textTask('more') }));
    await store.write.start({ stamp: story.stamp(), flightId: flight.id });
    await store.write.finish({ stamp: story.stamp(), flightId: flight.id, outcome: { state: 'completed', exitCode: 0 } });
    expect((await store.inspect.countFlights()).completed).toBe((before.completed ?? 0) + 1);
    expect((await store.inspect.flights({}, { limit: 1 })).items[0]?.id).toBe(flight.id);
  });

  test('is filled once', async () => {
    expect(() => storeHistory({ ...history, path: temp.path, invocations: 10 })).toThrow(/in use|already/);
  });
});
