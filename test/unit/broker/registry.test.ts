/** What a node tells of its own agents, to whom, and what it asks of others. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { keyOf } from '../../../src/broker/candidates.ts';
import { RegistryMesh } from '../../support/registry-mesh.ts';
import type { RegistryNode } from '../../support/registry-mesh.ts';

let net: RegistryMesh;
let nodes: RegistryNode[];
const make = async (count: number, options?: { readonly gossiping: number }): Promise<void> => {
  net = await RegistryMesh.of(count, options);
  nodes = net.nodes;
};
beforeEach(() => make(3));
afterEach(() => net.stop());

const node = (number: number): RegistryNode => nodes[number] as RegistryNode;
const headOf = (of: RegistryNode, owner: RegistryNode) => of.store.read.registryHead(owner.nodeId)?.head;
const meet = async (a: number, b: number): Promise<void> => {
  net.connect(node(a), node(b));
  await net.run(5_000, { untilIdle: false });
};

describe('a node', () => {
  test('tells of changes that come together with one head, and counts them', async () => {
    await meet(0, 1);
    const before = headOf(node(1), node(0));
    const adding = ['a', 'b', 'c'].map((agent) => node(0).add(agent));
    await Promise.all(adding);
    await net.run(5_000, { untilIdle: false });
    const after = headOf(node(1), node(0));
    expect(after).toMatchObject({ epoch: before?.epoch, count: 3 });
    expect(after?.version).toBeGreaterThan(before?.version ?? 0);
    expect((after?.version ?? 0) - (before?.version ?? 0)).toBeLessThanOrEqual(3);
    for (let count = 0; count < 10; count += 1) node(0).registry.changed();
    await net.clock.advance(1_000);
    expect(headOf(node(0), node(0))?.version).toBe(after?.version);
  });

  test('signs nothing anew when it comes back as it was', async () => {
    await node(0).add('a');
    await meet(0, 1);
    const before = headOf(node(1), node(0));
    await node(0).restart();
    await meet(0, 1);
    expect(headOf(node(0), node(0))).toEqual(before);
    expect(node(0).registry.candidates('a')).toHaveLength(1);
  });

  test('has its newest list on disk before anybody hears of it', async () => {
    net.connect(node(0), node(1));
    net.connect(node(0), node(2));
    await net.run(5_000);
    node(0).failing.add('saveRegistry');
    await node(0).add('a');
    await net.run(3_000, { untilIdle: false });
    expect(node(1).known(node(0))).toEqual([]);
    expect(node(0).logged.join()).toMatch(/could not be stored; it is tried again/);
    node(0).failing.clear();
    await net.run(10_000, { untilIdle: false });
    expect(node(1).known(node(0))).toEqual(node(0).own());
  });

  test('whose store was put back goes above what others hold, says so, and is believed again', async () => {
    await node(0).add('a');
    await meet(0, 1);
    const kept = node(0).snapshot();
    // Told in a boot that its store then knows nothing of, by a clock that ran ahead.
    net.clock.jump(1_000_000);
    await node(0).restart();
    await meet(0, 1);
    await node(0).add('b');
    await node(0).remove('a');
    await net.run(10_000);
    const seen = headOf(node(1), node(0));
    net.clock.jump(-2_000_000);
    await node(0).restart(kept);
    await meet(0, 1);
    expect(node(0).own()).toEqual(['@a@n0#main ']);
    expect(node(1).known(node(0))).toEqual(node(0).own());
    expect(headOf(node(1), node(0))?.epoch).toBeGreaterThan(seen?.epoch ?? 0);
    expect(node(0).logged.join()).toMatch(/others hold a newer list of this node’s agents/);
    expect(node(0).facts()).toContain('registry.raised');
  });

  test('that moved is looked for where its own signed word says', async () => {
    await meet(0, 1);
    node(0).move('10.9.9.9:1');
    await net.run(5_000, { untilIdle: false });
    expect(node(1).store.read.member(node(0).nodeId)?.addresses).toEqual(['10.9.9.9:1']);
  });

  test('knows at start what existed, alone', async () => {
    await node(0).add('a', 'what it does');
    await meet(0, 1);
    await node(1).restart();
    expect(node(1).registry.candidates('a')).toMatchObject([{ address: '@a@n0#main', nodeState: 'unreachable', harness: 'command' }]);
  });

  test('learns of nodes that it has no link with', async () => {
    for (const each of nodes) await each.add(`of${each.name}`);
    net.connect(node(0), node(1));
    net.connect(node(1), node(2));
    await net.run(10_000);
    expect(net.isConverged()).toBe(true);
    expect(node(2).known(node(0))).toEqual(node(0).own());
  });

  test('that was told of a departure passes it on, and one that was away finds it', async () => {
    net.connect(node(1), node(2));
    const departure = node(0).seal.sealDeparture({ nodeId: node(0).nodeId, certifiedAtMs: 1, leftAtMs: 5 });
    await node(1).roster.entries([{ departure }], node(0).nodeId);
    await net.run(2_000, { untilIdle: false });
    expect(node(2).store.read.member(node(0).nodeId)?.left?.atMs).toBe(5);
    net.disconnect(node(1), node(2));
    const later = node(0).seal.sealDeparture({ nodeId: node(0).nodeId, certifiedAtMs: 2, leftAtMs: 6 });
    await node(1).roster.entries([{ departure: later }], node(0).nodeId);
    net.connect(node(1), node(2));
    await net.run(10_000, { untilIdle: false });
    expect(node(2).all()).toBe(node(2).all());
    expect(node(2).store.read.member(node(0).nodeId)?.left?.atMs).toBe(6);
    expect(node(2).registry.ownDigest().root).toBe(node(1).registry.ownDigest().root);
  });
});

test('whose certificate counts no more is listed nowhere and told of to nobody; by one that counts all of it is back', async () => {
  await node(0).add('a');
  await meet(0, 1);
  await meet(1, 2);
  const judge = (isUncounted: boolean, ...by: readonly number[]): void => {
    for (const number of by) {
      if (isUncounted) node(number).uncounted.add(node(0).nodeId);
      else node(number).uncounted.delete(node(0).nodeId);
      node(number).registry.membersChanged([node(0)]);
    }
  };
  const shown = (number: number) => [node(number).known(node(0)).length, node(number).registry.candidates('a').length, node(number).registry.page(() => true, undefined, 9).items.length];
  expect([shown(1), shown(2)]).toEqual([[1, 1, 1], [1, 1, 1]]);
  const before = node(1).registry.ownDigest().root;
  judge(true, 1, 2);
  // One that never knew it has the same.
  expect(new Set([before, ...[1, 2].map((each) => node(each).registry.ownDigest().root)]).size).toBe(2);
  expect([shown(1), shown(2)]).toEqual([[1, 0, 0], [1, 0, 0]]);
  for (const { registry } of [node(1), node(2)]) expect([registry.state.isMember(node(0).nodeId), registry.state.entry(node(0).nodeId), registry.state.nodeOfLeaf(node(0).chain)]).toEqual([false, undefined, undefined]);
  expect(await node(1).asked(node(2), { type: 'registry_records', nodeId: node(0).nodeId, have: [] })).toEqual({ type: 'registry_records', more: false });

  // What it says is not heard, wherever it comes from, also after a restart.
  await node(1).restart();
  await node(0).add('b');
  await meet(0, 1);
  await meet(1, 2);
  expect([shown(1), shown(2), node(1).registry.candidates('b')]).toEqual([[1, 0, 0], [1, 0, 0], []]);

  judge(false, 1, 2);
  expect(shown(1)).toEqual([1, 1, 1]);
  // It links anew, with the certificate that it got.
  net.disconnect(node(0), node(1));
  await meet(0, 1);
  for (const number of [1, 2]) expect(node(number).known(node(0))).toEqual(node(0).own());
  expect(new Set(nodes.map((each) => each.registry.ownDigest().root)).size).toBe(1);
});

describe('news', () => {
  const told = (from: RegistryNode): string[] => net.wire.filter((each) => each.from === from).map((each) => each.to.name);

  test('go by gossip, and over the session to one that gossip does not reach', async () => {
    await net.stop();
    await make(3, { gossiping: 2 });
    net.connect(node(0), node(1));
    net.connect(node(0), node(2));
    await net.run(10_000, { untilIdle: false });
    net.wire.length = 0;
    await node(0).add('a');
    await net.clock.advance(1);
    expect(told(node(0)).toSorted()).toEqual(['n1', 'n2']);
  });

  test('of a peer that tells too much are dropped, with one line a minute, and found all the same', async () => {
    await meet(0, 1);
    const link = node(1).links.get(node(0).nodeId);
    if (link === undefined) throw new Error('no link');
    await node(0).add('a');
    const { signedHead } = node(0).store.read.registryHead(node(0).nodeId) ?? {};
    if (signedHead === undefined) throw new Error('no head');
    for (let count = 0; count < 2_500; count += 1) await node(1).registry.news(link, { type: 'registry_entry', entry: {} });
    expect(node(1).logged.filter((line) => line.includes('more than 200'))).toHaveLength(1);
    await net.run(10_000);
    expect(node(1).known(node(0))).toEqual(node(0).own());
  });

  test('of a departure are passed on also where an earlier one is known, and each once', async () => {
    net.connect(node(1), node(2));
    const leaves = (certifiedAtMs: number) => node(1).roster.entries([{ departure: node(0).seal.sealDeparture({ nodeId: node(0).nodeId, certifiedAtMs, leftAtMs: 5 }) }], node(0).nodeId);
    expect(await leaves(1)).toBe(1);
    net.wire.length = 0;
    expect(await leaves(2)).toBe(1);
    await net.clock.advance(1);
    expect(told(node(1))).toEqual(['n2']);
    expect([await leaves(2), await leaves(1)]).toEqual([0, 0]);
    await net.clock.advance(1);
    expect(told(node(1))).toEqual(['n2']);
  });

  test('that are more than fit in one piece are told by their head, and fetched in pages', async () => {
    net.connect(node(0), node(1));
    await net.run(5_000);
    await Promise.all(Array.from({ length: 60 }, (_, index) => node(0).add(`a${index}`, 'x'.repeat(10_000))));
    await net.run(10_000, { untilIdle: false });
    expect(node(1).known(node(0))).toEqual(node(0).own());
  });
});

describe('comparing', () => {
  test('two that know the same costs a few bytes', async () => {
    await Promise.all(Array.from({ length: 30 }, (_, index) => node(0).add(`a${index}`)));
    await meet(0, 1);
    await net.run(10_000, { untilIdle: false });
    const before = net.bytes;
    await net.run(60_000, { untilIdle: false });
    // A heartbeat of 16 bytes each 3 s and way, and two questions a minute and node.
    expect(net.bytes - before).toBeLessThan(1_000);
  });

  test('one change fetches one record and not the set', async () => {
    await Promise.all(Array.from({ length: 50 }, (_, index) => node(0).add(`a${index}`)));
    await meet(0, 1);
    net.disconnect(node(0), node(1));
    await node(0).add('onemore');
    await net.clock.advance(100);
    const before = net.bytes;
    await meet(0, 1);
    expect(node(1).known(node(0))).toHaveLength(51);
    // Digests of 256 buckets, one entry, 50 short hashes, one record; the other way the buckets again.
    expect(net.bytes - before).toBeLessThan(9_000);
  });

  test('begins when a link comes up, and waits for no heartbeat', async () => {
    await node(0).add('a');
    await meet(0, 2);
    net.connect(node(0), node(1));
    await net.run(1, { untilIdle: false });
    expect(node(1).known(node(0))).toEqual(node(0).own());
  });

  test('goes on while others are unreachable or lie, a few rounds at once', async () => {
    await net.stop();
    await make(8);
    for (let index = 1; index < 8; index += 1) {
      await node(index).add(`a${index}`);
      if (index < 6) node(index).lie = () => ({ type: 'registry_digest', root: '0'.repeat(16), buckets: Array.from({ length: 256 }, () => '1'.repeat(16)) });
      net.connect(node(0), node(index));
    }
    await net.run(40_000, { untilIdle: false });
    for (const index of [6, 7]) expect(node(0).known(node(index))).toEqual(node(index).own());
  });
});

test('one agent among thousands is found by its instances, without a look at all rows', async () => {
  await Promise.all(Array.from({ length: 40 }, (_, index) => node(0).add(`a${index}`)));
  await meet(0, 1);
  const asked: string[] = [];
  const { read } = node(1).store;
  const counted = new Proxy(read, { get: (target, name) => (asked.push(String(name)), Reflect.get(target, name) as unknown) });
  node(1).registry.candidates('a7');
  Object.defineProperty(node(1).store, 'read', { value: counted });
  expect(node(1).registry.candidates('a7')).toMatchObject([{ address: '@a7@n0#main' }]);
  expect(asked.filter((each) => ['registrations', 'ownRegistrations', 'members', 'registryHeads'].includes(each))).toEqual([]);
  expect(asked.length).toBeLessThan(6);
  const [seventh] = node(1).registry.candidates('a7');
  const page = node(1).registry.page(() => true, seventh && keyOf(seventh), 2);
  expect(page.items.map(({ address }) => address)).toEqual(['@a8@n0#main', '@a9@n0#main']);
  expect(page.hasMore).toBe(false);
});
