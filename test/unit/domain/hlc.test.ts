import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { HybridClock, compareHlc, decodeHlc, encodeHlc, isHlc, maxAheadMs } from '../../../src/domain/hlc.ts';
import type { Hlc } from '../../../src/domain/hlc.ts';

const parts = fc.record({ ms: fc.integer({ min: 0, max: 2 ** 48 - 1 }), counter: fc.integer({ min: 0, max: 65_535 }) });
const t0 = 1_700_000_000_000;

describe('a clock value', () => {
  test('is what it was encoded from, and text order is clock order', () => {
    fc.assert(
      fc.property(parts, parts, (a, b) => {
        expect(decodeHlc(encodeHlc(a))).toEqual(a);
        const order = Math.sign(a.ms - b.ms || a.counter - b.counter);
        expect(compareHlc(encodeHlc(a), encodeHlc(b))).toBe(order);
      }),
    );
  });

  test('has a fixed width', () => {
    expect(encodeHlc({ ms: 0, counter: 0 })).toBe('000000000000-0000');
    expect(encodeHlc({ ms: 2 ** 48 - 1, counter: 65_535 })).toBe('ffffffffffff-ffff');
  });

  test.each(['', '0-0', '00000000000g-0000', '000000000000-00000', '0000000000000-000', 'FFFFFFFFFFFF-FFFF', '000000000000-0000\n'])(
    '%j is refused as invalid',
    (text) => {
      expect(isHlc(text)).toBe(false);
      expect(() => decodeHlc(text)).toThrow(expect.objectContaining({ code: 'invalid' }));
      expect(() => new HybridClock().observe(text as Hlc, t0)).toThrow(expect.objectContaining({ code: 'invalid' }));
    },
  );

  test.each([{ ms: -1, counter: 0 }, { ms: 2 ** 48, counter: 0 }, { ms: 0.5, counter: 0 }, { ms: 0, counter: 65_536 }, { ms: 0, counter: Number.NaN }])(
    '%j is out of range',
    (value) => {
      expect(() => encodeHlc(value)).toThrow(expect.objectContaining({ code: 'invalid' }));
    },
  );
});

describe('a hybrid clock', () => {
  test('always advances, whatever the wall clock does and whoever is heard', () => {
    const step = fc.record({ nowMs: fc.integer({ min: t0 - 1e6, max: t0 + 1e6 }), remote: fc.option(parts, { nil: undefined }) });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 50 }), (steps) => {
        const clock = new HybridClock();
        let last = encodeHlc({ ms: 0, counter: 0 });
        for (const { nowMs, remote } of steps) {
          const value = remote === undefined ? clock.tick(nowMs) : clock.observe(encodeHlc(remote), nowMs).at;
          expect(compareHlc(last, value)).toBe(-1);
          last = value;
        }
      }),
    );
  });

  test('orders cause before effect between nodes whose clocks differ by less than the limit', () => {
    const nodes = 3;
    const event = fc.record({
      from: fc.nat({ max: nodes - 1 }),
      to: fc.nat({ max: nodes - 1 }),
      skews: fc.array(fc.integer({ min: 0, max: maxAheadMs / 2 }), { minLength: nodes, maxLength: nodes }),
    });
    fc.assert(
      fc.property(fc.array(event, { maxLength: 60 }), (events) => {
        const clocks = Array.from({ length: nodes }, () => new HybridClock());
        for (const { from, to, skews } of events) {
          const sent = clocks[from]!.tick(t0 + skews[from]!);
          const { at, refused } = clocks[to]!.observe(sent, t0 + skews[to]!);
          expect(refused).toBe(false);
          expect(compareHlc(sent, at)).toBe(-1);
        }
      }),
    );
  });

  test('stays with the wall clock when that is ahead', () => {
    const clock = new HybridClock(encodeHlc({ ms: t0, counter: 9 }));
    expect(decodeHlc(clock.tick(t0 + 1))).toEqual({ ms: t0 + 1, counter: 0 });
    expect(decodeHlc(clock.tick(t0 + 1))).toEqual({ ms: t0 + 1, counter: 1 });
    expect(decodeHlc(clock.observe(encodeHlc({ ms: t0 + 1, counter: 7 }), t0 + 1).at)).toEqual({ ms: t0 + 1, counter: 8 });
    expect(decodeHlc(clock.observe(encodeHlc({ ms: t0 + 5, counter: 2 }), t0 + 1).at)).toEqual({ ms: t0 + 5, counter: 3 });
  });

  test('never takes over a clock more than five minutes ahead, and says so', () => {
    const clock = new HybridClock();
    expect(clock.observe(encodeHlc({ ms: t0 + maxAheadMs, counter: 0 }), t0)).toEqual({ at: encodeHlc({ ms: t0 + maxAheadMs, counter: 1 }), refused: false });
    const strict = new HybridClock();
    expect(strict.observe(encodeHlc({ ms: t0 + maxAheadMs + 1, counter: 0 }), t0)).toEqual({ at: encodeHlc({ ms: t0, counter: 0 }), refused: true });
    expect(decodeHlc(strict.tick(t0)).ms).toBe(t0);
  });

  test('goes on after a restart where it was, though the wall clock went back', () => {
    const before = new HybridClock().tick(t0);
    expect(compareHlc(before, new HybridClock(before).tick(t0 - 60_000))).toBe(-1);
  });

  test('a full counter moves the milliseconds on, its own and a remote one', () => {
    const full = encodeHlc({ ms: t0, counter: 65_535 });
    expect(decodeHlc(new HybridClock(full).tick(t0))).toEqual({ ms: t0 + 1, counter: 0 });
    expect(decodeHlc(new HybridClock().observe(full, t0).at)).toEqual({ ms: t0 + 1, counter: 0 });
  });

  test('a wall clock that is no time at all is an internal error and changes nothing', () => {
    const clock = new HybridClock();
    for (const nowMs of [-1, Number.NaN, Number.POSITIVE_INFINITY]) expect(() => clock.tick(nowMs)).toThrow(expect.objectContaining({ code: 'internal' }));
    expect(clock.tick(t0)).toBe(encodeHlc({ ms: t0, counter: 0 }));
  });
});
