/** The tailnet as it is watched: what changes is seen at once, and what is not there is said to be so. */
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createSystemClock } from '../../../src/app/system-clock.ts';
import { TailnetSource } from '../../../src/discovery/tailscale/source.ts';
import type { MachineFilter } from '../../../src/discovery/tailscale/source.ts';
import { Tailnet } from '../../../src/discovery/tailscale/tailnet.ts';
import { FakeTailscaled } from '../../support/fake-tailscaled.ts';
import type { FakeMachine } from '../../support/fake-tailscaled.ts';
import { bodyOf, recorded } from '../../support/recorded-tailscaled.ts';
import { silentLog } from '../../support/temp-store.ts';
import { waitFor } from '../../support/wait-for.ts';

const directory = mkdtempSync(join(tmpdir(), 'beckon-tailnet-'));
afterAll(() => rmSync(directory, { recursive: true }));
const path = join(directory, 'tailscaled.sock');
const self: FakeMachine = { id: '1', name: 'laptop', addresses: ['100.64.0.1', 'fd7a:115c:a1e0::1'], user: 'ann' };
const desktop: FakeMachine = { id: '2', name: 'desktop', addresses: ['100.64.0.2', 'fd7a:115c:a1e0::2'], user: 'ann' };
const server: FakeMachine = { id: '3', name: 'server', addresses: ['100.64.0.3'], tags: ['tag:broker'], capabilities: { 'example.com/cap/beckon': [] } };

let fake: FakeTailscaled;
let tailnet: Tailnet;
beforeEach(async () => {
  fake = await FakeTailscaled.start({ path }, { self, peers: [desktop] });
  tailnet = tailnetAt(path);
});
afterEach(async () => {
  await tailnet.stop();
  await fake[Symbol.asyncDispose]();
});

function tailnetAt(socket: string, searchPath = '/nowhere'): Tailnet {
  return new Tailnet({ at: { socket }, platform: 'linux', uid: 1000, searchPath, clock: createSystemClock(), random: () => 0.5, log: silentLog });
}

const kinds = (): string => tailnet.view.kind;
const peers = (): readonly string[] => (tailnet.view.kind === 'up' ? tailnet.view.status.peers.map(({ hostName }) => hostName).toSorted() : []);

describe('the watched tailnet', () => {
  test('is known when it has started, and each change of it soon after', async () => {
    await tailnet.start();
    expect(tailnet.view).toMatchObject({ kind: 'up', status: { addresses: self.addresses } });
    let changes = 0;
    tailnet.onChange(() => (changes += 1));
    await waitFor('the watch', () => fake.watchers === 1);
    fake.change({ peers: [desktop, server] });
    await waitFor('the new peer', () => peers().join() === 'desktop,server', { timeoutMs: 5_000 });
    fake.change({ state: 'Stopped' });
    await waitFor('it to be down', () => kinds() === 'down', { timeoutMs: 5_000 });
    expect(tailnet.view).toMatchObject({ state: 'Stopped', why: 'the tailnet is not up: tailscaled is in state Stopped', hint: 'start it: tailscale up' });
    fake.change({ state: 'Running' });
    await waitFor('it to be up', () => kinds() === 'up', { timeoutMs: 5_000 });
    expect(changes).toBe(3);
  });

  test('looks once for a bunch of notices, and not at all for those that say nothing', async () => {
    await tailnet.start();
    await waitFor('the watch', () => fake.watchers === 1);
    await tailnet.look();
    await waitFor('the first notice to be settled', () => fake.requests.filter((each) => each.endsWith('/status')).length >= 3);
    const looks = (): number => fake.requests.filter((each) => each.endsWith('/status')).length;
    const before = looks();
    for (let count = 0; count < 20; count += 1) fake.change({ peers: [{ ...desktop, online: count % 2 === 0 }] });
    await waitFor('the look', () => looks() > before);
    expect(looks() - before).toBeLessThanOrEqual(2);
  });

  test('is found again when its daemon ends, restarts, or throws the watcher out', async () => {
    await tailnet.start();
    await waitFor('the watch', () => fake.watchers === 1);
    await fake.stop();
    await waitFor('it to be gone', () => kinds() === 'absent', { timeoutMs: 5_000 });
    await expect(tailnet.whois({ host: '100.64.0.2', port: 1 })).rejects.toMatchObject({ code: 'unavailable' });
    await fake.restart();
    await waitFor('it to be back', () => kinds() === 'up' && fake.watchers === 1, { timeoutMs: 5_000 });
    fake.watcherQueue = 0;
    fake.change({ peers: [] });
    fake.watcherQueue = 64;
    await waitFor('the news in spite of it', () => kinds() === 'up' && peers().length === 0 && fake.watchers === 1, { timeoutMs: 5_000 });
  });

  test('that is not there keeps nobody waiting, and is seen when it comes', async () => {
    await fake.stop();
    await tailnet.start();
    expect(tailnet.view).toMatchObject({ kind: 'absent', why: `no tailscaled here: there is no ${path}` });
    await fake.restart();
    await waitFor('it to be seen', () => kinds() === 'up', { timeoutMs: 5_000 });
  });

  test('whose daemon hangs keeps nobody waiting for longer than 3 s, and stops at once', async () => {
    fake.trouble = 'hang';
    const startMs = performance.now();
    await tailnet.start();
    expect(tailnet.view.kind).toBe('absent');
    const startedMs = performance.now();
    await tailnet.stop();
    expect(startedMs - startMs).toBeLessThan(4_000);
    expect(performance.now() - startedMs).toBeLessThan(500);
  });

  test('is asked through its program where the daemon can not be', async () => {
    const program = join(directory, 'tailscale');
    const status = join(directory, 'status.json');
    writeFileSync(status, bodyOf(recorded('status-tun')));
    writeFileSync(program, `#!/bin/sh\nexec cat ${status}\n`);
    chmodSync(program, 0o755);
    await fake.stop();
    tailnet = tailnetAt(path, `${directory}:/usr/bin:/bin`);
    await tailnet.start();
    expect(peers()).toEqual(['desktop', 'server']);
  });
});

