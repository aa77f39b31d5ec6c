import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Awareness } from '../../../src/mesh/awareness.ts';
import { heartbeatEveryMs, tickMs } from '../../../src/mesh/liveness.ts';
import { nextRoundInMs, suspectAfterMs, suspicionBounds, suspicionMs } from '../../../src/mesh/suspicion.ts';

const bounds = { minMs: 2_000, maxMs: 30_000 };

// The table of hashicorp/memberlist suspicion_test.go, without what has elapsed.
test.each([
  [0, 3, 30_000],
  [1, 3, 16_000],
  [2, 3, 7_810],
  [3, 3, 2_000],
  [4, 3, 2_000],
  [5, 3, 2_000],
  [0, 0, 30_000],
])('with %i of %i confirmations a suspect has %i ms', (confirmed, asked, ms) => {
  expect(suspicionMs(confirmed, asked, bounds)).toBe(ms);
});

test('each confirmation makes it shorter or leaves it, within the bounds', () => {
  fc.assert(
    fc.property(fc.nat({ max: 10 }), fc.nat({ max: 10 }), (confirmed, asked) => {
      const ms = suspicionMs(confirmed, asked);
      expect(ms).toBeGreaterThanOrEqual(suspicionBounds.minMs);
      expect(ms).toBeLessThanOrEqual(suspicionBounds.maxMs);
      expect(suspicionMs(confirmed + 1, asked)).toBeLessThanOrEqual(ms);
    }),
  );
});

test('the longest way from the last frame to unreachable is below the 30 s that are promised', () => {
  const deaf = new Awareness();
  for (let tick = 0; tick < 100; tick += 1) deaf.tick(10_000, true);
  expect(deaf.scale(suspectAfterMs) + suspicionBounds.maxMs + 2 * tickMs).toBeLessThanOrEqual(25_000);
  expect(suspectAfterMs).toBe(3 * heartbeatEveryMs);
});

test('others are asked again later and later, up to a minute, never all at once', () => {
  expect([1, 2, 3, 4, 5, 50].map((round) => nextRoundInMs(round, 0.5))).toEqual([5_000, 10_000, 20_000, 40_000, 60_000, 60_000]);
  expect([nextRoundInMs(1, 0), nextRoundInMs(1, 0.999_999)]).toEqual([3_750, 6_250]);
});
