/** No read may walk a table that grows with history: not whole, not sorted afterwards. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { deliveryStates } from '../../../src/domain/delivery.ts';
import { flightStates } from '../../../src/domain/flight.ts';
import { flightOfInvocation, groupIdOf, invocationIdOf } from '../../../src/domain/ids.ts';
import type { Connection } from '../../../src/store/connection.ts';
import { inspectionOver } from '../../../src/store/inspection-reads.ts';
import { readerOver } from '../../../src/store/reader.ts';
import { openTables } from '../../../src/store/tables.ts';
import { writeHandlers } from '../../../src/store/write-handlers.ts';
import { auditSealOf, nodeIdFor, Story, textTask } from '../../support/temp-store.ts';
import { request, scratchWriter } from './scratch.ts';

/** These hold a row an agent, a node, a state, or what a limit left of another table; the rest grows. */
const small = ['agents', 'agent_endpoints', 'agent_shares', 'a', 'e', 'c', 'registrations', 'registry_heads', 'members', 'mesh', 'admit_rules', 'applicants', 'issuers', 'revocations', 'falls', 'own', 'nodes', 'flight_counts', 'flight_processes', 'projects', 'project_instances', 'unlisted_agents', 'stored_sum', 'settings', 'json_each', 'family', 'CONSTANT', '(subquery-1)'];
/** The end of the audit, what it says of itself, and the rows of a time that stand behind others of it, which are pages still to come; the newest facts by number, at most 4,096; what a node that leaves its mesh forgets, all of it; and what one that was put back voids, once. */
const bounded = ['DELETE FROM invites', 'UPDATE invites SET expires_at_ms = ? WHERE used_at_ms IS NULL AND expires_at_ms > ? AND created_at_ms < ?', "SELECT * FROM audit WHERE kind IN ('audit.broken', 'audit.noted', 'store.put_back') ORDER BY number DESC LIMIT ?", 'SELECT max(number) AS number FROM audit INDEXED BY audit_by_time WHERE at_ms >= ? AND number < ?', 'SELECT number FROM events ORDER BY number DESC LIMIT 1', 'SELECT number, hash FROM audit ORDER BY number DESC LIMIT 1', 'SELECT max(hlc) AS hlc FROM (SELECT hlc FROM events ORDER BY number DESC LIMIT 4096)'];

