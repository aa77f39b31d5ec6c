/** Pruning takes its time, and leaves the store to others for most of it. */
import { expect, test } from 'vitest';
import { Chronicler } from '../../../src/broker/chronicler.ts';
import { defaultRetention, Pruning } from '../../../src/broker/pruning.ts';
import type { Store } from '../../../src/domain/store-port.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { silentLog } from '../../support/temp-store.ts';

/** A store with so much to prune that each write takes `writeMs`; and what was noted. */
function pruningOf(writeMs: number, writes: number) {
  const clock = new FakeClock();
  const seen = { writes: 0, notes: 0, writingMs: 0 };
  const store = {
    read: { prunable: () => seen.writes < writes },
    write: {
      prune: async () => {
        seen.writes += 1;
        seen.writingMs += writeMs;
        await clock.advance(writeMs);
        return { outputs: 1, records: 0, bytes: 1 };
      },
      note: () => {
        seen.notes += 1;
        return Promise.resolve();
      },
    },
  } as unknown as Store;
  let isStopping = false;
  const pruning = new Pruning({ store, chronicler: new Chronicler(clock), clock, log: silentLog, retention: defaultRetention, isStopping: () => isStopping });
  return { clock, seen, pruning, stop: () => (isStopping = true) };
}

/** Lets time go on until the round is over. */
async function over(clock: FakeClock, round: Promise<void>): Promise<number> {
  let isOver = false;
  const startMs = clock.monotonic();
  const ended = round.then(() => (isOver = true));
  while (!isOver) await clock.advance(1);
  await ended;
  return clock.monotonic() - startMs;
}

test('a round with much to prune has an eighth of the store at most, and ends in time', async () => {
  const { clock, seen, pruning } = pruningOf(10, Infinity);
  const tookMs = await over(clock, pruning.run());
  expect(seen.writingMs / tookMs).toBeLessThan(0.13);
  expect(seen.writingMs / tookMs).toBeGreaterThan(1 / 10);
  expect(tookMs).toBeGreaterThan(3_900);
  expect(tookMs).toBeLessThan(4_200);
  expect(seen.notes).toBe(1);
});

test('one write that took very long does not put off the end of a round for long', async () => {
  const { clock, pruning } = pruningOf(3_000, Infinity);
  expect(await over(clock, pruning.run())).toBeLessThanOrEqual(2 * (3_000 + 1_000) + 10);
});

test('what is stopped prunes no more', async () => {
  const { clock, seen, pruning, stop } = pruningOf(10, Infinity);
  const round = pruning.run();
  stop();
  await over(clock, round);
  expect(seen.writes).toBe(1);
});

test('with nothing to prune nothing is written', async () => {
  const { clock, seen, pruning } = pruningOf(10, 0);
  await over(clock, pruning.run());
  expect(seen).toEqual({ writes: 0, notes: 0, writingMs: 0 });
});
