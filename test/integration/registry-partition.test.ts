/** Three nodes that hear nothing of each other while each changes what agents it has. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { LocalNode } from '../support/local-node.ts';
import { Partition } from '../support/partition.ts';
import { Changer, seeded } from '../support/registry-changes.ts';
import { differences, ownCount } from '../support/registry-rows.ts';
import type { RegistryBook } from '../support/registry-rows.ts';
import { socketOf } from '../support/served-pair.ts';
import { waitFor } from '../support/wait-for.ts';

const root = mkdtempSync(join(tmpdir(), 'beckon-parted-'));
const nodes = ['laptop', 'desktop', 'server'].map((name) => new LocalNode(name, root));
const changers: Changer[] = [];
let books: readonly RegistryBook[] = [];
let partition: Partition;

async function isOne(): Promise<void> {
  await waitFor('the registries to be one', () => {
    const found = differences(books);
    if (found.length > 0) throw new Error(`${found.length} differences: ${found.slice(0, 5).join('; ')}`);
    return true;
  }, { timeoutMs: 10_000, pollMs: 50 });
}

async function change(times: number): Promise<void> {
  await Promise.all(changers.map(async (changer) => {
    for (let count = 0; count < times; count += 1) await changer.one();
  }));
}

beforeAll(async () => {
  partition = new Partition();
  const [first, ...others] = nodes;
  if (first === undefined) return;
  await first.start();
  await first.client.createMesh({ new: false });
  for (const node of others) await node.start({ join: (await first.client.createInvite({})).token });
  for (const node of nodes) for (const peer of nodes) if (peer !== node) await node.sees(peer, 'alive');
  for (const [index, node] of nodes.entries()) changers.push(await Changer.connect({ socketPath: socketOf(node), random: seeded(index + 1), cwd: node.home }));
  books = await Promise.all(nodes.map(async (node) => ({ name: node.name, nodeId: (await node.client.status()).nodeId, path: join(node.home, 'beckon.db') })));
  partition.between(...nodes.map((node) => node.listen));
});
afterAll(async () => {
  for (const changer of changers) await changer[Symbol.asyncDispose]();
  for (const node of nodes) await node[Symbol.asyncDispose]();
  partition[Symbol.dispose]();
  rmSync(root, { recursive: true, force: true });
});

describe('three nodes have one registry, byte for byte', () => {
  test('while all of them change it', async () => {
    await change(20);
    await isOne();
    expect(ownCount(books)).toBeGreaterThan(nodes.length);
  });

  test('after each was alone while agents were removed and added again, with nothing new said since', async () => {
    partition.cut();
    await change(40);
    expect(differences(books).length).toBeGreaterThan(0);
    partition.heal();
    await isOne();
  });
});
