import { generateKeyPairSync } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { makeIssuer, makeRoot } from '../../../src/trust/issue.ts';
import { readKeyFile } from '../../../src/trust/key-file.ts';
import { issuerKeyPath, rootKeyPath } from '../../../src/trust/mesh-authority.ts';
import { rawPublicKey } from '../../../src/trust/node-key.ts';
import type { MeshId } from '../../../src/domain/ids.ts';
import { TrustMesh } from '../../support/trust-mesh.ts';
import type { TrustNode } from '../../support/trust-mesh.ts';

const linkOf = (from: TrustNode, to: TrustNode) => {
  const link = from.links.get(to.nodeId);
  if (link === undefined) throw new Error(`${from.name} has no session with ${to.name}`);
  return link;
};
const meshIdOf = (node: TrustNode): MeshId => node.store.read.membership()?.meshId as MeshId;

test('a certificate makes an issuer only when the root signed it, for that node’s own key', async () => {
  await using mesh = await TrustMesh.start(['laptop', 'desktop', 'server']);
  const [laptop, server] = [mesh.node('laptop'), mesh.node('server')];
  const nowMs = mesh.clock.now();
  const { root } = laptop.membership.issuer ?? {};
  const key = await readKeyFile(rootKeyPath(laptop.trustDir, meshIdOf(laptop)));
  if (root === undefined || key === undefined) throw new Error('the laptop is no founder');
  const told = linkOf(laptop, server);
  const { offer } = await told.ask({ type: 'issuer_key' });
  const foreign = generateKeyPairSync('ed25519').privateKey;
  const bySomebody = await makeIssuer(foreign, { certificate: await makeRoot(foreign, nowMs), key: foreign }, nowMs);
  const forAnother = await makeIssuer(foreign, { certificate: root, key }, nowMs);
  for (const certificate of [bySomebody, forAnother]) await expect(told.ask({ type: 'become_issuer', certificate })).rejects.toMatchObject({ code: 'unauthenticated' });
  await expect(told.ask({ type: 'become_issuer', certificate: new Uint8Array([1, 2, 3]) })).rejects.toMatchObject({ code: 'invalid' });
  expect([server.store.read.membership()?.isIssuer, server.membership.issuer]).toEqual([false, undefined]);

  const good = await laptop.membership.issuer?.certifyIssuer(offer.publicKey, nowMs);
  const later = await laptop.membership.issuer?.certifyIssuer(offer.publicKey, nowMs + 86_400_000);
  if (good === undefined || later === undefined) throw new Error('no certificate');
  await told.ask({ type: 'become_issuer', certificate: later });
  // One that was recorded before is no step back.
  await told.ask({ type: 'become_issuer', certificate: good });
  expect(Buffer.from(server.membership.issuer?.certificate ?? []).equals(later)).toBe(true);
});

test('who is no issuer is made none at its own word, and an issuer gets no certificate for another key', async () => {
  await using mesh = await TrustMesh.start(['laptop', 'desktop', 'server']);
  const [laptop, desktop, server] = [mesh.node('laptop'), mesh.node('desktop'), mesh.node('server')];
  await expect(linkOf(server, laptop).ask({ type: 'renew_issuer' })).rejects.toMatchObject({ code: 'denied' });
  await linkOf(desktop, laptop).ask({ type: 'renew_issuer' });
  const other = generateKeyPairSync('ed25519').privateKey;
  writeFileSync(issuerKeyPath(desktop.trustDir, meshIdOf(desktop)), other.export({ type: 'pkcs8', format: 'pem' }));
  await expect(linkOf(desktop, laptop).ask({ type: 'renew_issuer' })).rejects.toMatchObject({ code: 'denied', message: expect.stringContaining('another key') });
  expect(server.membership.issuer).toBeUndefined();
});

test('an offer of a key is worth something only from the node that holds it', async () => {
  await using mesh = await TrustMesh.start(['laptop', 'desktop', 'server']);
  const [laptop, desktop, server] = [mesh.node('laptop'), mesh.node('desktop'), mesh.node('server')];
  const { offer } = await linkOf(laptop, desktop).ask({ type: 'issuer_key' });
  const honest = server.sides.appointing.answer.bind(server.sides.appointing);
  server.sides.appointing.answer = (link, query) => (query.type === 'issuer_key' ? Promise.resolve({ type: 'issuer_key', offer }) : honest(link, query));
  await expect(laptop.sides.appointing.add('server')).rejects.toMatchObject({ code: 'unauthenticated' });
  expect(Buffer.from(offer.publicKey).equals(rawPublicKey((await readKeyFile(issuerKeyPath(desktop.trustDir, meshIdOf(desktop)))) ?? generateKeyPairSync('ed25519').privateKey))).toBe(true);
});

test('one that left, or was removed, or can’t be reached is made none, and the answer says why', async () => {
  await using mesh = await TrustMesh.start(['laptop', 'desktop', 'server', 'attic']);
  const [laptop, server, attic] = [mesh.node('laptop'), mesh.node('server'), mesh.node('attic')];
  server.down();
  await expect(laptop.sides.appointing.add('server')).rejects.toMatchObject({ code: 'unavailable', hint: expect.stringContaining('start it') });
  await laptop.sides.removal.remove('attic', 'ada');
  await expect(laptop.sides.appointing.add('attic')).rejects.toMatchObject({ code: 'denied', message: expect.stringContaining('removed') });
  await expect(laptop.sides.appointing.add('nobody')).rejects.toMatchObject({ code: 'not_found' });
  expect(attic.membership.issuer).toBeUndefined();
});
