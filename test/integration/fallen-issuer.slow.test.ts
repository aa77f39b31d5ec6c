/** An issuer is removed whose key is in other hands: what that key still says, and how honest members fare by it. With real certificates, on a fake clock. */
import { expect, test, vi } from 'vitest';
import { rootsOf } from '../../src/app/node-self.ts';
import { nodeIdOfPublicKey } from '../../src/domain/ids.ts';
import type { CertificateChain } from '../../src/domain/trust.ts';
import { authorityName, verifyChain } from '../../src/trust/certificate.ts';
import { makeLeaf } from '../../src/trust/issue.ts';
import { readKeyFile } from '../../src/trust/key-file.ts';
import { issuerKeyPath } from '../../src/trust/mesh-authority.ts';
import { generateNodeKey } from '../../src/trust/node-key.ts';
import { TrustMesh, type TrustNode } from '../support/trust-mesh.ts';

vi.setConfig({ testTimeout: 60_000 });

const dayMs = 86_400_000;
const names = ['laptop', 'desktop', 'server', 'attic', 'guest'];

/** All but the laptop have certificates of the desktop, whose key is stolen. */
async function robbed() {
  const mesh = await TrustMesh.start(names);
  const [laptop, desktop, server, attic, guest] = names.map((name) => mesh.node(name)) as [TrustNode, TrustNode, TrustNode, TrustNode, TrustNode];
  laptop.down();
  await mesh.pass(65 * dayMs);
  await mesh.pass(dayMs);
  await laptop.boot();
  await mesh.pass(60_000);
  const thief = desktop.membership.issuer;
  if (thief === undefined) throw new Error('the desktop is an issuer');
  const by = desktop.own?.certifiedBy;
  for (const node of [server, attic, guest]) expect(node.own?.certifiedBy).toBe(by);
  const key = await readKeyFile(issuerKeyPath(desktop.trustDir, thief.meshId));
  if (key === undefined) throw new Error('its key is in a file');
  const certify = async ({ key: { publicKey } }: Pick<TrustNode, 'key'>, { name, owner = 'ada', atMs = mesh.clock.now(), since, lifeMs }: Forgery): Promise<CertificateChain> => ({
    leaf: await makeLeaf({ publicKey, name, owner, ...(since === undefined ? {} : { namedSinceMs: since }) }, { certificate: thief.certificate, key }, thief.roots, atMs, lifeMs),
    issuer: thief.certificate,
  });
  return { mesh, laptop, desktop, server, attic, guest, certify, by };
}

interface Forgery {
  readonly name: string;
  readonly owner?: string;
  readonly atMs?: number;
  readonly since?: number;
  readonly lifeMs?: number;
}

const sinceOf = ({ own }: TrustNode): number => own?.namedSinceMs ?? own?.notBeforeMs ?? 0;

/** As any member may pass it on, to any other. */
const tell = (to: TrustNode, from: TrustNode, ...chains: readonly CertificateChain[]) => to.sides.roster.entries(chains.map((chain) => ({ chain })), from.nodeId);

const judge = (node: TrustNode, chain: CertificateChain) => () => node.standing.member(verifyChain(chain, rootsOf(node.store), node.net.clock.now()));

const rowOf = (at: TrustNode, of: TrustNode) => {
  const { name, owner, removed } = at.store.read.member(of.nodeId) ?? {};
  return { name, owner, isRemoved: removed !== undefined };
};

async function expectWhole({ mesh, by, members }: { mesh: TrustMesh; by: string | undefined; members: readonly TrustNode[] }): Promise<void> {
  for (let count = 0; count < 4; count += 1) await mesh.pass(60_000);
  for (const node of members) {
    expect([node.name, node.links.size, node.own?.certifiedBy === by, node.own?.name, node.own?.owner]).toEqual([node.name, members.length - 1, false, node.name, 'ada']);
    for (const other of members) if (other !== node) expect([node.name, rowOf(node, other)]).toEqual([node.name, { name: other.name, owner: 'ada', isRemoved: false }]);
  }
  expect(new Set(members.map((node) => node.state.digest.root)).size).toBe(1);
}

test('a removed issuer’s key makes nobody another person’s or another’s name, locks nobody out and keeps nobody busy, whatever date it writes', async () => {
  const { mesh, laptop, desktop, server, attic, guest, certify, by } = await robbed();
  await using _mesh = mesh;
  const members = [laptop, server, attic, guest];
  desktop.down();
  for (const node of [server, attic]) node.down();
  expect((await laptop.sides.removal.remove('desktop', 'ada')).letIn.toSorted()).toEqual(['attic', 'guest', 'server']);
  await mesh.settle();

  const stranger = { key: generateNodeKey() };
  const forged: CertificateChain[] = [];
  for (const atMs of [mesh.clock.now(), mesh.clock.now() - 30 * dayMs]) {
    forged.push(await certify(attic, { name: 'attic', owner: 'mallory', atMs }), await certify(attic, { name: 'laptop', atMs }), await certify(guest, { name: 'other', owner: 'bob', atMs }), await certify(stranger, { name: 'stranger', atMs }));
  }
  for (const node of [laptop, guest]) {
    for (const chain of forged) expect(judge(node, chain)).toThrow('was let in by desktop, which was removed from the mesh by ada on laptop');
    await tell(node, server, ...forged);
    expect(rowOf(node, attic)).toEqual({ name: 'attic', owner: 'ada', isRemoved: false });
    expect(node.store.read.member(nodeIdOfPublicKey(stranger.key.publicKey))).toBeUndefined();
  }
  expect(guest.own).toMatchObject({ name: 'guest', owner: 'ada' });

  for (const node of [server, attic]) await node.boot();
  await expectWhole({ mesh, by, members });
  // The same once more, now that others have certified them: not even what is true replaces anything.
  const before = members.map((node) => node.own?.serial);
  const repeated = await Promise.all(members.map((node) => certify(node, { name: node.name, since: sinceOf(node), atMs: mesh.clock.now() + dayMs })));
  for (const chain of repeated.slice(1)) expect(judge(laptop, chain)).not.toThrow();
  for (const node of members) for (const from of members) if (from !== node) await tell(node, from, ...forged, ...repeated);
  await expectWhole({ mesh, by, members });
  expect(members.map((node) => node.own?.serial)).toEqual(before);
});

