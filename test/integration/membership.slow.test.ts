/** Names and leaving, with three whole nodes in this process. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test, vi } from 'vitest';
import { connect } from '../../src/client/index.ts';
import type { FlightId } from '../../src/domain/ids.ts';
import { addressesAt, LocalMesh, memberState } from '../support/local-mesh.ts';
import { socketOf } from '../support/served-pair.ts';
import { waitFor } from '../support/wait-for.ts';

vi.setConfig({ testTimeout: 60_000 });

/** The other two are another person's, so that the laptop stays the only issuer. */
const startTrio = () => LocalMesh.start(['laptop', 'desktop', 'server'], { forPerson: 'team' });

test('a member that is no issuer gets another name, all others see it within seconds, and its agents are called by it', async () => {
  await using trio = await startTrio();
  const { laptop, desktop, server } = trio.nodes;
  expect(await desktop.addAgent('fabric', { argv: ['cat'] })).toBe('@fabric@desktop#main');
  await waitFor('the agent to be known', async () => (await addressesAt(server)).includes('@fabric@desktop#main'));

  expect(await desktop.client.renameNode('studio')).toEqual({ name: 'studio', was: 'desktop' });

  expect(await addressesAt(desktop)).toEqual(['@fabric@studio#main']);
  for (const node of [laptop, server]) {
    await waitFor(`the new name at ${node.name}`, async () => (await node.client.peers()).some((each) => each.name === 'studio' && each.state === 'alive'), { timeoutMs: 5_000 });
    await waitFor(`the new address at ${node.name}`, async () => (await addressesAt(node)).join() === '@fabric@studio#main', { timeoutMs: 5_000 });
    expect((await node.client.members()).map((each) => each.name).toSorted()).toEqual(['laptop', 'server', 'studio']);
  }
  const { flightId } = await server.invoke('@fabric@studio', 'hello');
  await server.becomes(flightId, 'completed');
  expect(await server.outputOf(flightId)).toBe('hello');
});

test('the new name is in the certificate: new connections show it, and a node that starts again keeps it', async () => {
  await using trio = await startTrio();
  const { laptop, desktop, server } = trio.nodes;
  await desktop.client.renameNode('studio');
  // A connection made anew, without a restart of the one that was renamed.
  await server.stop();
  await server.start();
  await waitFor('the server to see it', async () => (await server.client.peers()).some((each) => each.name === 'studio' && each.state === 'alive'));
  await desktop.stop();
  await desktop.start({ name: undefined });
  expect((await desktop.client.status()).name).toBe('studio');
  await waitFor('the laptop to see it', async () => (await laptop.client.peers()).some((each) => each.name === 'studio' && each.state === 'alive'));
});

test('a process that serves an agent goes on under the new name, and a session still has one turn at a time', async () => {
  await using trio = await startTrio();
  const { desktop, server } = trio.nodes;
  using there = await connect({ socketPath: socketOf(desktop) });
  using here = await connect({ socketPath: socketOf(server) });
  const gate = Promise.withResolvers<void>();
  const begun: string[] = [];
  const serving = await there.serve('echo/main', async (task) => {
    begun.push(task);
    if (task === 'first') await gate.promise;
    return task;
  });
  await waitFor('the agent to be available', async () => (await here.getAgent(serving.address)).registration.available);
  const first = here.invoke(serving.address, 'first');
  await waitFor('it to be at work', () => begun.length === 1);

  await desktop.client.renameNode('studio');

  await waitFor('who serves it to know its name', () => serving.address === '@echo@studio#main');
  await waitFor('the new address at the caller', async () => (await addressesAt(server)).includes(serving.address));
  const second = here.invoke(serving.address, 'second', { session: 'continue' });
  await second.accepted;
  expect((await here.invoke(serving.address, 'third').result()).text).toBe('third');
  expect(begun).toEqual(['first', 'third']);
  gate.resolve();
  expect((await first.result()).text).toBe('first');
  expect((await second.result()).text).toBe('second');
  await serving.close();
});

test('work that was held for the old name arrives under the new one', async () => {
  await using trio = await startTrio();
  const { laptop, desktop, server } = trio.nodes;
  const address = await desktop.addAgent('fabric', { argv: ['cat'] });
  await waitFor('the agent to be known', async () => (await addressesAt(server)).includes(address));
  await server.stop();
  await desktop.stop();
  await server.start();
  const { flightId } = await server.invoke(address, 'held');
  await server.stop();
  // While its caller is away.
  await desktop.start();
  await desktop.sees(laptop, 'alive');
  await desktop.client.renameNode('studio');
  await server.start();
  await server.becomes(flightId, 'completed', 20_000);
  expect(await server.outputOf(flightId)).toBe('held');
});

test('a name that another member has is refused, and of two that want one at once the first keeps it', async () => {
  await using trio = await startTrio();
  const { desktop, server, laptop } = trio.nodes;
  await expect(desktop.client.renameNode('server')).rejects.toMatchObject({ code: 'conflict' });
  await expect(desktop.client.renameNode('no such name!')).rejects.toMatchObject({ code: 'invalid' });
  const both = await Promise.allSettled([desktop.client.renameNode('studio'), server.client.renameNode('studio')]);
  expect(both.map(({ status }) => status).toSorted()).toEqual(['fulfilled', 'rejected']);
  expect((await laptop.client.members()).filter(({ name }) => name === 'studio')).toHaveLength(1);
});

test('without an issuer in reach the name stays, and the answer names who could give another', async () => {
  await using trio = await startTrio();
  const { laptop, desktop } = trio.nodes;
  await laptop.stop();
  await expect(desktop.client.renameNode('studio')).rejects.toMatchObject({ code: 'unavailable', message: expect.stringContaining('laptop') });
  expect((await desktop.client.status()).name).toBe('desktop');
});

