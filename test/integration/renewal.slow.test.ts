/** Certificates that are renewed, with whole nodes in this process. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { expect, test, vi } from 'vitest';
import { parseLeaf } from '../../src/trust/certificate.ts';
import { makeLeaf } from '../../src/trust/issue.ts';
import { readKeyFile } from '../../src/trust/key-file.ts';
import { issuerKeyPath } from '../../src/trust/mesh-authority.ts';
import { asMeshId } from '../../src/domain/ids.ts';
import { rows } from '../support/database.ts';
import { memberState } from '../support/local-mesh.ts';
import { LocalNode } from '../support/local-node.ts';
import { ShiftedClock } from '../support/shifted-clock.ts';
import { waitFor } from '../support/wait-for.ts';

vi.setConfig({ testTimeout: 120_000 });

const dayMs = 86_400_000;

const database = (node: LocalNode): string => join(node.home, 'beckon.db');
const ownLeaf = (node: LocalNode): Uint8Array => (rows(database(node), 'SELECT leaf FROM mesh')[0] as { leaf: Buffer }).leaf;
const endOf = (node: LocalNode): number => parseLeaf(ownLeaf(node)).notAfterMs;
const endOfMemberAt = (node: LocalNode, name: string): number => parseLeaf((rows(database(node), 'SELECT leaf FROM members WHERE name = ?', name)[0] as { leaf: Buffer }).leaf).notAfterMs;
const isFresh = (endMs: number): boolean => endMs > Date.now() + 89 * dayMs;
const checkAt = async (node: LocalNode, id: string) => (await node.client.diagnose()).find((each) => each.id === id);

test('at two thirds of their life all certificates are renewed over the sessions that are up, which go on', async () => {
  const clock = new ShiftedClock(-65 * dayMs);
  const root = mkdtempSync(join(tmpdir(), 'beckon-renewal-'));
  try {
    await using laptop = new LocalNode('laptop', root);
    await using desktop = new LocalNode('desktop', root);
    await using server = new LocalNode('server', root);
    const all = [laptop, desktop, server];
    await laptop.start({ clock });
    await laptop.client.createMesh({ new: false });
    // Of another person, so that it is no issuer, as the server is none.
    for (const node of [desktop, server]) await node.start({ clock, join: (await laptop.client.createInvite({ forPerson: 'team' })).token });
    for (const node of all) for (const peer of all) if (node !== peer) await node.sees(peer, 'alive');
    expect(all.map((node) => isFresh(endOf(node)))).toEqual([false, false, false]);
    const since = async () => Promise.all(all.map(async (node) => (await node.client.peers()).map(({ name, sinceMs }) => `${name} ${sinceMs}`).toSorted()));
    const before = await since();

    clock.shiftMs = 0;

    for (const node of all) await waitFor(`${node.name} to be renewed`, () => isFresh(endOf(node)), { timeoutMs: 40_000 });
    for (const node of all) for (const peer of all) if (node !== peer) await waitFor(`${node.name} to know of it for ${peer.name}`, () => isFresh(endOfMemberAt(node, peer.name)), { timeoutMs: 40_000 });
    expect(await since()).toEqual(before);
    expect(await checkAt(desktop, 'certificate')).toMatchObject({ ok: true, detail: expect.stringMatching(/in force until .*, (89|90)d from now$/) });
    expect((await desktop.client.report(0)).certificates).toEqual([]);
    // New connections show it.
    await server.stop();
    await server.start({ clock, name: undefined });
    await desktop.sees(server, 'alive');
    expect((await server.client.status()).name).toBe('server');
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
});

/** As if it had been made so many days ago, by the laptop. */
async function age(laptop: LocalNode, node: LocalNode, days: number): Promise<void> {
  const [mesh] = rows(database(laptop), 'SELECT id, root, issuer FROM mesh') as { id: string; root: Buffer; issuer: Buffer }[];
  const key = mesh && (await readKeyFile(issuerKeyPath(join(laptop.home, 'trust'), asMeshId(mesh.id))));
  if (mesh === undefined || key === undefined) throw new Error('the laptop is no issuer');
  const { publicKey, name, owner } = parseLeaf(ownLeaf(node));
  const leaf = await makeLeaf({ publicKey, name, owner }, { certificate: mesh.issuer, key }, mesh.root, Date.now() - days * dayMs);
  for (const [at, sql] of [[node, 'UPDATE mesh SET leaf = ?'], [laptop, 'UPDATE members SET leaf = ?, not_before_ms = ?']] as const) {
    const db = new Database(database(at));
    if (at === node) db.prepare(sql).run(leaf);
    else db.prepare(sql).run(leaf, parseLeaf(leaf).notBeforeMs);
    db.close();
  }
}

/** A mesh of long ago: the laptop, which lets others in and comes back after 200 days, and machines of another person. */
class OldMesh<Name extends string> implements AsyncDisposable {
  readonly root = mkdtempSync(join(tmpdir(), 'beckon-renewal-'));
  readonly laptop = new LocalNode('laptop', this.root);
  readonly others: Readonly<Record<Name, LocalNode>>;

