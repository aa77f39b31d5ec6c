/**
 * A statement is compiled once. SQLite compiles one anew for another value of a parameter wherever a value might change
 * the plan, as in joins over unique columns (https://sqlite.org/c3ref/prepare.html): ten times the work of running it.
 */
import Database from 'better-sqlite3';
import { expect, onTestFinished, test } from 'vitest';
import { openReading } from '../../../src/store/connection.ts';
import type { Connection } from '../../../src/store/connection.ts';
import { flightStates } from '../../../src/domain/flight.ts';
import { inspectionOver } from '../../../src/store/inspection-reads.ts';
import { readerOver } from '../../../src/store/reader.ts';
import { openTables } from '../../../src/store/tables.ts';
import { writeHandlers } from '../../../src/store/write-handlers.ts';
import { auditSealOf, nodeIdFor } from '../../support/temp-store.ts';
import { scratchWriter } from './scratch.ts';

/** Of all that is prepared. */
function statementsOf(db: Connection): ReadonlySet<string> {
  const said = new Set<string>();
  const listening = new Proxy(db, {
    get(target, name) {
      if (name !== 'prepare') return Reflect.get(target, name, target) as unknown;
      return (sql: string) => {
        said.add(sql);
        return target.prepare(sql);
      };
    },
  });
  readerOver(listening, auditSealOf(nodeIdFor(1)));
  writeHandlers(listening, openTables(listening, nodeIdFor(1)));
  const { flights, deliveries } = inspectionOver(listening, auditSealOf(nodeIdFor(1)));
  for (const state of [undefined, ...flightStates]) {
    for (const agent of [undefined, 'fabric', 'fabric@laptop', 'fabric/main', '@fabric@laptop#main']) {
      flights({ ...(state === undefined ? {} : { state }), ...(agent === undefined ? {} : { agent }) }, { limit: 5 });
    }
  }
  deliveries({}, { limit: 5 });
  return said;
}

/** How often it is compiled when it is run with these values one after the other: better-sqlite3 makes the shape of its rows anew each time. */
function compilations(db: Connection, sql: string, values: readonly unknown[]): number {
  const parameters = sql.replace(/'[^']*'/g, '').split('?').length - 1;
  const statement = db.prepare(`EXPLAIN ${sql}`);
  const { Function: original } = globalThis;
  let count = 0;
  globalThis.Function = new Proxy(original, {
    apply(target, self, args) {
      count += 1;
      return Reflect.apply(target, self, args) as unknown;
    },
  });
  try {
    for (const value of values) statement.all(...Array.from({ length: parameters }, () => value));
  } finally {
    globalThis.Function = original;
  }
  return count;
}

const values = ['a', 'b', 'inv_01HF7YAT010000000000000001', 'c', 'd'];

test('no statement of the store is compiled again for another value', () => {
  const { db } = scratchWriter(nodeIdFor(1));
  const statements = [...statementsOf(db)].filter((sql) => /^\s*(SELECT|UPDATE|DELETE|WITH|INSERT)/i.test(sql));
  expect(statements.length).toBeGreaterThan(150);
  expect(statements.filter((sql) => compilations(db, sql, values) > 1)).toEqual([]);
});

test('the check finds one that is', () => {
  const { path } = scratchWriter(nodeIdFor(1));
  const plain = new Database(path);
  onTestFinished(() => void plain.close());
  const join = 'SELECT f.run FROM flights f JOIN invocations i ON i.id = f.invocation_id WHERE f.invocation_id = ?';
  expect(compilations(plain, join, values)).toBe(values.length);
  const reading = openReading(path);
  onTestFinished(() => void reading.close());
  expect(compilations(reading, join, values)).toBe(1);
});

test('a question mark in a text or a comment is left as it is', () => {
  const { db } = scratchWriter(nodeIdFor(1));
  expect(db.prepare("SELECT '?', 'it''s ?' || ?, -? -- or ?\n, ?").raw().get('!', 2, 'last')).toEqual(['?', "it's ?!", -2, 'last']);
});
