import fc from 'fast-check';
import { createPrivateKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { beforeAll, describe, expect, test } from 'vitest';
import type { CertificateChain } from '../../../src/domain/trust.ts';
import { authorityName, fingerprintOf, flawOfOwner, meshIdOf, parseLeaf, readCertificate, toPem, verifyChain, verifyIssuer } from '../../../src/trust/certificate.ts';
import { backdatedMs, issuerLifeMs, leafLifeMs, makeIssuer, makeLeaf, makeRoot, rootLifeMs, type Authority } from '../../../src/trust/issue.ts';
import { generateNodeKey } from '../../../src/trust/node-key.ts';

const dayMs = 86_400_000;
const nowMs = Date.UTC(2026, 0, 15, 12);

interface Pki {
  readonly rootKey: KeyObject;
  readonly root: Uint8Array;
  readonly issuer: Authority;
}

async function pki(): Promise<Pki> {
  const rootKey = generateKeyPairSync('ed25519').privateKey;
  const issuerKey = generateKeyPairSync('ed25519').privateKey;
  const root = await makeRoot(rootKey, nowMs);
  const issuer = await makeIssuer(issuerKey, { certificate: root, key: rootKey }, nowMs);
  return { rootKey, root, issuer: { certificate: issuer, key: issuerKey } };
}

let mine: Pki;
let foreign: Pki;
const key = generateNodeKey();
const subject = { publicKey: key.publicKey, name: 'laptop', owner: 'ann@example.com' };
let chain: CertificateChain;
beforeAll(async () => {
  [mine, foreign] = await Promise.all([pki(), pki()]);
  chain = { leaf: await makeLeaf(subject, mine.issuer, mine.root, nowMs), issuer: mine.issuer.certificate };
});

function bent(der: Uint8Array, from: string, to: string): Uint8Array {
  const hex = Buffer.from(der).toString('hex');
  expect(hex).toContain(from);
  return Buffer.from(hex.replace(from, to), 'hex');
}

describe('a leaf', () => {
  test('says who the node is, for 90 days, backdated by one', () => {
    expect(verifyChain(chain, mine.root, nowMs)).toEqual({
      fingerprint: Buffer.from(fingerprintOf(chain.leaf)).toString('hex'),
      meshId: meshIdOf(readCertificate(mine.root)),
      nodeId: key.nodeId,
      certifiedBy: authorityName(chain.issuer),
      name: 'laptop',
      owner: 'ann@example.com',
      serial: expect.stringMatching(/^[0-9A-F]{32}$/) as string,
      notBeforeMs: nowMs - backdatedMs,
      notAfterMs: nowMs + leafLifeMs,
      publicKey: key.publicKey,
    });
    expect(leafLifeMs).toBe(90 * dayMs);
    expect(backdatedMs).toBe(dayMs);
  });

  test('is made for both ends of TLS, and can sign no other', () => {
    const leaf = readCertificate(chain.leaf);
    expect(leaf.ca).toBe(false);
    expect(leaf.keyUsage).toEqual(['1.3.6.1.5.5.7.3.2', '1.3.6.1.5.5.7.3.1']);
    expect(leaf.subjectAltName).toBe(`URI:beckon://${meshIdOf(readCertificate(mine.root))}/${key.nodeId}`);
  });

  test('never outlives its issuer', async () => {
    const late = nowMs + issuerLifeMs - dayMs;
    const { notAfterMs } = parseLeaf(await makeLeaf(subject, mine.issuer, mine.root, late));
    expect(notAfterMs).toBe(nowMs + issuerLifeMs);
  });

  test('carries any owner identity that is allowed, and refuses all others', async () => {
    await fc.assert(
      fc.asyncProperty(fc.oneof(fc.string({ unit: 'binary', maxLength: 70 }), fc.string({ maxLength: 70 })), async (owner) => {
        const outcome = await makeLeaf({ ...subject, owner }, mine.issuer, mine.root, nowMs).then(
          (leaf) => parseLeaf(leaf).owner,
          (error: unknown) => (error as { code: string }).code,
        );
        expect(outcome).toBe(flawOfOwner(owner) === undefined ? owner : 'invalid');
      }),
      { numRuns: 60 },
    );
  });

  test.each(['#41', 'a, O=b', 'CN=x+O=y', '"quoted"', 'back\\slash', 'tag:server', 'Zoë 日本', 'x'.repeat(64), '<a;b>'])('owner %s stays as it is', async (owner) => {
    expect(parseLeaf(await makeLeaf({ ...subject, owner }, mine.issuer, mine.root, nowMs)).owner).toBe(owner);
  });

  test.each(['', ' ann', 'ann ', 'a\nb', 'a\u0000b', 'a\u202eb', 'a\u001b[31m', 'x'.repeat(65), '\ud800'])('owner %j is refused', (owner) => {
    expect(flawOfOwner(owner)).toBeTypeOf('string');
  });

  test.each(['Lap top', 'k51abc', '', 'a'.repeat(41), 'laptop\n'])('node name %j is refused', async (name) => {
    await expect(makeLeaf({ ...subject, name }, mine.issuer, mine.root, nowMs)).rejects.toMatchObject({ code: 'invalid' });
  });
});

describe('a chain is refused', () => {
  const refusedAt = (given: CertificateChain, root: Uint8Array, atMs: number) => () => verifyChain(given, root, atMs);

  test.each([
    ['before its time', -dayMs - 1000, /^the root's certificate is not valid before 2026-01-14T/],
    ['after its time', leafLifeMs + 1000, /^the certificate expired on 2026-04-15T/],
    ["after its issuer's time", issuerLifeMs + 1000, /^the issuer's certificate expired/],
    ["after its root's time", rootLifeMs + 1000, /^the root's certificate expired/],
  ])('%s', (_what, afterMs, why) => {
    expect(refusedAt(chain, mine.root, nowMs + afterMs)).toThrow(expect.objectContaining({ code: 'unauthenticated', message: expect.stringMatching(why) as string }) as Error);
  });

  test('when the leaf alone is not valid yet', async () => {
    const leaf = await makeLeaf(subject, mine.issuer, mine.root, nowMs + 3 * dayMs);
    expect(refusedAt({ ...chain, leaf }, mine.root, nowMs)).toThrow(/^the certificate is not valid before/);
  });

  test('up to a root that did not sign it', () => {
    expect(refusedAt(chain, foreign.root, nowMs)).toThrow(/the root did not sign the issuer/);
  });

  test('when another issuer signed the leaf', async () => {
    const leaf = await makeLeaf(subject, foreign.issuer, mine.root, nowMs);
    expect(refusedAt({ ...chain, leaf }, mine.root, nowMs)).toThrow(/its issuer did not sign the certificate/);
  });

  test('when its issuer is only a member', async () => {
    const leafKey = generateKeyPairSync('ed25519').privateKey;
    const member = { certificate: chain.leaf, key: leafKey };
    const leaf = await makeLeaf(subject, member, mine.root, nowMs);
    expect(refusedAt({ leaf, issuer: chain.leaf }, mine.root, nowMs)).toThrow(/issuer's certificate is not that of an authority/);
  });

  test("when the mesh in it is not the root's", async () => {
    const leaf = await makeLeaf(subject, mine.issuer, foreign.root, nowMs);
    expect(refusedAt({ ...chain, leaf }, mine.root, nowMs)).toThrow(/of another mesh/);
  });

  test('when the leaf is an authority, or names no node', () => {
    expect(() => parseLeaf(mine.issuer.certificate)).toThrow(/names no node/);
    expect(() => parseLeaf(mine.root)).toThrow(/names no node/);
  });

  test('when the node id is not that of its key', async () => {
    const other = generateNodeKey();
    // The certificate of one key with the id of another, as a careless issuer could make it.
    const { default: swap } = await import('./swapped-leaf.ts');
    const leaf = await swap(mine.issuer, mine.root, key.publicKey, other.nodeId, nowMs);
    expect(refusedAt({ ...chain, leaf }, mine.root, nowMs)).toThrow(/names another node than its key makes/);
  });

  test('when any of its bytes is altered, or it is no certificate', () => {
    fc.assert(
      fc.property(fc.nat(chain.leaf.length - 1), fc.integer({ min: 1, max: 255 }), (at, change) => {
        const leaf = Uint8Array.from(chain.leaf);
        leaf[at] = (leaf[at] ?? 0) ^ change;
        expect(refusedAt({ ...chain, leaf }, mine.root, nowMs)).toThrow(expect.objectContaining({ name: 'BrokerError' }) as Error);
      }),
      { numRuns: 300 },
    );
    expect(() => readCertificate(Buffer.from('hello'))).toThrow(expect.objectContaining({ code: 'invalid' }) as Error);
  });

  test('when what it is made for cannot be read, and no later call is told so', () => {
    const leaf = bent(chain.leaf, /* extKeyUsage, a sequence */ '0603551d2504163014', '0603551d2504160414');
    expect(() => parseLeaf(leaf)).toThrow(/not made for nodes/);
    // It reads OpenSSL's queue of errors, as many calls do.
    expect(() => createPrivateKey(key.toPem())).not.toThrow();
  });

  test('when its key cannot be read', () => {
    const leaf = bent(chain.leaf, /* Ed25519, 32 bytes */ '06032b6570032100', '06032b657d032100');
    expect(() => parseLeaf(leaf)).toThrow(expect.objectContaining({ code: 'invalid', message: 'the key in that certificate can’t be read' }) as Error);
  });
});

test('an issuer is known by the root that signed it', () => {
  expect(verifyIssuer(mine.issuer.certificate, mine.root, nowMs)).toHaveLength(32);
  expect(() => verifyIssuer(mine.issuer.certificate, foreign.root, nowMs)).toThrow(/did not sign the issuer/);
  expect(() => verifyIssuer(chain.leaf, mine.root, nowMs)).toThrow(/not that of an authority/);
});

test('the mesh id is made of the root alone, and safe in an URI and a file name', () => {
  expect(meshIdOf(readCertificate(mine.root))).toMatch(/^[a-z2-7]{26}$/);
  expect(meshIdOf(readCertificate(mine.root))).not.toBe(meshIdOf(readCertificate(foreign.root)));
});

test('PEM holds the certificates in the order given', () => {
  const pem = toPem(chain.leaf, chain.issuer);
  const [first = '', second = ''] = pem.split(/(?<=-----END CERTIFICATE-----\n)/);
  expect(Buffer.from(readCertificate(Buffer.from(first)).raw).equals(chain.leaf)).toBe(true);
  expect(Buffer.from(readCertificate(Buffer.from(second)).raw).equals(chain.issuer)).toBe(true);
});