  private constructor(names: readonly Name[]) {
    this.others = Object.fromEntries(names.map((name) => [name, new LocalNode(name, this.root)])) as Record<Name, LocalNode>;
  }

  static async start<Name extends string>(...names: readonly Name[]): Promise<OldMesh<Name>> {
    const mesh = new OldMesh(names);
    const { laptop } = mesh;
    await laptop.start({ clock: new ShiftedClock(-200 * dayMs) });
    await laptop.client.createMesh({ new: false });
    await laptop.stop();
    // Its own certificate ended 110 days ago: it makes itself another.
    await laptop.start();
    await waitFor('the laptop to be renewed', () => isFresh(endOf(laptop)), { timeoutMs: 30_000 });
    const others = Object.values<LocalNode>(mesh.others);
    for (const node of others) await node.start({ join: (await laptop.client.createInvite({ forPerson: 'team' })).token });
    for (const node of others) await laptop.sees(node, 'alive');
    return mesh;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const node of [this.laptop, ...Object.values<LocalNode>(this.others)]) await node[Symbol.asyncDispose]();
    rmSync(this.root, { recursive: true, force: true });
  }
}

const startAged = async (days: number) => {
  const mesh = await OldMesh.start('desktop');
  const { laptop, others } = mesh;
  await others.desktop.stop();
  await laptop.stop();
  await age(laptop, others.desktop, days);
  return mesh;
};

test('a node whose certificate ended while it was away starts, says so, and is a member again when an issuer is there', async () => {
  await using pair = await startAged(100);
  const { laptop, others: { desktop } } = pair;
  await desktop.start();
  expect((await desktop.client.status()).name).toBe('desktop');
  await waitFor('a try', async () => (await checkAt(desktop, 'certificate'))?.detail.includes('renewing it failed'));
  expect(await checkAt(desktop, 'certificate')).toMatchObject({ ok: false, detail: expect.stringContaining('it ended on'), hint: expect.stringContaining('as soon as') });

  await laptop.start();

  await waitFor('it to be renewed', () => isFresh(endOf(desktop)), { timeoutMs: 90_000 });
  await laptop.sees(desktop, 'alive');
  await desktop.sees(laptop, 'alive');
  expect(await checkAt(desktop, 'certificate')).toMatchObject({ ok: true });
  expect(endOfMemberAt(laptop, 'desktop')).toBe(endOf(desktop));
});

test('one that was removed while its certificate ended is told so at the entrance, and gets none', async () => {
  await using pair = await startAged(100);
  const { laptop, others: { desktop } } = pair;
  await laptop.start();
  await laptop.client.removeMember('desktop');
  await desktop.start();
  await waitFor('it to know', async () => (await desktop.client.status()).removed !== undefined, { timeoutMs: 30_000 });
  expect(isFresh(endOf(desktop))).toBe(false);
  expect(await memberState(laptop, 'desktop')).toBe('removed');
});

test('one whose certificate ended over 90 days ago needs an invitation, and is told what to do', async () => {
  await using pair = await startAged(185);
  const { laptop, others: { desktop } } = pair;
  await laptop.start();
  await desktop.start();
  await waitFor('its answer', async () => (await checkAt(desktop, 'certificate'))?.detail.includes('can be renewed for 90d'), { timeoutMs: 30_000 });
  expect(await checkAt(desktop, 'certificate')).toMatchObject({ ok: false, hint: expect.stringContaining('beckon mesh leave') });
  await desktop.client.leaveMesh({ force: true, confirmed: true, waitMs: 5_000 });
  await desktop.client.joinMesh((await laptop.client.createInvite({ forPerson: 'team' })).token);
  await laptop.sees(desktop, 'alive');
});

test('a member that others know only by a certificate that has ended is learned all the same, and let in by nobody for it', async () => {
  await using trio = await OldMesh.start('desktop', 'server');
  const { laptop, others: { desktop, server } } = trio;
  await desktop.stop();
  await server.stop();
  await laptop.stop();
  await age(laptop, desktop, 100);
  const db = new Database(database(server));
  db.prepare("DELETE FROM registrations WHERE node = (SELECT node FROM members WHERE name = 'desktop')").run();
  db.prepare("DELETE FROM registry_heads WHERE node = (SELECT node FROM members WHERE name = 'desktop')").run();
  db.prepare("DELETE FROM members WHERE name = 'desktop'").run();
  db.close();
  await server.start();
  expect(await memberState(server, 'desktop')).toBeUndefined();
  await laptop.start();
  await waitFor('the server to learn of it', async () => (await memberState(server, 'desktop')) !== undefined, { timeoutMs: 60_000 });
  expect(endOfMemberAt(server, 'desktop')).toBeLessThan(Date.now());
});
