import { expect, test } from 'vitest';
import { InTurn } from '../../../src/broker/in-turn.ts';
import { QueuedLook } from '../../../src/broker/queued-look.ts';

test('what is handed over begins when all before it have ended, and its failure is told to whoever handed it over alone', async () => {
  const turns = new InTurn();
  const said: string[] = [];
  const first = Promise.withResolvers<void>();
  const failing = turns.run(async () => {
    await first.promise;
    said.push('first');
    throw new Error('of the first');
  });
  const second = turns.run(async () => said.push('second'));
  expect(said).toEqual([]);
  first.resolve();
  await expect(failing).rejects.toThrow('of the first');
  expect(await second).toBe(2);
  await turns.settled();
  expect(said).toEqual(['first', 'second']);
});

test('however often a look is asked for during one, there is one more, and it sees what came meanwhile', async () => {
  const open = Promise.withResolvers<void>();
  let news = 1;
  const seen: number[] = [];
  const looks = new QueuedLook(async () => {
    seen.push(news);
    await open.promise;
  });
  looks.ask();
  await Promise.resolve();
  for (news = 2; news < 10; news += 1) looks.ask();
  open.resolve();
  await looks.settled();
  expect(seen).toEqual([1, 10]);
});
