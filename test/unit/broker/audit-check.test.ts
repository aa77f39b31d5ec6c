/** What a check of the audit lets a note clear, on a real database that somebody has changed who has not the node's key. */
import { expect, test } from 'vitest';
import { checkAudit, noteOf } from '../../../src/broker/audit-check.ts';
import type { KnownEnd } from '../../../src/broker/audit-check.ts';
import type { Act, AuditFinding, AuditFlaw } from '../../../src/domain/audit.ts';
import { auditReads } from '../../../src/store/audit.ts';
import { auditSealOf, nodeIdFor, Story } from '../../support/temp-store.ts';
import { scratchWriter } from '../store/scratch.ts';

const me = nodeIdFor(1);
const user: Act = { who: { is: 'user', id: 'uid:501' }, from: { via: 'socket' } };

function audited(count: number) {
  const { db, tables } = scratchWriter(me);
  const story = new Story();
  for (let index = 1; index <= count; index += 1) tables.audit.append(story.stamp(), { kind: 'member.admitted', about: { name: `member-${index}` } }, user);
  for (const name of ['audit_never_changes', 'audit_stays', 'audit_grows_at_its_end']) db.exec(`DROP TRIGGER ${name}`);
  const read = auditReads(db, auditSealOf(me));
  const beginning = { number: 0, hash: read.auditHashAt(0) ?? '' };
  /** @param from the check that `doctor` makes, when what is written down elsewhere lets it begin there */
  const check = (from?: number): Promise<AuditFinding> => {
    const mark = from === undefined ? beginning : { number: from, hash: read.auditHashAt(from) ?? '' };
    const known: KnownEnd = { head: read.auditHead(), marks: [mark, mark] };
    const inspect = { checkAudit: async (range: Parameters<typeof read.checkAudit>[0]) => read.checkAudit(range), auditNotes: async () => read.auditNotes() };
    return checkAudit({ read, inspect, known: () => known }, from === undefined);
  };
  const note = (...flaws: readonly AuditFlaw[]): void => {
    for (const flaw of flaws) tables.audit.append(story.stamp(), { kind: 'audit.noted', about: noteOf(flaw) }, user);
  };
  const broken = (why: string): void => tables.audit.append(story.stamp(), { kind: 'audit.broken', about: { why } });
  const alter = (row: number, kind: string, about: object): void => void db.prepare('UPDATE audit SET kind = ?, about = ? WHERE number = ?').run(kind, JSON.stringify(about), row);
  const hashAt = (row: number): string => read.auditHashAt(row) ?? '';
  return { db, check, note, broken, alter, hashAt };
}

const whyOf = ({ flaws }: AuditFinding): readonly string[] => flaws.map(({ why }) => why);

test('a flaw that a person has noted is told as such, and no longer complained of', async () => {
  const { check, note, alter } = audited(9);
  alter(5, 'member.admitted', { name: 'nobody' });
  note(...(await check()).flaws);
  expect(await check()).toMatchObject({ flaws: [], noted: [{ row: 5, why: 'row 5 was altered' }] });
});

test('a row that was altered does not vouch for itself, whatever it says of itself', async () => {
  const { check, alter, hashAt } = audited(9);
  alter(5, 'audit.noted', { row: '5', hash: hashAt(5), why: 'row 5 was altered' });
  const [first] = (await check()).flaws;
  alter(5, 'audit.noted', noteOf(first as AuditFlaw));
  expect(whyOf(await check())).toEqual(['row 5 was altered']);
});

test('nor for another, whichever stands first', async () => {
  const { check, alter, note } = audited(9);
  alter(5, 'member.admitted', { name: 'nobody' });
  const [flaw] = (await check()).flaws;
  for (const row of [3, 8]) {
    alter(row, 'audit.noted', noteOf(flaw as AuditFlaw));
    expect(whyOf(await check())).toContain('row 5 was altered');
  }
  note(flaw as AuditFlaw);
  expect(whyOf(await check())).toEqual(['row 3 was altered', 'row 8 was altered']);
});

test('nor for what the node found itself, where the walk begins behind both', async () => {
  const { check, alter, note, broken } = audited(3);
  broken('rows were missing');
  note({ row: 9, hash: '', why: 'something else' });
  for (const row of [6, 7, 8]) note({ row, hash: '', why: 'something else' });
  const [flaw] = (await check(6)).flaws;
  expect(flaw).toMatchObject({ row: 4, why: expect.stringContaining('rows were missing') });
  alter(5, 'audit.noted', noteOf(flaw as AuditFlaw));
  expect(await check(6)).toMatchObject({ from: 7, flaws: [flaw], noted: [] });
  note(flaw as AuditFlaw);
  expect(await check(6)).toMatchObject({ flaws: [], noted: [flaw] });
});

test('flaws that are noted, however many, hide none that comes behind them', async () => {
  const { check, note, alter } = audited(60);
  for (let row = 2; row <= 50; row += 2) alter(row, 'member.admitted', { name: 'nobody' });
  // As many as are told at once, until there are no more.
  for (let told = (await check()).flaws; told.length > 0; told = (await check()).flaws) note(...told);
  expect((await check()).noted).toHaveLength(25);
  alter(55, 'member.admitted', { name: 'nobody' });
  expect(whyOf(await check())).toEqual(['row 55 was altered']);
});

test('a note says nothing of what came after it', async () => {
  const flaw = { row: 5, hash: 'as it was found', why: 'row 5 was altered' };
  const [head, last] = [{ number: 9, hash: 'nine' }, { number: 0, hash: 'none' }];
  const noted = async (number: number): Promise<AuditFinding> => {
    const note = { number, atMs: 0, kind: 'audit.noted', about: noteOf(flaw), times: 1, hash: '', ...user } as const;
    const inspect = { checkAudit: async () => ({ last: head, more: false, flaws: [flaw] }), auditNotes: async () => [note] };
    return checkAudit({ read: { auditHead: () => head, auditHashAt: () => head.hash }, inspect, known: () => ({ head, marks: [last, last] }) }, true);
  };
  for (const number of [4, 5]) expect(await noted(number)).toMatchObject({ flaws: [flaw], noted: [] });
  expect(await noted(6)).toMatchObject({ flaws: [], noted: [flaw] });
});

test('a note tells no hash that a forged row could have', async () => {
  const { check, alter, db } = audited(9);
  alter(9, 'audit.noted', { row: '5' });
  const [flaw] = (await check()).flaws;
  db.prepare('UPDATE audit SET hash = ? WHERE number = 9').run(flaw?.hash);
  expect((await check()).flaws).toMatchObject([{ row: 9 }]);
});

test.each([
  ['a row', "UPDATE audit SET about = '{}' WHERE number = 5", "UPDATE audit SET kind = 'mesh.left' WHERE number = 5", 'row 5 was altered'],
  ['what stands behind rows that are missing', 'DELETE FROM audit WHERE number IN (4, 5)', "UPDATE audit SET kind = 'mesh.left' WHERE number = 6", 'rows 4 to 5 are missing'],
])('%s that is altered once more after a person has noted it is complained of again', async (_what, once, again, why) => {
  const { db, check, note } = audited(9);
  db.exec(once);
  note(...(await check()).flaws);
  expect(whyOf(await check())).toEqual([]);
  db.exec(again);
  expect(whyOf(await check())).toEqual([why]);
});
