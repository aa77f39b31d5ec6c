import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, test } from 'vitest';
import { environmentFile, parseEnvironmentFile } from '../../../src/supervisor/environment-file.ts';

const directory = mkdtempSync(join(tmpdir(), 'beckon-environment-'));
afterAll(() => rmSync(directory, { recursive: true }));

const character = fc.constantFrom('a', ' ', '"', "'", '\\', '$', '`', '\n', '#', ';', '=', '%', '{', 'ü', '!', '\t', '*');
const value = fc.array(character, { maxLength: 12 }).map((each) => each.join(''));
const variables = fc.dictionary(fc.stringMatching(/^[A-Z_][A-Z0-9_]{0,8}$/).map((name) => `T_${name}`), value, { maxKeys: 6 }).map((each) => ({ ...each }));

describe('the file of a captured environment', () => {
  test('what is read of it is what was written', () => {
    fc.assert(
      fc.property(variables, (given) => {
        expect(parseEnvironmentFile(environmentFile(given))).toEqual(given);
      }),
    );
  });

  test('a shell that reads it has the same values', () => {
    const path = join(directory, 'service.env');
    fc.assert(
      fc.property(variables, (given) => {
        writeFileSync(path, environmentFile(given));
        const out = execFileSync('/bin/sh', ['-c', 'set -a; . "$1"; exec env -0', 'sh', path], { env: {}, encoding: 'utf8' });
        const found = out.split('\0').filter((each) => each.startsWith('T_'));
        expect(Object.fromEntries(found.map((each) => [each.slice(0, each.indexOf('=')), each.slice(each.indexOf('=') + 1)]))).toEqual(given);
      }),
      { numRuns: 30 },
    );
  });

  test('the same environment is the same file, in whatever order it came', () => {
    expect(environmentFile({ B: '1', A: '2' })).toBe(environmentFile({ A: '2', B: '1' }));
  });

  test('names that no shell can set, and bytes that no variable can hold, are left out', () => {
    expect(parseEnvironmentFile(environmentFile({ 'BASH_FUNC_x%%': '() { :; }', 'a-b': 'x', NUL: 'a\0b', GOOD: 'y' }))).toEqual({ GOOD: 'y' });
  });

  test('a value that a person wrote without quotes is read too', () => {
    expect(parseEnvironmentFile('# mine\nA=plain\nB="in quotes"  \n\nnot a line\n')).toEqual({ A: 'plain', B: 'in quotes' });
  });
});