test('what the thief told of members before, and the remover had not heard, is undone with the removal; an issuer that believed it renews nobody by it', async () => {
  const { mesh, laptop, desktop, server, attic, guest, certify, by } = await robbed();
  await using _mesh = mesh;
  // The server lets others in, and is where the thief was believed.
  await laptop.sides.appointing.add('server');
  await mesh.pass(60_000);
  mesh.mayMeet = (a, b) => (a === server) === (b === server);
  await mesh.pass(60_000);
  // Of the guest it says nothing but what is true, and for later.
  await tell(server, desktop, await certify(attic, { name: 'attic', owner: 'mallory' }), await certify(guest, { name: 'guest', since: sinceOf(guest), atMs: mesh.clock.now() + dayMs }));
  expect(rowOf(server, attic)).toEqual({ name: 'attic', owner: 'mallory', isRemoved: false });
  for (const node of [desktop, attic]) node.down();
  await laptop.sides.removal.remove('desktop', 'ada');
  await mesh.settle();
  await mesh.pass(60_000);
  expect(guest.own?.certifiedBy).toBe(laptop.own?.certifiedBy);
  laptop.down();
  mesh.mayMeet = () => true;
  await mesh.pass(60_000);
  for (const each of [attic, guest]) expect([each.name, rowOf(server, each)]).toEqual([each.name, { name: each.name, owner: 'ada', isRemoved: false }]);
  expect(server.state.digest.root).toBe(guest.state.digest.root);
  await attic.boot();
  await mesh.pass(60_000);
  expect(attic.own).toMatchObject({ owner: 'ada', certifiedBy: authorityName(server.membership.issuer?.certificate ?? new Uint8Array()) });
  await laptop.boot();
  await expectWhole({ mesh, by, members: [laptop, server, attic, guest] });
});

test('a member that the removed issuer, still honest, had given another name out of the remover’s sight is back by itself, under the name that is known', async () => {
  const { mesh, laptop, desktop, server, attic, guest, certify, by } = await robbed();
  await using _mesh = mesh;
  const isAway = (node: TrustNode): boolean => node === desktop || node === attic;
  mesh.mayMeet = (a, b) => isAway(a) === isAway(b);
  await mesh.pass(60_000);
  const renamed = await certify(attic, { name: 'loft' });
  await attic.sides.renaming.renewed(renamed);
  expect(attic.own?.name).toBe('loft');
  expect(await laptop.sides.removal.remove('desktop', 'ada')).toMatchObject({ already: false });
  await mesh.settle();
  for (const node of [server, guest]) expect(judge(node, renamed)).toThrow('was not known by that owner and name');
  desktop.down();
  mesh.mayMeet = () => true;
  await expectWhole({ mesh, by, members: [laptop, server, attic, guest] });
  expect(attic.store.read.removedFrom()).toBeUndefined();
});

test('a member that another issuer had certified, and the removed one renewed out of the remover’s sight, stays, and is renewed', async () => {
  const mesh = await TrustMesh.start(['laptop', 'desktop', 'server']);
  await using _mesh = mesh;
  const [laptop, desktop, server] = [mesh.node('laptop'), mesh.node('desktop'), mesh.node('server')];
  expect(server.own?.certifiedBy).toBe(laptop.own?.certifiedBy);
  mesh.mayMeet = (a, b) => (a === laptop) === (b === laptop);
  await mesh.pass(65 * dayMs);
  await mesh.pass(60_000);
  const by = desktop.own?.certifiedBy;
  expect(server.own?.certifiedBy).toBe(by);
  await laptop.sides.removal.remove('desktop', 'ada');
  await mesh.settle();
  desktop.down();
  mesh.mayMeet = () => true;
  await expectWhole({ mesh, by, members: [laptop, server] });
});

test('a member that was off for long, and that the thief certified for a second of long ago, is renewed all the same', async () => {
  const { mesh, laptop, desktop, server, attic, guest, certify, by } = await robbed();
  await using _mesh = mesh;
  attic.down();
  await laptop.sides.removal.remove('desktop', 'ada');
  await mesh.settle();
  desktop.down();
  await mesh.pass(80 * dayMs);
  await mesh.pass(20 * dayMs);
  await tell(laptop, server, await certify(attic, { name: 'attic', since: sinceOf(attic), atMs: (attic.own?.notBeforeMs ?? 0) + dayMs + 1000, lifeMs: -dayMs + 1000 }));
  expect(laptop.ends.hasEnded(laptop.store.read.member(attic.nodeId) ?? (() => { throw new Error('it is a member'); })())).toBe(true);
  await attic.boot();
  await expectWhole({ mesh, by, members: [laptop, server, attic, guest] });
});
