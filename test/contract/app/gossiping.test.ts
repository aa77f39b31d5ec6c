import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { once } from 'node:events';
import { afterEach, expect, test } from 'vitest';
import { Gossiping } from '../../../src/app/gossiping.ts';
import type { GossipingParts } from '../../../src/app/gossiping.ts';
import type { GossipSurroundings } from '../../../src/app/gossip-plan.ts';
import { createSystemClock } from '../../../src/app/system-clock.ts';
import { systemRandom } from '../../../src/app/system-random.ts';
import { formatHostPort, gossipPort } from '../../../src/domain/host-port.ts';
import { asMeshId } from '../../../src/domain/ids.ts';
import type { GossipMember } from '../../../src/gossip/gossip.ts';
import { generateNodeKey } from '../../../src/trust/node-key.ts';
import { say, textOf } from '../../support/gossip-nodes.ts';
import { silentLog } from '../../support/temp-store.ts';
import { waitFor } from '../../support/wait-for.ts';

const running: { stop(): Promise<void> }[] = [];
const home = asMeshId('home');

class Place {
  readonly key = generateNodeKey();
  readonly heard: string[] = [];
  moves = 0;
  surroundings: GossipSurroundings = { bound: [{ host: '127.0.0.1', port: 40000 }], isAnyPort: true, isGuarded: false };
  readonly gossiping: Gossiping;

  constructor(members: Map<string, GossipMember>, changes: Partial<GossipingParts> = {}) {
    this.gossiping = new Gossiping({
      nodeKey: this.key,
      wish: 'auto',
      surroundings: () => this.surroundings,
      members: () => [...members.values()],
      handler: (news) => (this.heard.push(textOf(news)), Promise.resolve('accept')),
      onMoved: () => {
        this.moves += 1;
        members.set(this.key.nodeId, { nodeId: this.key.nodeId, gossipAddresses: this.gossiping.addresses().map(formatHostPort) });
      },
      clock: createSystemClock(),
      random: systemRandom,
      log: silentLog,
      ...changes,
    });
    running.push(this.gossiping);
  }
}

afterEach(async () => {
  await Promise.all(running.splice(0).map((each) => each.stop()));
});

test('it gossips while it is in a mesh, at the address that it told from the start', async () => {
  const members = new Map<string, GossipMember>();
  const [one, two] = [new Place(members), new Place(members)];
  for (const each of [one, two]) await each.gossiping.start();
  const told = one.gossiping.addresses();
  expect([told.length, told[0]?.host]).toEqual([1, '127.0.0.1']);
  expect(one.gossiping.neighbours().size).toBe(0);
  for (const each of [one, two]) each.gossiping.setMesh(home);
  await waitFor('both to be neighbours', () => one.gossiping.neighbours().size === 1 && two.gossiping.neighbours().size === 1, { timeoutMs: 12_000 });
  expect(one.gossiping.addresses()).toEqual(told);
  one.gossiping.publish(say('news'));
  await waitFor('news', () => two.heard.includes('news'));
  two.gossiping.setMesh(undefined);
  await waitFor('it to be gone', () => one.gossiping.neighbours().size === 0);
  one.gossiping.publish(say('later'));
  expect(two.heard).toEqual(['news']);
});

test('an address that the person named and that is taken keeps the node from starting, and says so', async () => {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const { gossiping } = new Place(new Map(), { wish: { host: '127.0.0.1', port } });
  await expect(gossiping.start()).rejects.toMatchObject({ code: 'conflict', message: `127.0.0.1:${port} is taken by another program`, hint: expect.stringMatching(/--gossip-listen/) });
  server.close();
});

test('of two nodes on one machine the second takes another port, and says which', async () => {
  const surroundings: GossipSurroundings = { bound: [{ host: '127.0.0.3', port: 7423 }], isAnyPort: false, isGuarded: false };
  const places = [new Place(new Map()), new Place(new Map())];
  for (const each of places) {
    each.surroundings = surroundings;
    await each.gossiping.start();
  }
  const [first, second] = places;
  expect(first?.gossiping.addresses()).toEqual([{ host: '127.0.0.3', port: gossipPort }]);
  expect(first?.gossiping.note()).toBeUndefined();
  const [other] = second?.gossiping.addresses() ?? [];
  expect(other?.port).not.toBe(gossipPort);
  expect(second?.gossiping.note()).toContain(`it gossips at 127.0.0.3:${other?.port}`);
});

test('behind a tailscaled without an interface, or turned off, it does not, and says why', async () => {
  const guarded = new Place(new Map());
  guarded.surroundings = { ...guarded.surroundings, isGuarded: true };
  guarded.gossiping.setMesh(home);
  await guarded.gossiping.start();
  expect([guarded.gossiping.addresses(), guarded.gossiping.note()]).toEqual([[], expect.stringMatching(/over the sessions/)]);
  const off = new Place(new Map(), { wish: 'off' });
  await off.gossiping.start();
  expect([off.gossiping.addresses(), off.gossiping.note(), off.gossiping.state().why]).toEqual([[], undefined, 'it was turned off']);
});

test('it moves with the network port, and tells it', async () => {
  const members = new Map<string, GossipMember>();
  const place = new Place(members);
  place.gossiping.setMesh(home);
  await place.gossiping.start();
  await waitFor('its address to be told', () => place.moves === 1, { timeoutMs: 10_000 });
  place.surroundings = { ...place.surroundings, bound: [{ host: '127.0.0.2', port: 40000 }] };
  place.gossiping.moved();
  await waitFor('its new address to be told', () => members.get(place.key.nodeId)?.gossipAddresses[0]?.startsWith('127.0.0.2:') === true, { timeoutMs: 10_000 });
  place.gossiping.moved();
  await place.gossiping.stop();
  expect(place.moves).toBe(2);
});

test('a stop while the library is being loaded leaves nothing behind', async () => {
  const place = new Place(new Map());
  await place.gossiping.start();
  const [address] = place.gossiping.addresses();
  place.gossiping.setMesh(home);
  await place.gossiping.stop();
  const server = createServer().listen(address?.port, '127.0.0.1');
  await once(server, 'listening');
  server.close();
  expect(place.gossiping.addresses()).toEqual([]);
});
