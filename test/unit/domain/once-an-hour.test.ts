import { expect, test } from 'vitest';
import { OnceAnHour } from '../../../src/domain/once-an-hour.ts';
import { FakeClock } from '../../support/fake-clock.ts';

const hourMs = 3_600_000;

test('the first of a key counts at once and no other for an hour, whatever becomes of other keys', async () => {
  const clock = new FakeClock();
  const once = new OnceAnHour(clock);
  expect([once.counts('a'), once.counts('a'), once.counts('b')]).toEqual([true, false, true]);
  await clock.advance(hourMs - 1);
  expect(once.counts('a')).toBe(false);
  await clock.advance(1);
  expect([once.counts('a'), once.counts('a')]).toEqual([true, false]);
});

test('however many keys there are, what counts in an hour is bounded', async () => {
  const clock = new FakeClock();
  const once = new OnceAnHour(clock);
  const counted = (): number => Array.from({ length: 10_000 }, (_, key) => once.counts(`${key}`)).filter(Boolean).length;
  expect([counted(), counted()]).toEqual([4_096, 0]);
  await clock.advance(hourMs);
  expect(counted()).toBe(4_096);
});
