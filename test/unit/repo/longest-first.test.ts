import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { longest, longestFirst } from '../../../scripts/longest-first.ts';
import { root } from '../../../scripts/run.ts';

const named = (project: string, path: string) => ({ project: { name: project }, moduleId: join(root, path) });

describe('the files that take longest', () => {
  test('are there, each named once', () => {
    expect(longest.filter((path) => !existsSync(join(root, path)))).toEqual([]);
    expect(new Set(longest).size).toBe(longest.length);
  });

  test('begin before the others of their project, whose order stays, as does that of the projects', () => {
    const [first = '', second = ''] = longest;
    const files = [named('attack', 'a'), named('attack', 'b'), named('slow', 'c'), named('slow', second), named('slow', 'd'), named('slow', first)];
    expect(longestFirst(files)).toEqual([named('attack', 'a'), named('attack', 'b'), named('slow', first), named('slow', second), named('slow', 'c'), named('slow', 'd')]);
  });
});
