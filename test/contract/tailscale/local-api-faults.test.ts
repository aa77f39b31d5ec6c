/** A tailscaled that is slow, broken, restarted, or not there; and what only some platforms do. */
import { mkdtempSync, rmSync } from 'node:fs';
import { request } from 'node:http';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createSystemClock } from '../../../src/app/system-clock.ts';
import { LocalApi } from '../../../src/discovery/tailscale/local-api.ts';
import { FakeTailscaled } from '../../support/fake-tailscaled.ts';
import { bodyOf, recorded } from '../../support/recorded-tailscaled.ts';
import { waitFor } from '../../support/wait-for.ts';

const directory = mkdtempSync(join(tmpdir(), 'beckon-localapi-'));
afterAll(() => rmSync(directory, { recursive: true }));
const clock = createSystemClock();
const self = { id: '1', name: 'laptop', addresses: ['100.64.0.1', 'fd7a:115c:a1e0::1'], user: 'ann' };
const peer = { id: '2', name: 'desktop', addresses: ['100.64.0.2', 'fd7a:115c:a1e0::2'], user: 'ann' };

let fake: FakeTailscaled;
let api: LocalApi;
const path = join(directory, 'tailscaled.sock');
beforeEach(async () => {
  fake = await FakeTailscaled.start({ path }, { self, peers: [peer] });
  api = new LocalApi({ place: { kind: 'socket', path }, clock, timeoutMs: 300, mostBytes: 64 * 1024 });
});
afterEach(() => fake[Symbol.asyncDispose]());

function plain(headers: Record<string, string>): Promise<{ status: number; body: string }> {
  return new Promise((resolve, reject) => {
    request({ socketPath: path, path: '/localapi/v0/status', headers }, (response) => {
      let body = '';
      response.setEncoding('utf8').on('data', (chunk: string) => (body += chunk));
      response.on('end', () => resolve({ status: response.statusCode ?? 0, body }));
    })
      .on('error', reject)
      .end();
  });
}

test('the fake refuses whom the real one refuses', async () => {
  const wrongHost = recorded('refused-wrong-host');
  expect(await plain({ host: 'localhost' })).toEqual({ status: wrongHost.response.status, body: bodyOf(wrongHost) });
  expect(await plain({ host: 'local-tailscaled.sock', origin: 'http://evil.example' })).toEqual({ status: 403, body: bodyOf(recorded('refused-origin')) });
});

describe('each fault is one error that says what is wrong', () => {
  test('a daemon that hangs', async () => {
    fake.trouble = 'hang';
    await expect(api.status()).rejects.toMatchObject({ code: 'unavailable', message: 'tailscaled does not answer within 0.3 s' });
    await expect(api.dial({ host: '100.64.0.2', port: 1 })).rejects.toMatchObject({ code: 'unavailable' });
    await expect(api.watch(new AbortController().signal).next()).rejects.toMatchObject({ code: 'unavailable' });
  });

  test('one that hangs in the middle of its answer', async () => {
    const half = createServer((socket) => void socket.write('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"Ver'));
    await new Promise<void>((resolve) => half.listen(0, '127.0.0.1', resolve));
    const slow = new LocalApi({ place: { kind: 'port', port: (half.address() as AddressInfo).port, token: 'a' }, clock, timeoutMs: 200 });
    await expect(slow.status()).rejects.toMatchObject({ code: 'unavailable', message: 'tailscaled: its answer took longer than 0.2 s' });
    half.close();
  });

  test('one that answers garbage, breaks off, or has no end', async () => {
    fake.trouble = 'garbage';
    await expect(api.status()).rejects.toMatchObject({ code: 'unavailable', message: 'the status of tailscaled is not JSON' });
    fake.trouble = 'cut';
    await expect(api.status()).rejects.toMatchObject({ code: 'unavailable', message: 'tailscaled: it broke its answer off' });
    fake.trouble = undefined;
    fake.change({ peers: Array.from({ length: 200 }, (_, index) => ({ ...peer, id: `n${index}` })) });
    await expect(api.status()).rejects.toMatchObject({ code: 'unavailable', message: 'tailscaled answers more than 65536 bytes' });
  });

  test('none at all, or one that was stopped', async () => {
    await fake.stop();
    await expect(api.status()).rejects.toMatchObject({ code: 'unavailable', message: `no tailscaled here: there is no ${path}` });
    const dead = new LocalApi({ place: { kind: 'port', port: 1, token: 'a' }, clock });
    await expect(dead.status()).rejects.toMatchObject({ message: 'tailscaled is not running: nobody answers at port 1 of this machine' });
    await fake.restart();
    expect((await api.status()).state).toBe('Running');
  });

  test('a call that nobody waits for any more ends at once', async () => {
    fake.trouble = 'hang';
    const stop = new AbortController();
    const asked = api.status({ signal: stop.signal });
    stop.abort();
    await expect(asked).rejects.toMatchObject({ code: 'cancelled' });
  });
});

