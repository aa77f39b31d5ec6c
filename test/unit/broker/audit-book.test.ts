/** Refusals in the audit: told, and few however many there are. */
import { describe, expect, test } from 'vitest';
import { AuditBook } from '../../../src/broker/audit-book.ts';
import { Chronicler } from '../../../src/broker/chronicler.ts';
import type { Act, AuditEntry, AuditRefusal } from '../../../src/domain/audit.ts';
import { unavailable } from '../../../src/domain/errors.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { nodeIdFor, silentLog } from '../../support/temp-store.ts';

const minuteMs = 60_000;
const denied: AuditRefusal = { kind: 'policy.denied', about: { verb: 'invoke', agent: '@a@laptop#main' } };
const badToken: AuditRefusal = { kind: 'invite.refused', about: { why: 'the token is not valid here' } };
const member = (index: number): Act => ({ who: { is: 'member', nodeId: nodeIdFor(index), name: `n${index}`, owner: 'bob' }, from: { via: 'session', address: '10.0.0.2:7423' } });
const at = (address: string): Act => ({ who: { is: 'stranger' }, from: { via: 'entrance', address } });

function opened(write?: () => Promise<void>) {
  const clock = new FakeClock();
  const rows: AuditEntry[] = [];
  const errors: string[] = [];
  const book = new AuditBook({
    write: { audit: write ?? (({ entries }) => (rows.push(...entries), Promise.resolve())) },
    chronicler: new Chronicler(clock), clock,
    log: { ...silentLog, error: (_fields: object, text: string) => void errors.push(text) },
  });
  return { book, clock, rows, errors };
}

describe('a refusal', () => {
  test('is a row at once, with who and from where', () => {
    const { book, rows } = opened();
    book.refused(denied, member(2));
    expect(rows).toEqual([{ ...denied, ...member(2) }]);
  });

  test('that comes again is counted, and told once at the end of the minute', async () => {
    const { book, clock, rows } = opened();
    for (let count = 0; count < 1000; count += 1) book.refused(badToken, at(`1.2.3.4:${count}`));
    expect(rows).toHaveLength(1);
    await clock.advance(minuteMs);
    expect(rows.slice(1)).toMatchObject([{ ...badToken, times: 999 }]);
  });

  test('leaves nothing that has to be looked at when no other comes', async () => {
    const { book, clock, rows } = opened();
    book.refused(denied, member(2));
    await clock.advance(3 * minuteMs);
    expect([rows.length, clock.pending]).toEqual([1, 0]);
    book.refused(denied, member(2));
    expect(rows).toHaveLength(2);
  });

  test('that could not be recorded throws at nobody, and is in the log', async () => {
    const { book, errors } = opened(() => Promise.reject(unavailable('the disk is full')));
    book.refused(denied, member(2));
    await book.stop();
    expect(errors).toEqual(['refusals could not be recorded in the audit']);
  });

  test('that was counted is told when the node stops', async () => {
    const { book, clock, rows } = opened();
    for (let count = 0; count < 5; count += 1) book.refused(denied, member(2));
    await book.stop();
    expect(rows.slice(1)).toMatchObject([{ times: 4 }]);
    expect(clock.pending).toBe(0);
  });
});

describe('a flood', () => {
  /** Of so many each minute, each from elsewhere. */
  async function flooded(minutes: number, each: number): Promise<readonly AuditEntry[]> {
    const { book, clock, rows } = opened();
    let host = 0;
    for (let minute = 0; minute < minutes; minute += 1) {
      for (let count = 0; count < each; count += 1) {
        host += 1;
        book.refused(count % 2 === 0 ? badToken : { kind: 'session.refused', about: { why: `w${host}` } }, at(`10.${host >> 16}.${(host >> 8) & 255}.${host & 255}:${count}`));
      }
      await clock.advance(minuteMs);
    }
    await book.stop();
    return rows;
  }

  test('from anywhere makes few rows a minute, then few an hour, and all of it is counted', async () => {
    const hour = await flooded(60, 500);
    const day = await flooded(24 * 60, 40);
    expect(hour.length).toBeLessThan(6 * 34);
    expect(day.length).toBeLessThan(30 * 34);
    for (const [rows, sent] of [[hour, 60 * 500], [day, 24 * 60 * 40]] as const) {
      expect(rows.reduce((sum, { times = 1 }) => sum + times, 0)).toBe(sent);
      expect(rows.some(({ who }) => who?.is === 'several')).toBe(true);
    }
  });

  test('does not keep another from being told as soon as it is over', async () => {
    const { book, clock, rows } = opened();
    for (let minute = 0; minute < 30; minute += 1) {
      for (let count = 0; count < 100; count += 1) book.refused(badToken, at(`10.0.0.${count}:1`));
      await clock.advance(minuteMs);
    }
    await clock.advance(3 * 3_600_000);
    const before = rows.length;
    book.refused(denied, member(7));
    expect(rows.slice(before)).toMatchObject([{ ...denied, ...member(7) }]);
    await clock.advance(2 * minuteMs);
    expect(clock.pending).toBe(0);
  });
});

test('members are told apart by who they are and what they wanted, strangers by where they are', () => {
  const { book, rows } = opened();
  book.refused(denied, member(2));
  book.refused(denied, member(3));
  book.refused({ kind: 'policy.denied', about: { verb: 'inspect' } }, member(2));
  book.refused(badToken, at('[fd7a::1]:1'));
  book.refused(badToken, at('[fd7a::1]:2'));
  book.refused(badToken, at('[fd7a::2]:1'));
  expect(rows).toHaveLength(5);
});
