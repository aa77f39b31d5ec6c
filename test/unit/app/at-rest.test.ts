import { beforeEach, expect, test } from 'vitest';
import { AtRest } from '../../../src/app/at-rest.ts';
import { FakeClock } from '../../support/fake-clock.ts';

const minute = 60_000;
let clock: FakeClock;
let load: number;
let collections: number;
let atRest: AtRest;

beforeEach(async () => {
  clock = new FakeClock();
  [load, collections] = [0, 0];
  atRest = new AtRest({ clock, utilization: () => load, collect: () => (collections += 1) });
  await atRest.start();
});

test('what the start took is given back once, after it has been at rest for twenty seconds', async () => {
  await clock.advance(19_999);
  expect(collections).toBe(0);
  await clock.advance(1);
  expect(collections).toBe(1);
  await clock.advance(60 * minute);
  expect(collections).toBe(1);
});

test('while there is work nothing is collected, and after it once', async () => {
  load = 0.5;
  await clock.advance(30 * minute);
  expect(collections).toBe(0);
  load = 0.01;
  await clock.advance(20_000);
  expect(collections).toBe(1);
  await clock.advance(60 * minute);
  expect(collections).toBe(1);
});

test('work that comes and goes costs a collection in five minutes at most', async () => {
  for (let round = 0; round < 60; round += 1) {
    load = round % 3 === 0 ? 1 : 0;
    await clock.advance(10_000);
  }
  expect(collections).toBe(2);
});

test('a node that stops looks no more', async () => {
  await atRest.start();
  await atRest.stop();
  expect(clock.pending).toBe(0);
  await clock.advance(minute);
  expect(collections).toBe(0);
});
