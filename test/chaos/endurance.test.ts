/** An endurance run as short as CI can bear. `npm run test:endurance` is the long one, and the one that speaks of memory. */
import { expect, test } from 'vitest';
import { endurance } from './endurance-run.ts';

/** On a hang: it is over in less than 20 s where nobody else is at work. */
const boundMs = 170_000;

test('invocations between two nodes with a partition in the middle: each ends, once, without a gap on either side', async () => {
  const told: string[] = [];
  const verdict = await endurance({ seed: 4, invocations: 200, partitionMs: 1500, judgesMemory: false, keep: false, signal: new AbortController().signal, tell: (text) => void told.push(text) });
  const broken = verdict.report().filter((line) => !line.startsWith('ok'));
  if (broken.length > 0) console.error(told.join('\n'));
  expect(broken).toEqual([]);
}, boundMs);
