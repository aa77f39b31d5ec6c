import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { about, configOf, defaults, settingKeys, settingsSchema } from '../../../src/app/config.ts';
import type { Config } from '../../../src/app/config.ts';
import { parseConfigFile, readConfig, readConfigFile } from '../../../src/app/config-file.ts';
import { flawWords } from '../../../src/domain/config-view.ts';

const usual = { notifyAll: false, logLevel: 'info', logFileBytes: 10_000_000, logFiles: 5 };

const taken = (text: string): Config => {
  const { settings, flaws } = parseConfigFile(text, 'config.toml');
  expect(flaws).toEqual([]);
  return configOf(settings);
};

describe('what the config file says', () => {
  test('is taken, and nothing is an empty file', () => {
    expect(taken('')).toEqual(usual);
    expect(taken('# a comment\nnotify = ["say", "a b", ""]\nnotify_all = true\n')).toEqual({ ...usual, notify: ['say', 'a b', ''], notifyAll: true });
  });

  test('of projects is taken as it is written', () => {
    const text = 'roots = ["~/src", "/srv/work", "~"]\n[projects."~/src/shop"]\nname = "Shop"\ncommand = ["./agent.sh"]\ndefault_workspace = "develop"\nenv = ["A=1"]\n[projects."/srv/old"]\nignore = true\n';
    expect(taken(text)).toEqual({
      ...usual,
      roots: ['~/src', '/srv/work', '~'],
      projects: { '~/src/shop': { name: 'shop', command: ['./agent.sh'], defaultWorkspace: 'develop', env: ['A=1'] }, '/srv/old': { ignore: true } },
    });
  });

  test('of the log, of requests and of the network is read as flags are', () => {
    const text = 'name = "Studio"\nlisten = ["192.168.1.5", "[fd7a::1]:7000"]\ngossip_listen = "192.168.1.5"\nseeds = ["desktop"]\ntailscale = "off"\nlog_level = "debug"\nlog_size_mb = 2\nlog_files = 3\nrequest_timeout = "30m"\nheld_limit = 20\n';
    expect(taken(text)).toEqual({
      ...usual,
      name: 'studio',
      listen: ['192.168.1.5:7423', '[fd7a::1]:7000'],
      gossipListen: '192.168.1.5:7424',
      seeds: ['desktop:7423'],
      tailscale: 'off',
      logLevel: 'debug',
      logFileBytes: 2_000_000,
      logFiles: 3,
      requestMs: 1_800_000,
      heldLimit: 20,
    });
  });

  test.each([
    ['an unknown key', 'notify_all = true\n\n  notfy = ["say"]\n', '3:3: unknown key "notfy"', 'did you mean notify? known are: name,'],
    ['an unknown table', 'notify_all = true\n[colours]\nport = 1\n', '2:2: unknown key "colours"', 'known are: name,'],
    ['a value of the wrong kind', '\nnotify =   "say"\n', '2:12: notify: must be a list, and is a text', 'notify = ['],
    ['a wrong kind deep inside', 'roots = [\n  "/a", # 1\n  [ 2 ],\n]\n', '3:3: roots[1]: must be a text, and is a list', 'roots = ["~/src"'],
    ['a command without a program', 'notify = []\n', '1:10: notify: names no program', 'notify = ['],
    ['a NUL byte', 'notify = ["a", "a\\u0000"]\n', '1:16: notify[1]: has a NUL byte', 'notify = ['],
    ['a time that is none', 'request_timeout = "soon"\n', '1:19: request_timeout: "soon" is not a duration', 'request_timeout = "30m"'],
    ['a level that is none', 'log_level = "loud"\n', '1:13: log_level: must be one of debug, info, warn, error', 'log_level = "debug"'],
    ['a number that is no whole one', 'log_files = 1.5\n', '1:13: log_files: ', 'log_files = 5'],
    ['a number that is too small', 'log_files = 0\n', '1:13: log_files: is less than 1', 'log_files = 5'],
    ['room for nothing', 'held_limit = 0\n', '1:14: held_limit: is less than 1', 'held_limit = 10000'],
    ['an address that is none', 'listen = ["laptop:99999"]\n', '1:11: listen[0]: "laptop:99999" is not host:port', 'listen = ['],
    ['a name that is none', 'name = "a b"\n', '1:8: name: "a b" is not a name', 'name = "laptop"'],
    ['a date', 'notify_all = 2026-01-01\n', '1:14: notify_all: must be true or false, and is a date or time', 'notify_all = true'],
    ['a root that is no place', 'roots = ["~/src", "work"]\n', '1:19: roots[1]: is no absolute path', 'roots = ["~/src"'],
    ['a project that is no place', '[projects.shop]\nname = "x"\n', '1:11: projects.shop: is no absolute path', '[projects."~/src/shop"]'],
    ['projects that are no table', 'projects = 1\n', '1:12: projects: must be a table, and is a number', '[projects.'],
    ['a project that is named like no directory', '[projects.__proto__]\nname = "x"\n', '1:11: projects.__proto__: is no absolute path', '[projects."~/src/shop"]'],
    ['a label of a project that is no name', '[projects."/a"]\nlabels = { __proto__ = "x" }\n', '2:12: projects./a.labels.__proto__: is not the name of a label', '[projects."~/src/shop"]'],
    ['a table of another world', '[__proto__]\nname = "x"\n', '1:2: unknown key "__proto__"', 'known are: name,'],
    ['an unknown word of a project', 'notify_all = true\n[projects."/a"]\nname = "a"\n[projects."/b"]\nname = "b"\nharnes = "claude"\n', '6:1: projects./b: unknown key "harnes"', 'did you mean harness? known are: ignore, name,'],
    ['a word of a project of the wrong kind', '[projects."~/a"]\nname = "a"\n\n[projects."~/b"]\nisolate = "yes"\n', '5:11: projects."~/b".isolate: must be true or false, and is a text', '[projects.'],
    ['a word deep in a project', '[projects]\n"~/a" = { labels = { a = "b", c = 3 } }\n', '2:35: projects."~/a".labels.c: must be a text, and is a number', '[projects.'],
    ['a program outside of the project', '[projects."~/a"]\ncommand = ["../x"]\n', '2:11: projects."~/a".command: its program is outside of the project', '[projects.'],
    ['what is not TOML', 'notify_all = true\nnotify = say\n', '2:10: not TOML:', 'toml.io'],
    ['what is not TOML, behind wide characters', 'notify = ["🙂🙂" "b"]\n', '1:16: not TOML:', 'toml.io'],
    ['a key given twice', 'notify_all = true\nnotify_all = false\n', '2:1: not TOML:', 'toml.io'],
  ])('%s is refused, with line and column', (_what, text, message, hint) => {
    const [flaw] = parseConfigFile(text, 'config.toml').flaws;
    expect(flawWords(flaw!)).toContain(`config.toml:${message}`);
    expect(flaw?.hint).toContain(hint);
  });

  test('all that is wrong is told, in the order of the file', () => {
    const { flaws, settings } = parseConfigFile('roots = [1, 2]\n[projects."~/a"]\nisolate = 1\n[log]\n', 'c');
    expect(flaws.map((each) => `${each.line}:${each.column}`)).toEqual(['1:10', '1:13', '3:11', '4:2']);
    expect(settings).toEqual({});
  });
});

