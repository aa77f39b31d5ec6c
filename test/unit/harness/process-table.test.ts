import { describe, expect, test } from 'vitest';
import { parsePs, parseStat, processTable } from '../../../src/harness/process-table.ts';

describe('the process table', () => {
  test('/proc stat is read right whatever the program is called', () => {
    expect(parseStat('12 (a) S 1 2 3) S 5 6 7 0 -1 4194304')).toEqual({ pid: 12, parent: 5, group: 6, session: 7 });
  });

  test.each([['12 (x) Z 5 6 7 0'], ['12 (x) X 5 6 7 0'], ['']])('the dead do not count: %j', (stat) => {
    expect(parseStat(stat)).toBeUndefined();
  });

  test('a listing of ps is read without its dead', () => {
    expect(parsePs('    1     0     1 Ss\n  812     1   812 Z\n 1200   812   800 R+\n')).toEqual([
      { pid: 1, parent: 0, group: 1, session: 1 },
      { pid: 1200, parent: 812, group: 800, session: 800 },
    ]);
  });

  test('shows this process under its parent', async () => {
    const all = await processTable(process.platform)();
    expect(all.find((each) => each.pid === process.pid)).toMatchObject({ parent: process.ppid });
  });

  test('callers of one moment share a reading; those that come during it share the next, which begins after they asked', async () => {
    const read = processTable(process.platform);
    const first = read();
    expect(read()).toBe(first);
    await Promise.resolve();
    const second = read();
    expect(second).not.toBe(first);
    expect(read()).toBe(second);
    expect(await second).not.toBe(await first);
    const third = read();
    expect(third).not.toBe(second);
    await third;
  });
});
