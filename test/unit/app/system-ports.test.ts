import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { createSystemClock } from '../../../src/app/system-clock.ts';
import { systemDigest } from '../../../src/app/system-digest.ts';
import { createSystemUlids } from '../../../src/app/system-ulids.ts';
import { isUlid } from '../../../src/domain/ids.ts';

describe('the system clock', () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  test('a timer fires once, when its time has come', () => {
    const fired = vi.fn<() => void>();
    createSystemClock().setTimer(1000, fired);
    vi.advanceTimersByTime(999);
    expect(fired).not.toHaveBeenCalled();
    vi.advanceTimersByTime(10_000);
    expect(fired).toHaveBeenCalledOnce();
  });

  test('a timer longer than setTimeout can count fires at its time, not at once', () => {
    const fired = vi.fn<() => void>();
    const ms = 3 * 2 ** 31;
    createSystemClock().setTimer(ms, fired);
    vi.advanceTimersByTime(ms - 1);
    expect(fired).not.toHaveBeenCalled();
    vi.advanceTimersByTime(1);
    expect(fired).toHaveBeenCalledOnce();
  });

  test('a cancelled timer never fires, however long it was and however far it got', () => {
    const fired = vi.fn<() => void>();
    const cancel = createSystemClock().setTimer(2 ** 32, fired);
    vi.advanceTimersByTime(2 ** 31 + 5);
    cancel();
    cancel();
    expect(vi.getTimerCount()).toBe(0);
    vi.advanceTimersByTime(2 ** 32);
    expect(fired).not.toHaveBeenCalled();
  });

  test.each([[-5], [Number.NaN]])('a delay of %d fires in the next turn', (ms) => {
    const fired = vi.fn<() => void>();
    createSystemClock().setTimer(ms, fired);
    expect(fired).not.toHaveBeenCalled();
    vi.advanceTimersByTime(1);
    expect(fired).toHaveBeenCalledOnce();
  });
});

test('a timer of the system clock keeps no process alive', () => {
  const before = process.getActiveResourcesInfo().filter((each) => each === 'Timeout').length;
  const cancel = createSystemClock().setTimer(1_000_000, () => undefined);
  expect(process.getActiveResourcesInfo().filter((each) => each === 'Timeout')).toHaveLength(before);
  cancel();
});

test('the system clock tells the wall time, and a time that never goes back', () => {
  const clock = createSystemClock();
  expect(Math.abs(clock.now() - Date.now())).toBeLessThan(1000);
  const readings = Array.from({ length: 1000 }, () => clock.monotonic());
  expect(readings).toEqual(readings.toSorted((a, b) => a - b));
});

test('each ULID is greater than the one before, wherever the clock goes', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 2 ** 48 - 1 }), { minLength: 2, maxLength: 50 }), (times) => {
      let now = 0;
      const ulids = createSystemUlids({ now: () => now });
      const made = times.map((time) => {
        now = time;
        return ulids.next();
      });
      expect(made.every(isUlid)).toBe(true);
      expect(new Set(made).size).toBe(made.length);
      expect(made.toSorted()).toEqual(made);
    }),
  );
});

test('the last four characters of ULIDs differ for a million in a row, and the rest is random', () => {
  const clock = { now: () => 1_700_000_000_000 };
  const [ulids, others] = [createSystemUlids(clock), createSystemUlids(clock)];
  const suffixes = new Set<string>();
  for (let count = 0; count < 2 ** 20; count += 1) suffixes.add(ulids.next().slice(-4));
  expect(suffixes.size).toBe(2 ** 20);
  expect(ulids.next().slice(10, 22)).not.toBe(others.next().slice(10, 22));
});

describe('the digest', () => {
  test('is sha256 over the parts, each after its length', () => {
    const expected = createHash('sha256').update(Buffer.from('0000000000000003', 'hex')).update('aé').update(Buffer.alloc(8)).digest('hex');
    expect(systemDigest(['aé', new Uint8Array()])).toBe(expected);
  });

  test('is the same for much as for little', () => {
    const large = new Uint8Array(100_000).fill(7);
    const length = Buffer.alloc(8);
    length.writeUInt32BE(large.length, 4);
    expect(systemDigest([large])).toBe(createHash('sha256').update(length).update(large).digest('hex'));
  });

  test('differs for lists that read the same when joined, and not for text and its bytes', () => {
    const lists = [['ab', 'c'], ['a', 'bc'], ['abc'], ['abc', ''], ['', 'abc'], []];
    expect(new Set(lists.map((list) => systemDigest(list))).size).toBe(lists.length);
    expect(systemDigest(['é'])).toBe(systemDigest([Buffer.from('é')]));
  });
});
