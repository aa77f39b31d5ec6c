/** What a node refuses to start on, by name, with the command that mends it; and that the command does. */
import { execSync } from 'node:child_process';
import { chmodSync, chownSync, linkSync, mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { paths as findPaths } from '../../../src/app/paths.ts';
import type { Paths } from '../../../src/app/paths.ts';
import { refuseFlaws } from '../../../src/app/private-places.ts';
import { BrokerError } from '../../../src/domain/errors.ts';
import { because, notRoot } from '../../support/programs.ts';

const uid = process.getuid?.() ?? 0;
let home = '';
let paths: Paths;
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'beckon-places-'));
  paths = findPaths({ BECKON_HOME: home }, 'linux', '/nowhere', uid);
  for (const each of [paths.trustDir, join(paths.trustDir, 'k5mesh'), paths.logDir, paths.worktreesDir, dirname(paths.socketPath)]) mkdirSync(each, { mode: 0o700 });
  for (const each of files()) writeFileSync(each, '', { mode: 0o600 });
});
afterEach(() => rmSync(home, { recursive: true, force: true }));

const secrets = (): string[] => [paths.keyFile, join(paths.trustDir, 'k5mesh', 'issuer.key'), paths.dbFile, `${paths.dbFile}-wal`, paths.epochFile, paths.environmentFile];
const plain = (): string[] => [paths.lockFile, paths.tracesFile, paths.cloneFile, paths.policySeenFile, join(home, 'up.json')];
const files = (): string[] => [...secrets(), ...plain()];
const directories = (): string[] => [home, paths.trustDir, paths.logDir, paths.worktreesDir];

const refusal = (): Promise<BrokerError | undefined> => refuseFlaws(paths, uid).then(() => undefined, (error: unknown) => (error instanceof BrokerError ? error : Promise.reject(error)));

/** Each by itself: refused by its name, and mended by the command that is told. */
async function isRefusedAndMended(path: string, wrong: RegExp): Promise<void> {
  const refused = await refusal();
  expect(refused).toMatchObject({ code: 'denied', message: expect.stringContaining(path) });
  expect(refused?.message).toMatch(wrong);
  execSync(refused?.hint?.replace(/, or beckon doctor --fix$/, '').replace('sudo ', '') ?? '');
  expect(await refusal()).toBeUndefined();
}

describe('a node that starts', () => {
  test('accepts what it made', async () => {
    expect(await refusal()).toBeUndefined();
  });

  test('refuses each key, store and file of secrets that others can read or write', async () => {
    for (const path of secrets()) {
      for (const mode of [0o604, 0o640, 0o622]) {
        chmodSync(path, mode);
        await isRefusedAndMended(path, /open to others: its mode is 0(604|640|622)/);
      }
    }
  });

  test('refuses each other file, and each directory, that others can write', async () => {
    for (const path of [...plain(), ...directories()]) {
      chmodSync(path, path === home || directories().includes(path) ? 0o755 : 0o644);
      expect(await refusal()).toBeUndefined();
      chmodSync(path, 0o722);
      await isRefusedAndMended(path, /open to others: its mode is 0722/);
    }
  });

  test('refuses a directory of the socket, and a socket, that others can open at all', async () => {
    const directory = dirname(paths.socketPath);
    chmodSync(directory, 0o711);
    await isRefusedAndMended(directory, /open to others/);
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(paths.socketPath, resolve));
    onTestFinished(() => void server.close());
    chmodSync(paths.socketPath, 0o666);
    await isRefusedAndMended(paths.socketPath, /open to others/);
  });

  test('refuses links and other things in place of each', async () => {
    for (const path of [...files(), ...directories().slice(1)]) {
      renameSync(path, join(home, 'moved'));
      symlinkSync(join(home, 'moved'), path);
      expect(await refusal()).toMatchObject({ code: 'denied', message: expect.stringContaining(`${path} is a symbolic link`), hint: 'move it away' });
      rmSync(path);
      renameSync(join(home, 'moved'), path);
    }
    rmSync(paths.dbFile);
    mkdirSync(paths.dbFile);
    expect(await refusal()).toMatchObject({ message: expect.stringContaining(`${paths.dbFile} is no file`) });
  });

  test('refuses a place for config and policy, wherever it is, in which others could put a file of theirs', async () => {
    const elsewhere = mkdtempSync(join(tmpdir(), 'beckon-config-'));
    onTestFinished(() => rmSync(elsewhere, { recursive: true }));
    mkdirSync(join(elsewhere, 'beckon'));
    chmodSync(join(elsewhere, 'beckon'), 0o777);
    paths = { ...paths, configFile: join(elsewhere, 'beckon', 'config.toml') };
    await isRefusedAndMended(join(elsewhere, 'beckon'), /mode 0777, so anybody may put something else in its place/);
  });

  test('says how many more there are', async () => {
    for (const path of secrets()) chmodSync(path, 0o644);
    expect((await refusal())?.message).toMatch(/\(and 5 more: beckon doctor\)/);
  });

  test('finds nothing in a second name of a file: its owner and mode are one for all names', async () => {
    linkSync(paths.keyFile, join(home, 'other-name'));
    expect(await refusal()).toBeUndefined();
    chmodSync(join(home, 'other-name'), 0o644);
    await isRefusedAndMended(paths.keyFile, /open to others/);
  });

  test.skipIf(notRoot !== undefined)(`refuses what belongs to another user${because(notRoot)}`, async () => {
    for (const path of [...files(), ...directories()]) {
      chownSync(path, 64_124, 64_124);
      await isRefusedAndMended(path, /belongs to user 64124/);
    }
  });
});
