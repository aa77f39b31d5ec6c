/** A member is removed, through the command line of real processes. */
import { expect, test, vi } from 'vitest';
import type { Json } from '../support/cli.ts';
import { Cluster, waitsFor } from '../support/cluster.ts';
import type { TestNode } from '../support/node-process.ts';
import { waitFor } from '../support/wait-for.ts';

vi.setConfig({ testTimeout: 120_000 });

const within5s = { timeoutMs: 5_000 };

async function states(node: TestNode): Promise<Readonly<Record<string, string>>> {
  const { members } = (await node.json(['mesh', 'members'])) as { members: readonly { name: string; state: string }[] };
  return Object.fromEntries(members.map(({ name, state }) => [name, state]));
}

const knows = (node: TestNode, address: string): Promise<unknown> => waitFor(`${address} at ${node.name}`, async () => JSON.stringify(await node.json(['agents'])).includes(address), { timeoutMs: 15_000 });
const isRemoved = (node: TestNode): Promise<Json> => waitFor(`${node.name} to know`, async () => {
  const status = await node.json(['status']);
  return status['removed'] === undefined ? undefined : status;
}, { timeoutMs: 15_000 });

/** How many of the other members it gossips with. */
const gossips = (node: TestNode, words: string): Promise<unknown> => waitFor(`${words} at ${node.name}`, async () => {
  const { checks } = (await node.beckon(['doctor', '--json'])).json as { checks: readonly { id: string; detail: string }[] };
  return checks.some(({ id, detail }) => id === 'gossip' && detail.includes(words));
}, { timeoutMs: 30_000, pollMs: 200 });

test('a lost machine is removed from another one: out everywhere, told plainly, and back only with a new key', async () => {
  const { cluster, laptop, desktop, server } = await Cluster.meshed('laptop', 'desktop', 'server');
  await using _all = cluster;
  await server.addAgent('fabric', ['cat']);
  await knows(desktop, '@fabric@server#main');
  for (const node of [laptop, desktop]) await gossips(node, '2 of 2 other members are neighbours');
  const { nodeId } = ((await laptop.json(['peers']))['peers'] as Json[]).find(({ name }) => name === 'server') ?? {};

  expect(await laptop.json(['mesh', 'remove', 'server'])).toEqual({ removed: { name: 'server', nodeId }, told: ['desktop'], untold: [] });

  for (const node of [laptop, desktop]) {
    expect((await states(node))['server']).toBe('removed');
    await node.peer('server', 'removed', within5s);
    expect((await node.json(['agents']))['agents']).toEqual([]);
    const called = await node.beckon(['invoke', 'fabric@server', 'x', '--json']);
    expect(called.code).toBe(3);
  }
  for (const node of [laptop, desktop]) await gossips(node, '1 of 1 other member is a neighbour');
  const status = await isRemoved(server);
  expect(status).toMatchObject({ mesh: null, removed: { by: expect.stringContaining('on laptop') } });
  expect(server.log).toContain('this node was removed from home by ');
  expect(await states(server)).toEqual({ server: 'removed' });
  const doctor = await server.beckon(['doctor']);
  expect([doctor.code, doctor.text]).toEqual([1, expect.stringContaining('removed from home by')]);
  // It works alone, and the others among themselves.
  expect((await server.invoke(['fabric', 'alone'])).last['output']).toBe('alone');
  expect((await laptop.beckon(['mesh', 'remove', 'server'])).text).toContain('server was removed already');

  // Alone it starts again, too, and says why.
  await server.down();
  await server.up();
  expect((await server.json(['status']))['removed']).toBeDefined();

  const left = await server.beckon(['mesh', 'leave']);
  expect([left.code, left.stderr]).toEqual([0, expect.stringContaining('beckon restart')]);
  await server.down();
  await server.up();
  const { token } = await desktop.json(['mesh', 'invite']);
  await server.json(['mesh', 'join', String(token)]);
  await laptop.peer('server', 'alive');
  expect((await server.invoke(['fabric', 'again'])).last['output']).toBe('again');
  await knows(laptop, '@fabric@server#main');
  expect((await laptop.invoke(['fabric@server', 'from afar'])).last['output']).toBe('from afar');
});

test('a node that dies when it has written down a removal, and before it has done what follows, does it when it is back', async () => {
  const { cluster, laptop, desktop, server } = await Cluster.meshed('laptop', 'desktop', 'server');
  await using _all = cluster;
  const away = await server.addAgent('away', ['cat']);
  const here = await desktop.addAgent('here', [cluster.program('here', waitsFor(cluster.path('gate')))]);
  await knows(desktop, away);
  await knows(server, here);
  const queued = [];
  // Four run at once: the last of them never begins.
  for (let count = 0; count < 9; count += 1) queued.push(String((await server.json(['invoke', here, String(count), '--detach']))['flightId']));
  const [last = ''] = queued.slice(-1);
  await waitFor('all to be there', async () => ((await desktop.json(['flights']))['flights'] as Json[]).length === 9);
  await server.down('--force');
  await desktop.peer('server', 'unreachable');
  const held = String((await desktop.json(['invoke', away, 'x', '--detach']))['flightId']);
  await desktop.down('--force');
  await desktop.up({ env: { BECKON_CRASH_AT: 'saveRevocations:after-commit' } });
  await desktop.peer('laptop', 'alive');

  await laptop.json(['mesh', 'remove', 'server']);
  await waitFor('the desktop to die', () => desktop.pid === undefined);
  expect((await desktop.ended()).signal).toBe('SIGKILL');
  await desktop.up();

  expect((await states(desktop))['server']).toBe('removed');
  const show = async (id: string): Promise<Json> => (await desktop.json(['flight', 'show', id]))['flight'] as Json;
  expect(await show(held)).toMatchObject({ state: 'failed', error: { code: 'unavailable', message: expect.stringContaining('server was removed from the mesh by') } });
  expect(await show(last)).toMatchObject({ state: 'failed', error: { code: 'denied', message: expect.stringContaining('before it could start') } });
  for (const id of queued) expect((await show(id))['state']).toMatch(/^(indeterminate|failed)$/);
  await desktop.peer('laptop', 'alive');
});
