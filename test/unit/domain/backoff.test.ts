import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { backoff } from '../../../src/domain/backoff.ts';

const options = { baseMs: 100, capMs: 5000 };

describe('backoff', () => {
  test.each([[0, 0.5, 50], [1, 0.5, 100], [2, 0.5, 200], [5, 0.5, 1600], [6, 0.5, 2500], [1000, 0.5, 2500], [5000, 0.999999, 5000], [-3, 0.5, 50]])(
    'after attempt %d a draw of %d waits %d ms',
    (attempt, random01, ms) => {
      expect(backoff(attempt, options, random01)).toBe(ms);
    },
  );

  test('every wait is whole, at least 1 ms and never above the cap or the doubled base', () => {
    fc.assert(
      fc.property(fc.nat({ max: 5000 }), fc.integer({ min: 1, max: 10_000 }), fc.integer({ min: 1, max: 100_000 }), fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), (attempt, baseMs, capMs, draw) => {
        const ms = backoff(attempt, { baseMs, capMs }, draw);
        expect(Number.isInteger(ms)).toBe(true);
        expect(ms).toBeGreaterThanOrEqual(1);
        expect(ms).toBeLessThanOrEqual(Math.min(capMs, baseMs * 2 ** attempt));
      }),
    );
  });

  test('the draws are spread over the whole range, so that many callers do not meet', () => {
    expect([0, 0.25, 0.75, 0.99].map((draw) => backoff(3, options, draw))).toEqual([1, 200, 600, 792]);
  });
});
