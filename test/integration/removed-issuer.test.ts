/** What the key of a removed issuer can still say, and what of it counts. */
import { expect, test, vi } from 'vitest';
import { rootsOf } from '../../src/app/node-self.ts';
import type { NodeId } from '../../src/domain/ids.ts';
import type { SignedRecord } from '../../src/domain/registration.ts';
import { authorityName } from '../../src/trust/certificate.ts';
import { generateNodeKey } from '../../src/trust/node-key.ts';
import { signRevocation } from '../../src/trust/revocation.ts';
import { silentLog } from '../support/temp-store.ts';
import { TrustMesh, TrustNode } from '../support/trust-mesh.ts';

const dayMs = 86_400_000;

/** The laptop made the mesh, the desktop is an issuer too. */
const started = () => TrustMesh.start(['laptop', 'desktop', 'server', 'attic']);

/** With the issuer's key that lies on its disk. */
function thiefOf(node: TrustNode): NonNullable<TrustNode['membership']['issuer']> {
  const issuer = node.membership.issuer;
  if (issuer === undefined) throw new Error(`${node.name} is no issuer`);
  return issuer;
}

const fallenAt = ({ store }: TrustNode): readonly string[] => store.read.fallenIssuers().flatMap(({ revocation: { fallen } }) => (fallen === undefined ? [] : [authorityName(fallen.issuer)]));
const isOut = ({ store }: TrustNode, { nodeId }: TrustNode): boolean => store.read.revocation(nodeId) !== undefined;
/** As a member passes it on. How many were news. */
const brings = (to: TrustNode, from: TrustNode, revocation: SignedRecord): Promise<number> => to.sides.roster.entries([{ revocation }], from.nodeId);
const rootsOfDigests = (nodes: readonly TrustNode[]): ReadonlySet<string> => new Set(nodes.map(({ state }) => state.digest.root));

/** A machine of the thief's own, which is let in nowhere. */
async function isShutOut(at: TrustNode, thief: ReturnType<typeof thiefOf>): Promise<boolean> {
  const key = generateNodeKey();
  const chain = await thief.issue({ publicKey: key.publicKey, name: 'innocent', owner: 'ada' }, at.net.clock.now());
  await at.sides.roster.entries([{ chain }], at.nodeId);
  return at.store.read.member(key.nodeId) === undefined;
}

test('the key of a removed issuer does not take back its own removal, whatever it signs and whoever brings it first', async () => {
  await using mesh = await started();
  const [laptop, desktop, server, attic] = ['laptop', 'desktop', 'server', 'attic'].map((name) => mesh.node(name)) as [TrustNode, TrustNode, TrustNode, TrustNode];
  const thief = thiefOf(desktop);
  const authority = authorityName(thief.certificate);
  attic.down();
  await laptop.sides.removal.remove('desktop', 'ada on laptop');
  await mesh.pass(10_000);
  expect(fallenAt(laptop)).toEqual([authority]);

  const of = (nodeId: NodeId, name: string) => ({ nodeId, name, by: 'ada on desktop', revokedAtMs: mesh.clock.now() - dayMs / 2 });
  const itself = signRevocation(thief, of(desktop.nodeId, 'desktop'));
  // It takes the trust from another, in its own name: what is first of its node is that, and the other stays.
  const third = (await thiefOf(laptop).certifyIssuer(generateNodeKey().publicKey, mesh.clock.now())) ?? new Uint8Array();
  const other = authorityName(third);
  const ofAnother = signRevocation(thief, { ...of(desktop.nodeId, 'desktop'), fallen: { issuer: third, kept: [] } });
  expect(await brings(server, attic, itself)).toBe(0);
  await expect(server.sides.removal.received(itself)).rejects.toMatchObject({ code: 'unauthenticated', message: expect.stringContaining('signed with the key that was taken from it') });
  expect(fallenAt(server)).toEqual([authority]);

  // Of others it is believed wherever it comes first: so it is believed everywhere, and the same nodes are out at all of them.
  const stranger = generateNodeKey().nodeId;
  expect(await brings(server, attic, signRevocation(thief, { nodeId: stranger, name: 'somebody', by: 'ada on desktop', revokedAtMs: mesh.clock.now() }))).toBe(1);

  // One that was away believes it until it meets another.
  laptop.down();
  server.down();
  await attic.boot();
  expect(await brings(attic, desktop, itself)).toBe(1);
  expect([isOut(attic, desktop), fallenAt(attic)]).toEqual([true, []]);
  await brings(attic, desktop, ofAnother);
  await laptop.boot();
  await server.boot();
  await mesh.pass(60_000);
  for (const node of [laptop, server, attic]) {
    expect(fallenAt(node).toSorted()).toEqual([authority, other].toSorted());
    expect(isOut(node, desktop)).toBe(true);
    expect(node.store.read.revocation(stranger)).toBeDefined();
    expect(await isShutOut(node, thief)).toBe(true);
  }
  expect(rootsOfDigests([laptop, server, attic]).size).toBe(1);
});

