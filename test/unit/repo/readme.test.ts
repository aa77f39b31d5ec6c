import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { root, text } from './source.ts';

const guarantees = text('README.md')
  .split('\n')
  .filter((line) => /^\| G\d+ \|/.test(line));
/** Several names may share one path: "…"; "…" (system/held). */
const proofs = text('README.md').split('\n').flatMap((line) =>
  [...line.matchAll(/((?:"[^"]+"(?:; )?)+) \(([a-z]+\/[a-z0-9/.-]+)\)/g)].flatMap(([, names = '', path = '']) =>
    [...names.matchAll(/"([^"]+)"/g)].map(([, name = '']) => ({ name, path: `test/${path}.test.ts` })),
  ),
);

/** The fixed part of each title: what is put together at run time stands at its end. */
function titles(path: string): string[] {
  return [...text(path).matchAll(/\b(?:test|describe|attack)(?:\.\w+(?:\([^)]*\))?)*\(\s*(['"`])((?:(?!\1|\$\{).)+)/g)].map(([, , title = '']) => title);
}

describe('README', () => {
  test('names a test for each of the eleven guarantees', () => {
    expect(guarantees).toHaveLength(11);
    expect(guarantees.filter((line) => !proofs.some(({ name }) => line.includes(name)))).toEqual([]);
  });

  test.each(proofs)('names a test that exists: $name', ({ name, path }) => {
    expect(existsSync(join(root, path))).toBe(true);
    const known = titles(path);
    // A test in a group is named by both titles.
    const exists = known.some((title) => name === title || known.some((group) => name === `${group} ${title}` || name === `${group.replace(/[:,]$/, '')} ${title}`));
    expect(exists || known.some((title) => name === title.replace(/:$/, ''))).toBe(true);
  });

  test('links only to what is there', () => {
    const links = [...text('README.md').matchAll(/\]\(([^)#:]+)\)/g)].map(([, path = '']) => path);
    expect(links.filter((path) => !existsSync(join(root, path)))).toEqual([]);
  });
});
