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

test('where projects are, and what is said of each, is taken as it is written', () => {
  const text = 'roots = ["~/src", "/srv/work", "~"]\n[projects."~/src/shop"]\nname = "Shop"\ncommand = ["./agent.sh"]\ndefault_workspace = "develop"\nenv = ["A=1"]\n[projects."/srv/old"]\nignore = true\n';
  expect(parseConfig(text, 'x')).toEqual({
    notifyAll: false,
    roots: ['~/src', '/srv/work', '~'],
    projects: { '~/src/shop': { name: 'shop', command: ['./agent.sh'], defaultWorkspace: 'develop', env: ['A=1'] }, '/srv/old': { ignore: true } },
  });
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
  ['a root that is no place', 'roots = ["~/src", "work"]\n', 'config.toml:1: roots[1]: is no absolute path', 'roots = ["~/src"'],
  ['roots as one text', '\nroots = "~/src"\n', 'config.toml:2: roots:', 'roots = ["~/src"'],
  ['a project that is no place', '[projects.shop]\nname = "x"\n', 'config.toml:1: projects.shop: is no absolute path', '[projects."~/src/shop"]'],
  ['an unknown word of a project', 'notify_all = true\n[projects."/a"]\nname = "a"\n[projects."/b"]\nname = "b"\nharnes = "claude"\n', 'config.toml:6: projects./b: unknown key "harnes"; known are: ignore, name,', '[projects.'],
  ['a word of a project of the wrong kind', '[projects."~/a"]\nname = "a"\n\n[projects."~/b"]\nisolate = "yes"\n', 'config.toml:5: projects."~/b".isolate: Invalid input: expected boolean', '[projects.'],
  ['a name that is none', '[projects."~/a"]\nname = "a b"\n', 'config.toml:2: projects."~/a".name: "a b" is not a name', '[projects.'],
  ['a program outside of the project', '[projects."~/a"]\ncommand = ["../x"]\n', 'config.toml:2: projects."~/a".command: its program is outside of the project', '[projects.'],
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