test('of very many flaws the first hundred are told, and how many are left', () => {
  const { flaws } = parseConfigFile(Array.from({ length: 250 }, (_, index) => `k${index} = 1\n`).join(''), 'c');
  expect(flaws).toHaveLength(101);
  expect([flaws[0]?.message, flaws[99]?.message, flaws[100]?.message]).toEqual(['unknown key "k0"', 'unknown key "k99"', 'there are 150 more']);
});

describe('a config file', () => {
  const inDirectory = async (use: (path: string, directory: string) => Promise<void>): Promise<void> => {
    const directory = mkdtempSync(join(tmpdir(), 'beckon-config-'));
    try {
      await use(join(directory, 'config.toml'), directory);
    } finally {
      rmSync(directory, { recursive: true });
    }
  };

  test('that is not there is no error; one that can not be read is', () =>
    inDirectory(async (path, directory) => {
      await expect(readConfig(path)).resolves.toEqual(usual);
      await expect(readConfigFile(path)).resolves.toMatchObject({ exists: false, flaws: [] });
      await expect(readConfig(directory)).rejects.toMatchObject({ code: 'invalid', message: expect.stringContaining('is not a file') });
      writeFileSync(path, 'notify_all = true');
      await expect(readConfig(path)).resolves.toEqual({ ...usual, notifyAll: true });
    }));

  test('that is not UTF-8 is refused at the byte', () =>
    inDirectory(async (path) => {
      writeFileSync(path, Buffer.concat([Buffer.from('# ok \ufffd ä\nname = "é'), Buffer.from([0xff]), Buffer.from('"\n')]));
      await expect(readConfig(path)).rejects.toMatchObject({ code: 'invalid', message: `${path}:2:10: not UTF-8` });
    }));

  test('that is too large is not read', () =>
    inDirectory(async (path) => {
      writeFileSync(path, `#${'x'.repeat(1024 * 1024)}`);
      await expect(readConfig(path)).rejects.toMatchObject({ code: 'invalid', message: expect.stringContaining('more than 1048576') });
    }));

  test('with several flaws says the first and how many more', () =>
    inDirectory(async (path) => {
      writeFileSync(path, 'a = 1\nb = 2\n');
      await expect(readConfig(path)).rejects.toMatchObject({ message: `${path}:1:1: unknown key "a" (and 1 more: beckon config check)` });
    }));
});

test('each setting has what is told about it, an example that is taken, and a default that it could be', () => {
  expect(settingKeys).toEqual(Object.keys(settingsSchema.shape));
  expect(settingKeys.flatMap((key) => parseConfigFile(about[key].example.replace(' and below it ', '\n'), key).flaws)).toEqual([]);
  expect(settingsSchema.safeParse(defaults).success).toBe(true);
});
