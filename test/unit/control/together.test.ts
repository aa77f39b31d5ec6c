import { expect, test } from 'vitest';
import type { FlightUpdate } from '../../../src/broker/api.ts';
import { together } from '../../../src/control/together.ts';

const held = (why: string): FlightUpdate => ({ type: 'held', atMs: 1, why, untilMs: 2 });
const output = (bytes: number): FlightUpdate => ({ type: 'event', atMs: 1, event: { seq: 1, atMs: 1, hlc: '0' as never, body: { kind: 'output', stream: 'stdout', bytes: new Uint8Array(bytes) } } });

async function sizes(updates: AsyncIterable<FlightUpdate>, isWanted = true): Promise<number[]> {
  const found: number[] = [];
  for await (const each of together(updates, isWanted)) found.push(each.length);
  return found;
}

test('what is there at the same moment leaves together, and what has to be waited for by itself', async () => {
  async function* updates(): AsyncGenerator<FlightUpdate> {
    yield held('one');
    yield await Promise.resolve(held('two'));
    yield held('three');
    await new Promise((resolve) => setImmediate(resolve));
    yield held('four');
  }
  expect(await sizes(updates())).toEqual([3, 1]);
  expect(await sizes(updates(), false)).toEqual([1, 1, 1, 1]);
});

test('no message holds much more than its share of output, or of updates', async () => {
  async function* updates(count: number, bytes: number): AsyncGenerator<FlightUpdate> {
    for (let number = 0; number < count; number += 1) yield output(bytes);
  }
  expect(await sizes(updates(10, 100 * 1024))).toEqual([3, 3, 3, 1]);
  expect(await sizes(updates(600, 1))).toEqual([256, 256, 88]);
});

test('what was there before a failure is told, and then the failure', async () => {
  async function* updates(): AsyncGenerator<FlightUpdate> {
    yield held('one');
    yield held('two');
    throw new Error('gone');
  }
  const found: number[] = [];
  await expect(async () => {
    for await (const each of together(updates(), true)) found.push(each.length);
  }).rejects.toThrow('gone');
  expect(found).toEqual([2]);
});

test('who leaves ends what is told, and without a wish for more nothing is asked for ahead', async () => {
  let [asked, ended] = [0, 0];
  const updates: AsyncIterable<FlightUpdate> = {
    [Symbol.asyncIterator]: () => ({
      next: async () => ((asked += 1), { done: false, value: held('one') }),
      return: async () => ((ended += 1), { done: true, value: undefined }),
    }),
  };
  for await (const each of together(updates, false)) if (each.length > 0) break;
  expect([asked, ended]).toEqual([1, 1]);
  for await (const each of together(updates, true)) if (each.length > 0) break;
  expect(ended).toBe(2);
});