describe('a watch', () => {
  test('ends with the daemon, and is begun anew by whoever wants more', async () => {
    const watching = api.watch(new AbortController().signal);
    expect(await watching.next()).toMatchObject({ value: { isChange: true } });
    await fake.stop();
    // Cut in the middle of a stream, or at its end: both are an end.
    await expect(watching.next()).rejects.toMatchObject({ code: 'unavailable' });
    await fake.restart();
    expect(await api.watch(new AbortController().signal).next()).toMatchObject({ value: { isChange: true } });
  });

  test('that reads too slowly is thrown out, and told so', async () => {
    fake.watcherQueue = 0;
    const watching = api.watch(new AbortController().signal);
    await watching.next();
    await waitFor('the watcher to be known', () => fake.watchers === 1);
    fake.change({ peers: [] });
    expect(await watching.next()).toMatchObject({ value: { error: 'watcher fell behind; disconnecting' } });
    await expect(watching.next()).rejects.toMatchObject({ message: 'tailscaled ended the watch: "watcher fell behind; disconnecting"' });
  });

  test('that is no longer wanted leaves nothing open', async () => {
    const stop = new AbortController();
    const watching = api.watch(stop.signal);
    await watching.next();
    const waits = watching.next();
    stop.abort();
    expect(await waits).toEqual({ done: true, value: undefined });
    await waitFor('the watcher to be gone', () => fake.watchers === 0);
  });
});

describe('dial', () => {
  test('gives a raw stream, both ways', async () => {
    const echo = createServer((socket) => socket.pipe(socket));
    await new Promise<void>((resolve) => echo.listen(0, '127.0.0.1', resolve));
    fake.dialled.set('100.64.0.2:7423', { host: '127.0.0.1', port: (echo.address() as AddressInfo).port });
    const stream = await api.dial({ host: '100.64.0.2', port: 7423 });
    stream.write('there and back');
    const heard = await new Promise<Buffer>((resolve) => stream.once('data', resolve));
    expect(heard.toString()).toBe('there and back');
    stream.destroy();
    echo.close();
  });

  test('fails with the reason: a closed port, or an address of nobody', async () => {
    await expect(api.dial({ host: '100.64.0.2', port: 9 })).rejects.toMatchObject({ code: 'unavailable', message: expect.stringContaining('dial failure: connect tcp 100.64.0.2:9') });
    await expect(api.dial({ host: '100.64.0.77', port: 9 })).rejects.toMatchObject({ code: 'unavailable', message: '100.64.0.77 is no address of the tailnet' });
  });
});

test('the applications for macOS are asked at a port, with the token that only this user can read', async () => {
  await using application = await FakeTailscaled.start({ token: '0123456789abcdef0123' }, { self, peers: [peer] });
  const right = new LocalApi({ place: { kind: 'port', port: application.port, token: '0123456789abcdef0123' }, clock });
  expect((await right.status()).self?.hostName).toBe('laptop');
  const wrong = new LocalApi({ place: { kind: 'port', port: application.port, token: 'ff' }, clock });
  await expect(wrong.status()).rejects.toMatchObject({ message: 'tailscaled answers 401: "auth required"' });
});