describe('candidates of the tailnet', () => {
  const all = [
    desktop,
    server,
    { ...desktop, id: '4', name: 'gone', addresses: ['100.64.0.4'], online: false },
    { ...desktop, id: '5', name: 'phone', addresses: ['100.64.0.5'], os: 'iOS' },
    { ...desktop, id: '6', name: 'expired', addresses: ['100.64.0.6'], expired: true },
    { ...desktop, id: '7', name: 'shared', addresses: ['100.64.0.7'], raw: { ShareeNode: true } },
    { ...desktop, id: '8', name: 'bare', addresses: [] },
    { ...desktop, id: '9', name: 'exit', addresses: ['100.64.0.9'], raw: { ExitNodeOption: true, DNSName: 'se.mullvad.ts.net.' } },
    { ...desktop, id: '10', name: 'bob', addresses: ['100.64.0.10'], user: 'bob' },
  ];

  async function addressesWith(filter: Partial<MachineFilter>): Promise<readonly string[]> {
    fake.change({ peers: all });
    await tailnet.start();
    const source = new TailnetSource({ tailnet, port: 7423, filter: { tags: [], users: [], capabilities: [], ...filter }, log: silentLog });
    await source.start();
    const found = source.candidates().map(({ addresses }) => addresses[0] ?? '');
    await source.stop();
    return found.toSorted();
  }

  test('are all machines that can run a node, at their addresses, IPv4 first', async () => {
    expect(await addressesWith({})).toEqual(['100.64.0.10:7423', '100.64.0.2:7423', '100.64.0.3:7423', '100.64.0.4:7423']);
    const source = new TailnetSource({ tailnet, port: 7423, log: silentLog });
    await source.start();
    expect(source.candidates().find(({ addresses }) => addresses.length === 2)).toEqual({ addresses: ['100.64.0.2:7423', '[fd7a:115c:a1e0::2]:7423'], isOnline: true });
    expect(source.candidates().filter(({ isOnline }) => !isOnline)).toHaveLength(1);
  });

  test('are filtered by tag, user and capability; one of them is enough', async () => {
    expect(await addressesWith({ tags: ['tag:broker'] })).toEqual(['100.64.0.3:7423']);
    expect(await addressesWith({ users: ['bob'] })).toEqual(['100.64.0.10:7423']);
    expect(await addressesWith({ capabilities: ['example.com/cap/beckon'] })).toEqual(['100.64.0.3:7423']);
    expect(await addressesWith({ users: ['bob'], capabilities: ['example.com/cap/beckon'] })).toEqual(['100.64.0.10:7423', '100.64.0.3:7423']);
  });

  test('stay as they were while the tailnet is down', async () => {
    await tailnet.start();
    const source = new TailnetSource({ tailnet, port: 7423, log: silentLog });
    await source.start();
    await waitFor('the watch', () => fake.watchers === 1);
    fake.change({ state: 'Stopped' });
    await waitFor('it to be down', () => kinds() === 'down');
    expect(source.candidates()).toHaveLength(1);
    let told = 0;
    source.onChange(() => (told += 1));
    fake.change({ state: 'Running', peers: [desktop, server] });
    await waitFor('the news', () => source.candidates().length === 2);
    expect(told).toBeGreaterThan(0);
    await source.stop();
  });
});
