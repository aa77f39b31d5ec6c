import { expect, test } from 'vitest';
import { Lanes } from '../../../../src/harness/worktree/lanes.ts';

test('one after the other in one repository, side by side in two; a failure holds nobody up', async () => {
  const lanes = new Lanes();
  const said: string[] = [];
  const gate = Promise.withResolvers<undefined>();
  const first = lanes.run('a', async () => {
    said.push('first');
    await gate.promise;
    throw new Error('it failed');
  });
  first.catch(() => 'awaited below');
  const second = lanes.run('a', async () => Promise.resolve(said.push('second')));
  await lanes.run('b', async () => Promise.resolve(said.push('elsewhere')));
  expect(said).toEqual(['first', 'elsewhere']);
  gate.resolve(undefined);
  await expect(first).rejects.toThrow('it failed');
  await second;
  expect(said).toEqual(['first', 'elsewhere', 'second']);
});

test('who waits can go at once, and is never begun; who has begun is waited for', async () => {
  const lanes = new Lanes();
  const gate = Promise.withResolvers<string>();
  const [atWork, waiting] = [new AbortController(), new AbortController()];
  const first = lanes.run('a', () => gate.promise, atWork.signal);
  let isBegun = false;
  const second = lanes.run('a', async () => Promise.resolve((isBegun = true)), waiting.signal);
  second.catch(() => 'awaited below');
  await Promise.resolve();
  atWork.abort();
  waiting.abort();
  await expect(second).rejects.toMatchObject({ code: 'cancelled' });
  gate.resolve('done');
  expect(await first).toBe('done');
  expect(await lanes.run('a', () => Promise.resolve('third'))).toBe('third');
  expect(isBegun).toBe(false);
});
