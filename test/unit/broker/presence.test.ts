import { beforeEach, expect, test } from 'vitest';
import { createRecordSeal } from '../../../src/app/record-seal.ts';
import type { AgentView } from '../../../src/broker/api.ts';
import { NodePresence } from '../../../src/broker/presence.ts';
import type { PresenceParts } from '../../../src/broker/presence.ts';
import type { GossipNews } from '../../../src/domain/gossip-port.ts';
import { asMeshId } from '../../../src/domain/ids.ts';
import type { NodeId } from '../../../src/domain/ids.ts';
import type { Link, PeerView } from '../../../src/domain/mesh-port.ts';
import type { PeerState } from '../../../src/domain/peer.ts';
import { presenceEveryMs, presenceLastsMs, restEveryMs } from '../../../src/domain/presence.ts';
import { generateNodeKey } from '../../../src/trust/node-key.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { silentLog } from '../../support/temp-store.ts';

/** One node's presence, with its surroundings as the test wants them. */
class Place {
  readonly key = generateNodeKey();
  readonly nodeId = this.key.nodeId;
  readonly running = new Map<string, number>();
  readonly queued = new Map<string, number>();
  readonly told: { news: GossipNews; from?: NodeId }[] = [];
  readonly members = new Set<NodeId>();
  meshId: string | undefined = 'home';
  counted = 0;
  heardOf: (nodeId: NodeId) => void = () => undefined;
  peerChanged: (nodeId: NodeId, state: PeerState) => void = () => undefined;
  readonly seal = createRecordSeal(this.key, () => (this.meshId === undefined ? undefined : asMeshId(this.meshId)));
  readonly presence: NodePresence;

  constructor(clock: FakeClock, name: string, epoch = 1) {
    const read = {
      queuedTargets: () => [...this.queued.keys()],
      queuedCount: (address: string) => ((this.counted += 1), this.queued.get(address) ?? 0),
      ownRegistrations: () => [{ address: `@fabric@${name}#main`, visibility: 'mesh' }, { address: `@hidden@${name}#main`, visibility: 'node' }],
    };
    const parts = {
      store: { read },
      self: { nodeId: this.nodeId, epoch, mesh: () => (this.meshId === undefined ? undefined : { id: this.meshId, name: 'home' }) },
      seal: this.seal,
      mesh: () => ({
        heardOf: (nodeId: NodeId) => this.heardOf(nodeId),
        onPeer: (listen: (peer: PeerView) => void) => ((this.peerChanged = (nodeId, state) => listen({ nodeId, state } as PeerView)), () => undefined),
      }),
      runner: { runningByAgent: () => this.running },
      isMember: (nodeId: NodeId) => this.members.has(nodeId),
      spread: { tell: (news: GossipNews, from?: NodeId) => void this.told.push(from === undefined ? { news } : { news, from }) },
      ...{ clock, log: silentLog },
    };
    this.presence = new NodePresence(parts as unknown as PresenceParts);
  }

  get last(): Extract<GossipNews, { type: 'presence' }>['presence'] {
    const news = this.told.at(-1)?.news;
    if (news?.type !== 'presence') throw new Error('nothing was told');
    return news.presence;
  }
}

let clock: FakeClock;
let laptop: Place;
let desktop: Place;
const fabric = '@fabric@desktop#main';

beforeEach(async () => {
  clock = new FakeClock();
  laptop = new Place(clock, 'laptop');
  desktop = new Place(clock, 'desktop');
  laptop.members.add(desktop.nodeId);
  await laptop.presence.start();
  await desktop.presence.start();
});

const load = (): unknown => laptop.presence.load(desktop.nodeId, fabric);
const hears = (): Promise<string> => laptop.presence.heard(desktop.last, desktop.nodeId);
const works = (running: number): void => {
  desktop.running.set(fabric, running);
  desktop.presence.changed(fabric);
};

test('a node tells its load when it begins, within a moment of a change, and every 30 s', async () => {
  expect(desktop.told).toHaveLength(1);
  await clock.advance(10_000);
  works(1);
  await clock.advance(50);
  expect(desktop.told).toHaveLength(2);
  await clock.advance(presenceEveryMs - 1);
  expect(desktop.told).toHaveLength(2);
  await clock.advance(1);
  expect(desktop.told).toHaveLength(3);
});

test('a node at rest says so twice, then every five minutes, and what begins there at once', async () => {
  await clock.advance(presenceEveryMs - 1);
  expect(desktop.told).toHaveLength(1);
  await clock.advance(1);
  expect(desktop.told).toHaveLength(2);
  await clock.advance(restEveryMs - 1);
  expect(desktop.told).toHaveLength(2);
  await clock.advance(1);
  expect(desktop.told).toHaveLength(3);
  await clock.advance(10_000);
  works(1);
  await clock.advance(50);
  expect(desktop.told).toHaveLength(4);
  works(0);
  await clock.advance(1000);
  expect(desktop.told).toHaveLength(5);
  await clock.advance(presenceEveryMs);
  expect(desktop.told).toHaveLength(6);
});

test('however often its load changes, it tells it once a second, and the last is told', async () => {
  await clock.advance(10_000);
  const before = desktop.told.length;
  for (let step = 1; step <= 100; step += 1) {
    works(step);
    await clock.advance(50);
  }
  const told = desktop.told.length - before;
  expect(told).toBeGreaterThanOrEqual(5);
  expect(told).toBeLessThanOrEqual(6);
  await clock.advance(1000);
  expect(await hears()).toBe('accept');
  expect(load()).toMatchObject({ running: 100 });
});

