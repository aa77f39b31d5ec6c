import { expect, test } from 'vitest';
import { Heartbeat } from '../../../src/mesh/heartbeat.ts';
import { heartbeatEveryMs, tickMs } from '../../../src/mesh/liveness.ts';
import { FakeClock } from '../../support/fake-clock.ts';

/** When beats went out, ms, with ticks at these times. */
async function beats(ticks: readonly number[]): Promise<number[]> {
  const clock = new FakeClock();
  const startMs = clock.monotonic();
  const sent: number[] = [];
  const heartbeat = new Heartbeat(clock, () => sent.push(clock.monotonic() - startMs));
  heartbeat.beat();
  for (const tick of ticks) {
    await clock.advance(tick - (clock.monotonic() - startMs));
    if (heartbeat.isDue) heartbeat.beat();
  }
  return sent;
}

test('a heartbeat goes out every three seconds, though ticks come a moment early or late', async () => {
  expect(await beats([1000, 2000, 3000, 4000, 5000, 6000])).toEqual([0, heartbeatEveryMs, 2 * heartbeatEveryMs]);
  expect(await beats([999, 1998, 2999, 3999, 4998, 5998])).toEqual([0, 2999, 5998]);
  expect(await beats([1040, 2040, 3100, 4090, 5090, 6090])).toEqual([0, 3100, 6090]);
});

test('a late tick does not make the next heartbeat wait longer than half a tick', async () => {
  const [, late = 0, next = 0] = await beats([1000, 2000, 3600, 4600, 5600, 6600]);
  expect([late, next - late]).toEqual([3600, heartbeatEveryMs]);
  expect(tickMs).toBeLessThan(heartbeatEveryMs / 2);
});
