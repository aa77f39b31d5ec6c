import { describe, expect, test } from 'vitest';
import { identifyCaller, identifyListener } from '../../../src/app/identify.ts';
import type { TailnetIdentity, TailnetMachine, TailnetView } from '../../../src/domain/tailnet.ts';

const self: TailnetMachine = { id: '1', hostName: 'laptop', dnsName: 'laptop.tn.test', os: 'linux', user: 'ann', tags: [], addresses: ['100.64.0.1'], isOnline: true, isExpired: false, isShared: false, isExit: false };
const desktop: TailnetIdentity = { id: '2', name: 'desktop', user: 'ann', tags: [], addresses: ['100.64.0.2'], isExpired: false, isShared: false, isRouter: false, capabilities: new Map() };
const up = (isUserspace = false): TailnetView => ({ kind: 'up', status: { version: '', state: 'Running', isUserspace, addresses: ['100.64.0.1', 'fd7a:115c:a1e0::1'], self, dnsSuffix: 'tn.test', peers: [] } });
const tailnet = (view: TailnetView, found: TailnetIdentity | undefined = desktop) => ({ view, whois: () => Promise.resolve(found) });
const remote = { host: '100.64.0.2', port: 4711 };

describe('who is at the other end', () => {
  test('is whom the tailnet names, for a connection that came through it', async () => {
    expect(await identifyCaller(tailnet(up()), { remote, localAddress: '100.64.0.1' })).toBe(desktop);
    expect(await identifyCaller(tailnet(up()), { remote: { host: '::ffff:100.64.0.2', port: 1 }, localAddress: '::ffff:100.64.0.1' })).toBe(desktop);
    expect(await identifyCaller(tailnet(up()), { remote, localAddress: 'fd7a:115c:a1e0::1' })).toBe(desktop);
    expect(await identifyCaller(tailnet(up(true)), { remote: { host: '127.0.0.1', port: 4711 }, localAddress: '127.0.0.1' })).toBe(desktop);
    expect(await identifyListener(tailnet(up()), remote)).toBe(desktop);
  });

  test.each([
    ['it came over another network', up(), { remote, localAddress: '192.168.1.5' }, desktop, /did not come through the tailnet/],
    ['userspace networking, and not from tailscaled', up(true), { remote, localAddress: '100.64.0.1' }, desktop, /did not come through the tailnet/],
    ['nobody knows it', up(), { remote, localAddress: '100.64.0.1' }, undefined, /knows no machine at 100\.64\.0\.2:4711/],
    ['it is this same machine', up(), { remote, localAddress: '100.64.0.1' }, { ...desktop, id: '1' }, /is this same machine/],
    ['it is of another tailnet', up(), { remote, localAddress: '100.64.0.1' }, { ...desktop, isShared: true }, /of another tailnet/],
    ['its key has expired', up(), { remote, localAddress: '100.64.0.1' }, { ...desktop, isExpired: true }, /has expired/],
    ['others come from behind it', up(), { remote, localAddress: '100.64.0.1' }, { ...desktop, isRouter: true }, /subnet router/],
  ] as const)('is refused when %s', async (_why, view, ends, found, words) => {
    await expect(identifyCaller({ view, whois: () => Promise.resolve(found) }, ends)).rejects.toMatchObject({ code: 'denied', message: expect.stringMatching(words) });
  });

  test('can not be said without a tailnet that is up', async () => {
    await expect(identifyCaller(undefined, { remote, localAddress: '100.64.0.1' })).rejects.toMatchObject({ code: 'denied', message: expect.stringContaining('Tailscale is off') });
    const down: TailnetView = { kind: 'down', state: 'Stopped', why: 'the tailnet is not up', hint: 'tailscale up' };
    await expect(identifyCaller(tailnet(down), { remote, localAddress: '100.64.0.1' })).rejects.toMatchObject({ code: 'unavailable', hint: 'tailscale up' });
  });
});
