import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { nameHolders } from '../../../src/domain/name-holder.ts';
import { isInForce, judgeRenewal, renewableAfterEndMs, renewalDueMs, renewalRetryMs } from '../../../src/domain/renewal.ts';
import { nodeIdFor } from '../../support/temp-store.ts';

const dayMs = 86_400_000;
/** As one is made: backdated by a day. */
const life = { notBeforeMs: -dayMs, notAfterMs: 90 * dayMs };

test('a certificate of 90 days is renewed 60 to 63 days after it was made, each node at a moment of its own', () => {
  expect(renewalDueMs(life, 0) / dayMs).toBeCloseTo(59.67, 1);
  expect(renewalDueMs(life, 0.999) / dayMs).toBeCloseTo(62.7, 1);
});

test('whatever its life, it is due before it ends and after most of it', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1000, max: 2 ** 40 }), fc.integer({ min: 0, max: 2 ** 40 }), fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), (length, from, spread) => {
      const due = renewalDueMs({ notBeforeMs: from, notAfterMs: from + length }, spread);
      expect(due).toBeGreaterThanOrEqual(from + (length * 2) / 3 - 1);
      expect(due).toBeLessThan(from + length);
    }),
  );
});

describe('what an issuer makes of a certificate', () => {
  test.each([
    ['new', 0, 'early'],
    ['of 44 days', 44 * dayMs, 'early'],
    ['of 45 days', 45 * dayMs, 'sign'],
    ['at its end', 90 * dayMs, 'sign'],
    ['that ended 90 days ago', 90 * dayMs + renewableAfterEndMs, 'sign'],
    ['that ended a moment longer ago', 90 * dayMs + renewableAfterEndMs + 1, 'late'],
  ] as const)('one %s', (_what, nowMs, verdict) => {
    expect(judgeRenewal(life, nowMs)).toBe(verdict);
  });

  test('whoever finds its certificate due is never told that it is early', () => {
    fc.assert(fc.property(fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), (spread) => judgeRenewal(life, renewalDueMs(life, spread)) === 'sign'));
  });
});

test('tries grow rarer, never rarer than an hour, a minute once it has ended, and are never all at one moment', () => {
  expect(renewalRetryMs(1, 30 * dayMs, 0.99)).toBeLessThanOrEqual(30_000);
  expect(renewalRetryMs(50, 30 * dayMs, 0.99)).toBeLessThanOrEqual(3_600_000);
  expect(renewalRetryMs(50, 3 * dayMs, 0.99)).toBeLessThanOrEqual(600_000);
  expect(renewalRetryMs(50, -1, 0.99)).toBeLessThanOrEqual(60_000);
  expect(renewalRetryMs(50, 30 * dayMs, 0.2)).not.toBe(renewalRetryMs(50, 30 * dayMs, 0.7));
});

test('it is in force from its first to its last moment', () => {
  expect([-dayMs - 1, -dayMs, 0, 90 * dayMs, 90 * dayMs + 1].map((nowMs) => isInForce(life, nowMs))).toEqual([false, true, true, true, false]);
});

test('of two with one name who had it first keeps it, however often either is renewed', () => {
  const [a, b] = [nodeIdFor(1), nodeIdFor(2)];
  expect(nameHolders([{ nodeId: a, name: 'n', notBeforeMs: 900, namedSinceMs: 100 }, { nodeId: b, name: 'n', notBeforeMs: 200 }]).get('n')).toBe(a);
  expect(nameHolders([{ nodeId: a, name: 'n', notBeforeMs: 300 }, { nodeId: b, name: 'n', notBeforeMs: 900, namedSinceMs: 200 }]).get('n')).toBe(b);
});
