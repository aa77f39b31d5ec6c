/** What `npm run test:attack` looks at in every case, seen to fail. */
import Database from 'better-sqlite3';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { expectLines, expectTold, notNamed } from '../../support/attack.ts';
import type { Attack, Line } from '../../support/attack.ts';
import { changesOf, contentsOf } from '../../support/store-contents.ts';

const directory = mkdtempSync(join(tmpdir(), 'beckon-form-'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

const asked: Attack<undefined> = { victim: () => Promise.reject(new Error('not asked here')) as never, act: () => Promise.resolve([]), refused: { code: 'denied', words: /may not/ }, logged: { line: /refused/ }, shows: '' };
const line = (level: string, msg: string): Line => ({ level, msg, text: JSON.stringify({ level, msg }) });

test('a row that was added, changed or removed is seen, and one is let pass only as often as it was named', () => {
  const path = join(directory, 'store.db');
  const db = new Database(path);
  db.exec('CREATE TABLE members (node INTEGER, name TEXT, last_seen_ms INTEGER); CREATE TABLE events (what TEXT, body BLOB)');
  db.prepare('INSERT INTO members VALUES (1, ?, 5), (2, ?, 5)').run('laptop', 'desktop');
  const before = contentsOf(path);
  db.exec('UPDATE members SET last_seen_ms = 9');
  expect(changesOf(before, contentsOf(path))).toEqual([]);
  db.exec("UPDATE members SET name = 'stolen' WHERE node = 2");
  db.prepare('INSERT INTO events VALUES (?, ?), (?, ?)').run('told', Buffer.from('x'), 'told', Buffer.from('x'));
  db.close();
  const changes = changesOf(before, contentsOf(path));
  expect(changes.map(({ table, what }) => `${table} ${what}`)).toEqual(['events added', 'events added', 'members added', 'members gone']);
  const named = [{ table: 'events', row: /told/, why: '' }, { table: 'members', what: 'added' as const, row: /laptop/, why: '' }];
  expect(notNamed(changes, named).map(({ table, row }) => `${table} ${row}`)).toEqual([expect.stringContaining('told'), expect.stringContaining('stolen'), expect.stringContaining('desktop')]);
});

test('a refusal that is none, or has other words, or that nobody told, does not count', () => {
  expectTold([{ code: 'denied', words: 'bob may not' }], asked);
  for (const told of [[], [{ code: 'silence' as const }], [{ code: 'denied' as const, words: 'sorry' }], [{ code: 'denied' as const, words: 'may not' }, { code: 'cut' as const }]]) expect(() => expectTold(told, asked)).toThrow(/nothing|deeply equal/);
});

test('a line that comes twice, and one of another fault beside it, do not pass', () => {
  const about = line('warn', 'refused');
  expectLines([about, line('info', 'a peer is alive')], asked);
  expect(() => expectLines([about, about], asked)).toThrow(/2 lines say so/);
  expect(() => expectLines([about, line('error', 'the node failed')], asked)).toThrow(/nothing|deeply equal/);
  expectLines([about, line('error', 'the node failed')], { ...asked, besides: /failed/ });
  expect(() => expectLines([about], { ...asked, logged: { counter: 'x' } })).toThrow(/deeply equal/);
});
