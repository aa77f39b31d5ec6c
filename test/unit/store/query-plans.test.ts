/** No read may walk a table that grows with history: not whole, not sorted afterwards. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { deliveryStates } from '../../../src/domain/delivery.ts';
import { flightStates } from '../../../src/domain/flight.ts';
import type { Connection } from '../../../src/store/connection.ts';
import { inspectionOver } from '../../../src/store/inspection-reads.ts';
import { readerOver } from '../../../src/store/reader.ts';
import { openTables } from '../../../src/store/tables.ts';
import { writeHandlers } from '../../../src/store/write-handlers.ts';
import { nodeIdFor, Story, textTask } from '../../support/temp-store.ts';
import { request, scratchWriter } from './scratch.ts';

/** These hold a row an agent, a node, a state, or what a limit left of another table; the rest grows. */
const small = ['agents', 'agent_endpoints', 'agent_shares', 'a', 'e', 'c', 'registrations', 'registry_heads', 'members', 'mesh', 'admit_rules', 'applicants', 'issuers', 'revocations', 'nodes', 'flight_counts', 'flight_processes', 'projects', 'project_instances', 'unlisted_agents', 'stored_sum', 'settings', 'json_each', '(subquery-1)'];
/** The newest facts by number, at most 4,096; and what a node that leaves its mesh forgets, all of it. */
const bounded = ['DELETE FROM invites', 'SELECT number FROM events ORDER BY number DESC LIMIT 1', 'SELECT max(hlc) AS hlc FROM (SELECT hlc FROM events ORDER BY number DESC LIMIT 4096)'];

/** Walks in the order of ids or of time, from a bound to the page's limit: each row walked is a row given. */
const ordered = [
  /FROM flights WHERE (1 AND )?invocation_id < \? ORDER BY invocation_id DESC LIMIT/,
  /FROM deliveries WHERE invocation_id >= \? AND invocation_id < \? ORDER BY invocation_id DESC LIMIT/,
  /FROM agent_sessions s WHERE last_used_at_ms < \? AND .* ORDER BY last_used_at_ms LIMIT/,
  /FROM flights INDEXED BY flights_queued WHERE target > \? AND state = 'queued' AND owned = 1 ORDER BY target LIMIT 1/,
  /FROM invocations WHERE group_id IS NOT NULL AND substr\(group_id, -4\) = \? AND group_id > \? AND group_id LIKE .* ORDER BY group_id LIMIT 1/,
  /FROM events WHERE number > \? AND number <= \? AND at_ms >= \? AND at_ms < \? ORDER BY number LIMIT \?/,
  /FROM events WHERE number >= \? ORDER BY number LIMIT 1/,
  /FROM flights WHERE invocation_id > \? AND .* ORDER BY invocation_id LIMIT \?/,
  /FROM flights WHERE due_at_ms (<=|>) \? ORDER BY due_at_ms LIMIT/,
];

/** Notes the SQL of each statement that is prepared. */
function listening(db: Connection, said: Set<string>): Connection {
  return new Proxy(db, {
    get(target, name) {
      if (name !== 'prepare') return Reflect.get(target, name, target) as unknown;
      return (sql: string) => {
        said.add(sql);
        return target.prepare(sql);
      };
    },
  });
}

function wrong(db: Connection, sql: string): string[] {
  // Before statistics, and with the values unknown, as the statements are prepared.
  const plan = db.prepare(`EXPLAIN QUERY PLAN ${sql}`).all(...Array.from({ length: parameters(sql) }, () => 1)) as { detail: string }[];
  return plan
    .map((each) => each.detail)
    .filter((detail) => {
      const scanned = /^SCAN (\S+)/.exec(detail)?.[1];
      // A range alone may be all of the table.
      const isRange = /^SEARCH [^(]*\([^=]*[<>][^=]*\)$/.test(detail);
      if (isRange && !ordered.some((form) => form.test(sql.replace(/\s+/g, ' ')))) return true;
      return (scanned !== undefined && !small.includes(scanned)) || (detail.includes('TEMP B-TREE') && !small.some((each) => sql.includes(`FROM ${each} `) || sql.includes(`JOIN ${each} `)));
    })
    .map((detail) => `${detail}: ${sql.replace(/\s+/g, ' ')}`);
}

const parameters = (sql: string): number => sql.replace(/'[^']*'/g, '').split('?').length - 1;

test('no statement of the store scans or sorts what grows with history', async () => {
  const me = nodeIdFor(1);
  const { db, reading, commit } = scratchWriter(me);
  const story = new Story();
  const foreign = story.invocation({ origin: nodeIdFor(2), owner: me });
  commit(request('receive', { stamp: story.stamp(), invocation: foreign, task: textTask(''), queueLimit: 9 }));

  const said = new Set<string>();
  readerOver(listening(reading, said));
  const written = listening(db, said);
  writeHandlers(written, openTables(written, me));
  const inspection = inspectionOver(listening(reading, said), me);
  const some = <T>(...values: T[]) => fc.option(fc.constantFrom(...values), { nil: undefined });
  const page = { limit: 5 };
  fc.assert(fc.property(
    some(...flightStates), some('fabric', '@fabric@laptop#main', 'fabric@laptop', 'fabric/main'), some(nodeIdFor(2), me),
    some(...deliveryStates), some(0, 5),
    (state, agent, nodeId, status, sinceMs) => {
      const given = (value: object) => Object.fromEntries(Object.entries(value).filter(([, each]) => each !== undefined));
      inspection.flights(given({ state, agent, nodeId }), page);
      inspection.deliveries(given({ status, sinceMs }), page);
    },
  ), { numRuns: 500 });

  const read = [...said].filter((sql) => /^\s*(SELECT|UPDATE|DELETE|WITH)/i.test(sql) && !bounded.includes(sql));
  expect(read.length).toBeGreaterThan(60);
  expect(read.flatMap((sql) => wrong(db, sql))).toEqual([]);
});

test('the check finds a scan and a sort', () => {
  const { db } = scratchWriter(nodeIdFor(1));
  expect(wrong(db, 'SELECT 1 FROM flights WHERE ended = ?')).toHaveLength(1);
  expect(wrong(db, 'SELECT 1 FROM flights WHERE state = ? ORDER BY run')).toHaveLength(1);
  expect(wrong(db, 'SELECT count(*) FROM flights')).toHaveLength(1);
  expect(wrong(db, 'SELECT 1 FROM flights WHERE ended = ? AND invocation_id > ? ORDER BY invocation_id LIMIT ?')).toHaveLength(1);
  expect(wrong(db, 'SELECT 1 FROM flights WHERE invocation_id = ?')).toEqual([]);
});
