import { expect, test } from 'vitest';
import { Awareness } from '../../../src/mesh/awareness.ts';

test.each<[what: string, ticks: readonly (readonly [lateMs: number, isDeaf: boolean])[], score: number, nineSeconds: number]>([
  ['on time', [[0, false], [300, false], [500, false]], 0, 9_000],
  ['late once', [[501, false]], 1, 10_125],
  ['late three times', [[900, false], [900, false], [2_900, false]], 3, 12_375],
  ['deaf for long', Array.from({ length: 20 }, () => [0, true] as const), 4, 13_500],
  ['late, then on time five times', [[900, false], ...Array.from({ length: 5 }, () => [0, false] as const)], 0, 9_000],
  ['late, then on time four times', [[900, false], ...Array.from({ length: 4 }, () => [0, false] as const)], 1, 10_125],
])('a node that is %s waits as long as it should trust its hearing', (_what, ticks, score, nineSeconds) => {
  const awareness = new Awareness();
  for (const [lateMs, isDeaf] of ticks) awareness.tick(lateMs, isDeaf);
  expect(awareness.score).toBe(score);
  expect(awareness.scale(9_000)).toBe(nineSeconds);
});