test('a removal that an issuer signed before it was removed itself counts everywhere, whoever brings it, and however late', async () => {
  await using mesh = await started();
  const [laptop, desktop, server, attic] = ['laptop', 'desktop', 'server', 'attic'].map((name) => mesh.node(name)) as [TrustNode, TrustNode, TrustNode, TrustNode];
  // Two halves: the desktop removes the server, and only the attic hears of it; the laptop removes the desktop.
  mesh.mayMeet = (a, b) => [a, b].every((each) => [desktop, attic].includes(each)) || [a, b].every((each) => [laptop, server].includes(each));
  await mesh.pass(10_000);
  await desktop.sides.removal.remove('server', 'ada on desktop');
  await mesh.pass(60_000);
  await laptop.sides.removal.remove('desktop', 'ada on laptop');
  await mesh.pass(60_000);
  expect([isOut(attic, server), isOut(laptop, server), isOut(laptop, desktop), isOut(attic, desktop)]).toEqual([true, false, true, false]);
  mesh.mayMeet = () => true;
  await mesh.pass(60_000);
  for (const node of [laptop, attic]) expect([isOut(node, server), isOut(node, desktop)]).toEqual([true, true]);
  expect(server.store.read.removedFrom()).toBeDefined();
  expect(rootsOfDigests([laptop, attic]).size).toBe(1);
});

test('two issuers that remove each other are both out, in whatever order that is heard', async () => {
  await using mesh = await started();
  const [laptop, desktop, server, attic] = ['laptop', 'desktop', 'server', 'attic'].map((name) => mesh.node(name)) as [TrustNode, TrustNode, TrustNode, TrustNode];
  mesh.mayMeet = () => false;
  await mesh.pass(1_000);
  const [made, second] = [thiefOf(laptop), thiefOf(desktop)];
  const revokedAtMs = mesh.clock.now();
  const one = signRevocation(made, { nodeId: desktop.nodeId, name: 'desktop', by: 'ada on laptop', revokedAtMs, fallen: { issuer: second.certificate, kept: [] } });
  const other = signRevocation(second, { nodeId: laptop.nodeId, name: 'laptop', by: 'ada on desktop', revokedAtMs: revokedAtMs - dayMs / 2, fallen: { issuer: made.certificate, kept: [server.nodeId, attic.nodeId] } });
  for (const [at, words] of [[server, [one, other]], [attic, [other, one]]] as const) for (const word of words) expect(await brings(at, laptop, word)).toBe(1);
  for (const node of [server, attic]) {
    expect([isOut(node, laptop), isOut(node, desktop)]).toEqual([true, true]);
    expect(fallenAt(node).toSorted()).toEqual([made, second].map(({ certificate }) => authorityName(certificate)).toSorted());
  }
  expect(rootsOfDigests([server, attic]).size).toBe(1);
});

/** The laptop made the mesh; the attic became an issuer while the desktop, which is one, was off, and has never met it. It removed the desktop. */
async function removedByOneThatNeverMetIt(): Promise<TrustMesh> {
  const mesh = await TrustMesh.start(['laptop', 'desktop', 'server']);
  const [laptop, desktop] = [mesh.node('laptop'), mesh.node('desktop')];
  desktop.down();
  const attic = new TrustNode(mesh, 'attic');
  mesh.nodes.push(attic);
  await attic.boot();
  await attic.join(laptop);
  await mesh.pass(60_000);
  await laptop.sides.appointing.add('attic');
  await mesh.pass(60_000);
  const warned = vi.spyOn(silentLog, 'warn');
  expect(await attic.sides.removal.remove('desktop', 'ada on attic')).toMatchObject({ already: false, letIn: [] });
  await mesh.pass(60_000);
  // Who knows better says so.
  expect(warned.mock.calls.filter(([, words]) => String(words).startsWith('desktop let others in, which whoever removed it may not have known'))).toHaveLength(2);
  warned.mockRestore();
  return mesh;
}

test('an issuer that was removed by one that did not know it as such is removed again by one that does, and its key lets nobody in', async () => {
  await using mesh = await removedByOneThatNeverMetIt();
  const [laptop, desktop, server, attic] = ['laptop', 'desktop', 'server', 'attic'].map((name) => mesh.node(name)) as [TrustNode, TrustNode, TrustNode, TrustNode];
  const thief = thiefOf(desktop);
  for (const node of [laptop, server, attic]) expect([isOut(node, desktop), fallenAt(node)]).toEqual([true, []]);
  // What nobody has said yet counts.
  expect(await isShutOut(laptop, thief)).toBe(false);
  // The attic can say no more than it has.
  expect(await attic.sides.removal.remove('desktop', 'ada on attic')).toMatchObject({ already: true });

  expect(await laptop.sides.removal.remove('desktop', 'ada on laptop')).toMatchObject({ already: false, letIn: [expect.any(String)] });
  await mesh.pass(60_000);
  for (const node of [laptop, server, attic]) {
    expect(fallenAt(node)).toEqual([authorityName(thief.certificate)]);
    expect(await isShutOut(node, thief)).toBe(true);
  }
  expect(rootsOfDigests([laptop, server, attic]).size).toBe(1);
  expect(await laptop.sides.removal.remove('desktop', 'ada on laptop')).toMatchObject({ already: true });
});

