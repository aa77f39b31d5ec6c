import { expect, test } from 'vitest';
import { PeerLimits } from '../../../src/broker/peer-limits.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { nodeIdFor } from '../../support/temp-store.ts';

test('a peer has two thousand of its news taken at once and two hundred a second; the rest is counted, and told once a minute', async () => {
  const clock = new FakeClock();
  const lines: string[] = [];
  const over: string[] = [];
  const nothing = (): void => undefined;
  const limits = new PeerLimits(clock, { debug: nothing, info: nothing, error: nothing, warn: ({ why = '' }) => void lines.push(why) }, (limit) => void over.push(limit));
  const taken = (nodeId: ReturnType<typeof nodeIdFor>, count: number): number => Array.from({ length: count }, () => limits.take(nodeId)).filter(Boolean).length;
  const [evil, desktop] = [nodeIdFor(1), nodeIdFor(2)];
  expect([taken(evil, 5_000), over.length, new Set(over)]).toEqual([2_000, 3_000, new Set(['registry_news'])]);
  expect(taken(desktop, 100)).toBe(100);
  await clock.advance(1_000);
  expect(taken(evil, 5_000)).toBe(200);
  expect(lines).toEqual([expect.stringContaining('more than 200 of its news of the registry a second')]);
});
