/** All machines that let others in are lost: the recovery file makes another. Whole nodes in this process. */
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test, vi } from 'vitest';
import { rows } from '../support/database.ts';
import { LocalMesh, memberState } from '../support/local-mesh.ts';
import { LocalNode } from '../support/local-node.ts';
import { waitFor } from '../support/wait-for.ts';

vi.setConfig({ testTimeout: 120_000 });

const passphrase = 'correct horse battery';

test('all issuers lost: the recovery file on a new machine, and the mesh goes on', async () => {
  // Of one person: the first two let others in. The server is what is left.
  await using trio = await LocalMesh.start(['laptop', 'desktop', 'server']);
  const { laptop, desktop, server } = trio.nodes;
  const file = join(trio.root, 'home.recovery');
  const made = await laptop.client.exportRecovery({ path: file, passphrase, move: false });
  expect(made).toMatchObject({ path: file, members: 3 });
  expect(statSync(file).mode & 0o777).toBe(0o600);
  const address = await server.addAgent('fabric', { argv: ['cat'] });
  await laptop.stop();
  await desktop.stop();

  await using attic = new LocalNode('attic', trio.root);
  await attic.start();
  const before = rows(join(attic.home, 'beckon.db'), 'SELECT count(*) AS n FROM mesh');
  await expect(attic.client.importRecovery({ path: file, passphrase: 'incorrect horse battery' })).rejects.toMatchObject({ code: 'denied', message: expect.stringContaining('the passphrase is not that of this recovery file') });
  const damaged = join(trio.root, 'damaged');
  writeFileSync(damaged, readFileSync(file, 'utf8').slice(0, 1000));
  await expect(attic.client.importRecovery({ path: damaged, passphrase })).rejects.toMatchObject({ code: 'invalid', message: expect.stringContaining('no recovery file that could be used') });
  await expect(attic.client.importRecovery({ path: join(trio.root, 'none'), passphrase })).rejects.toMatchObject({ code: 'not_found' });
  expect(rows(join(attic.home, 'beckon.db'), 'SELECT count(*) AS n FROM mesh')).toEqual(before);
  expect(existsSync(join(attic.home, 'trust', 'root.key'))).toBe(false);

  const imported = await attic.client.importRecovery({ path: file, passphrase });

  expect(imported).toMatchObject({ nodeName: 'attic', wasMember: false, members: 3 });
  await attic.sees(server, 'alive');
  await server.sees(attic, 'alive');
  await waitFor('its agent', async () => (await attic.client.listAgents({}, { limit: 100 })).items.some((each) => each.registration.address === address));
  const { flightId } = await attic.invoke(address, 'hello');
  await attic.becomes(flightId, 'completed');
  // It does what those that were lost did: admit, make issuers, remove.
  await using shed = new LocalNode('shed', trio.root);
  await shed.start({ join: (await attic.client.createInvite({})).token });
  await server.sees(shed, 'alive');
  expect(await attic.client.addIssuer('server')).toMatchObject({ name: 'server' });
  // With what its key has signed: those stay that are known, and nobody else.
  expect((await attic.client.removeMember('laptop')).letIn).toEqual(expect.arrayContaining(['server']));
  await attic.client.removeMember('desktop');
  await waitFor('the server to know', async () => (await memberState(server, 'laptop')) === 'removed');
  expect((await server.client.createInvite({})).token).toMatch(/^bkn1\./);
  // Found again, the lost one is told.
  await laptop.start();
  await waitFor('it to know', async () => (await laptop.client.status()).removed !== undefined, { timeoutMs: 30_000 });
});

test('who was removed before it was written stays out; whose name a lost machine has is refused before anything is done', async () => {
  await using trio = await LocalMesh.start(['laptop', 'desktop', 'server']);
  const { laptop, desktop, server } = trio.nodes;
  await laptop.client.removeMember('desktop');
  const file = join(trio.root, 'home.recovery');
  await laptop.client.exportRecovery({ path: file, passphrase, move: false });
  await expect(laptop.client.exportRecovery({ path: file, passphrase, move: true })).rejects.toMatchObject({ code: 'conflict' });
  await expect(server.client.exportRecovery({ path: `${file}-2`, passphrase, move: false })).rejects.toMatchObject({ code: 'denied' });
  await expect(server.client.addIssuer('laptop')).rejects.toMatchObject({ code: 'denied' });
  await waitFor('it to know', async () => (await desktop.client.status()).removed !== undefined);
  await expect(desktop.client.importRecovery({ path: file, passphrase })).rejects.toMatchObject({ code: 'conflict', message: expect.stringContaining('was removed') });
  await server.stop();
  await laptop.stop();

  await using other = new LocalNode('elsewhere', trio.root);
  await other.start({ name: 'laptop' });
  await expect(other.client.importRecovery({ path: file, passphrase })).rejects.toMatchObject({ code: 'conflict', message: expect.stringContaining('a member of this mesh is called laptop') });
  expect(rows(join(other.home, 'beckon.db'), 'SELECT * FROM mesh')).toEqual([]);
  await other.stop();
  await other.start({ name: 'elsewhere' });
  await other.client.importRecovery({ path: file, passphrase });
  expect(await memberState(other, 'desktop')).toBeUndefined();
  expect(rows(join(other.home, 'beckon.db'), "SELECT name FROM revocations")).toEqual([{ name: 'desktop' }]);
});

test('moved, the key of the mesh is in the file alone, and an import brings it back to a member', async () => {
  await using pair = await LocalMesh.start(['laptop', 'desktop'], { forPerson: 'team' });
  const { laptop, desktop } = pair.nodes;
  const file = join(pair.root, 'home.recovery');
  await laptop.client.exportRecovery({ path: file, passphrase, move: true });
  await expect(laptop.client.addIssuer('desktop')).rejects.toMatchObject({ code: 'denied', hint: expect.stringContaining('recovery import') });
  await expect(laptop.client.exportRecovery({ path: `${file}-2`, passphrase, move: false })).rejects.toMatchObject({ code: 'denied' });
  // It still lets others in.
  expect((await laptop.client.createInvite({})).token).toMatch(/^bkn1\./);
  expect(await desktop.client.importRecovery({ path: file, passphrase })).toMatchObject({ nodeName: 'desktop', owner: 'team', wasMember: true });
  expect((await desktop.client.createInvite({})).token).toMatch(/^bkn1\./);
  await waitFor('the laptop to know it as one', () => rows(join(laptop.home, 'beckon.db'), "SELECT is_issuer FROM members WHERE name = 'desktop'")[0]?.['is_issuer'] === 1);
});
