/** `scripts/beckon` in a checkout of its own, whose programs only say which they are. */
import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { beckonPath } from '../support/cli.ts';

let checkout: string;

beforeEach(() => {
  checkout = mkdtempSync(join(tmpdir(), 'bkn-'));
  for (const folder of ['scripts', 'dist', 'src/store']) mkdirSync(join(checkout, folder), { recursive: true });
  cpSync(beckonPath, join(checkout, 'scripts/beckon'));
  symlinkSync(join(beckonPath, '../../node_modules'), join(checkout, 'node_modules'));
  put('package.json', '{ "type": "module" }', 1);
  put('package-lock.json', '{}', 1);
  put('src/store/open.ts', '', 1);
  put('src/main.ts', "console.log('sources', process.argv.slice(2).join(' '));", 1);
  put('dist/main.js', "console.log('built', process.argv.slice(2).join(' '));", 2);
  for (const folder of ['src', 'src/store']) age(folder, 1);
});
afterEach(() => rmSync(checkout, { recursive: true, force: true }));

/** Changed in that minute of some hour. */
function put(path: string, text: string, minute: number): void {
  writeFileSync(join(checkout, path), text);
  age(path, minute);
}

function age(path: string, minute: number): void {
  const at = 1_700_000_000 + minute * 60;
  utimesSync(join(checkout, path), at, at);
}

function runs(...args: readonly string[]): string {
  return execFileSync(join(checkout, 'scripts/beckon'), args, { encoding: 'utf8', cwd: tmpdir() }).trim();
}

test('what was built runs, with the arguments as they were typed', () => {
  expect(runs('invoke', 'a b')).toBe('built invoke a b');
});

test.each(['src/main.ts', 'src/store/open.ts', 'src/store', 'package-lock.json'])('the sources run once %s is newer than what was built: a change, a file that went, another library', (path) => {
  age(path, 3);
  expect(runs('status')).toBe('sources status');
});

test('a note that was written beside the sources changes nothing', () => {
  put('src/ARCHITECTURE.md', '', 3);
  age('src', 1);
  expect(runs('status')).toBe('built status');
});

test('the sources run where nothing was built', () => {
  rmSync(join(checkout, 'dist'), { recursive: true });
  expect(runs('status')).toBe('sources status');
});
