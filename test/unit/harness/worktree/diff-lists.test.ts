import { describe, expect, test } from 'vitest';
import { parseNumstat, parseRaw, parseSubmodules } from '../../../../src/harness/worktree/diff-lists.ts';

const fields = (...each: string[]): Uint8Array => new TextEncoder().encode(each.map((field) => `${field}\0`).join(''));

describe('what git lists with -z', () => {
  test('changed files: counts, binary ones, renamed ones by their new path, odd names', () => {
    expect(parseNumstat(fields('1\t2\ta b.txt', '-\t-\tdata.bin', '3\t0\t', 'old name', 'new\tname\n', '0\t0\t-x'))).toEqual([
      { path: 'a b.txt', added: 1, removed: 2 }, { path: 'data.bin' }, { path: 'new\tname\n', added: 3, removed: 0 }, { path: '-x', added: 0, removed: 0 },
    ]);
    expect(parseNumstat(new Uint8Array())).toEqual([]);
  });

  test('a form that is not known is not taken for an empty one', () => {
    expect(() => parseNumstat(fields('something else'))).toThrow(expect.objectContaining({ code: 'internal' }));
  });

  test('repositories that came, went or moved on', () => {
    const raw = (before: string, after: string): string => `:${before} ${after} ${'0'.repeat(40)} ${'1'.repeat(40)} M`;
    expect(parseRaw(fields(raw('100644', '100644'), 'a', raw('000000', '160000'), 'came', raw('160000', '000000'), 'went', raw('160000', '160000'), 'moved on'))).toEqual(['came', 'went', 'moved on']);
  });

  test('submodules with work of their own, and no others', () => {
    const hash = '1'.repeat(40);
    expect(parseSubmodules(fields(
      `1 .M S.M. 160000 160000 160000 ${hash} ${hash} vendor/lib one`,
      `1 .M N... 100644 100644 100644 ${hash} ${hash} a.txt`,
      `1 .M S... 160000 160000 160000 ${hash} ${hash} clean`,
      `2 R. S..U 160000 160000 160000 ${hash} ${hash} R100 moved`, 'from here',
      `u UU SC.. 160000 160000 160000 160000 ${hash} ${hash} ${hash} merged`,
      '? untracked',
    ))).toEqual(['vendor/lib one', 'moved', 'merged']);
  });
});
