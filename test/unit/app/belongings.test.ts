import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import Database from 'better-sqlite3';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { findBelongings, removeBelongings } from '../../../src/app/belongings.ts';
import { paths as findPaths } from '../../../src/app/paths.ts';
import { acquireLock } from '../../../src/store/lock.ts';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'beckon-belongings-'));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

const put = (path: string, bytes = 10): void => {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, 'x'.repeat(bytes));
};
const partsOf = (home: string) => ({ paths: findPaths({ BECKON_HOME: home }, 'linux', directory, 1000), cacheDir: join(directory, 'cache', 'compiled') });
const usual = () => ({ paths: findPaths({}, 'linux', directory, 1000), cacheDir: join(directory, '.cache', 'beckon', 'compiled') });

describe('what a node has on its machine', () => {
  test('all of it is found, with its size, and all of it goes with its directory', async () => {
    const home = join(directory, 'home');
    for (const name of ['beckon.db', 'beckon.db-wal', 'beckon.db.v3.backup', 'beckon.epoch', 'up.json', 'config.toml', 'service.env', 'trust/node.key', 'trust/mesh1/root.key', 'logs/node.log', 'logs/node.1.log', 'run/control.sock', 'worktrees/w/a', 'set-aside/copy-1/beckon.db', 'clone.json', 'beckon.lock']) put(join(home, name));
    const parts = partsOf(home);
    put(join(parts.cacheDir, 'of-all-homes'), 5);
    const found = await findBelongings(parts);
    expect(found.left).toEqual([]);
    expect(found.worktrees).toEqual([join(home, 'worktrees', 'w')]);
    expect(found.found).toContainEqual({ what: 'keys', path: join(home, 'trust'), bytes: 20 });
    rmSync(join(home, 'beckon.lock'));
    await removeBelongings(parts, found);
    expect([existsSync(home), existsSync(parts.cacheDir)]).toEqual([false, true]);
  });

  test('without BECKON_HOME also the config elsewhere, and the cache', async () => {
    const parts = usual();
    for (const path of [parts.paths.dbFile, parts.paths.configFile, parts.paths.policyFile, join(parts.cacheDir, 'v1', 'a')]) put(path);
    const found = await findBelongings(parts);
    expect(found.found.map(({ path }) => path)).toEqual([parts.paths.dbFile, parts.paths.configFile, parts.paths.policyFile, parts.cacheDir]);
    const removed = await removeBelongings(parts, found);
    expect(removed).toEqual([parts.paths.dbFile, parts.paths.configFile, parts.paths.policyFile, parts.cacheDir, parts.paths.stateDir, dirname(parts.paths.configFile)]);
    expect(removed.filter((path) => existsSync(path))).toEqual([]);
  });

  test('a look into the store of a node that is down names its mesh, and leaves nothing beside it', async () => {
    const parts = partsOf(directory);
    const db = new Database(parts.paths.dbFile);
    db.exec("PRAGMA journal_mode = WAL; CREATE TABLE mesh (mesh_name); INSERT INTO mesh VALUES ('home')");
    db.close();
    expect(await findBelongings(parts)).toMatchObject({ mesh: 'home', found: [{ path: parts.paths.dbFile }] });
    expect(readdirSync(directory)).toEqual(['beckon.db']);
    writeFileSync(parts.paths.dbFile, 'no database');
    expect((await findBelongings(parts)).mesh).toBeUndefined();
  });

  test('of a BECKON_HOME that is a directory full of other things only its own goes', async () => {
    for (const name of ['Documents/thesis.tex', '.ssh/id_ed25519', 'beckon.db', 'beckon.dbx', 'logs.txt', 'trusted/x']) put(join(directory, name));
    const parts = partsOf(directory);
    const found = await findBelongings(parts);
    expect(found.found.map(({ path }) => path)).toEqual([join(directory, 'beckon.db')]);
    await removeBelongings(parts, found);
    expect(readdirSync(directory).toSorted()).toEqual(['.ssh', 'Documents', 'beckon.dbx', 'logs.txt', 'trusted']);
  });

  test('while a node has the lock nothing goes', async () => {
    put(join(directory, 'beckon.epoch'));
    const parts = partsOf(directory);
    const lock = acquireLock(parts.paths.lockFile);
    try {
      await expect(removeBelongings(parts, await findBelongings(parts))).rejects.toMatchObject({ code: 'conflict' });
    } finally {
      lock.release();
    }
    expect(existsSync(join(directory, 'beckon.epoch'))).toBe(true);
  });

  test('where nothing ever was, nothing is found and nothing is made', async () => {
    const parts = partsOf(join(directory, 'never'));
    const found = await findBelongings(parts);
    expect(found).toEqual({ found: [], left: [], worktrees: [] });
    expect(await removeBelongings(parts, found)).toEqual([]);
    expect(readdirSync(directory)).toEqual([]);
  });
});