/** Walks in the order of ids or of time, from a bound to the page's limit: each row walked is a row given. */
const ordered = [
  /FROM flights WHERE (1 AND )?invocation_id < \? ORDER BY invocation_id DESC LIMIT/,
  /FROM deliveries WHERE invocation_id >= \? AND invocation_id < \? ORDER BY invocation_id DESC LIMIT/,
  /FROM agent_sessions s WHERE last_used_at_ms < \? AND .* ORDER BY last_used_at_ms LIMIT/,
  /FROM flights INDEXED BY flights_queued WHERE target > \? AND state = 'queued' AND owned = 1 ORDER BY target LIMIT 1/,
  /FROM invocations WHERE group_id IS NOT NULL AND substr\(group_id, -4\) = \? AND group_id > \? AND group_id LIKE .* ORDER BY group_id LIMIT 1/,
  /FROM events WHERE number > \? AND number <= \? AND at_ms >= \? AND at_ms < \? ORDER BY number LIMIT \?/,
  /FROM events WHERE number > \? AND number <= \? AND what IN \(.*\) AND invocation_id IS NOT NULL ORDER BY number LIMIT \?/,
  /FROM events WHERE number >= \? ORDER BY number LIMIT 1/,
  /FROM flights WHERE invocation_id > \? AND .* ORDER BY invocation_id LIMIT \?/,
  /FROM flights INDEXED BY flights_ended_by_place WHERE finished_at_ms IS NOT NULL AND substr\(.*\) > \? ORDER BY substr\(.*\) LIMIT 1$/,
  /FROM audit WHERE number [<>] \? ORDER BY number( DESC)? LIMIT \?$/,
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

/** All that `--agent` takes. */
const agentForms = ['fabric', 'fabric@laptop', 'fabric/main', '@fabric@laptop#main'] as const;
const group = groupIdOf('01HF7YAT010000000000000001');
const family = invocationIdOf('01HF7YAT010000000000000001');
const fewOf = (few: 'family' | 'group' | 'both' | undefined) => ({ ...(few === 'family' || few === 'both' ? { family } : {}), ...(few === 'group' || few === 'both' ? { group } : {}) });

const parameters = (sql: string): number => sql.replace(/'[^']*'/g, '').split('?').length - 1;

test('no statement of the store scans or sorts what grows with history', async () => {
  const me = nodeIdFor(1);
  const { db, reading, commit } = scratchWriter(me);
  const story = new Story();
  const foreign = story.invocation({ origin: nodeIdFor(2), owner: me });
  commit(request('receive', { stamp: story.stamp(), invocation: foreign, task: textTask(''), queueLimit: 9 }));

  const said = new Set<string>();
  readerOver(listening(reading, said), auditSealOf(me));
  const written = listening(db, said);
  writeHandlers(written, openTables(written, me));
  const inspection = inspectionOver(listening(reading, said), auditSealOf(me));
  const some = <T>(...values: T[]) => fc.option(fc.constantFrom(...values), { nil: undefined });
  const page = { limit: 5 };
  fc.assert(fc.property(
    some(...flightStates), some(...agentForms), some('family' as const, 'group' as const, 'both' as const),
    some(...deliveryStates), some(0, 5),
    (state, agent, few, status, sinceMs) => {
      const given = (value: object) => Object.fromEntries(Object.entries(value).filter(([, each]) => each !== undefined));
      inspection.flights(given({ state, agent, ...fewOf(few) }), page);
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

describe('the first page of a list of flights', () => {
  const me = nodeIdFor(1);
  /** What is walked, and by what of its index: each row that is read is one of the page, or of what is open. */
  const byPlace = 'SEARCH flights USING INDEX flights_ended_by_place (<expr>=? AND state=? AND invocation_id<?)';
  const byTarget = 'SEARCH flights USING INDEX flights_ended_by_target (target=? AND state=? AND invocation_id<?)';
  const byState = 'SEARCH flights USING COVERING INDEX flights_by_state (state=? AND invocation_id<?)';
  const byId = 'SEARCH flights USING PRIMARY KEY (invocation_id<?)';
  const oneById = 'SEARCH flights USING PRIMARY KEY (invocation_id=?)';
  const nextPlace = 'SEARCH flights USING INDEX flights_ended_by_place (<expr>>?)';

  /** One flight of the agent on two nodes, over, so that there is something to walk; and what was asked of the database. */
  function plansOf(filter: object): string[] {
    const { db, reading, commit } = scratchWriter(me);
    const story = new Story();
    for (const target of ['@fabric@laptop#main', '@fabric@desktop#main']) {
      const invocation = story.invocation({ origin: me, owner: me }, { target });
      const flightId = flightOfInvocation(invocation.id);
      const stamp = () => story.stamp();
      commit(request('accept', story.accept(invocation)), request('start', { stamp: stamp(), flightId }), request('finish', { stamp: stamp(), flightId, outcome: { state: 'completed' } }));
    }
    const asked = new Set<string>();
    const inspection = inspectionOver(running(reading, asked), auditSealOf(me));
    inspection.flights(filter, { limit: 5 });
    return [...asked].filter((sql) => sql.includes('FROM flights') && !sql.includes('JOIN')).flatMap((sql) =>
      (db.prepare(`EXPLAIN QUERY PLAN ${sql}`).all(...Array.from({ length: parameters(sql) }, () => 1)) as { detail: string }[]).map(({ detail }) => detail)).toSorted();
  }

  test.each([
    ['nothing', {}, [byId]],
    ['a state that ends', { state: 'failed' }, [byState]],
    ['a state that is open', { state: 'queued' }, [byState]],
    ['an agent', { agent: 'fabric' }, [nextPlace, byPlace, byState]],
    ['an agent and a state that ends', { agent: 'fabric', state: 'failed' }, [nextPlace, byPlace]],
    ['an agent and a state that is open', { agent: 'fabric', state: 'running' }, [nextPlace, byState]],
    ['an agent on a node', { agent: 'fabric@laptop' }, [byPlace, byState]],
    ['an agent on a node and a state', { agent: 'fabric@laptop', state: 'expired' }, [byPlace]],
    ['an agent in a workspace', { agent: 'fabric/main' }, [nextPlace, byTarget, byState]],
    ['an agent in a workspace and a state', { agent: 'fabric/main', state: 'completed' }, [nextPlace, byTarget]],
    ['one instance', { agent: '@fabric@laptop#main' }, [byTarget, byState]],
    ['one instance and a state', { agent: '@fabric@laptop#main', state: 'cancelled' }, [byTarget]],
    ['a group that is unknown', { group, state: 'failed', agent: 'fabric' }, []],
    ['a family', { family }, [oneById]],
    ['a family, an agent and a state', { family, agent: 'fabric', state: 'failed' }, [oneById]],
  ])('by %s', (_, filter, plans) => {
    expect(new Set(plansOf(filter))).toEqual(new Set(plans));
  });
});

/** Notes the SQL of each statement that is run. */
function running(db: Connection, asked: Set<string>): Connection {
  return new Proxy(db, {
    get(target, name) {
      if (name !== 'prepare') return Reflect.get(target, name, target) as unknown;
      return (sql: string) => new Proxy(target.prepare(sql), {
        get(statement, what) {
          const value = Reflect.get(statement, what, statement) as unknown;
          if (typeof value !== 'function') return value;
          return (...args: unknown[]) => {
            if (what === 'all' || what === 'get' || what === 'iterate') asked.add(sql);
            return (value as (...args: unknown[]) => unknown).apply(statement, args);
          };
        },
      });
    },
  });
}
