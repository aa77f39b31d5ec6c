import { statSync } from 'node:fs';
import { expect, test } from 'vitest';
import { rows } from '../support/database.ts';
import { storePerTest } from '../support/store-per-test.ts';

const at = storePerTest();

test('a probe is a commit like any other, which leaves nothing behind', async () => {
  const { path } = at.temp;
  const logBytes = (): number => statSync(`${path}-wal`).size;
  const [before, facts] = [logBytes(), at.store.read.newestFact()];
  await at.store.write.probe();
  const once = logBytes();
  await at.store.write.probe();
  expect(once).toBeGreaterThan(before);
  expect(logBytes()).toBeGreaterThan(once);
  expect(at.store.read.newestFact()).toBe(facts);
  expect(rows(path, "SELECT * FROM settings WHERE key = 'probe'")).toEqual([]);
});

test('a store that is closed says so', async () => {
  await at.store.close();
  await expect(at.store.write.probe()).rejects.toMatchObject({ code: 'unavailable' });
});
