/** Live sessions through a tailnet that changes: real TLS on loopback, whose address is the peer's in a tailscaled that the test plays. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Recheck } from '../../src/app/recheck.ts';
import { createSystemClock } from '../../src/app/system-clock.ts';
import { Tailnet } from '../../src/discovery/tailscale/tailnet.ts';
import { parseHostPort } from '../../src/domain/host-port.ts';
import { testMesh } from '../contract/trust/mesh-fixture.ts';
import { FakeTailscaled } from '../support/fake-tailscaled.ts';
import type { FakeMachine } from '../support/fake-tailscaled.ts';
import { Relay } from '../support/relay.ts';
import { silentLog } from '../support/temp-store.ts';
import { waitFor } from '../support/wait-for.ts';
import { TestNode } from './session-fixture.ts';

const self: FakeMachine = { id: 'n1', name: 'laptop', addresses: ['100.64.0.1'], user: 'ann' };
const peer: FakeMachine = { id: 'n2', name: 'desktop', addresses: ['127.0.0.1'], user: 'ann' };

let stack: AsyncDisposableStack;
let fake: FakeTailscaled;
let laptop: TestNode;
let desktop: TestNode;
let relay: Relay;
let probes: string[];

beforeEach(async () => {
  stack = new AsyncDisposableStack();
  const directory = await mkdtemp(join(tmpdir(), 'bkn-recheck-'));
  stack.defer(() => rm(directory, { recursive: true, force: true }));
  const socket = join(directory, 'ts.sock');
  fake = stack.use(await FakeTailscaled.start({ path: socket }, { self, peers: [peer] }));
  const tailnet = new Tailnet({ at: { socket }, platform: process.platform, uid: 0, searchPath: '', clock: createSystemClock(), random: Math.random, log: silentLog });
  stack.defer(() => tailnet.stop());
  await tailnet.start();
  const authority = stack.use(await testMesh());
  // The clock of the sessions goes as the wall does: what is shown here is that nobody waits for 9 s of silence.
  desktop = stack.use(await new TestNode(await authority.member('desktop'), { clock: createSystemClock() }).start());
  desktop.isTelling = false;
  relay = stack.use(await Relay.start(() => parseHostPort(desktop.address)));
  laptop = stack.use(new TestNode(await authority.member('laptop'), { clock: createSystemClock(), seeds: [relay.address] }));
  laptop.isTelling = false;
  probes = [];
  const recheck = new Recheck({
    tailnet,
    mesh: {
      sessions: () => laptop.mesh.sessions(),
      examine: (session, why) => {
        probes.push(why);
        laptop.mesh.examine(session, why);
      },
    },
    log: silentLog,
  });
  stack.defer(() => recheck.stop());
  await recheck.start();
  await laptop.start();
  await laptop.linkTo(desktop);
  const asked = fake.requests.length;
  recheck.look();
  await waitFor('who the peer is to be known', () => fake.requests.slice(asked).some((each) => each.includes('/whois')));
});
afterEach(() => stack.disposeAsync());

const change = (...peers: readonly FakeMachine[]): void => fake.change({ peers });

test('one that is called offline and does not answer is suspect after 2 s, with that reason, and not cut', async () => {
  relay.isBlackHole = true;
  change({ ...peer, online: false });
  const fromMs = performance.now();
  await laptop.becomes(desktop, 'suspect');
  expect(performance.now() - fromMs).toBeLessThan(4_000);
  expect(laptop.mesh.peers()[0]?.why).toBe('the tailnet calls desktop offline');
  expect(laptop.mesh.link(desktop.identity.nodeId)?.isUp).toBe(true);
  relay.heal();
  await laptop.becomes(desktop, 'alive');
});

test('one that is called offline, or is not listed, and answers stays alive; each word is followed up once', async () => {
  const link = laptop.mesh.link(desktop.identity.nodeId);
  change({ ...peer, online: false });
  await waitFor('the first probe', () => probes.length === 1);
  const asked = fake.requests.length;
  change({ ...peer, online: false, os: 'darwin' });
  await waitFor('it to be asked about again', () => fake.requests.slice(asked).some((each) => each.includes('/whois')));
  change();
  await waitFor('the second probe', () => probes.length === 2);
  expect(probes).toEqual(['the tailnet calls desktop offline', 'the tailnet no longer knows desktop at its address']);
  expect(await waitFor('the answer', () => (link as unknown as { probe(ms: number): Promise<boolean> }).probe(2_000))).toBe(true);
  expect(laptop.stateOf(desktop)).toBe('alive');
  expect(laptop.mesh.link(desktop.identity.nodeId)).toBe(link);
  expect(laptop.downs).toEqual([]);
});

test('one whose address belongs to another machine now loses its session, with the reason, and may come back by its certificate', async () => {
  change({ ...peer, id: 'n9', name: 'tower' });
  await waitFor('the end', () => laptop.downs.length > 0);
  expect(laptop.downs.map(({ why }) => why)).toEqual(['its address in the tailnet is that of another machine now: tower']);
  await laptop.linkTo(desktop);
});
