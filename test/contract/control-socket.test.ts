import { chmodSync, lstatSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { spawnSync } from 'node:child_process';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { connect } from '../../src/client/connect.ts';
import { claimSocketPath } from '../../src/control/socket-path.ts';
import { FakeNode } from '../support/fake-node.ts';

const uid = process.getuid?.() ?? 0;
let directory = '';
let path = '';
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'beckon-socket-'));
  path = join(directory, 'run', 'control.sock');
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

test('the socket is this user’s alone, in a directory that is', async () => {
  const node = await new FakeNode().start();
  expect(lstatSync(node.socketPath).mode & 0o777).toBe(0o600);
  expect(lstatSync(dirname(node.socketPath)).mode & 0o777).toBe(0o700);
  await node.stop();
});

test('stop removes the socket, and can be called again, as start can', async () => {
  const node = await new FakeNode().start();
  await node.start();
  await node.server.stop();
  expect(() => lstatSync(node.socketPath)).toThrow('ENOENT');
  await node.stop();
});

test('a socket that nobody answers on is replaced', async () => {
  mkdirSync(dirname(path), { mode: 0o700 });
  // Killed, so that its socket stays.
  const script = `require('net').createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, 'SIGKILL'))`;
  expect(spawnSync(process.execPath, ['-e', script]).signal).toBe('SIGKILL');
  await expect(connect({ socketPath: path })).rejects.toMatchObject({ code: 'unavailable', hint: 'start one: beckon up --detach' });
  await claimSocketPath(path, uid);
  expect(() => lstatSync(path)).toThrow('ENOENT');
});

test('a socket that somebody answers on is left alone', async () => {
  mkdirSync(dirname(path), { mode: 0o700 });
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(path, resolve));
  await expect(claimSocketPath(path, uid)).rejects.toMatchObject({ code: 'conflict' });
  expect(lstatSync(path).isSocket()).toBe(true);
  await new Promise((resolve) => server.close(resolve));
});

test('what is no socket is left alone', async () => {
  mkdirSync(dirname(path), { mode: 0o700 });
  writeFileSync(path, 'precious');
  await expect(claimSocketPath(path, uid)).rejects.toMatchObject({ code: 'conflict' });
  expect(lstatSync(path).size).toBe(8);
});

test.each([0o755, 0o770, 0o701])('a directory of mode %o is refused', async (mode) => {
  mkdirSync(dirname(path));
  chmodSync(dirname(path), mode);
  await expect(claimSocketPath(path, uid)).rejects.toMatchObject({ code: 'denied', hint: expect.stringMatching(/^chmod 700 /) });
});

test('a directory of another user is refused', async () => {
  mkdirSync(dirname(path), { mode: 0o700 });
  await expect(claimSocketPath(path, uid + 1)).rejects.toMatchObject({ code: 'denied' });
});

test('a link in place of the directory is refused', async () => {
  const elsewhere = join(directory, 'elsewhere');
  mkdirSync(elsewhere, { mode: 0o700 });
  symlinkSync(elsewhere, dirname(path));
  await expect(claimSocketPath(path, uid)).rejects.toMatchObject({ code: expect.stringMatching(/denied|unavailable/) });
});
