import { chmodSync, lstatSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { connect as connectTo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { spawnSync } from 'node:child_process';
import { afterEach, beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import { silentLog } from '../../src/app/log.ts';
import { createSystemClock } from '../../src/app/system-clock.ts';
import { connect } from '../../src/client/connect.ts';
import { refuseForeignSocket } from '../../src/client/socket-owner.ts';
import { ControlServer } from '../../src/control/server.ts';
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

test('the answer to the call that ends the node gets out before it is gone', async () => {
  const node = await new FakeNode().start();
  onTestFinished(() => node.stop());
  let stopped: Promise<void> | undefined;
  node.broker.onShutdown = () => {
    stopped = node.server.stop();
  };
  const client = await connect({ socketPath: node.socketPath });
  await expect(client.shutdown(false)).resolves.toMatchObject({ pid: 4242 });
  client.close();
  await stopped;
  expect(() => lstatSync(node.socketPath)).toThrow('ENOENT');
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

test('a link in place of the directory is refused by name, wherever it leads', async () => {
  const elsewhere = join(directory, 'elsewhere');
  mkdirSync(elsewhere, { mode: 0o700 });
  for (const to of [elsewhere, join(directory, 'nowhere')]) {
    symlinkSync(to, dirname(path));
    await expect(claimSocketPath(path, uid)).rejects.toMatchObject({ code: 'denied', message: expect.stringContaining(`${dirname(path)} is a symbolic link`) });
    rmSync(dirname(path));
  }
});

test('a program that goes on opening connections is cut off at the limit, and told so by the counter alone; others get in when it lets go', async () => {
  const over: string[] = [];
  const { broker, served, health, config, directory: home } = new FakeNode();
  const node = new ControlServer({ api: broker, served, socketPath: path, uid, clock: createSystemClock(), log: silentLog, config: () => Promise.resolve(config), health, onOverLimit: (limit) => over.push(limit), mostConnections: 3 });
  onTestFinished(async () => {
    await node.stop();
    rmSync(home, { recursive: true });
  });
  await node.start();
  const sockets = Array.from({ length: 5 }, () => connectTo(path).on('error', () => undefined).resume());
  await vi.waitFor(() => expect(over).toEqual(['control_connections', 'control_connections']));
  for (const socket of sockets) socket.destroy();
  await vi.waitFor(async () => {
    const client = await connect({ socketPath: path });
    try {
      await client.status();
    } finally {
      client.close();
    }
  });
});

describe('a client speaks to no socket that is not its user’s', () => {
  const listen = async (): Promise<void> => {
    const server = createServer((socket) => socket.destroy());
    await new Promise<void>((resolve) => server.listen(path, resolve));
    onTestFinished(() => void server.close());
  };

  test.each([[0o777], [0o770]])('in a directory of mode %o, where others could put one', async (mode) => {
    mkdirSync(dirname(path));
    chmodSync(dirname(path), mode);
    await listen();
    await expect(connect({ socketPath: path })).rejects.toMatchObject({ code: 'denied', message: expect.stringContaining('others may write to') });
  });

  test('behind a link', async () => {
    mkdirSync(join(directory, 'elsewhere'), { mode: 0o700 });
    symlinkSync(join(directory, 'elsewhere'), dirname(path));
    await listen();
    await expect(connect({ socketPath: path })).rejects.toMatchObject({ code: 'denied', message: expect.stringContaining('symbolic link') });
  });

  test('of another user', async () => {
    mkdirSync(dirname(path), { mode: 0o700 });
    await listen();
    await expect(refuseForeignSocket(path, uid + 1)).rejects.toMatchObject({ code: 'denied', message: expect.stringMatching(/belongs to user/) });
    await refuseForeignSocket(path, uid);
  });
});