test('a node that leaves is left for all, also for one that was away, and is its own again', async () => {
  await using trio = await startTrio();
  const { laptop, desktop, server } = trio.nodes;
  await desktop.addAgent('fabric', { argv: ['cat'] });
  await server.stop();
  const result = await desktop.client.leaveMesh({ force: false, confirmed: false, waitMs: 10_000 });
  expect(result).toMatchObject({ left: true, told: ['laptop'], untold: ['server'], losses: [] });

  const status = await desktop.client.status();
  expect({ mesh: status.mesh, name: status.name, draining: status.draining }).toEqual({ mesh: undefined, name: 'desktop', draining: false });
  expect(await desktop.client.peers()).toEqual([]);
  const { flightId } = await desktop.invoke('@fabric', 'alone');
  await desktop.becomes(flightId, 'completed');

  expect(await memberState(laptop, 'desktop')).toBe('left');
  await laptop.sees(desktop, 'left');
  await server.start();
  await waitFor('the one that was away to hear of it', async () => (await memberState(server, 'desktop')) === 'left');
  await server.sees(desktop, 'left');
  // What was learned is remembered.
  await laptop.stop();
  await laptop.start();
  expect(await memberState(laptop, 'desktop')).toBe('left');

  const { token } = await laptop.client.createInvite({ forPerson: 'team' });
  await desktop.client.joinMesh(token);
  await laptop.sees(desktop, 'alive');
  await server.sees(desktop, 'alive');
  await waitFor('it to be a member again at the server', async () => (await memberState(server, 'desktop')) === 'alive');
});

test('what is held for others, and what of others waits here, ends with the reason on both sides', async () => {
  await using trio = await startTrio();
  const { laptop, desktop, server } = trio.nodes;
  const [far, own] = [await server.addAgent('far', { argv: ['cat'] }), await desktop.addAgent('near', { argv: ['cat'] })];
  await waitFor('agents to be known', async () => (await addressesAt(desktop)).includes(far) && (await addressesAt(server)).includes(own));
  await server.stop();
  const held = await desktop.invoke(far, 'x');
  const refused = await desktop.client.leaveMesh({ force: false, confirmed: false, waitMs: 10_000 });
  expect(refused).toMatchObject({ left: false, losses: [expect.stringContaining('1 invocation')] });
  expect((await desktop.client.status()).mesh).toBeDefined();

  expect(await desktop.client.leaveMesh({ force: false, confirmed: true, waitMs: 10_000 })).toMatchObject({ left: true, ended: 1 });
  const { state, error } = await desktop.flight(held.flightId);
  expect({ state, error }).toMatchObject({ state: 'failed', error: { message: expect.stringContaining('left') } });
  expect((await desktop.client.getDelivery(held.flightId)).delivery.status).toBe('dead');

  // One that was held for the node that left, at a node that was away when it did.
  expect(await memberState(laptop, 'desktop')).toBe('left');
  await laptop.stop();
  await server.start();
  const waiting = await server.invoke(own, 'y');
  await laptop.start();
  const ended = await server.becomes(waiting.flightId, 'failed', 20_000);
  expect(ended.error?.message).toContain('desktop left the mesh');
});

test('leaving waits for what runs, and what of others has not begun fails there with the reason', async () => {
  await using trio = await startTrio();
  const { desktop, server } = trio.nodes;
  const gate = join(trio.root, 'gate');
  const address = await desktop.addAgent('slow', { argv: ['sh', '-c', `until [ -e '${gate}' ]; do sleep 0.05; done; echo done`] });
  await waitFor('the agent to be known', async () => (await addressesAt(server)).includes(address));
  const flights = [];
  // One more than an agent runs at once.
  for (let count = 0; count < 5; count += 1) flights.push((await server.invoke(address, String(count))).flightId);
  const [queued = flights[0]] = flights.slice(-1);
  for (const id of flights.slice(0, 4)) await server.becomes(id, 'running');

  expect(await desktop.client.leaveMesh({ force: false, confirmed: false, waitMs: 100 })).toMatchObject({ left: false, losses: [expect.stringContaining('1 invocation of others')] });
  expect(await desktop.client.leaveMesh({ force: false, confirmed: true, waitMs: 300 })).toMatchObject({ left: false, running: 4 });
  await expect(desktop.invoke('@slow', 'new')).rejects.toMatchObject({ code: 'unavailable' });
  writeFileSync(gate, '');
  await waitFor('it to have left', async () => (await desktop.client.status()).mesh === undefined);

  for (const id of flights.slice(0, 4)) await server.becomes(id, 'completed');
  const failed = await server.becomes(queued as FlightId, 'failed');
  expect(failed.error?.message).toBe('desktop left the mesh before this could start');
});

test('the last issuer leaves only when it is told to', async () => {
  await using trio = await startTrio();
  const { laptop, desktop } = trio.nodes;
  expect(await laptop.client.leaveMesh({ force: false, confirmed: false, waitMs: 5_000 })).toMatchObject({ left: false, losses: [expect.stringContaining('no other node lets others into')] });
  expect(await laptop.client.leaveMesh({ force: false, confirmed: true, waitMs: 5_000 })).toMatchObject({ left: true, told: ['desktop', 'server'] });
  await desktop.sees(laptop, 'left');
  await laptop.client.createMesh({ new: true, name: 'other' });
  expect((await laptop.client.members()).map(({ name }) => name)).toEqual(['laptop']);
});
