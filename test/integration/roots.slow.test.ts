/** Another root, and the end of an issuer, with whole nodes in this process: real TLS decides who is let in. */
import { join } from 'node:path';
import { expect, test, vi } from 'vitest';
import { rows } from '../support/database.ts';
import { addressesAt, LocalMesh, memberState } from '../support/local-mesh.ts';
import { LocalNode } from '../support/local-node.ts';
import { waitFor } from '../support/wait-for.ts';

vi.setConfig({ testTimeout: 90_000 });

const states = async (node: LocalNode): Promise<string[]> => (await node.client.authority.roots()).map(({ state }) => state);

test('another root comes and the first ends without anybody dropping out, also one that was away for both', async () => {
  await using four = await LocalMesh.start(['laptop', 'desktop', 'server', 'attic']);
  const { laptop, desktop, server, attic } = four.nodes;
  const before = await laptop.client.createInvite({});
  const { meshId } = (rows(join(laptop.home, 'beckon.db'), 'SELECT id AS meshId FROM mesh') as { meshId: string }[])[0] ?? { meshId: '' };
  await attic.stop();
  await expect(server.client.authority.renewRoot()).rejects.toMatchObject({ code: 'denied' });
  await expect(laptop.client.authority.retireRoot({ force: false })).rejects.toMatchObject({ code: 'conflict' });

  const { root } = await laptop.client.authority.renewRoot();
  expect(root).toMatchObject({ state: 'accepted', isKeyHere: true, issuers: 2 });
  for (const node of [laptop, desktop, server]) await waitFor(`${node.name} to take it`, async () => (await states(node)).join() === 'in_use,accepted', { timeoutMs: 10_000 });

  // Nobody is cut off by it, and whoever begins anew is let in.
  await server.stop();
  await server.start();
  await four.linked([laptop, desktop, server]);
  const early = new LocalNode('early', four.root);
  await using _early = early;
  await early.start({ join: before.token });
  await waitFor('the newcomer to know both', async () => (await states(early)).join() === 'in_use,accepted', { timeoutMs: 10_000 });
  await early.sees(desktop, 'alive');

  const late = await laptop.client.createInvite({});
  expect(await laptop.client.authority.retireRoot({ force: false })).toMatchObject({ kept: root.fingerprint, lost: [] });
  for (const node of [laptop, desktop, server, early]) await waitFor(`${node.name} to let go of the first`, async () => (await states(node)).join() === 'retired,in_use', { timeoutMs: 10_000 });
  for (const node of [desktop, server]) await node.stop();
  for (const node of [desktop, server]) await node.start();
  await four.linked([laptop, desktop, server]);

  // It knows the first root alone, and so does its certificate.
  await attic.start();
  await four.linked();
  await waitFor('it to have heard', async () => (await states(attic)).join() === 'retired,in_use', { timeoutMs: 10_000 });
  const address = await attic.addAgent('weaver', { argv: ['cat'] });
  await waitFor('its agent to be known', async () => (await addressesAt(server)).includes(address), { timeoutMs: 15_000 });

  // The id is the same; a token of before pins a root that proves nothing any more.
  const guest = new LocalNode('guest', four.root);
  await using _guest = guest;
  await guest.start();
  await expect(guest.client.joinMesh(late.token)).rejects.toMatchObject({ code: 'unauthenticated' });
  expect((await guest.client.joinMesh((await desktop.client.createInvite({})).token)).meshId).toBe(meshId);
  await guest.sees(attic, 'alive');

  // The file of now makes another machine let others in.
  const path = join(four.root, 'home.recovery');
  await laptop.client.exportRecovery({ path, passphrase: 'correct horse battery', move: true });
  await expect(laptop.client.authority.renewRoot()).rejects.toMatchObject({ code: 'denied' });
  await server.client.importRecovery({ path, passphrase: 'correct horse battery' });
  expect(await server.client.authority.renewRoot()).toMatchObject({ signedBy: root.fingerprint });
});

test('an issuer ends, and is a member like others; whom it certified is renewed by others within seconds', async () => {
  await using four = await LocalMesh.start(['laptop', 'desktop', 'server', 'attic']);
  const { laptop, desktop, server, attic } = four.nodes;
  const guest = new LocalNode('guest', four.root);
  await using _guest = guest;
  await guest.start({ join: (await desktop.client.createInvite({})).token });
  await guest.sees(laptop, 'alive');
  await waitFor('it to be known', async () => (await laptop.client.members()).some(({ name, state }) => name === 'guest' && state === 'alive'));
  const issuerOf = (node: LocalNode): string => Buffer.from((rows(join(node.home, 'beckon.db'), 'SELECT issuer FROM mesh') as { issuer: Uint8Array }[])[0]?.issuer ?? []).toString('hex');
  const before = issuerOf(guest);

  expect(await laptop.client.authority.removeIssuer({ node: 'desktop', compromised: false })).toMatchObject({ name: 'desktop', already: false, renewedByOthers: ['guest'] });
  await waitFor('the guest to be renewed by the other', () => issuerOf(guest) !== before && issuerOf(guest) === issuerOf(laptop), { timeoutMs: 20_000 });
  await waitFor('it to know', async () => desktop.client.createInvite({}).then(() => false, ({ code }: { code: string }) => code === 'denied'), { timeoutMs: 10_000 });
  for (const node of [laptop, server, attic, guest]) await desktop.sees(node, 'alive');
  await expect(desktop.client.removeMember('guest')).resolves.toMatchObject({ by: expect.stringContaining('on desktop') });

  // As one again it has another key.
  expect(await laptop.client.addIssuer('desktop')).toMatchObject({ already: false });
  expect((await desktop.client.createInvite({})).token).toBeTruthy();
});

test('whom a stolen issuer let in unheard is out of sessions, gossip and lists of agents at once, also where it was known', async () => {
  await using three = await LocalMesh.start(['laptop', 'desktop', 'server']);
  const { laptop, desktop, server } = three.nodes;
  const neighbours = async (node: LocalNode): Promise<number> => Number(/; (\d+) of/.exec((await node.client.diagnose()).find(({ id }) => id === 'gossip')?.detail ?? '')?.[1]);
  await laptop.stop();
  const guest = new LocalNode('guest', three.root);
  await using _guest = guest;
  await guest.start({ join: (await desktop.client.createInvite({})).token });
  const address = await guest.addAgent('fabric', { argv: ['cat'] });
  await server.sees(guest, 'alive');
  await waitFor('its agent to be known', async () => (await addressesAt(server)).includes(address));
  await waitFor('it to gossip', async () => (await neighbours(server)) === 2, { timeoutMs: 15_000 });
  await Promise.all([desktop, server, guest].map((node) => node.stop()));
  await laptop.start();
  expect(await laptop.client.authority.removeIssuer({ node: 'desktop', compromised: true })).toMatchObject({ already: false });
  await Promise.all([server, guest].map((node) => node.start()));

  await waitFor('its agents to be gone', async () => !(await addressesAt(server)).includes(address), { timeoutMs: 15_000 });
  await server.sees(laptop, 'alive');
  await server.loses(guest);
  await waitFor('gossip to be with the other alone', async () => (await neighbours(server)) === 1, { timeoutMs: 15_000 });
  await guest.addAgent('weaver', { argv: ['cat'] });
  const later = await laptop.addAgent('loom', { argv: ['cat'] });
  await waitFor('others to be heard', async () => (await addressesAt(server)).includes(later));
  expect(await addressesAt(server)).toEqual([later]);
  expect(await memberState(laptop, 'guest')).toBeUndefined();
});
