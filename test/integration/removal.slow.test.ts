/** A member is removed, with four whole nodes in this process. */
import { existsSync, mkdirSync, readFileSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test, vi } from 'vitest';
import { wishRekey } from '../../src/app/rekey.ts';
import { createSystemClock } from '../../src/app/system-clock.ts';
import type { Harness } from '../../src/domain/harness-port.ts';
import { asMeshId } from '../../src/domain/ids.ts';
import { MeshGossip } from '../../src/gossip/gossip.ts';
import { encodeGoodbye } from '../../src/mesh/hello.ts';
import { meshIdentityOf, openIssuer } from '../../src/trust/mesh-authority.ts';
import { generateNodeKey, loadOrCreateNodeKey } from '../../src/trust/node-key.ts';
import { signRevocation } from '../../src/trust/revocation.ts';
import { AskingHarness } from '../support/asking-harness.ts';
import { rows } from '../support/database.ts';
import { addressesAt, LocalMesh, memberState } from '../support/local-mesh.ts';
import { LocalNode } from '../support/local-node.ts';
import { silentLog } from '../support/temp-store.ts';
import { isRunning } from '../support/processes.ts';
import { waitFor } from '../support/wait-for.ts';
import { HandMade } from './hand-made.ts';

vi.setConfig({ testTimeout: 90_000 });

/** All of one person: the laptop made the mesh, the desktop became the second issuer. */
const startFour = (harnesses: readonly Harness[] = []) => LocalMesh.start(['laptop', 'desktop', 'server', 'attic'], { harnesses });

const idOf = async (node: LocalNode) => (await node.client.status()).nodeId;

/** It is out there, and nothing of it is left. */
async function isOut(node: LocalNode, name: string): Promise<boolean> {
  const peers = await node.client.peers();
  return (await memberState(node, name)) === 'removed' && peers.find((each) => each.name === name)?.state === 'removed' && !(await addressesAt(node)).some((each) => each.includes(`@${name}#`));
}

test('a node removed by one issuer is out everywhere within seconds, is told so, and runs alone', async () => {
  await using four = await startFour();
  const { laptop, desktop, server, attic } = four.nodes;
  const address = await server.addAgent('fabric', { argv: ['cat'] });
  const elsewhere = await attic.addAgent('weaver', { argv: ['cat'] });
  await waitFor('the agent to be known', async () => (await addressesAt(attic)).includes(address));
  await waitFor('the other to be known', async () => (await addressesAt(server)).includes(elsewhere));

  const startedMs = performance.now();
  const removed = await laptop.client.removeMember('server');
  expect(removed).toMatchObject({ name: 'server', nodeId: await idOf(server), already: false, untold: [], letIn: [] });
  expect(removed.told.toSorted()).toEqual(['attic', 'desktop']);
  for (const node of [laptop, desktop, attic]) await waitFor(`${node.name} to have it out`, () => isOut(node, 'server'), { timeoutMs: 5_000 });
  expect(performance.now() - startedMs).toBeLessThan(5_000);

  await waitFor('it to know', async () => (await server.client.status()).removed !== undefined, { timeoutMs: 5_000 });
  const status = await server.client.status();
  expect(status.mesh).toBeUndefined();
  expect(status.removed).toMatchObject({ meshName: expect.any(String), by: expect.stringContaining('on laptop') });
  expect(status.name).toBe('server');
  expect(await server.client.members()).toEqual([expect.objectContaining({ name: 'server', state: 'removed' })]);
  expect(await server.client.peers()).toEqual([]);
  expect((await server.client.diagnose()).find(({ id }) => id === 'mesh')).toMatchObject({ ok: false, detail: expect.stringContaining('removed from') });
  const alone = await server.invoke('@fabric', 'alone');
  await server.becomes(alone.flightId, 'completed');
  // Nobody would ever take it.
  expect(await addressesAt(server)).toEqual([address]);
  await expect(server.invoke(elsewhere, 'x')).rejects.toMatchObject({ code: 'not_found' });

  await expect(attic.invoke(address, 'x')).rejects.toMatchObject({ code: 'not_found' });
  expect(await laptop.client.removeMember('server')).toMatchObject({ already: true, told: [], untold: [] });
  await expect(laptop.client.removeMember('laptop')).rejects.toMatchObject({ code: 'invalid', hint: expect.stringContaining('mesh leave') });
  await expect(laptop.client.removeMember('atic')).rejects.toMatchObject({ code: 'not_found', hint: expect.stringContaining('attic') });
});

