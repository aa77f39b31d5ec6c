import { createServer } from 'node:http';
import type { IncomingMessage, Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createSystemClock } from '../../../src/app/system-clock.ts';
import { TailscaleHttpApi } from '../../../src/discovery/tailscale/http-api.ts';
import type { ApiCredentials } from '../../../src/discovery/tailscale/http-api.ts';
import { FakeClock } from '../../support/fake-clock.ts';

const device = {
  addresses: ['100.64.0.2', 'fd7a:115c:a1e0::2'], id: '92960230385', nodeId: 'n292kg92CNTRL', user: 'ann@example.com', name: 'desktop.tn.ts.net', hostname: 'desktop', os: 'linux',
  created: '2026-01-05T12:00:00Z', lastSeen: '2026-05-05T12:00:00Z', expires: '2027-01-05T12:00:00Z', keyExpiryDisabled: false, authorized: true, isExternal: false, connectedToControl: true,
};
const devices = [
  device,
  { ...device, nodeId: 'n3', name: 'server.tn.ts.net', tags: ['tag:broker'], user: 'ann@example.com', expires: '0001-01-01T00:00:00Z', connectedToControl: false },
  { ...device, nodeId: 'n4', authorized: false },
  { ...device, nodeId: 'n5', isExternal: true },
  { ...device, nodeId: 'n6', expires: '2001-01-01T00:00:00Z' },
  { nodeId: 7 },
];

let server: Server;
let answers: ((request: IncomingMessage, body: string) => { status?: number; headers?: Record<string, string>; body: unknown })[];
let seen: { readonly path: string; readonly authorization: string | undefined; readonly body: string }[];
beforeEach(async () => {
  seen = [];
  answers = [];
  server = createServer((request, response) => {
    let body = '';
    request.setEncoding('utf8').on('data', (chunk: string) => (body += chunk));
    request.on('end', () => {
      seen.push({ path: request.url ?? '', authorization: request.headers.authorization, body });
      const answer = answers.shift()?.(request, body);
      if (answer === undefined) return;
      response.writeHead(answer.status ?? 200, { 'content-type': 'application/json', ...answer.headers }).end(JSON.stringify(answer.body));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
});
afterEach(() => {
  server.closeAllConnections();
  server.close();
});

const api = (credentials: ApiCredentials, changes: object = {}): TailscaleHttpApi =>
  new TailscaleHttpApi({ credentials, clock: createSystemClock(), baseUrl: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, timeoutMs: 500, ...changes });

describe('the HTTP API', () => {
  test('lists the machines of a tailnet with an API key, without those that are not in it yet', async () => {
    answers.push(() => ({ body: { devices } }));
    const found = await api({ kind: 'key', key: 'tskey-api-x' }).devices();
    expect(seen).toEqual([{ path: '/api/v2/tailnet/-/devices?fields=all', authorization: `Basic ${Buffer.from('tskey-api-x:').toString('base64')}`, body: '' }]);
    expect(found.map(({ id }) => id)).toEqual(['n292kg92CNTRL', 'n3', 'n5', 'n6']);
    expect(found[0]).toEqual({
      id: 'n292kg92CNTRL', hostName: 'desktop', dnsName: 'desktop.tn.ts.net', os: 'linux', user: 'ann@example.com', tags: [], addresses: device.addresses,
      isOnline: true, isExpired: false, isShared: false, isExit: false,
    });
    expect(found[1]).not.toHaveProperty('user');
    expect(found[1]).toMatchObject({ tags: ['tag:broker'], isOnline: false, isExpired: false });
    expect(found[2]?.isShared).toBe(true);
    expect(found[3]?.isExpired).toBe(true);
  });

  test('as an OAuth client fetches a token once, and anew when it ends or was withdrawn', async () => {
    const clock = new FakeClock();
    const client = api({ kind: 'client', clientId: 'id', clientSecret: 'tskey-client-x' }, { clock });
    const token = (value: string) => () => ({ body: { access_token: value, token_type: 'Bearer', expires_in: 3600 } });
    const list = () => ({ body: { devices: null } });
    answers.push(token('t1'), list, list);
    expect(await client.devices()).toEqual([]);
    await client.devices();
    expect(seen.map(({ path, authorization }) => [path, authorization])).toEqual([
      ['/api/v2/oauth/token', undefined], ['/api/v2/tailnet/-/devices?fields=all', 'Bearer t1'], ['/api/v2/tailnet/-/devices?fields=all', 'Bearer t1'],
    ]);
    expect(Object.fromEntries(new URLSearchParams(seen[0]?.body))).toEqual({ client_id: 'id', client_secret: 'tskey-client-x', grant_type: 'client_credentials' });
    await clock.advance(3_541_000);
    answers.push(token('t2'), () => ({ status: 401, body: { message: 'withdrawn' } }), token('t3'), list);
    await client.devices();
    expect(seen.slice(3).map(({ authorization }) => authorization)).toEqual([undefined, 'Bearer t2', undefined, 'Bearer t3']);
  });

  test('says how long the server wants to be left alone', async () => {
    answers.push(() => ({ status: 429, headers: { 'retry-after': '120' }, body: { message: 'slow down' } }));
    await expect(api({ kind: 'key', key: 'k' }).devices()).rejects.toMatchObject({ code: 'unavailable', detail: { retryAfterMs: '120000' } });
  });

  test('names wrong credentials, and a server that hangs, redirects or talks of something else', async () => {
    answers.push(() => ({ status: 401, body: { message: 'API token invalid' } }));
    await expect(api({ kind: 'key', key: 'k' }).devices()).rejects.toMatchObject({ code: 'denied', hint: expect.stringContaining('devices:core:read') });
    await expect(api({ kind: 'key', key: 'k' }).devices()).rejects.toMatchObject({ code: 'unavailable', message: expect.stringContaining('does not answer within 0.5 s') });
    answers.push(() => ({ status: 302, headers: { location: 'http://127.0.0.1:1/' }, body: {} }), () => ({ body: { devices: 'many' } }));
    await expect(api({ kind: 'key', key: 'k' }).devices()).rejects.toMatchObject({ code: 'unavailable', message: expect.stringContaining("can't be reached") });
    await expect(api({ kind: 'key', key: 'k' }).devices()).rejects.toMatchObject({ message: expect.stringContaining("the list of devices can't be understood: devices") });
    expect(seen.every(({ path }) => path.startsWith('/api/v2/tailnet/'))).toBe(true);
  });

  test('no error holds a secret', async () => {
    answers.push(() => ({ status: 500, body: { message: 'oops' } }));
    const error: unknown = await api({ kind: 'key', key: 'tskey-secret' }).devices().catch((thrown: unknown) => thrown);
    expect(JSON.stringify(error)).not.toContain('tskey-secret');
  });
});
