import { describe, expect, test } from 'vitest';
import { openReading } from '../../../src/store/connection.ts';
import { readerOver } from '../../../src/store/reader.ts';
import { remembered } from '../../../src/store/remembered.ts';
import { storeStory, storyNode } from '../../support/store-story.ts';
import { openTempStore } from '../../support/temp-store.ts';

describe('what is read with each invocation', () => {
  test('is read once, until something could have changed it', () => {
    const asked: string[] = [];
    const of = (name: string) => (...args: unknown[]) => (asked.push([name, ...args].join(' ')), { name, asked: asked.length });
    const { read, forget } = remembered({ membership: of('membership'), removedFrom: of('removedFrom'), mesh: of('mesh'), endpoint: of('endpoint') } as never);
    const all = () => [read.membership(), read.removedFrom(), read.mesh(), read.endpoint('a'), read.endpoint('b')];
    const first = all();
    expect(all()).toEqual(first);
    expect(asked).toEqual(['membership', 'removedFrom', 'mesh', 'endpoint a', 'endpoint b']);
    forget();
    expect(all()).not.toEqual(first);
    expect(asked).toHaveLength(10);
  });

  test('of an agent that is not there is asked for each time', () => {
    let asked = 0;
    const { read } = remembered({ endpoint: () => void (asked += 1) } as never);
    for (const address of ['a', 'a', 'b']) expect(read.endpoint(address)).toBeUndefined();
    expect(asked).toBe(3);
  });

  test('is what the database has, after each write that there is', async () => {
    await using temp = await openTempStore(storyNode);
    const { write, read } = temp.store;
    const seen = new Set<string>();
    for (const { name, input } of storeStory()) {
      await (write[name] as (input: unknown) => Promise<unknown>)(input);
      const db = openReading(temp.path);
      const fresh = readerOver(db);
      const all = (of: typeof read) => ({ membership: of.membership(), removedFrom: of.removedFrom(), mesh: of.mesh(), endpoints: fresh.endpoints().map(({ address }) => of.endpoint(address)), gone: of.endpoint('@fabric@laptop#main') });
      const now = all(fresh);
      expect([name, all(read)]).toEqual([name, now]);
      seen.add(JSON.stringify(now));
      db.close();
    }
    // It did change, again and again.
    expect(seen.size).toBeGreaterThan(4);
  });
});