test('a node that was away hears of it from any member, and so does the removed one from the first that it meets', async () => {
  await using four = await startFour();
  const { laptop, desktop, server, attic } = four.nodes;
  await attic.stop();
  await server.stop();
  expect(await laptop.client.removeMember('server')).toMatchObject({ told: ['desktop'], untold: ['attic'] });
  await laptop.stop();

  // Neither knows, and they are still members to each other.
  await desktop.stop();
  await Promise.all([attic.start(), server.start()]);
  await four.linked([attic, server]);
  await desktop.start();
  await waitFor('the one that was away to have it out', () => isOut(attic, 'server'), { timeoutMs: 15_000 });
  await waitFor('the removed one to know', async () => (await server.client.status()).removed !== undefined, { timeoutMs: 15_000 });

  // What is known is remembered, on both sides.
  await Promise.all([attic.stop(), server.stop()]);
  await Promise.all([attic.start(), server.start()]);
  expect(await memberState(attic, 'server')).toBe('removed');
  expect((await server.client.status()).removed?.by).toContain('on laptop');
  await desktop.sees(attic, 'alive');
  expect(await server.client.peers()).toEqual([]);
});

test('the removed one that was away is told by whom it meets first, in whatever direction, and then is not heard any more', async () => {
  await using four = await startFour();
  const { laptop, server } = four.nodes;
  await server.stop();
  await laptop.client.removeMember('server');
  await server.start();
  await waitFor('it to know', async () => (await server.client.status()).removed !== undefined, { timeoutMs: 15_000 });
  for (const node of [laptop, four.nodes.desktop, four.nodes.attic]) expect(await isOut(node, 'server')).toBe(true);
});

test('a node that is no issuer has one of its own person do it; the nodes of others may not', async () => {
  await using four = await startFour();
  const { laptop, desktop, attic } = four.nodes;
  const guest = new LocalNode('guest', four.root);
  await using _guest = guest;
  await guest.start({ join: (await laptop.client.createInvite({ forPerson: 'guest' })).token });
  await guest.sees(laptop, 'alive');
  await expect(guest.client.removeMember('server')).rejects.toMatchObject({ code: 'denied' });
  expect(await memberState(laptop, 'server')).not.toBe('removed');

  expect(await attic.client.removeMember('server')).toMatchObject({ name: 'server', by: expect.stringContaining('on attic') });
  for (const node of [laptop, desktop, attic, guest]) await waitFor(`${node.name} to have it out`, () => isOut(node, 'server'), { timeoutMs: 5_000 });

  await laptop.stop();
  await desktop.stop();
  await expect(attic.client.removeMember('guest')).rejects.toMatchObject({ code: 'unavailable', message: expect.stringMatching(/laptop.*desktop|desktop.*laptop/) });
  await attic.sees(guest, 'alive');
});

