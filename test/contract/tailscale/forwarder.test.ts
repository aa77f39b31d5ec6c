import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import type { AddressInfo, Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeEach, expect, test } from 'vitest';
import { createSystemClock } from '../../../src/app/system-clock.ts';
import { forward } from '../../../src/discovery/tailscale/forwarder.ts';
import { LocalApi } from '../../../src/discovery/tailscale/local-api.ts';
import { FakeTailscaled } from '../../support/fake-tailscaled.ts';
import { waitFor } from '../../support/wait-for.ts';

const directory = mkdtempSync(join(tmpdir(), 'beckon-forward-'));
const path = join(directory, 'tailscaled.sock');
afterAll(() => rmSync(directory, { recursive: true }));

let fake: FakeTailscaled;
let api: LocalApi;
let echo: Server;
const options = { directory, timeoutMs: 1_000, signal: new AbortController().signal };
beforeEach(async () => {
  fake = await FakeTailscaled.start({ path }, { isUserspace: true, self: { id: '1', name: 'laptop', addresses: ['100.64.0.1'] }, peers: [{ id: '2', name: 'desktop', addresses: ['100.64.0.2'] }] });
  api = new LocalApi({ place: { kind: 'socket', path }, clock: createSystemClock() });
  echo = createServer((socket) => socket.pipe(socket));
  await new Promise<void>((resolve) => echo.listen(0, '127.0.0.1', resolve));
  fake.dialled.set('100.64.0.2:7423', { host: '127.0.0.1', port: (echo.address() as AddressInfo).port });
});
afterEach(async () => {
  await fake[Symbol.asyncDispose]();
  echo.close();
});

test('a machine behind tailscaled is reached through a socket file that is good for one connection', async () => {
  const offer = await forward(api, { host: '100.64.0.2', port: 7423 }, options);
  const socket = connect(offer.path);
  const answer = new Promise<Buffer>((resolve) => socket.once('data', resolve));
  socket.write('hello');
  expect((await answer).toString()).toBe('hello');
  offer.close();
  expect(existsSync(offer.path)).toBe(false);
  const again = new Promise<Buffer>((resolve) => socket.once('data', resolve));
  socket.write('still here');
  expect((await again).toString()).toBe('still here');
  const closed = new Promise((resolve) => socket.once('close', resolve));
  await fake.stop();
  await closed;
});

test('an offer that nobody takes leaves nothing open', async () => {
  const offer = await forward(api, { host: '100.64.0.2', port: 7423 }, options);
  const connections = (): Promise<number> => new Promise((resolve) => echo.getConnections((_error, count) => resolve(count)));
  await waitFor('the connection', async () => (await connections()) === 1);
  offer.close();
  await waitFor('it to be gone', async () => (await connections()) === 0);
  expect(readdirSync(directory)).toEqual(['tailscaled.sock']);
});

test('nobody there is an error with the reason, and no socket', async () => {
  await expect(forward(api, { host: '100.64.0.2', port: 9 }, options)).rejects.toMatchObject({ code: 'unavailable', message: expect.stringContaining('connection was refused') });
  expect(readdirSync(directory)).toEqual(['tailscaled.sock']);
});
