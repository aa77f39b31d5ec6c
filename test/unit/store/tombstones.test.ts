import { expect, test } from 'vitest';
import { TombstoneTable } from '../../../src/store/tombstones.ts';
import { memoryDatabase, storeOver } from '../../support/memory-store.ts';
import { nodeIdFor, Story } from '../../support/temp-store.ts';

function tables() {
  const db = memoryDatabase();
  storeOver(db, nodeIdFor(1));
  for (const number of [7, 8]) db.prepare('INSERT OR IGNORE INTO nodes (number, id) VALUES (?, ?)').run(number, nodeIdFor(number));
  return { db, story: new Story() };
}

test('an origin leaves so many of what it cancelled before it came and no more; others are not touched, nor is what was pruned', () => {
  const { db, story } = tables();
  const [first, second, third, other, pruned] = [1, 2, 3, 4, 5].map(() => story.invocationId());
  if (first === undefined || second === undefined || third === undefined || other === undefined || pruned === undefined) throw new Error('no ids');
  const table = new TombstoneTable(db, 2);
  table.leave(7, first, 1);
  table.leave(7, second, 1);
  expect(() => table.leave(7, third, 1)).toThrow(expect.objectContaining({ code: 'overload' }));
  expect(table.why(7, third)).toBeUndefined();
  table.leave(7, first, 2);
  table.leave(8, other, 1);
  table.leavePruned(7, pruned, 1);
  expect([table.why(7, first), table.why(8, other), table.why(7, pruned)]).toEqual(['cancelled', 'cancelled', 'pruned']);
});

test('those that were left before a restart count', () => {
  const { db, story } = tables();
  new TombstoneTable(db, 1).leave(7, story.invocationId(), 1);
  expect(() => new TombstoneTable(db, 1).leave(7, story.invocationId(), 1)).toThrow(/cancelled 1 invocations that never came/);
});