test('with its old key it gets in by no way; after mesh leave it has another key, and is let in as a new machine', async () => {
  await using four = await startFour();
  const { laptop, server, attic } = four.nodes;
  await server.addAgent('fabric', { argv: ['cat'] });
  const before = await idOf(server);
  await laptop.client.removeMember('server');
  await waitFor('it to know', async () => (await server.client.status()).removed !== undefined);
  const { token } = await laptop.client.createInvite({});
  await expect(server.client.renameNode('other')).rejects.toMatchObject({ code: 'conflict' });
  await expect(server.client.joinMesh(token)).rejects.toMatchObject({ code: 'conflict', hint: expect.stringContaining('mesh leave') });
  await expect(server.client.createInvite({})).rejects.toMatchObject({ code: 'conflict', hint: expect.stringContaining('mesh leave') });
  await expect(server.client.removeMember('laptop')).rejects.toMatchObject({ code: 'conflict' });

  expect(await server.client.leaveMesh({ force: false, confirmed: false, waitMs: 1_000 })).toMatchObject({ left: true, isNewKey: true });
  // Not started anew yet: the key is still the old one, and what is entered with it would be set aside with it.
  await expect(server.client.joinMesh(token)).rejects.toMatchObject({ code: 'conflict', hint: expect.stringContaining('beckon restart') });
  await expect(server.client.createMesh({ new: true })).rejects.toMatchObject({ code: 'conflict', hint: expect.stringContaining('beckon restart') });
  await server.stop();
  await server.start();
  expect(await idOf(server)).not.toBe(before);
  expect((await server.client.status()).removed).toBeUndefined();
  await server.client.joinMesh(token);
  await attic.sees(server, 'alive');
  const seen = async () => (await attic.client.members()).filter(({ name }) => name === 'server').map(({ nodeId, state }) => `${nodeId === before ? 'old' : 'new'} ${state}`);
  await waitFor('both to be told apart', async () => (await seen()).toSorted().join() === 'new alive,old removed');
});

test('one that left before it heard of its removal is told when it comes back, and then mesh leave gives it another key', async () => {
  await using two = await LocalMesh.start(['laptop', 'server']);
  const { laptop, server } = two.nodes;
  const leave = () => server.client.leaveMesh({ force: false, confirmed: true, waitMs: 5_000 });
  const before = await idOf(server);
  await server.stop();
  await laptop.client.removeMember('server');
  await laptop.stop();
  await server.start();
  expect((await server.client.status()).removed).toBeUndefined();
  expect(await leave()).toMatchObject({ left: true, told: [], untold: ['laptop'] });
  // Said twice it does no more: nobody has refused the key yet.
  await expect(leave()).rejects.toMatchObject({ code: 'conflict' });
  await server.stop();
  await Promise.all([laptop.start(), server.start()]);
  expect(await idOf(server)).toBe(before);

  const { token } = await laptop.client.createInvite({});
  await expect(server.client.joinMesh(token)).rejects.toMatchObject({ code: 'unauthenticated', message: expect.stringContaining('removed'), hint: expect.stringContaining('beckon mesh leave, then beckon restart') });
  // It knows that however often it starts.
  await server.stop();
  await server.start();
  expect(await idOf(server)).toBe(before);
  const left = await server.cli('mesh', 'leave');
  expect([left.code, left.stdout]).toEqual([0, 'the key of this node, which a mesh has removed, is given up\n']);
  await expect(server.client.createMesh({ new: true })).rejects.toMatchObject({ code: 'conflict', hint: expect.stringContaining('beckon restart') });
  await server.stop();
  await server.start();
  expect(await idOf(server)).not.toBe(before);
  await expect(leave()).rejects.toMatchObject({ code: 'conflict' });
  await server.client.joinMesh(token);
  await laptop.sees(server, 'alive');
});

test('a removed node that dies while it forgets its mesh has another key, or is still the removed one', async () => {
  await using two = await LocalMesh.start(['laptop', 'server']);
  const { laptop, server } = two.nodes;
  const before = await idOf(server);
  await laptop.client.removeMember('server');
  await waitFor('it to know', async () => (await server.client.status()).removed !== undefined);
  // The wish for another key can't be written.
  const blocked = join(server.home, 'rekey.wanted.new');
  mkdirSync(blocked);
  await expect(server.client.leaveMesh({ force: false, confirmed: true, waitMs: 5_000 })).rejects.toMatchObject({ code: 'internal' });
  expect((await server.client.status()).removed).toBeDefined();
  await server.stop();
  rmdirSync(blocked);

  // It was written, and that was all.
  await wishRekey({ stateDir: server.home });
  await server.start();
  expect(await idOf(server)).not.toBe(before);
  expect((await server.client.status()).removed).toBeUndefined();
  await server.client.joinMesh((await laptop.client.createInvite({})).token);
  await laptop.sees(server, 'alive');
});

