/** A certificate has one form: OpenSSL believes others too, and whoever compares names or bytes would take them for something else. */
import { generateKeyPairSync } from 'node:crypto';
import { beforeAll, expect, test } from 'vitest';
import { Standing } from '../../../src/app/standing.ts';
import type { Store } from '../../../src/domain/store-port.ts';
import type { CertificateChain } from '../../../src/domain/trust.ts';
import { authorityName, parseLeaf, readCertificate, verifyChain } from '../../../src/trust/certificate.ts';
import { makeIssuer, makeLeaf, makeRoot } from '../../../src/trust/issue.ts';
import type { Authority } from '../../../src/trust/issue.ts';
import { generateNodeKey } from '../../../src/trust/node-key.ts';
import swappedLeaf from './swapped-leaf.ts';

const nowMs = Date.UTC(2026, 0, 15, 12);
const node = generateNodeKey();
let root: Uint8Array;
let issuer: Authority;
let chain: CertificateChain;
beforeAll(async () => {
  const [rootKey, issuerKey] = [generateKeyPairSync('ed25519').privateKey, generateKeyPairSync('ed25519').privateKey];
  root = await makeRoot(rootKey, nowMs);
  issuer = { certificate: await makeIssuer(issuerKey, { certificate: root, key: rootKey }, nowMs), key: issuerKey };
  chain = { leaf: await makeLeaf({ publicKey: node.publicKey, name: 'laptop', owner: 'ann' }, issuer, root, nowMs), issuer: issuer.certificate };
});

/** By the issuer's own key, under a name that OpenSSL takes for its own. */
async function underName(bend: (name: string) => string): Promise<Uint8Array> {
  const leaf = await swappedLeaf(issuer, root, node.publicKey, node.nodeId, nowMs, bend(authorityName(issuer.certificate).slice('CN='.length)));
  const [read, by] = [readCertificate(leaf), readCertificate(issuer.certificate)];
  expect([read.checkIssued(by), read.verify(by.publicKey)]).toEqual([true, true]);
  return leaf;
}

const names: readonly [string, (name: string) => string][] = [
  ['in capitals', (name) => name.toUpperCase()],
  ['with one other letter', (name) => name.replace('issuer', 'Issuer')],
  ['with two blanks', (name) => name.replace(' ', '  ')],
  ['with a blank before it', (name) => ` ${name}`],
  ['with a blank behind it', (name) => `${name} `],
];

test.each(names)('a leaf whose issuer calls itself by its name %s is none', async (_what, bend) => {
  const leaf = await underName(bend);
  expect(() => parseLeaf(leaf)).toThrow('the certificate does not name its issuer as issuers are called');
  expect(() => verifyChain({ ...chain, leaf }, root, nowMs)).toThrow(expect.objectContaining({ code: 'unauthenticated' }) as Error);
});

test('an issuer that was removed certifies nobody, by whatever name it goes', async () => {
  const revocation = { nodeId: generateNodeKey().nodeId, name: 'tower', by: 'ann', revokedAtMs: nowMs, issuer: issuer.certificate, fallen: { issuer: issuer.certificate, kept: [] } };
  const read = { revocation: () => undefined, membership: () => undefined, fallenIssuers: () => [{ revocation, record: { payload: new Uint8Array(), signature: new Uint8Array() } }] };
  const standing = new Standing({ read } as unknown as Store);
  const enters = (leaf: Uint8Array) => () => standing.member(verifyChain({ ...chain, leaf }, root, nowMs));
  expect(enters(chain.leaf)).toThrow('which was removed from the mesh');
  for (const [, bend] of names) expect(enters(await underName(bend))).toThrow(expect.objectContaining({ code: 'unauthenticated' }) as Error);
});
