/** A campaign as short as CI can bear. `npm run test:chaos` is the long one. */
import { expect, test } from 'vitest';
import { campaign } from './campaign.ts';

/** One that is the same each time, and one that is not. */
const seeds = [20_261_121, Math.floor(Math.random() * 2 ** 31)];
const durationMs = 8000;
/** On a hang: it is over in less than 20 s where nobody else is at work. */
const boundMs = 400_000;

test.each(seeds)('three nodes under faults keep every guarantee, with the seed %i', async (seed) => {
  const told: string[] = [];
  const verdict = await campaign({ seed, durationMs, callersPerNode: 2, keep: false, signal: new AbortController().signal, tell: (text) => void told.push(text) });
  if (verdict.failed > 0) console.error([`seed ${seed}`, ...told].join('\n'));
  expect(verdict.report().filter((line) => !line.startsWith('ok'))).toEqual([]);
  expect(verdict.passed).toBeGreaterThan(30);
}, boundMs);