test('work that is held for it fails where it was asked for, undelivered', async () => {
  await using four = await startFour();
  const { laptop, server, attic } = four.nodes;
  const address = await server.addAgent('fabric', { argv: ['cat'] });
  await waitFor('the agent to be known', async () => (await addressesAt(attic)).includes(address));
  await server.stop();
  await attic.loses(server);
  const held = await attic.invoke(address, 'held');

  await laptop.client.removeMember('server');

  const failed = await attic.becomes(held.flightId, 'failed');
  expect(failed.error).toMatchObject({ code: 'unavailable', message: expect.stringMatching(/^server was removed from the mesh by .* on laptop/) });
  expect((await attic.client.getDelivery(held.flightId)).delivery).toMatchObject({ status: 'dead', failureReason: 'denied' });
});

test('work that it is at is indeterminate at once where it was asked for, and ended where it runs', async () => {
  await using four = await startFour();
  const { laptop, server, attic } = four.nodes;
  const spawned = join(four.root, 'spawned');
  const address = await server.addAgent('slow', { argv: ['sh', '-c', `: > '${spawned}'; exec sleep 600`] });
  await waitFor('the agent to be known', async () => (await addressesAt(attic)).includes(address));
  const running = await attic.invoke(address, 'running');
  await attic.becomes(running.flightId, 'running');
  await waitFor('it to be at work', () => existsSync(spawned));

  await laptop.client.removeMember('server');

  const unknown = await attic.becomes(running.flightId, 'indeterminate');
  expect(unknown.error).toMatchObject({ code: 'unavailable', message: expect.stringContaining('server was removed from the mesh by') });
  // There nobody waits for it any more: it is ended.
  expect((await server.becomes(running.flightId, 'cancelled')).ended).toBeGreaterThan(0);
});

test('work that it asked for ends where it runs: what waits failed, what runs is ended with all its processes', async () => {
  await using four = await startFour();
  const { laptop, server, attic } = four.nodes;
  const pids = join(four.root, 'pids');
  const address = await attic.addAgent('slow', { argv: ['sh', '-c', `sleep 600 & echo $! >> '${pids}'; wait`] });
  await waitFor('the agent to be known', async () => (await addressesAt(server)).includes(address));
  const flights = [];
  // One more than an agent runs at once.
  for (let count = 0; count < 5; count += 1) flights.push((await server.invoke(address, String(count))).flightId);
  for (const id of flights.slice(0, 4)) await attic.becomes(id, 'running');
  await waitFor('all to be at work', () => existsSync(pids) && readFileSync(pids, 'utf8').trim().split('\n').length === 4);

  await laptop.client.removeMember('server');

  for (const id of flights.slice(0, 4)) {
    const { error, ended } = await attic.becomes(id, 'cancelled');
    expect({ code: error?.code, message: error?.message }).toEqual({ code: 'denied', message: 'the node that asked for it was removed from the mesh while it ran' });
    expect(ended).toBeGreaterThan(0);
  }
  for (const id of flights.slice(4)) expect((await attic.becomes(id, 'failed')).error).toMatchObject({ code: 'denied', message: expect.stringContaining('before it could start') });
  for (const pid of readFileSync(pids, 'utf8').trim().split('\n')) expect(isRunning(Number(pid))).toBe(false);
  // Where it was asked for nothing more will be heard of it.
  for (const id of flights) await server.becomes(id, 'indeterminate');
});

