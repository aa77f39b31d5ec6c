import { createHash, sign } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Revocation } from '../../../src/domain/revocation.ts';
import { comesFirst } from '../../../src/domain/revocation.ts';
import { Revocation as Wire } from '../../../src/gen/beckon/v1/membership.ts';
import { issuerLifeMs } from '../../../src/trust/issue.ts';
import { createMesh, keepIssuerKey, openIssuer, wishIssuerKey } from '../../../src/trust/mesh-authority.ts';
import type { Issuer, MeshCertificates } from '../../../src/trust/mesh-authority.ts';
import { generateNodeKey, rawPublicKey } from '../../../src/trust/node-key.ts';
import { createRevocationSeal, openRevocation, signRevocation } from '../../../src/trust/revocation.ts';
import { FakeClock } from '../../support/fake-clock.ts';

const nowMs = Date.UTC(2026, 0, 15);
const nodeKey = generateNodeKey();
const lost = generateNodeKey();
const directories: string[] = [];

interface Home {
  readonly mesh: MeshCertificates;
  readonly issuer: Issuer;
}

async function newMesh(): Promise<Home> {
  const directory = await mkdtemp(join(tmpdir(), 'beckon-revocation-'));
  directories.push(directory);
  const mesh = await createMesh({ directory, nodeKey, nodeName: 'laptop', owner: 'ann', nowMs });
  const issuer = await openIssuer(directory, mesh.root, mesh.chain.issuer);
  if (issuer === undefined) throw new Error('no issuer');
  return { mesh, issuer };
}

/** Certified by the first, with a key of its own. */
async function secondIssuer({ mesh, issuer }: Home): Promise<Issuer> {
  const directory = await mkdtemp(join(tmpdir(), 'beckon-revocation-'));
  directories.push(directory);
  const key = await wishIssuerKey(directory, mesh.meshId);
  await keepIssuerKey(directory, mesh.meshId, key);
  const certificate = await issuer.certifyIssuer(rawPublicKey(key), nowMs);
  const second = certificate && (await openIssuer(directory, mesh.root, certificate));
  if (second === undefined) throw new Error('no second issuer');
  return second;
}

let home: Home;
let other: Home;
let second: Issuer;
beforeAll(async () => {
  [home, other] = [await newMesh(), await newMesh()];
  second = await secondIssuer(home);
});
afterAll(() => Promise.all(directories.map((each) => rm(each, { recursive: true, force: true }))));

const word: Omit<Revocation, 'issuer'> = { nodeId: lost.nodeId, name: 'lost', by: 'ann on laptop', revokedAtMs: nowMs };
const open = (record: Parameters<typeof openRevocation>[0]): Revocation => openRevocation(record, home.mesh.root);

test('what an issuer signs is believed by whoever has the root, and says whom and by whom', () => {
  expect(open(signRevocation(home.issuer, word))).toEqual({ ...word, issuer: home.issuer.certificate });
  expect(open(signRevocation(second, word))).toEqual({ ...word, issuer: second.certificate });
});

test('it is believed for ever: also when the certificate of its issuer has ended', () => {
  const late = { ...word, revokedAtMs: nowMs + issuerLifeMs - 1000 };
  expect(open(signRevocation(home.issuer, late)).revokedAtMs).toBe(late.revokedAtMs);
});

