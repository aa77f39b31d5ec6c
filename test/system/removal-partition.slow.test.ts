/** A machine is removed while a part of the mesh can't be reached, on machines with a network of their own. */
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { Cluster } from '../support/cluster.ts';
import { connectHosts, noLan } from '../support/lan.ts';
import type { Lan } from '../support/lan.ts';
import type { TestNode } from '../support/node-process.ts';
import { because } from '../support/programs.ts';
import { waitFor } from '../support/wait-for.ts';

vi.setConfig({ testTimeout: 90_000, hookTimeout: 90_000 });

describe.skipIf(noLan !== undefined)(`a machine is removed while a part of the mesh is cut off${because(noLan)}`, () => {
  const names = ['laptop', 'desktop', 'attic', 'server'] as const;
  let lan: Lan;
  let cluster: Cluster;
  const nodes = {} as Record<(typeof names)[number], TestNode>;

  beforeAll(async () => {
    lan = connectHosts(names.length);
    cluster = await Cluster.create();
    for (const [index, name] of names.entries()) {
      const host = lan.hosts[index];
      if (host === undefined) throw new Error('a host for each');
      nodes[name] = await cluster.node(name, { listen: `${host.address}:7423`, gossipListen: `${host.address}:7424`, through: host.through });
    }
    await cluster.join(names.map((name) => nodes[name]));
    await nodes.attic.peer('server', 'alive', { timeoutMs: 15_000 });
  });
  afterAll(async () => {
    try {
      await cluster?.[Symbol.asyncDispose]();
    } finally {
      lan?.[Symbol.dispose]();
    }
  });

  const stateAt = async (node: TestNode): Promise<string | undefined> => ((await node.json(['mesh', 'members']))['members'] as { name: string; state: string }[]).find(({ name }) => name === 'server')?.state;
  const isOut = (node: TestNode, timeoutMs: number): Promise<unknown> => waitFor(`${node.name} to have it out`, async () => (await stateAt(node)) === 'removed', { timeoutMs, pollMs: 100 });

  test('it is out within seconds wherever the word comes, and where it does not as soon as that part is met again', async () => {
    // The attic and the server see each other, and nobody else.
    const [here, away] = [lan.hosts.slice(0, 2), lan.hosts.slice(2)];
    for (const host of here) lan.lose(host, away, 'all');
    for (const host of away) lan.lose(host, here, 'all');
    const startedMs = performance.now();
    expect(await nodes.laptop.json(['mesh', 'remove', 'server'])).toMatchObject({ told: ['desktop'], untold: ['attic'] });
    await Promise.all([isOut(nodes.laptop, 5_000), isOut(nodes.desktop, 5_000)]);
    expect(performance.now() - startedMs).toBeLessThan(10_000);
    // Nobody there can know.
    expect(await stateAt(nodes.attic)).toBe('alive');
    expect((await nodes.server.json(['status']))['removed']).toBeUndefined();

    for (const host of lan.hosts) lan.heal(host);
    await nodes.attic.peer('laptop', 'alive', { timeoutMs: 45_000 });
    // It is met, and with that it knows.
    await isOut(nodes.attic, 5_000);
    await nodes.attic.peer('server', 'removed', { timeoutMs: 5_000 });
    await waitFor('the removed one to be told', async () => (await nodes.server.json(['status']))['removed'] !== undefined, { timeoutMs: 30_000, pollMs: 200 });
    expect((await nodes.server.json(['peers']))['peers']).toEqual([]);
  });
});
