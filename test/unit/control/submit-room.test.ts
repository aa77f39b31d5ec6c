import { expect, test } from 'vitest';
import { SubmitRoom } from '../../../src/control/submit-room.ts';

async function isFree(room: SubmitRoom): Promise<boolean> {
  let free = false;
  void room.free().then(() => (free = true));
  for (let turn = 0; turn < 5; turn += 1) await Promise.resolve();
  return free;
}

test('what is held takes its place until it is given back, and who waits reads on then', async () => {
  const room = new SubmitRoom(100);
  expect(await isFree(room)).toBe(true);
  const [first, second] = [room.take(60), room.take(60)];
  expect([room.isFree, await isFree(room)]).toEqual([false, false]);
  const [one, other] = [room.free(), room.free()];
  first();
  await Promise.all([one, other]);
  expect(room.isFree).toBe(true);
  second();
  const all = room.take(100);
  expect(room.isFree).toBe(false);
  all();
  expect(await isFree(room)).toBe(true);
});
