import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { parseConfig, readConfig } from '../../../src/app/config.ts';

const flawOf = (text: string): { code: string; message: string; hint?: string } => {
  try {
    parseConfig(text, 'config.toml');
  } catch (error) {
    return error as { code: string; message: string };
  }
  throw new Error('it was taken');
};

test('what it says is taken, and nothing is an empty file', () => {
  expect(parseConfig('', 'x')).toEqual({ notifyAll: false });
  expect(parseConfig('# a comment\nnotify = ["say", "a b", ""]\nnotify_all = true\n', 'x')).toEqual({ notify: ['say', 'a b', ''], notifyAll: true });
});

test('how long requests wait is a duration', () => {
  expect(parseConfig('request_timeout = "30m"', 'x')).toEqual({ notifyAll: false, requestMs: 1_800_000 });
});

test.each([
  ['an unknown key', 'notify_all = true\n\nnotfy = ["say"]\n', 'config.toml:3: unknown key "notfy"', 'notify, notify_all'],
  ['an unknown table', 'notify_all = true\n[metrics]\nport = 1\n', 'config.toml:2: unknown key "metrics"', 'notify, notify_all'],
  ['a value of the wrong kind', '\nnotify = "say"\n', 'config.toml:2: notify:', 'notify = ['],
  ['a command without a program', 'notify = []\n', 'config.toml:1: notify: names no program', 'notify = ['],
  ['a NUL byte', 'notify = ["a\\u0000"]\n', 'config.toml:1: notify: has a NUL byte', 'notify = ['],
  ['a time that is none', 'request_timeout = "soon"\n', 'config.toml:1: request_timeout: "soon" is not a duration', 'request_timeout = "30m"'],
  ['what is not TOML', 'notify_all = true\nnotify = say\n', 'config.toml:2: not TOML:', 'toml.io'],
])('%s is refused, with its place', (_what, text, message, hint) => {
  expect(flawOf(text)).toMatchObject({ code: 'invalid', message: expect.stringContaining(message), hint: expect.stringContaining(hint) });
});

test('a file that is not there is no error; one that can not be read is', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'beckon-config-'));
  try {
    await expect(readConfig(join(directory, 'config.toml'))).resolves.toEqual({ notifyAll: false });
    await expect(readConfig(directory)).rejects.toMatchObject({ code: 'invalid', message: expect.stringContaining(directory) });
    writeFileSync(join(directory, 'config.toml'), 'notify_all = true');
    await expect(readConfig(join(directory, 'config.toml'))).resolves.toEqual({ notifyAll: true });
  } finally {
    rmSync(directory, { recursive: true });
  }
});
