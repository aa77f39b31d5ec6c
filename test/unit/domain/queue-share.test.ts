import { describe, expect, test } from 'vitest';
import fc from 'fast-check';
import { hasPlace } from '../../../src/domain/queue-share.ts';

describe('an agent’s queue', () => {
  test('is filled to its limit by whoever comes first', () => {
    expect(hasPlace({ waiting: 9_999, mine: 9_999, limit: 10_000 })).toBe(true);
    expect(hasPlace({ waiting: 10_000, mine: 10_000, limit: 10_000 })).toBe(false);
  });

  test('has a place for a node that has next to nothing in it, however many another one put there', () => {
    expect(hasPlace({ waiting: 10_000, mine: 0, limit: 10_000 })).toBe(true);
    expect(hasPlace({ waiting: 10_000, mine: 99, limit: 10_000 })).toBe(true);
    expect(hasPlace({ waiting: 10_000, mine: 100, limit: 10_000 })).toBe(false);
  });

  test('never holds more than a tenth over its limit, whoever asks', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 300 }), fc.array(fc.nat(19), { maxLength: 600 }), (limit, askers) => {
        const mine = new Map<number, number>();
        let waiting = 0;
        for (const asker of askers) {
          if (!hasPlace({ waiting, mine: mine.get(asker) ?? 0, limit })) continue;
          waiting += 1;
          mine.set(asker, (mine.get(asker) ?? 0) + 1);
        }
        expect(waiting).toBeLessThanOrEqual(limit + Math.floor(limit / 10));
      }),
    );
  });

  test('of a few places has none beyond them', () => {
    expect(hasPlace({ waiting: 2, mine: 0, limit: 2 })).toBe(false);
  });
});
