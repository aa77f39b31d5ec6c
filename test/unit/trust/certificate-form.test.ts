/** A certificate has one form: OpenSSL believes others too, and whoever compares names or bytes would take them for something else. */
import fc from 'fast-check';
import { generateKeyPairSync, X509Certificate } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { beforeAll, expect, test } from 'vitest';
import { Standing } from '../../../src/app/standing.ts';
import { exactCertificate } from '../../../src/domain/certificate-bytes.ts';
import { BrokerError } from '../../../src/domain/errors.ts';
import type { Store } from '../../../src/domain/store-port.ts';
import type { CertificateChain } from '../../../src/domain/trust.ts';
import { authoritiesOf, encodeAuthorities, mergeAuthorities, rootsShown } from '../../../src/trust/authorities.ts';
import { authorityName, fingerprintText, parseLeaf, readCertificate, recogniseChain, toPem, verifyChain, verifyIssuer } from '../../../src/trust/certificate.ts';
import { issuerStatement } from '../../../src/trust/enrolment-proofs.ts';
import { makeIssuer, makeLeaf, makeNextRoot, makeRoot } from '../../../src/trust/issue.ts';
import type { Authority } from '../../../src/trust/issue.ts';
import { provesIssuer } from '../../../src/trust/issuer-proof.ts';
import { generateNodeKey, signWith } from '../../../src/trust/node-key.ts';
import swappedLeaf from './swapped-leaf.ts';

const nowMs = Date.UTC(2026, 0, 15, 12);
const node = generateNodeKey();
let rootKey: KeyObject;
let root: Uint8Array;
let issuer: Authority;
let chain: CertificateChain;
beforeAll(async () => {
  rootKey = generateKeyPairSync('ed25519').privateKey;
  const issuerKey = generateKeyPairSync('ed25519').privateKey;
  root = await makeRoot(rootKey, nowMs);
  issuer = { certificate: await makeIssuer(issuerKey, { certificate: root, key: rootKey }, nowMs), key: issuerKey };
  chain = { leaf: await makeLeaf({ publicKey: node.publicKey, name: 'laptop', owner: 'ann' }, issuer, root, nowMs), issuer: issuer.certificate };
});

