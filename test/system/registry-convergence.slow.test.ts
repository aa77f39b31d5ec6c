/**
 * Five machines that lose every fifth packet and are apart for a minute, two against three, while all of them change what
 * agents they have: afterwards their databases hold one registry. The same where gossip reaches nobody.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, test, vi } from 'vitest';
import { BadNetwork } from '../support/bad-network.ts';
import type { Json } from '../support/cli.ts';
import { Cluster } from '../support/cluster.ts';
import { connectHosts, noLan } from '../support/lan.ts';
import type { TestNode } from '../support/node-process.ts';
import { because } from '../support/programs.ts';
import { Changer, seeded } from '../support/registry-changes.ts';
import { differences, ownCount } from '../support/registry-rows.ts';
import type { RegistryBook } from '../support/registry-rows.ts';
import { waitFor } from '../support/wait-for.ts';

vi.setConfig({ testTimeout: 240_000 });

const names = ['laptop', 'desktop', 'server', 'tablet', 'phone'] as const;
const gossipPort = 7424;
/** Over all five. */
const changes = 1000;
const lossPercent = 20;
const apartMs = 60_000;
/** Changes go on before, and until after the sides are apart. */
const beforeMs = 5_000;
/** Promised in README. */
const equalWithinMs = 10_000;
const seed = 20;

async function isOne(books: readonly RegistryBook[], timeoutMs: number): Promise<void> {
  await waitFor('the five registries to be one', () => {
    const found = differences(books);
    if (found.length > 0) throw new Error(`${found.length} differences: ${found.slice(0, 5).join('; ')}`);
    return true;
  }, { timeoutMs, pollMs: 200 });
}

async function change(nodes: readonly TestNode[], forMs: number): Promise<number> {
  const beganMs = performance.now();
  const perNode = changes / nodes.length;
  const made = nodes.map(async (node, index) => {
    await using changer = await Changer.connect({ socketPath: node.socketPath, random: seeded(seed + index), cwd: node.home });
    while (changer.made < perNode) {
      await changer.one();
      const dueMs = beganMs + (changer.made / perNode) * forMs;
      if (dueMs > performance.now()) await delay(dueMs - performance.now());
    }
    return changer.made;
  });
  return (await Promise.all(made)).reduce((sum, each) => sum + each, 0);
}

/** @param isGossipClosed from the beginning */
async function converge(isGossipClosed: boolean): Promise<void> {
  using lan = connectHosts(names.length);
  await using cluster = await Cluster.create();
  const network = new BadNetwork(lan);
  if (isGossipClosed) network.close(gossipPort);
  const nodes: TestNode[] = [];
  for (const [index, name] of names.entries()) {
    const host = lan.hosts[index];
    if (host !== undefined) nodes.push(await cluster.node(name, { listen: `${host.address}:7423`, gossipListen: `${host.address}:${gossipPort}`, through: host.through }));
  }
  await cluster.join(nodes);
  const books: readonly RegistryBook[] = await Promise.all(nodes.map(async (node) => ({ name: node.name, nodeId: String(((await node.json(['status']))['node'] as Json)['id']), path: node.databasePath })));

  await isOne(books, 20_000);

  network.lose(lossPercent);
  const changed = change(nodes, beforeMs + apartMs);
  await delay(beforeMs);
  network.part(lan.hosts.slice(0, 2), lan.hosts.slice(2));
  await delay(apartMs);
  expect(differences(books).length).toBeGreaterThan(0);
  // Packets go on being lost: what healed is the cut alone.
  network.join();
  const healedMs = performance.now();
  expect(await changed).toBe(changes);
  const changedMs = performance.now() - healedMs;
  await isOne(books, 60_000);
  const tookMs = performance.now() - healedMs;
  process.stdout.write(`gossip ${isGossipClosed ? 'closed' : 'open'}: one registry of ${ownCount(books)} instances ${(tookMs / 1000).toFixed(1)} s after healing, the last change ${(changedMs / 1000).toFixed(1)} s after it\n`);
  expect(ownCount(books)).toBeGreaterThan(names.length);
  expect(tookMs).toBeLessThan(equalWithinMs);
}

describe.skipIf(noLan !== undefined)(`one registry${because(noLan)}`, () => {
  test('five machines have one registry within 10 s of healing, after 1,000 changes, a fifth of all packets lost and a minute apart', () => converge(false));

  test('the same where gossip reaches nobody', () => converge(true));
});