test('a node that is no issuer has one say it again, too', async () => {
  await using mesh = await removedByOneThatNeverMetIt();
  const [laptop, desktop, server] = ['laptop', 'desktop', 'server'].map((name) => mesh.node(name)) as [TrustNode, TrustNode, TrustNode];
  expect(server.store.read.member(desktop.nodeId)?.issuedAs).toBeDefined();
  mesh.node('attic').down();
  expect(await server.sides.removal.remove('desktop', 'ada on server')).toMatchObject({ already: false });
  await mesh.settle();
  expect(fallenAt(laptop)).toHaveLength(1);
});

test('the key of an issuer that was removed without it is ended by a root, and certified by no other root', async () => {
  await using mesh = await removedByOneThatNeverMetIt();
  const [laptop, desktop, server] = ['laptop', 'desktop', 'server'].map((name) => mesh.node(name)) as [TrustNode, TrustNode, TrustNode];
  const thief = thiefOf(desktop);
  // A member's certificate by it is not its own.
  const key = generateNodeKey();
  await laptop.sides.roster.entries([{ chain: await thief.issue({ publicKey: key.publicKey, name: 'innocent', owner: 'ada' }, mesh.clock.now()) }], server.nodeId);
  expect(laptop.store.read.member(key.nodeId)).toBeDefined();
  await laptop.roots.renewRoot();
  await mesh.pass(60_000);
  const certified = rootsOf(laptop.store).issuers.map(authorityName);
  expect(certified).toContain(authorityName(thiefOf(laptop).certificate));
  expect(certified).not.toContain(authorityName(thief.certificate));

  await expect(laptop.roots.removeIssuer({ node: 'desktop', compromised: false })).rejects.toMatchObject({ code: 'denied', hint: expect.stringContaining('--compromised') });
  expect(await laptop.roots.removeIssuer({ node: 'desktop', compromised: true })).toMatchObject({ name: 'desktop', already: false });
  await mesh.pass(60_000);
  for (const node of [laptop, server, mesh.node('attic')]) expect(await isShutOut(node, thief)).toBe(true);
  expect(await laptop.roots.removeIssuer({ node: 'desktop', compromised: true })).toMatchObject({ already: true });
});

test('an issuer that was ended, and is removed later, has the trust in its key taken with it', async () => {
  await using mesh = await started();
  const [laptop, desktop, server] = ['laptop', 'desktop', 'server'].map((name) => mesh.node(name)) as [TrustNode, TrustNode, TrustNode];
  const thief = thiefOf(desktop);
  await laptop.roots.removeIssuer({ node: 'desktop', compromised: false });
  await mesh.pass(60_000);
  expect(laptop.store.read.member(desktop.nodeId)).toMatchObject({ issuedAs: expect.anything() });
  expect([laptop.store.read.member(desktop.nodeId)?.isIssuer, laptop.store.read.member(desktop.nodeId)?.issuerDer]).toEqual([undefined, undefined]);
  await laptop.sides.removal.remove('desktop', 'ada on laptop');
  await mesh.pass(60_000);
  for (const node of [laptop, server]) {
    expect(fallenAt(node)).toEqual([authorityName(thief.certificate)]);
    // As if it had been made before the end.
    const key = generateNodeKey();
    const chain = await thief.issue({ publicKey: key.publicKey, name: 'innocent', owner: 'ada' }, mesh.clock.now() - dayMs);
    await node.sides.roster.entries([{ chain }], laptop.nodeId);
    expect(node.store.read.member(key.nodeId)).toBeUndefined();
  }
});

test('whoever is let in as an issuer is known as one from then on, before it has said so', async () => {
  await using mesh = await TrustMesh.start(['laptop']);
  const laptop = mesh.node('laptop');
  const desktop = new TrustNode(mesh, 'desktop');
  mesh.nodes.push(desktop);
  await desktop.boot();
  await desktop.join(laptop, true);
  const thief = thiefOf(desktop);
  // They never meet.
  await laptop.sides.removal.remove('desktop', 'ada on laptop');
  expect(fallenAt(laptop)).toEqual([authorityName(thief.certificate)]);
  expect(await isShutOut(laptop, thief)).toBe(true);
});
