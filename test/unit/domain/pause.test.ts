import { expect, test } from 'vitest';
import { pause, within } from '../../../src/domain/pause.ts';
import { FakeClock } from '../../support/fake-clock.ts';

test('a pause ends by the clock, or when it is told to, and leaves no timer behind', async () => {
  const clock = new FakeClock();
  const stopping = new AbortController();
  const ended: string[] = [];
  const [whole, cut] = [pause(clock, 100).then(() => ended.push('whole')), pause(clock, 200, stopping.signal).then(() => ended.push('cut'))];
  await clock.advance(100);
  await whole;
  stopping.abort();
  await cut;
  expect(ended).toEqual(['whole', 'cut']);
  expect(clock.pending).toBe(0);
  await pause(clock, 1_000, stopping.signal);
});

test('what takes longer is not waited for, and what fails in time fails', async () => {
  const clock = new FakeClock();
  const work = Promise.withResolvers<string>();
  const late = within(clock, 100, work.promise);
  await clock.advance(100);
  expect(await late).toBeUndefined();
  const inTime = within(clock, 100, work.promise);
  work.resolve('done');
  expect(await inTime).toBe('done');
  await expect(within(clock, 100, Promise.reject(new Error('no')))).rejects.toThrow('no');
  expect(clock.pending).toBe(0);
});
