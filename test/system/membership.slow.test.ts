/** Another name, and the way out of a mesh, through the command line of real processes. */
import { expect, test, vi } from 'vitest';
import { Cluster } from '../support/cluster.ts';
import type { TestNode } from '../support/node-process.ts';
import { waitFor } from '../support/wait-for.ts';

vi.setConfig({ testTimeout: 180_000 });

const within5s = { timeoutMs: 5_000 };

async function members(node: TestNode): Promise<Readonly<Record<string, string>>> {
  const { members: all } = (await node.json(['mesh', 'members'])) as { members: readonly { name: string; state: string }[] };
  return Object.fromEntries(all.map(({ name, state }) => [name, state]));
}

test('a machine is renamed by one that admits others, is called by its new name, and keeps it', async () => {
  const { cluster, laptop, desktop, server } = await Cluster.meshed('laptop', 'desktop', 'server');
  await using _all = cluster;
  await server.addAgent('fabric', ['cat']);
  // The owner's second machine admits others too: the third asks one of the two.
  expect(await server.json(['mesh', 'rename', 'studio'])).toEqual({ name: 'studio', was: 'server' });
  for (const node of [laptop, desktop]) {
    await node.peer('studio', 'alive', within5s);
    await waitFor('the address to follow', async () => JSON.stringify(await node.json(['agents'])).includes('@fabric@studio#main'), within5s);
  }
  const { last, code } = await desktop.invoke(['fabric@studio', 'hello']);
  expect([code, last['output']]).toEqual([0, 'hello']);
  const refused = await desktop.beckon(['mesh', 'rename', 'laptop']);
  expect([refused.code, refused.stderr]).toEqual([6, expect.stringContaining('another node of this mesh is called laptop')]);

  // A bare `up` does as before, under the new name.
  await server.down();
  const up = server.start(['up'], { timeoutMs: 120_000 });
  expect((await up.event('ready'))['node']).toBe('studio');
  await laptop.peer('studio', 'alive');
  await server.beckon(['down']);
  await up.ended;

  // `up --name` asks an issuer as well.
  await using back = { [Symbol.asyncDispose]: async () => void (await server.beckon(['down'])) };
  expect(back).toBeDefined();
  const renamed = server.start(['up', '--name', 'attic'], { timeoutMs: 120_000 });
  expect((await renamed.event('ready'))['node']).toBe('attic');
  await desktop.peer('attic', 'alive');
});

test('a machine leaves: nobody calls it unreachable, it works alone, and may come back', async () => {
  const { cluster, laptop, desktop, server } = await Cluster.meshed('laptop', 'desktop', 'server');
  await using _all = cluster;
  await server.addAgent('fabric', ['cat']);
  const left = await server.json(['mesh', 'leave']);
  expect(left).toMatchObject({ left: true, untold: [], ended: 0 });
  for (const node of [laptop, desktop]) {
    expect((await members(node))['server']).toBe('left');
    await node.peer('server', 'left', within5s);
    const called = await node.beckon(['invoke', 'fabric@server', 'x', '--json']);
    expect([called.code, JSON.stringify(called.events)]).toEqual([3, expect.stringContaining('left the mesh')]);
  }
  expect((await server.json(['status']))['mesh']).toBeNull();
  expect((await server.invoke(['fabric', 'alone'])).last['output']).toBe('alone');
  await server.down();
  await server.up();
  expect((await server.json(['status']))['mesh']).toBeNull();

  const { token } = await desktop.json(['mesh', 'invite']);
  await server.json(['mesh', 'join', String(token)]);
  await laptop.peer('server', 'alive');
  await waitFor('it to be a member again', async () => (await members(laptop))['server'] === 'alive');
  // The one that has the root key says what its going would cost.
  const refused = await laptop.beckon(['mesh', 'leave']);
  expect([refused.code, refused.stderr]).toEqual([6, expect.stringContaining('root key')]);
});