/** By the issuer's own key, under a name that OpenSSL takes for its own. */
async function underName(bend: (name: string) => string): Promise<Uint8Array> {
  const leaf = await swappedLeaf(issuer, root, node.publicKey, node.nodeId, nowMs, { issuerName: bend(authorityName(issuer.certificate).slice('CN='.length)) });
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

test('the key of an issuer that was removed proves no node to be one, by whichever of its certificates', async () => {
  const key = generateKeyPairSync('ed25519').privateKey;
  const again = await makeIssuer(key, { certificate: root, key: rootKey }, nowMs + 1000);
  const fallen = await makeIssuer(key, { certificate: root, key: rootKey }, nowMs);
  const { meshId, nodeId } = parseLeaf(chain.leaf);
  const standing = (...issuers: readonly Uint8Array[]): Standing => {
    const removed = issuers.map((each) => ({ revocation: { nodeId: generateNodeKey().nodeId, fallen: { issuer: each, kept: [nodeId] } } }));
    return new Standing({ read: { membership: () => ({ rootDer: root }), fallenIssuers: () => removed } } as unknown as Store);
  };
  const proves = (by: Standing, certificate: Uint8Array) => by.provesIssuer(nodeId, { certificate, attestation: signWith(key, issuerStatement(meshId, nodeId)) }, nowMs + 1000);
  expect([proves(standing(), fallen), proves(standing(issuer.certificate), again)]).toEqual([true, true]);
  expect([proves(standing(fallen), fallen), proves(standing(issuer.certificate, fallen), again)]).toEqual([false, false]);
});

/** Other bytes of which OpenSSL reads the same certificate. */
const forms: readonly [string, (der: Uint8Array) => Uint8Array][] = [
  ['with a byte behind it', (der) => Buffer.concat([der, Buffer.from([0])])],
  ['with itself behind it', (der) => Buffer.concat([der, der])],
  ['with much behind it', (der) => Buffer.concat([der, Buffer.alloc(3_000_000)])],
  ['with a longer length than it takes', (der) => Buffer.concat([Buffer.from('3083' + '00', 'hex'), der.subarray(2)])],
  ['with a longer length inside', (der) => withTail(der, '30810506032b6570' + '034100')],
  ['with a longer length of its signature', (der) => withTail(der, '300506032b6570' + '03814100')],
  ['as PEM', (der) => Buffer.from(toPem(der))],
  ['as PEM, with words before it', (der) => Buffer.from(`words\n${toPem(der)}`)],
];

/** Written anew behind what was signed, up to the 64 bytes of the signature. */
function withTail(der: Uint8Array, tail: string): Uint8Array {
  const inside = Buffer.concat([der.subarray(4, -74), Buffer.from(tail, 'hex'), der.subarray(-64)]);
  return Buffer.concat([Buffer.from([0x30, 0x82, inside.length >> 8, inside.length & 0xff]), inside]);
}

/** To OpenSSL it is the same. */
function inForm(der: Uint8Array, bend: (der: Uint8Array) => Uint8Array): Uint8Array {
  const bytes = bend(der);
  expect(readCertificate(bytes).raw.equals(der)).toBe(true);
  return bytes;
}

const invalid = expect.objectContaining({ code: 'invalid' }) as Error;

test.each(forms)('a certificate %s is none, whoever it is of', async (_what, bend) => {
  expect(() => verifyChain({ ...chain, leaf: inForm(chain.leaf, bend) }, root, nowMs)).toThrow(invalid);
  expect(() => recogniseChain({ ...chain, leaf: inForm(chain.leaf, bend) }, root, nowMs)).toThrow(invalid);
  expect(() => verifyChain({ ...chain, issuer: inForm(issuer.certificate, bend) }, root, nowMs)).toThrow(invalid);
  expect(() => verifyIssuer(inForm(issuer.certificate, bend), root, nowMs)).toThrow(invalid);
  const attestation = signWith(issuer.key, issuerStatement(parseLeaf(chain.leaf).meshId, node.nodeId));
  expect(provesIssuer(node.nodeId, { certificate: issuer.certificate, attestation }, root, nowMs)).toBe(true);
  expect(provesIssuer(node.nodeId, { certificate: inForm(issuer.certificate, bend), attestation }, root, nowMs)).toBe(false);
  expect(() => rootsShown(inForm(root, bend), undefined, inForm(root, bend))).toThrow(invalid);
});

test.each(forms)('roots and issuers %s are none of this mesh', async (_what, bend) => {
  const key = generateKeyPairSync('ed25519').privateKey;
  const next = await makeNextRoot(key, { certificate: root, key: rootKey }, nowMs);
  const known = mergeAuthorities(root, undefined, encodeAuthorities({ roots: [next] }));
  const again = await makeIssuer(issuer.key, { certificate: next.root, key }, nowMs);
  for (const roots of [[{ ...next, root: inForm(next.root, bend) }], [{ ...next, cross: inForm(next.cross, bend) }]]) expect(() => mergeAuthorities(root, undefined, encodeAuthorities({ roots }))).toThrow(BrokerError);
  expect(() => mergeAuthorities(root, known, encodeAuthorities({ issuers: [inForm(again, bend)] }))).toThrow(BrokerError);
});

test('what was believed of roots in other forms gives its place to what comes', async () => {
  const key = generateKeyPairSync('ed25519').privateKey;
  const next = await makeNextRoot(key, { certificate: root, key: rootKey }, nowMs);
  const [first, second] = [await makeIssuer(issuer.key, { certificate: next.root, key }, nowMs), await makeIssuer(generateKeyPairSync('ed25519').privateKey, { certificate: next.root, key }, nowMs)];
  const padded = Array.from({ length: 60 }, (_, length) => Buffer.concat([first, new Uint8Array(length + 1)]));
  const known = encodeAuthorities({ roots: [next], issuers: [first, ...padded] });
  expect(authoritiesOf(root, known).issuers.map(fingerprintText)).toEqual([fingerprintText(first)]);
  const bytes = mergeAuthorities(root, known, encodeAuthorities({ issuers: [second] }));
  expect(authoritiesOf(root, bytes).issuers.map(fingerprintText)).toEqual([first, second].map(fingerprintText));
  expect(bytes?.length).toBeLessThan(known.length / 10);
});

test('a certificate of more than 8 KiB is none, though its issuer signed it', async () => {
  const leaf = await swappedLeaf(issuer, root, node.publicKey, node.nodeId, nowMs, { padding: 8192 });
  expect(readCertificate(leaf).verify(readCertificate(issuer.certificate).publicKey)).toBe(true);
  expect(() => parseLeaf(leaf)).toThrow('the certificate is longer than any of a mesh');
  expect(() => verifyChain({ ...chain, leaf }, root, nowMs)).toThrow(invalid);
});

test.each(forms.filter(([what]) => !what.includes('PEM')))('what is stored %s is read as the certificate that it is', (_what, bend) => {
  for (const der of [chain.leaf, issuer.certificate, root]) expect(Buffer.from(exactCertificate(inForm(der, bend))).equals(der)).toBe(true);
});

test('what is stored as it should be is left as it is, and so is what is no certificate', () => {
  for (const der of [chain.leaf, issuer.certificate, root]) expect(exactCertificate(der)).toBe(der);
  fc.assert(
    fc.property(fc.oneof(fc.uint8Array({ maxLength: 40 }), fc.tuple(fc.nat(chain.leaf.length), fc.uint8Array({ maxLength: 9 })).map(([at, bytes]) => Uint8Array.from(Buffer.concat([chain.leaf.subarray(0, at), bytes, chain.leaf.subarray(at + bytes.length)])))), (bytes) => {
      const exact = exactCertificate(bytes);
      // Whatever OpenSSL reads of it, in another form or not.
      const read = safely(() => new X509Certificate(bytes).raw);
      if (read !== undefined && exact !== bytes) expect(read.equals(exact)).toBe(true);
    }),
    { numRuns: 2000 },
  );
});

function safely<T>(look: () => T): T | undefined {
  try {
    return look();
  } catch (error) {
    if (error instanceof Error) return undefined;
    throw error;
  }
}
