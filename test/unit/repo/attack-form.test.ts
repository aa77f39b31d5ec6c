/** What `npm run test:attack` looks at in every case, each check seen to pass and to fail: the form is the real one, the node is made up. */
import Database from 'better-sqlite3';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { mostTold } from '../../../src/broker/audit-book.ts';
import { auditFlaw, expectInAll } from '../../support/attack-audit.ts';
import { expectLines, expectTold, judge, notNamed } from '../../support/attack-form.ts';
import type { Attack, Line, Told, Watched } from '../../support/attack-form.ts';
import { changesOf, contentsOf } from '../../support/store-contents.ts';
import type { Contents } from '../../support/store-contents.ts';

const directory = mkdtempSync(join(tmpdir(), 'beckon-form-'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

const line = (level: string, msg: string): Line => ({ level, msg, text: JSON.stringify({ level, msg }) });
const refusal: Told = { code: 'denied', words: 'bob may not' };

/** What a node has of itself, which an attack may change. */
interface Node {
  pid: number | undefined;
  store: Record<string, string[]>;
  lines: Line[];
  counter: number;
  processes: string[];
  grewMb: number;
  /** What the attacker is told. */
  told: Told[];
  serves: () => Promise<void>;
}

function aNode(): Node {
  return { pid: 7, store: { members: ['friend'], audit: [row('mesh.created')] }, lines: [line('info', 'of before')], counter: 3, processes: ['7 beckon up'], grewMb: 5, told: [refusal], serves: () => Promise.resolve() };
}

function row(kind: string, who = 'stranger', address = '127.0.0.1:1'): string {
  return JSON.stringify({ number: Math.random(), kind, who: JSON.stringify({ is: who }), whence: JSON.stringify({ via: 'network', address }), about: '{}' });
}

function contents({ store }: Node): Contents {
  return new Map(Object.entries(store).map(([table, rows]) => [table, new Map(rows.map((each) => [each, 1]))]));
}

function watchedOf(node: Node): Watched {
  return {
    name: 'victim',
    pid: () => node.pid,
    contents: () => Promise.resolve(contents(node)),
    logSince: () => {
      const from = node.lines.length;
      return () => node.lines.slice(from);
    },
    counter: () => Promise.resolve(node.counter),
    processes: () => node.processes,
    memorySince: () => () => node.grewMb,
  };
}

const asked: Attack<undefined> = { act: () => Promise.resolve([]), refused: { code: 'denied', words: /may not/ }, logged: { line: /refused/ }, audit: ['session.refused'], shows: '' };

/** The attack is refused as it should be, and does `also` besides. */
function judged(also: (node: Node) => unknown, changed: Partial<Attack<undefined>> = {}): Promise<unknown> {
  const node = aNode();
  const act = (): Promise<readonly Told[]> => {
    node.lines.push(line('warn', 'it was refused'));
    node.store['audit']?.push(row('session.refused'));
    also(node);
    return Promise.resolve(node.told);
  };
  return judge({ node: watchedOf(node), serves: () => node.serves() }, { ...asked, act, ...changed }, { servesMs: 40, loggedMs: 40, goneMs: 40 });
}

test('what is refused, told once, recorded, and changes nothing else passes', async () => {
  await expect(judged(() => undefined)).resolves.toMatchObject({ refused: 'denied', logged: 'it was refused', audit: 'session.refused', grewMb: 5 });
  await expect(judged((node) => (node.counter += 2), { logged: { counter: 'x', by: 2 }, besides: /refused/ })).resolves.toMatchObject({ logged: 'x +2' });
  await expect(judged((node) => [node.told.push(refusal), node.lines.push(line('warn', 'refused again'))], { logged: { line: /refused/, each: true } })).resolves.toMatchObject({ refused: '2 × denied' });
});

const breaks: readonly (readonly [string, (node: Node) => unknown, RegExp, Partial<Attack<undefined>>?])[] = [
  ['is told something else', () => undefined, /deeply equal/, { refused: { code: 'invalid' } }],
  ['is told other words', () => undefined, /deeply equal/, { refused: { code: 'denied', words: /sorry/ } }],
  ['is told nothing', (node) => (node.told = []), /told nothing/],
  ['is not in the log', (node) => node.lines.pop(), /no line like/],
  ['is in the log twice', (node) => node.lines.push(line('warn', 'refused')), /2 lines say so/],
  ['is in the log once for two answers', (node) => node.told.push(refusal), /no line like .* for each answer/, { logged: { line: /refused/, each: true } }],
  ['is in the log twice for one answer', (node) => node.lines.push(line('warn', 'refused')), /2 lines say so/, { logged: { line: /refused/, each: true } }],
  ['has another line at warn beside its own', (node) => node.lines.push(line('warn', 'something broke')), /deeply equal/],
  ['moves its counter by less', (node) => (node.counter += 1), /waited 40 ms for x to move/, { logged: { counter: 'x', by: 2 }, besides: /refused/ }],
  ['stores a row', (node) => node.store['members']?.push('mallory'), /deeply equal/],
  ['stores two rows where one is named', (node) => node.store['members']?.push('mallory', 'mallory-2'), /deeply equal/, { stores: [{ table: 'members', what: 'added', why: '' }] }],
  ['stores another row than is named', (node) => node.store['members']?.push('mallory'), /deeply equal/, { stores: [{ table: 'members', row: /eve/, why: '' }] }],
  ['takes a row away', (node) => node.store['members']?.pop(), /deeply equal/],
  ['is not in the audit', (node) => node.store['audit']?.pop(), /nothing of session.refused/],
  ['is in the audit as something else too', (node) => node.store['audit']?.push(row('member.admitted')), /what the case does not name/],
  ['takes a row out of the audit', (node) => node.store['audit']?.shift(), /other than they were, or gone/],
  ['leaves a node that serves nobody', (node) => (node.serves = () => Promise.reject(new Error('the call failed'))), /the call failed/],
  ['leaves a node that answers nobody', (node) => (node.serves = () => new Promise(() => undefined)), /waited 40 ms for victim to serve/],
  ['ends the node', (node) => (node.pid = undefined), /another process than before/],
  ['has the node started anew', (node) => (node.pid = 8), /another process than before/],
  ['leaves a process behind', (node) => (node.processes = [...node.processes, '9 sh']), /waited 40 ms for nothing new to run/],
  ['makes the node grow', (node) => (node.grewMb = 65), /65 MB more at once/],
  ['breaks what else the case promises', () => undefined, /it does not hold/, { holds: () => Promise.reject(new Error('it does not hold')) }],
];

for (const [what, also, why, changed] of breaks) test(`an attack that ${what} does not pass`, () => expect(judged(also, changed)).rejects.toThrow(why));

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
  expect(notNamed(changes, named).map(({ table, row: each }) => `${table} ${each}`)).toEqual([expect.stringContaining('told'), expect.stringContaining('stolen'), expect.stringContaining('desktop')]);
});