describe('nothing is believed of', () => {
  const refused = { code: 'unauthenticated' };
  test('a word that a leaf signed, with its own certificate or with that of its issuer', async () => {
    const { leaf, issuer } = home.mesh.chain;
    const asLeaf = (certificate: Uint8Array): Issuer => ({ ...home.issuer, certificate, sign: (statement) => new Uint8Array(sign(null, statement, nodeKey.privateKey)) });
    for (const certificate of [leaf, issuer]) expect(() => open(signRevocation(asLeaf(certificate), word))).toThrow(expect.objectContaining(refused));
  });

  test('another mesh: its root is another, and the same words of it are another statement', () => {
    expect(() => open(signRevocation(other.issuer, word))).toThrow(expect.objectContaining(refused));
    // Signed by the right key, for the other mesh.
    expect(() => open(signRevocation({ ...home.issuer, roots: other.mesh.root }, word))).toThrow(expect.objectContaining(refused));
  });

  test('a record that was altered anywhere', () => {
    const record = signRevocation(second, word);
    for (let at = 0; at < record.payload.length; at += 7) {
      const payload = new Uint8Array(record.payload);
      payload[at] = (payload[at] ?? 0) ^ 1;
      expect(() => open({ ...record, payload }), `byte ${at}`).toThrow(expect.objectContaining({ code: expect.stringMatching(/^(unauthenticated|invalid)$/) }));
    }
    for (const at of [0, 40, 63]) {
      const signature = new Uint8Array(record.signature);
      signature[at] = (signature[at] ?? 0) ^ 1;
      expect(() => open({ ...record, signature })).toThrow(expect.objectContaining(refused));
    }
  });

  test('another statement of the issuer, such as that it is one', () => {
    const { payload } = signRevocation(home.issuer, word);
    expect(() => open({ payload, signature: home.issuer.sign(payload) })).toThrow(expect.objectContaining(refused));
  });

  test('a time at which its issuer was none', () => {
    for (const revokedAtMs of [nowMs - 3 * 86_400_000, nowMs + issuerLifeMs + 1000]) {
      expect(() => open(signRevocation(home.issuer, { ...word, revokedAtMs }))).toThrow(expect.objectContaining(refused));
    }
  });

  test('bytes that are no record, names of no node, words that cannot be shown', () => {
    const signed = (payload: Uint8Array) => ({ payload, signature: new Uint8Array(64) });
    expect(() => open(signed(new Uint8Array([255, 255, 255])))).toThrow(expect.objectContaining({ code: 'invalid' }));
    expect(() => open(signed(Wire.encode(Wire.decode(new Uint8Array())).finish()))).toThrow(expect.objectContaining({ code: 'invalid' }));
    expect(() => open(signed(new Uint8Array(300_000)))).toThrow(expect.objectContaining({ code: 'invalid' }));
    // A field that nobody knows: of one that keeps nobody it could only be there to take place.
    const { payload } = signRevocation(home.issuer, word);
    const padded = Buffer.concat([payload, Buffer.from([0xfa, 0x3f, 0x80, 0xa0, 0x06]), Buffer.alloc(102_400)]);
    expect(() => open({ payload: padded, signature: home.issuer.sign(padded) })).toThrow(expect.objectContaining({ code: 'invalid', message: expect.stringContaining('keeps nobody') }));
    for (const bad of [{ name: 'a\u001b[2J' }, { by: '\u202e' }, { name: 'x'.repeat(201) }]) expect(() => open(signRevocation(home.issuer, { ...word, ...bad }))).toThrow(expect.objectContaining({ code: 'invalid' }));
  });
});

test('of an issuer that is removed its certificate goes along, and who stays of those that it let in', () => {
  const fallen = { issuer: second.certificate, kept: [nodeKey.nodeId] };
  expect(open(signRevocation(home.issuer, { ...word, fallen })).fallen).toEqual(fallen);
  // An issuer that revokes itself would leave nobody to sign the next one.
  expect(() => open(signRevocation(second, { ...word, fallen }))).toThrow(expect.objectContaining({ code: 'invalid' }));
  for (const issuer of [other.issuer.certificate, home.mesh.chain.leaf]) {
    expect(() => open(signRevocation(home.issuer, { ...word, fallen: { issuer, kept: [] } }))).toThrow(expect.objectContaining({ code: 'unauthenticated' }));
  }
});

test('a node signs only what others would believe, and nothing when it is no issuer', () => {
  const clock = new FakeClock();
  const seal = createRevocationSeal({ issuer: () => home.issuer, roots: () => home.mesh.root, clock });
  expect(seal.open(seal.seal(word) ?? { payload: new Uint8Array(), signature: new Uint8Array() })).toMatchObject(word);
  expect(() => seal.seal({ ...word, revokedAtMs: 0 })).toThrow(expect.objectContaining({ code: 'unavailable', hint: expect.stringContaining('clock') }));
  expect(createRevocationSeal({ issuer: () => undefined, roots: () => home.mesh.root, clock }).seal(word)).toBeUndefined();
  expect([seal.isBy(home.mesh.chain, home.issuer.certificate), seal.isBy(home.mesh.chain, second.certificate)]).toEqual([true, false]);
});

test('of two words on one node every node keeps the same, in whatever order they come', () => {
  const record = (text: string) => ({ payload: new Uint8Array(createHash('sha256').update(text).digest()), signature: new Uint8Array() });
  const words = [1, 1, 2].map((atMs, index) => ({ atMs, record: record(String(index)) }));
  for (const a of words) for (const b of words) expect(comesFirst(a, b)).toBe(a === b ? false : !comesFirst(b, a));
  // Whoever has the key of a removed issuer can date back as it likes.
  const fell = { atMs: 9, record: record('fell'), fells: true };
  for (const each of words) expect([comesFirst(fell, each), comesFirst(each, fell)]).toEqual([true, false]);
  const longer = { atMs: 1, record: { payload: new Uint8Array([1, 2]), signature: new Uint8Array() } };
  const shorter = { atMs: 1, record: { payload: new Uint8Array([1]), signature: new Uint8Array() } };
  expect([comesFirst(shorter, longer), comesFirst(longer, shorter)]).toEqual([true, false]);
});
