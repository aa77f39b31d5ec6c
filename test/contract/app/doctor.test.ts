/** What `doctor` sees of a machine, on real files. */
import { chmodSync, existsSync, linkSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { examineHere } from '../../../src/app/doctor.ts';
import { paths as pathsOf } from '../../../src/app/paths.ts';
import type { Paths } from '../../../src/app/paths.ts';
import { flawOf } from '../../../src/app/private-places.ts';
import type { Check } from '../../../src/domain/checks.ts';
import { nodeIdOfPublicKey } from '../../../src/domain/ids.ts';
import { acquireLock } from '../../../src/store/lock.ts';
import { openStore } from '../../../src/store/open.ts';
import { auditKeyOf } from '../../../src/trust/audit-key.ts';
import { writeKeyFile } from '../../../src/trust/key-file.ts';
import { generateNodeKey } from '../../../src/trust/node-key.ts';

const silentLog = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };
const uid = process.getuid?.() ?? 0;
let home: string;
let paths: Paths;
beforeEach(async () => {
  home = mkdtempSync(join(tmpdir(), 'beckon-doctor-'));
  paths = pathsOf({ BECKON_HOME: home }, 'linux', '/nowhere', uid);
  mkdirSync(join(home, 'run'), { mode: 0o700 });
  mkdirSync(paths.trustDir, { mode: 0o700 });
  const key = generateNodeKey();
  await writeKeyFile(paths.keyFile, key.privateKey);
  writeFileSync(join(home, 'up.json'), JSON.stringify({ tailscale: 'off' }), { mode: 0o600 });
  const store = await openStore({ path: paths.dbFile, nodeId: key.nodeId, auditKey: auditKeyOf(key), log: silentLog });
  await store.close();
});
afterEach(() => rmSync(home, { recursive: true, force: true }));

async function examine(how: { fix?: boolean; isRunning?: boolean; quick?: boolean; env?: Readonly<Record<string, string>> } = {}): Promise<Record<string, Check>> {
  const checks = await examineHere({ paths, uid, env: {}, fix: false, isRunning: false, ...how });
  return Object.fromEntries(checks.map((each) => [each.id, each]));
}

/** A socket file on which nobody listens any more, as a killed process leaves it. */
async function leaveSocket(): Promise<void> {
  const kept = `${paths.socketPath}.kept`;
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(paths.socketPath, resolve));
  linkSync(paths.socketPath, kept);
  await new Promise<void>((resolve) => server.close(() => resolve()));
  renameSync(kept, paths.socketPath);
  chmodSync(paths.socketPath, 0o600);
}

const modeOf = (path: string): number => statSync(path).mode & 0o777;

describe('asked for the store alone, as a health check does', () => {
  test('it is well while the database is there and its disk takes writes, and leaves nothing behind', async () => {
    const before = readdirSync(home);
    expect(await examine({ quick: true, isRunning: true })).toEqual({ store: expect.objectContaining({ ok: true }) });
    expect(readdirSync(home)).toEqual(before);
  });

  test('a database that was taken away is told, though a node that has it open goes on', async () => {
    const store = await openStore({ path: paths.dbFile, nodeId: nodeIdOfPublicKey(new Uint8Array(32)), log: silentLog });
    try {
      renameSync(paths.dbFile, `${paths.dbFile}.away`);
      expect(await examine({ quick: true, isRunning: true })).toEqual({ store: expect.objectContaining({ ok: false, detail: expect.stringContaining('is gone') }) });
    } finally {
      renameSync(`${paths.dbFile}.away`, paths.dbFile);
      await store.close();
    }
  });

  test('so is a directory that is gone, or that is a file', async () => {
    rmSync(home, { recursive: true });
    expect(await examine({ quick: true, isRunning: true })).toMatchObject({ store: { ok: false } });
  });
});

