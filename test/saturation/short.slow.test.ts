/** A campaign as short as CI can bear. `npm run test:saturation` is the long one, and the one that speaks of memory. */
import { expect, test } from 'vitest';
import { saturation } from './saturation.ts';

/** On a hang: it is over in 45 s where nobody else is at work. */
const boundMs = 170_000;

test('three nodes given far too much: each call is answered or told overload, and no node suspects another', async () => {
  const told: string[] = [];
  const verdict = await saturation({ seed: 8, durationMs: 8_000, outputBytes: 32 * 1024 * 1024, judgesMemory: false, keep: false, signal: new AbortController().signal, tell: (text) => void told.push(text) });
  const broken = verdict.report().filter((line) => !line.startsWith('ok'));
  if (broken.length > 0) console.error(told.join('\n'));
  expect(broken).toEqual([]);
}, boundMs);
