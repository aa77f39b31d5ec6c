/** One suite on two: answers recorded from a real tailscaled, and the fake that other tests use in its place. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, describe, expect, test } from 'vitest';
import { createSystemClock } from '../../../src/app/system-clock.ts';
import { LocalApi } from '../../../src/discovery/tailscale/local-api.ts';
import { FakeTailscaled } from '../../support/fake-tailscaled.ts';
import type { FakeMachine, FakeTailnet } from '../../support/fake-tailscaled.ts';
import { RecordedTailscaled } from '../../support/recorded-tailscaled.ts';

const directory = mkdtempSync(join(tmpdir(), 'beckon-localapi-'));
afterAll(() => rmSync(directory, { recursive: true }));
const clock = createSystemClock();
const capability = 'example.com/cap/beckon';

const laptop: FakeMachine = { id: '1', name: 'laptop', addresses: ['100.64.0.1', 'fd7a:115c:a1e0::1'], user: 'ann' };
const desktop: FakeMachine = { id: '2', name: 'desktop', addresses: ['100.64.0.2', 'fd7a:115c:a1e0::2'], user: 'ann', capabilities: { [capability]: [{ roles: ['peer'] }] } };
const server: FakeMachine = { id: '3', name: 'server', addresses: ['100.64.0.3', 'fd7a:115c:a1e0::3'], tags: ['tag:broker'] };

interface Scene {
  readonly fake: FakeTailnet;
  readonly recorded: readonly string[];
}

const scenes = {
  tun: { fake: { self: laptop, peers: [desktop, server] }, recorded: ['status-tun', 'status-without-peers', 'whois-same-user-with-capability', 'whois-tagged', 'whois-unknown', 'ping-direct', 'ping-no-such-peer'] },
  userspace: { fake: { self: desktop, peers: [laptop, server], isUserspace: true }, recorded: ['status-userspace'] },
  offline: { fake: { self: laptop, peers: [desktop, { ...server, online: false }] }, recorded: ['status-peer-offline'] },
  needsLogin: { fake: { self: { ...laptop, name: 'vm' }, state: 'NeedsLogin' }, recorded: ['status-needs-login'] },
  stopped: { fake: { self: laptop, peers: [desktop, server], state: 'Stopped' }, recorded: ['status-stopped', 'whois-stopped'] },
} as const satisfies Record<string, Scene>;

let count = 0;
const running: AsyncDisposable[] = [];
afterEach(async () => {
  await Promise.all(running.splice(0).map((each) => each[Symbol.asyncDispose]()));
});

describe.each(['recorded', 'fake'] as const)('the LocalAPI client on the %s tailscaled', (kind) => {
  async function at(scene: keyof typeof scenes): Promise<LocalApi> {
    const path = join(directory, `${(count += 1)}.sock`);
    const { fake, recorded } = scenes[scene];
    const started = kind === 'fake' ? await FakeTailscaled.start({ path }, fake) : await RecordedTailscaled.start(path, ...recorded);
    running.push(started);
    return new LocalApi({ place: { kind: 'socket', path }, clock, timeoutMs: 5_000 });
  }

  test('reads the machines of a tailnet, whose they are, and their addresses', async () => {
    const status = await (await at('tun')).status();
    expect(status).toMatchObject({ state: 'Running', isUserspace: false, addresses: ['100.64.0.1', 'fd7a:115c:a1e0::1'], dnsSuffix: 'tn.test' });
    expect(status.self).toMatchObject({ id: '1', hostName: 'laptop', dnsName: 'laptop.tn.test', user: 'ann', tags: [] });
    const peers = status.peers.toSorted((a, b) => a.id.localeCompare(b.id));
    expect(peers).toEqual([
      { id: '2', hostName: 'desktop', dnsName: 'desktop.tn.test', os: 'linux', user: 'ann', tags: [], addresses: desktop.addresses, isOnline: true, isExpired: false, isShared: false, isExit: false },
      { id: '3', hostName: 'server', dnsName: 'server.tn.test', os: 'linux', tags: ['tag:broker'], addresses: server.addresses, isOnline: true, isExpired: false, isShared: false, isExit: false },
    ]);
  });

  test('knows userspace networking, and a peer that is offline', async () => {
    expect(await (await at('userspace')).status()).toMatchObject({ isUserspace: true, state: 'Running', addresses: desktop.addresses });
    const { peers } = await (await at('offline')).status();
    expect(peers.find(({ id }) => id === '3')?.isOnline).toBe(false);
    expect(peers.find(({ id }) => id === '2')?.isOnline).toBe(true);
  });

  test('takes null for what is empty: a machine that never logged in', async () => {
    expect(await (await at('needsLogin')).status()).toEqual({ version: expect.any(String), state: 'NeedsLogin', isUserspace: false, addresses: [], dnsSuffix: '', peers: [] });
  });

  test('names who is at an address, with what the policy lets it do; a tagged machine is no person', async () => {
    const api = await at('tun');
    const same = await api.whois({ host: '100.64.0.2', port: 17961 });
    expect(same).toMatchObject({ id: '2', name: 'desktop', user: 'ann', tags: [], addresses: desktop.addresses, isExpired: false, isShared: false, isRouter: false });
    expect([...(same?.capabilities ?? [])]).toEqual([[capability, [{ roles: ['peer'] }]]]);
    const tagged = await api.whois({ host: '100.64.0.3', port: 40770 });
    expect(tagged).toMatchObject({ id: '3', tags: ['tag:broker'] });
    expect(tagged).not.toHaveProperty('user');
    expect([...(tagged?.capabilities ?? [])]).toEqual([]);
    expect(await api.whois({ host: '10.99.0.13', port: 40770 })).toBeUndefined();
  });

  test('believes no whois of a tailnet that is not up, though the daemon goes on answering', async () => {
    const api = await at('stopped');
    expect((await api.status()).peers).toHaveLength(2);
    // Only the fake knows the shorter question; the recorded one has no answer to it. Neither may be believed.
    await expect(api.whois({ host: '100.64.0.1', port: 40770 })).rejects.toMatchObject({ code: 'unavailable' });
  });

  test('pings a peer, and says why an unknown one is not reached', async () => {
    const api = await at('tun');
    expect(await api.ping('100.64.0.3')).toEqual({ kind: 'answered', rttMs: expect.closeTo(0.184, 3), via: '10.99.0.13:55858' });
    expect(await api.ping('100.64.0.9')).toEqual({ kind: 'failed', why: 'no matching peer' });
  });

  test('is told of changes, and that nothing is told when nothing changed', async () => {
    const api = await at('tun');
    const stop = new AbortController();
    const seen: boolean[] = [];
    await expect(
      (async () => {
        for await (const { isChange } of api.watch(stop.signal)) {
          seen.push(isChange);
          const [fake] = running;
          if (seen.length === 1 && fake instanceof FakeTailscaled) fake.change({ peers: [desktop, { ...server, online: false }] });
          if (seen.length === 3) stop.abort();
        }
      })(),
    ).resolves.toBeUndefined();
    expect(seen).toEqual([true, true, false]);
  });
});
