import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { limitNames } from '../../../src/domain/limits.ts';
import { root, text } from './source.ts';

const architecture = text('src/ARCHITECTURE.md');
const chapter = (title: string): string => architecture.split(/^## /m).find((each) => each.startsWith(`${title}\n`)) ?? '';

test('each limit that is counted is in the table of limits, and no other is', () => {
  const told = chapter('Limits').split('\n').filter((line) => line.startsWith('| ')).flatMap((line) => [...(line.split(' | ')[3] ?? '').matchAll(/`([a-z0-9_]+)`/g)].map(([, name = '']) => name));
  expect(told.filter((name) => !name.startsWith('beckon_')).toSorted()).toEqual(limitNames.toSorted());
});

test.each(['Limits', 'Threat model'])('each test that the chapter %s names is there', (title) => {
  const named = [...chapter(title).matchAll(/\b(?:unit|contract|integration|system|chaos)\/[a-z0-9/.-]*[a-z0-9]/g)].map(([path]) => path);
  expect(named.length).toBeGreaterThan(20);
  expect(named.filter((path) => !existsSync(join(root, 'test', `${path}.test.ts`)))).toEqual([]);
});

test('SECURITY.md links only to what is there', () => {
  const links = [...text('SECURITY.md').matchAll(/\]\(([^)#:]+)(?:#([^)]+))?\)/g)];
  expect(links.length).toBeGreaterThan(2);
  for (const [, path = '', anchor] of links) {
    expect(existsSync(join(root, path))).toBe(true);
    if (anchor !== undefined) expect(text(path).toLowerCase()).toMatch(new RegExp(`^##+ ${anchor.replaceAll('-', ' ')}$`, 'm'));
  }
});