test('a refusal that is none, or has other words, or that nobody told, does not count', () => {
  expectTold([refusal], asked);
  for (const told of [[], [{ code: 'silence' as const }], [{ code: 'denied' as const, words: 'sorry' }], [{ code: 'denied' as const, words: 'may not' }, { code: 'cut' as const }]]) expect(() => expectTold(told, asked)).toThrow(/nothing|deeply equal/);
});

test('a line that comes twice, and one of another fault beside it, do not pass', () => {
  const about = line('warn', 'refused');
  expectLines([about, line('info', 'a peer is alive')], asked);
  expect(() => expectLines([about, line('error', 'the node failed')], asked)).toThrow(/nothing|deeply equal/);
  expectLines([about, line('error', 'the node failed')], { ...asked, besides: /failed/ });
  expect(() => expectLines([about], { ...asked, logged: { counter: 'x' } })).toThrow(/deeply equal/);
});

test('when the node has ended its audit has all that cases named, counted or not', () => {
  const path = join(directory, 'audit.db');
  const db = new Database(path);
  db.exec("CREATE TABLE audit (kind TEXT, times INTEGER); INSERT INTO audit VALUES ('session.refused', 1), ('session.refused', 2), ('invite.made', 1)");
  db.close();
  expectInAll(path, ['session.refused', 'session.refused', 'session.refused', 'invite.made']);
  expect(() => expectInAll(path, ['invite.made', 'invite.made'])).toThrow(/invite.made 1 times, not 2/);
  expect(() => expectInAll(path, ['invite.used'])).toThrow(/invite.used 0 times, not 1/);
});

test('in the audit a count of what was refused before passes in any case, and what was never refused before in none', () => {
  const audit = (...rows: readonly string[]): Contents => contents({ ...aNode(), store: { audit: [...rows] } });
  const before = [row('session.refused'), row('renewal.refused', 'applicant')];
  const flaw = (added: readonly string[], kinds: Parameters<typeof auditFlaw>[2] = []): string | undefined => auditFlaw(audit(...before), audit(...before, ...added), kinds);
  expect(flaw([])).toBeUndefined();
  expect(flaw([row('session.refused', 'stranger', '127.0.0.1:2'), row('renewal.refused', 'several')])).toBeUndefined();
  expect(flaw([row('session.refused', 'stranger', '127.0.0.9:1')])).toMatch(/does not name/);
  expect(flaw([row('invite.refused', 'several')])).toMatch(/does not name/);
  // Counted with those before it.
  expect(flaw([], ['session.refused'])).toBeUndefined();
  expect(flaw([], ['record.refused'])).toMatch(/nothing of record.refused/);
  expect(flaw([row('record.refused')], ['record.refused'])).toBeUndefined();
  // So many are told one by one.
  before.push(...Array.from({ length: mostTold - before.length }, (_, index) => row('session.refused', 'stranger', `127.0.1.${index}:1`)));
  expect(flaw([], ['record.refused'])).toBeUndefined();
  expect(flaw([row('record.refused', 'several')])).toBeUndefined();
  expect(flaw([], ['member.admitted'])).toMatch(/nothing of member.admitted/);
});