test('what changed and changed back is not told', async () => {
  await clock.advance(10_000);
  const before = desktop.told.length;
  works(1);
  works(0);
  await clock.advance(1000);
  expect(desktop.told).toHaveLength(before);
});

test('only agents that something happened to are counted', async () => {
  await clock.advance(10_000);
  desktop.counted = 0;
  desktop.presence.changed(fabric);
  desktop.presence.changed(fabric);
  await clock.advance(1000);
  expect(desktop.counted).toBe(1);
});

test('its own load is exact at any moment', () => {
  works(3);
  desktop.queued.set(fabric, 4);
  desktop.presence.changed(fabric);
  expect(desktop.presence.load(desktop.nodeId, fabric)).toEqual({ running: 3, queued: 4, ageMs: 0 });
  expect(desktop.presence.load(desktop.nodeId, '@idle@desktop#main')).toEqual({ running: 0, queued: 0, ageMs: 0 });
});

test('an agent that others do not see is neither named nor counted', async () => {
  desktop.running.set('@hidden@desktop#main', 2);
  desktop.presence.changed('@hidden@desktop#main');
  await clock.advance(2000);
  expect(desktop.seal.readPresence(desktop.last)).toMatchObject({ running: 0, queued: 0, agents: [] });
  works(1);
  await clock.advance(2000);
  expect(desktop.seal.readPresence(desktop.last)).toMatchObject({ running: 1, queued: 0, agents: [{ running: 1 }] });
});

test('a load that was heard is passed on once, with who told it, and ages out', async () => {
  works(2);
  await clock.advance(2000);
  laptop.told.splice(0);
  expect([await hears(), await hears()]).toEqual(['accept', 'ignore']);
  expect(laptop.told).toEqual([{ news: { type: 'presence', presence: desktop.last }, from: desktop.nodeId }]);
  expect(load()).toEqual({ running: 2, queued: 0, ageMs: 0 });
  await clock.advance(presenceLastsMs - 1);
  expect(load()).toMatchObject({ ageMs: presenceLastsMs - 1 });
  await clock.advance(1);
  expect(load()).toBeUndefined();
});

test('a load that its node did not sign, or for another mesh, is refused; one of no member is ignored', async () => {
  const { payload, signature } = desktop.last;
  const forged = { payload, signature: signature.map((byte) => byte ^ 1) };
  await expect(laptop.presence.heard(forged, desktop.nodeId)).rejects.toMatchObject({ code: 'unauthenticated' });
  await expect(laptop.presence.heard({ payload: new Uint8Array([1, 2, 3]), signature }, desktop.nodeId)).rejects.toMatchObject({ code: 'invalid' });
  const mine = laptop.seal.sealPresence({ nodeId: desktop.nodeId, epoch: 1, number: 9, running: 0, queued: 0, agents: [] });
  await expect(laptop.presence.heard(mine, desktop.nodeId)).rejects.toMatchObject({ code: 'unauthenticated' });
  desktop.meshId = 'another';
  const elsewhere = desktop.seal.sealPresence({ nodeId: desktop.nodeId, epoch: 1, number: 9, running: 0, queued: 0, agents: [] });
  await expect(laptop.presence.heard(elsewhere, desktop.nodeId)).rejects.toMatchObject({ code: 'unauthenticated' });
  laptop.members.clear();
  expect(await laptop.presence.heard(desktop.last, desktop.nodeId)).toBe('ignore');
  expect(load()).toBeUndefined();
});

test('what a node says while it is taken for away is told to the network, and counts if that takes it back', async () => {
  laptop.peerChanged(desktop.nodeId, 'unreachable');
  const told: NodeId[] = [];
  laptop.heardOf = (nodeId) => void told.push(nodeId);
  works(1);
  await clock.advance(2000);
  expect(await hears()).toBe('accept');
  expect([told, load()]).toEqual([[desktop.nodeId], undefined]);
  laptop.heardOf = (nodeId) => laptop.peerChanged(nodeId, 'discovered');
  works(2);
  await clock.advance(2000);
  expect(await hears()).toBe('accept');
  expect(load()).toMatchObject({ running: 2 });
});

test('the load of a node that is away is not known, and is again with its last word when it is back', async () => {
  expect(await hears()).toBe('accept');
  expect(load()).toMatchObject({ running: 0 });
  laptop.peerChanged(desktop.nodeId, 'suspect');
  expect(load()).toBeUndefined();
  expect(await hears()).toBe('ignore');
  laptop.peerChanged(desktop.nodeId, 'alive');
  const sent: unknown[] = [];
  desktop.presence.linkUp({ send: (message) => void sent.push(message) } as Link);
  expect(sent).toEqual([{ type: 'presence', presence: desktop.last }]);
  expect(await hears()).toBe('accept');
  expect(load()).toMatchObject({ running: 0 });
});

test('an agent whose node does not answer is shown without a load', async () => {
  await hears();
  const view = { registration: { nodeId: desktop.nodeId, address: fabric }, state: 'alive' } as AgentView;
  expect(laptop.presence.shown(view).presence).toEqual({ running: 0, queued: 0, ageMs: 0 });
  expect(laptop.presence.shown({ ...view, state: 'unreachable' }).presence).toBeUndefined();
});

test('a node in no mesh tells nothing, and tells it as soon as it has a link', async () => {
  const alone = new Place(clock, 'alone');
  alone.meshId = undefined;
  await alone.presence.start();
  await clock.advance(100_000);
  expect(alone.told).toEqual([]);
  alone.meshId = 'home';
  alone.presence.linkUp({ send: () => undefined } as unknown as Link);
  await clock.advance(50);
  expect(alone.told).toHaveLength(1);
});