describe('on a machine whose node is down', () => {
  test('all is well but that', async () => {
    const checks = await examine();
    expect(Object.keys(checks)).toEqual(['permissions', 'disk', 'config', 'socket', 'node', 'database', 'audit', 'tailscale']);
    expect(Object.values(checks).filter(({ ok }) => !ok).map(({ id }) => id)).toEqual(['node']);
    expect(checks['node']).toMatchObject({ detail: 'no node runs here', hint: 'start it: beckon up --detach' });
  });

  test('nothing is made, changed or left behind', async () => {
    const before = statSync(paths.dbFile);
    await examine();
    expect(statSync(paths.dbFile).mtimeMs).toBe(before.mtimeMs);
    expect([paths.lockFile, `${paths.dbFile}-wal`, `${paths.dbFile}-shm`].filter((path) => existsSync(path))).toEqual([]);
    rmSync(home, { recursive: true });
    expect(Object.values(await examine())).toMatchObject([{ id: 'permissions', ok: true }, { id: 'config', ok: true }, { id: 'node', ok: false }]);
    expect(existsSync(home)).toBe(false);
  });

  test('modes that let others in are named with the command, and put right with --fix, each by name', async () => {
    chmodSync(paths.keyFile, 0o644);
    chmodSync(paths.dbFile, 0o660);
    chmodSync(join(home, 'run'), 0o755);
    const { permissions } = await examine();
    expect(permissions).toMatchObject({ ok: false, hint: expect.stringContaining(`chmod 0600 ${paths.keyFile}`) });
    expect(permissions?.detail).toContain(`${paths.dbFile} is open to others: its mode is 0660`);
    expect(permissions?.hint).toContain('beckon doctor --fix');
    const { permissions: fixed, database } = await examine({ fix: true });
    expect(fixed).toMatchObject({ ok: true });
    expect(new Set(fixed?.fixed)).toEqual(new Set([`chmod 0600 ${paths.keyFile}`, `chmod 0600 ${paths.dbFile}`, `chmod 0700 ${join(home, 'run')}`]));
    expect([modeOf(paths.keyFile), modeOf(paths.dbFile), modeOf(join(home, 'run'))]).toEqual([0o600, 0o600, 0o700]);
    expect(database).toMatchObject({ ok: true });
    expect((await examine({ fix: true }))['permissions']?.fixed).toBeUndefined();
  });

  test('what a person has to look at is left as it is, --fix or not', async () => {
    rmSync(paths.keyFile);
    symlinkSync('/dev/null', paths.keyFile);
    const { permissions } = await examine({ fix: true });
    expect(permissions).toMatchObject({ ok: false, detail: `${paths.keyFile} is a symbolic link`, hint: 'move it away' });
  });

  test('a socket that a killed node left behind is named, and removed with --fix', async () => {
    await leaveSocket();
    expect((await examine())['socket']).toMatchObject({ ok: false, hint: expect.stringContaining('--fix') });
    expect(existsSync(paths.socketPath)).toBe(true);
    expect((await examine({ fix: true }))['socket']).toMatchObject({ ok: true, fixed: [`removed ${paths.socketPath}, on which nobody answers`] });
    expect(existsSync(paths.socketPath)).toBe(false);
  });

  test('a damaged database is named, and left as it is', async () => {
    const bytes = readFileSync(paths.dbFile);
    // The kind of page, in every page but the first.
    for (let page = 4096; page < bytes.length; page += 4096) bytes[page] = 0xff;
    writeFileSync(paths.dbFile, bytes);
    const { database } = await examine({ fix: true });
    expect(database).toMatchObject({ ok: false, detail: expect.stringMatching(/damaged/) });
    expect(database?.hint).not.toBe('');
    expect(readFileSync(paths.dbFile).equals(bytes)).toBe(true);
  });

  test('remembered flags that can not be understood are no reason to give up', async () => {
    writeFileSync(join(home, 'up.json'), 'not JSON');
    expect((await examine())['tailscale']).toMatchObject({ ok: false, detail: expect.stringContaining('up.json') });
  });
});

test('a node that holds the lock and does not answer is neither down nor well, and its socket is left alone', async () => {
  await leaveSocket();
  // Another connection of the same process would share its locks.
  const holder = new Worker(new URL('../../support/lock-holder.ts', import.meta.url), { workerData: paths.lockFile, stdout: true });
  await new Promise((resolve) => holder.once('message', resolve));
  try {
    const checks = await examine({ fix: true });
    expect(Object.keys(checks)).toEqual(['permissions', 'disk', 'config', 'node']);
    expect(checks['node']).toMatchObject({ ok: false, detail: expect.stringContaining('does not answer') });
    expect(existsSync(paths.socketPath)).toBe(true);
  } finally {
    holder.postMessage('release');
    await new Promise((resolve) => holder.once('exit', resolve));
  }
  acquireLock(paths.lockFile).release();
});

test('of a node that runs only the outside is looked at: the rest it knows better', async () => {
  expect(Object.keys(await examine({ isRunning: true }))).toEqual(['permissions', 'disk', 'config']);
});

test.each([
  ['its own', { kind: 'file', uid: 5, mode: 0o600 }, undefined],
  ['one that others can read', { kind: 'file', uid: 5, mode: 0o640 }, { isFixable: true, hint: 'chmod 0600 /x' }],
  ['one of another user', { kind: 'file', uid: 6, mode: 0o600 }, { isFixable: false, hint: 'sudo chown 5 /x' }],
  ['a link', { kind: 'link', uid: 5, mode: 0o777 }, { isFixable: false, why: '/x is a symbolic link' }],
  ['a directory', { kind: 'directory', uid: 5, mode: 0o700 }, { isFixable: false, why: '/x is no file' }],
] as const)('a private file that is %s', (_what, found, flaw) => {
  const judged = flawOf({ path: '/x', kind: 'file', refused: 0o077, mode: 0o600 }, found, 5);
  if (flaw === undefined) expect(judged).toBeUndefined();
  else expect(judged).toMatchObject(flaw);
});

describe('the config file', () => {
  test('that no node would start with is told with its place, and what is right in one is followed', async () => {
    writeFileSync(paths.configFile, 'tailscale = "off"\n');
    expect(await examine()).toMatchObject({ config: { ok: true, detail: `${paths.configFile} is understood` }, tailscale: { ok: true, detail: expect.stringContaining('off') } });
    writeFileSync(paths.configFile, 'tailscale = "off"\nlisten = 1\nx = 2\n');
    expect((await examine()).config).toMatchObject({ ok: false, detail: `${paths.configFile}:2:10: listen: must be a list, and is a number, and 1 more; no node starts with that`, hint: expect.stringContaining('beckon config check') });
    expect((await examine({ env: { BECKON_LOG_LEVEL: 'loud' } })).config?.detail).toContain(', and 2 more');
    rmSync(paths.configFile);
    expect((await examine({ env: { BECKON_LOG_LEVEL: 'loud' } })).config).toMatchObject({ ok: false, detail: expect.stringContaining('BECKON_LOG_LEVEL: must be one of') });
  });
});