test('a question that waits for the removed node’s people is closed on both sides', async () => {
  await using four = await startFour([new AskingHarness()]);
  const { laptop, server, attic } = four.nodes;
  const address = await attic.addAgent('asker', { harness: 'asking' });
  await waitFor('the agent to be known', async () => (await addressesAt(server)).includes(address));
  const { flightId } = await server.invoke(address, 'approval may I?');
  await server.becomes(flightId, 'waiting');
  await attic.becomes(flightId, 'waiting');

  await laptop.client.removeMember('server');

  expect((await attic.becomes(flightId, 'cancelled')).waiting).toBeUndefined();
  expect((await server.becomes(flightId, 'indeterminate')).waiting).toBeUndefined();
  for (const node of [attic, server]) expect((await node.client.listWaiting()).waiting).toEqual([]);
});

test('a removed issuer lets nobody in any more, however it goes about it; those that it had let in stay', async () => {
  await using four = await startFour();
  const { laptop, desktop, server, attic } = four.nodes;
  const guest = new LocalNode('guest', four.root);
  await using _guest = guest;
  await guest.start({ join: (await desktop.client.createInvite({})).token });
  await waitFor('it to be known', async () => (await memberState(laptop, 'guest')) === 'alive');
  await waitFor('the issuer to have proven that it is one', async () => rows(join(laptop.home, 'beckon.db'), 'SELECT 1 FROM members WHERE issuer_certificate IS NOT NULL').length === 1);
  const listen = laptop.listen;
  const [mesh] = rows(join(desktop.home, 'beckon.db'), 'SELECT root, own_issuer, mesh_name FROM mesh') as { root: Buffer; own_issuer: Buffer; mesh_name: string }[];
  const thief = mesh && (await openIssuer(join(desktop.home, 'trust'), mesh.root, mesh.own_issuer));
  if (thief === undefined) throw new Error('the desktop is no issuer');

  expect(await laptop.client.removeMember('desktop')).toMatchObject({ letIn: ['guest'] });
  await desktop.stop();

  const key = generateNodeKey();
  const chain = await thief.issue({ publicKey: key.publicKey, name: 'innocent', owner: (await laptop.client.status()).owner }, Date.now());
  const identity = meshIdentityOf(key, { name: mesh?.mesh_name ?? '', root: thief.root, chain });
  using first = new HandMade(identity, listen);
  first.hello();
  expect((await first.goodbye()).detail).toContain('let in by desktop, which was removed');
  using again = new HandMade(identity, listen);
  again.hello();
  await waitFor('it to be cut', () => again.isOver);
  expect(again.frames).toEqual([]);
  expect((await laptop.client.members()).map(({ name }) => name)).not.toContain('innocent');

  // Also after everything was made anew.
  for (const node of [laptop, server, attic, guest]) await node.stop();
  for (const node of [laptop, server, attic, guest]) await node.start();
  await four.linked([laptop, server, attic, guest]);
  // A newcomer, which never met who let the guest in, believes the guest.
  await using fresh = new LocalNode('fresh', four.root);
  await fresh.start({ join: (await laptop.client.createInvite({})).token });
  await fresh.sees(guest, 'alive');
});

test('a removed node that goes on as if nothing had happened gets neither a session nor gossip', async () => {
  await using four = await startFour();
  const { laptop, server } = four.nodes;
  await laptop.client.removeMember('server');
  await waitFor('it to know', async () => (await server.client.status()).removed !== undefined);
  await server.stop();
  const key = await loadOrCreateNodeKey(join(server.home, 'trust', 'node.key'));
  const [row] = rows(join(server.home, 'beckon.db'), 'SELECT id, mesh_name, root, leaf, issuer FROM mesh') as { id: string; mesh_name: string; root: Buffer; leaf: Buffer; issuer: Buffer }[];
  if (row === undefined) throw new Error('it forgot its mesh');
  const identity = meshIdentityOf(key, { name: row.mesh_name, root: row.root, chain: { leaf: row.leaf, issuer: row.issuer } });

  // Told on its session; once more by a handshake of its own; then not at all.
  using first = new HandMade(identity, laptop.listen);
  first.hello();
  expect((await first.goodbye()).detail).toContain('it was removed from the mesh by');
  expect(first.frames.map((frame) => frame.$case)).toEqual(['goodbye']);
  using again = new HandMade(identity, laptop.listen);
  again.hello();
  await waitFor('it to be cut', () => again.isOver);
  expect(again.frames).toEqual([]);

  const { d = '', x = '' } = key.privateKey.export({ format: 'jwk' });
  const gossip = new MeshGossip({
    nodeId: key.nodeId, key: Buffer.concat([Buffer.from(d, 'base64url'), Buffer.from(x, 'base64url')]), meshId: asMeshId(row.id), listen: [{ host: '127.0.0.1', port: 0 }],
    isMember: () => true, members: () => [{ nodeId: identityOfLaptop, gossipAddresses: [laptop.gossipListen] }],
    handler: () => Promise.resolve('ignore'), clock: createSystemClock(), random: Math.random, log: silentLog,
  });
  const identityOfLaptop = await idOf(laptop);
  expect(laptop.gossipListen).not.toBe('');
  await gossip.start();
  try {
    await expect(waitFor('a neighbour', () => gossip.neighbours().size > 0, { timeoutMs: 3_000 })).rejects.toThrow(/waited/);
  } finally {
    await gossip.stop();
  }
});

test('a removed issuer that is let in to be told so can talk nobody out of the mesh with what it signs', async () => {
  await using four = await startFour();
  const { laptop, desktop, server, attic } = four.nodes;
  await waitFor('the issuer to have proven that it is one', async () => rows(join(laptop.home, 'beckon.db'), 'SELECT 1 FROM members WHERE issuer_certificate IS NOT NULL').length === 1);
  await laptop.client.removeMember('desktop');
  for (const node of [server, attic]) await waitFor(`${node.name} to have it out`, () => isOut(node, 'desktop'));
  await desktop.stop();
  const [mesh] = rows(join(desktop.home, 'beckon.db'), 'SELECT root, own_issuer, mesh_name, leaf, issuer FROM mesh') as { root: Buffer; own_issuer: Buffer; mesh_name: string; leaf: Buffer; issuer: Buffer }[];
  const thief = mesh && (await openIssuer(join(desktop.home, 'trust'), mesh.root, mesh.own_issuer));
  if (mesh === undefined || thief === undefined) throw new Error('the desktop is no issuer');
  // Everybody made anew: nobody remembers to have told it.
  await attic.stop();
  await attic.start();
  await attic.sees(server, 'alive');

  const identity = meshIdentityOf(await loadOrCreateNodeKey(join(desktop.home, 'trust', 'node.key')), { name: mesh.mesh_name, root: mesh.root, chain: { leaf: mesh.leaf, issuer: mesh.issuer } });
  using hostile = new HandMade(identity, attic.listen);
  const revocation = signRevocation(thief, { nodeId: await idOf(attic), name: 'attic', by: 'the thief', revokedAtMs: Date.now() });
  hostile.send({ $case: 'goodbye', value: encodeGoodbye('removed', 'it was removed', revocation) });
  await waitFor('it to be cut', () => hostile.isOver);

  // Whatever it made of that is done by now.
  using after = new HandMade(identity, attic.listen);
  after.hello();
  await waitFor('it to be answered', () => after.isOver || after.frames.length > 0);
  expect((await attic.client.status()).removed).toBeUndefined();
  for (const node of [laptop, server]) expect(await memberState(node, 'attic')).toBe('alive');
  // The one that is left has nobody to remove it.
  await expect(server.client.removeMember('laptop')).rejects.toMatchObject({ code: 'denied', message: expect.stringContaining('only laptop can remove a member') });
});
