/** Roots that follow one another, and issuers that count no more. */
import { generateKeyPairSync } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { expect, test } from 'vitest';
import { authoritiesOf, encodeAuthorities, mergeAuthorities, rootsShown, signRetirement, signWithdrawal } from '../../../src/trust/authorities.ts';
import { fingerprintText, verifyChain, verifyIssuer, verifyIssuerOnce } from '../../../src/trust/certificate.ts';
import { makeIssuer, makeLeaf, makeNextRoot, makeRoot } from '../../../src/trust/issue.ts';
import type { Authority } from '../../../src/trust/issue.ts';
import { generateNodeKey } from '../../../src/trust/node-key.ts';

const nowMs = Date.UTC(2026, 0, 15);
const newKey = (): KeyObject => generateKeyPairSync('ed25519').privateKey;
const by = 'ada on laptop';

interface NextRoot extends Authority {
  readonly cross: Uint8Array;
}

async function firstRoot(): Promise<Authority> {
  const key = newKey();
  return { certificate: await makeRoot(key, nowMs), key };
}

async function next(before: Authority): Promise<NextRoot> {
  const key = newKey();
  const { root, cross } = await makeNextRoot(key, before, nowMs);
  return { certificate: root, cross, key };
}

const told = (...roots: readonly NextRoot[]): Uint8Array => encodeAuthorities({ roots: roots.map(({ certificate, cross }) => ({ root: certificate, cross })) });
const words = (...made: Parameters<typeof encodeAuthorities>[0]['words'] & object): Uint8Array => encodeAuthorities({ words: made });
const retire = (first: Authority, bytes: Uint8Array | undefined, signer: Authority, root: Authority, issuers: readonly Uint8Array[] = []) =>
  words(signRetirement(authoritiesOf(first.certificate, bytes), { root: signer.certificate, key: signer.key }, { root: root.certificate, kept: [], issuers, by, atMs: nowMs }));
const merge = (first: Authority, ...parts: readonly Uint8Array[]): Uint8Array | undefined => parts.reduce<Uint8Array | undefined>((known, part) => mergeAuthorities(first.certificate, known, part) ?? known, undefined);
const trusted = (first: Authority, bytes: Uint8Array | undefined): string[] => authoritiesOf(first.certificate, bytes).trusted.map(fingerprintText);
const prints = (...roots: readonly Authority[]): string[] => roots.map(({ certificate }) => fingerprintText(certificate));

test('a root that the one in use has signed counts beside it, and the mesh keeps its id', async () => {
  const first = await firstRoot();
  const second = await next(first);
  const bytes = merge(first, told(second));
  expect(trusted(first, bytes)).toEqual(prints(first, second));
  expect(authoritiesOf(first.certificate, bytes).meshId).toBe(authoritiesOf(first.certificate, undefined).meshId);
  // Said again, it is no news.
  expect(mergeAuthorities(first.certificate, bytes, told(second))).toBeUndefined();
});

test('a leaf is as good by one certificate of its issuer’s key as by another', async () => {
  const first = await firstRoot();
  const second = await next(first);
  const [issuerKey, node] = [newKey(), generateNodeKey()];
  const [byFirst, bySecond] = [await makeIssuer(issuerKey, first, nowMs), await makeIssuer(issuerKey, second, nowMs)];
  const leaf = await makeLeaf({ publicKey: node.publicKey, name: 'laptop', owner: 'ada' }, { certificate: byFirst, key: issuerKey }, first.certificate, nowMs);
  const both = merge(first, told(second), encodeAuthorities({ issuers: [bySecond] }));
  const onlySecond = merge(first, told(second), encodeAuthorities({ issuers: [bySecond] }), retire(first, both, second, first));
  for (const issuer of [byFirst, bySecond]) for (const bytes of [both, onlySecond]) expect(verifyChain({ leaf, issuer }, authoritiesOf(first.certificate, bytes), nowMs).name).toBe('laptop');
  // Who knows the first alone believes what leads there, and nothing else.
  expect(() => verifyChain({ leaf, issuer: bySecond }, first.certificate, nowMs)).toThrow('did not sign the issuer');
  // A thief of the first one's key certifies nobody any more.
  const stolen = await makeIssuer(newKey(), first, nowMs);
  expect(verifyIssuer(stolen, authoritiesOf(first.certificate, both), nowMs)).toBeDefined();
  expect(() => verifyIssuer(stolen, authoritiesOf(first.certificate, onlySecond), nowMs)).toThrow('did not sign the issuer');
});

test('a root that none of the mesh has signed is refused, and so are certificates and words by it', async () => {
  const [first, other] = [await firstRoot(), await firstRoot()];
  const [second, foreign] = [await next(first), await next(other)];
  expect(() => mergeAuthorities(first.certificate, undefined, told(foreign))).toThrow('none of this mesh has signed');
  expect(() => mergeAuthorities(first.certificate, undefined, told({ ...second, cross: foreign.cross }))).toThrow('none of this mesh has signed');
  // The cross certificate of one root, shown with another.
  expect(() => mergeAuthorities(first.certificate, undefined, told({ ...foreign, cross: second.cross }))).toThrow('none of this mesh has signed');
  const issuer = await makeIssuer(newKey(), foreign, nowMs);
  expect(() => mergeAuthorities(first.certificate, told(second), encodeAuthorities({ issuers: [issuer] }))).toThrow('no later root');
  const word = signRetirement(authoritiesOf(first.certificate, undefined), { root: foreign.certificate, key: foreign.key }, { root: first.certificate, kept: [], issuers: [], by, atMs: nowMs });
  expect(() => mergeAuthorities(first.certificate, told(second), words(word))).toThrow('no trusted root');
  // In the name of the right root, by another key.
  const forged = signRetirement(authoritiesOf(first.certificate, undefined), { root: second.certificate, key: foreign.key }, { root: first.certificate, kept: [], issuers: [], by, atMs: nowMs });
  expect(() => mergeAuthorities(first.certificate, told(second), words(forged))).toThrow('no trusted root');
  // The words of one mesh are another statement in another.
  const elsewhere = signRetirement(authoritiesOf(other.certificate, undefined), { root: second.certificate, key: second.key }, { root: first.certificate, kept: [], issuers: [], by, atMs: nowMs });
  expect(() => mergeAuthorities(first.certificate, told(second), words(elsewhere))).toThrow('no trusted root');
  expect(() => mergeAuthorities(first.certificate, undefined, new Uint8Array([255, 255]))).toThrow('malformed');
  expect(() => mergeAuthorities(first.certificate, undefined, new Uint8Array(60_000))).toThrow('malformed');
});

test('what is good among what is forged is taken, and the rest is not', async () => {
  const [first, other] = [await firstRoot(), await firstRoot()];
  const [second, foreign] = [await next(first), await next(other)];
  expect(trusted(first, merge(first, told(foreign, second)))).toEqual(prints(first, second));
});

test('a retired root stays so: said again, it and what it signs later are not believed', async () => {
  const first = await firstRoot();
  const [second, late] = [await next(first), await next(first)];
  const both = merge(first, told(second));
  const bytes = merge(first, told(second), retire(first, both, second, first));
  expect(trusted(first, bytes)).toEqual(prints(second));
  expect(mergeAuthorities(first.certificate, bytes, told(second))).toBeUndefined();
  expect(trusted(first, mergeAuthorities(first.certificate, bytes, told(late)) ?? bytes)).toEqual(prints(second));
  // Neither can the old root take its successor's place back, whenever it says so.
  const back = signRetirement(authoritiesOf(first.certificate, both), { root: first.certificate, key: first.key }, { root: second.certificate, kept: [], issuers: [], by, atMs: 0 });
  expect(() => mergeAuthorities(first.certificate, bytes, words(back))).toThrow('no trusted root');
  expect(() => mergeAuthorities(first.certificate, both, words(back))).toThrow('one which may not');
});

test('two roots made at once in two places both count, in whatever order they are heard; one ends the other', async () => {
  const first = await firstRoot();
  const [here, there] = [await next(first), await next(first)];
  const [a, b] = [merge(first, told(here), told(there)), merge(first, told(there), told(here))];
  expect(trusted(first, a).toSorted()).toEqual(prints(first, here, there).toSorted());
  expect(trusted(first, b).toSorted()).toEqual(trusted(first, a).toSorted());
  // With their elder ends the one that did not end it, whenever that is heard of.
  const ended = merge(first, told(here), told(there), retire(first, a, here, first));
  expect(trusted(first, ended)).toEqual(prints(here));
  const apart = merge(first, told(here), retire(first, told(here), here, first));
  expect(trusted(first, mergeAuthorities(first.certificate, apart, told(there)) ?? apart)).toEqual(prints(here));
  // Or alone.
  expect(trusted(first, merge(first, told(here), told(there), retire(first, a, here, there)))).toEqual(prints(first, here));
});

test('of two words that end the first root, each for its own successor, that counts which was heard first', async () => {
  const first = await firstRoot();
  const [honest, thief] = [await next(first), await next(first)];
  const bytes = merge(first, told(honest), retire(first, told(honest), honest, first));
  const late = mergeAuthorities(first.certificate, bytes, encodeAuthorities({ roots: [{ root: thief.certificate, cross: thief.cross }], words: [signRetirement(authoritiesOf(first.certificate, told(thief)), { root: thief.certificate, key: thief.key }, { root: first.certificate, kept: [], issuers: [], by, atMs: 0 })] }));
  expect(trusted(first, late ?? bytes)).toEqual(prints(honest));
});

test('a third root follows the second, and whoever was away for both finds its way', async () => {
  const first = await firstRoot();
  const second = await next(first);
  const third = await next(second);
  // In whatever order.
  expect(trusted(first, merge(first, told(third, second)))).toEqual(prints(first, second, third));
  const bytes = merge(first, told(second, third), retire(first, told(second, third), third, first), retire(first, told(second, third), third, second));
  expect(trusted(first, bytes)).toEqual(prints(third));
  expect(rootsShown(first.certificate, bytes, third.certificate).meshId).toBe(authoritiesOf(first.certificate, undefined).meshId);
  expect(() => rootsShown(first.certificate, bytes, second.certificate)).toThrow('none of the mesh');
});

test('what an issuer said before its root was retired goes on counting, when it was known then', async () => {
  const first = await firstRoot();
  const second = await next(first);
  const [known, unknown] = [await makeIssuer(newKey(), first, nowMs), await makeIssuer(newKey(), first, nowMs)];
  const roots = authoritiesOf(first.certificate, merge(first, told(second), retire(first, told(second), second, first, [known])));
  expect(verifyIssuerOnce(known, roots, nowMs)).toBeDefined();
  expect(() => verifyIssuerOnce(unknown, roots, nowMs)).toThrow('did not sign the issuer');
  expect(() => verifyIssuer(known, roots, nowMs)).toThrow('did not sign the issuer');
});

test('an issuer is withdrawn by a root and by nobody else', async () => {
  const first = await firstRoot();
  const [issuerKey, node] = [newKey(), generateNodeKey()];
  const issuer = await makeIssuer(issuerKey, first, nowMs);
  const word = (key: KeyObject) => signWithdrawal(authoritiesOf(first.certificate, undefined), { root: first.certificate, key }, { nodeId: node.nodeId, name: 'desktop', issuer, kept: [issuer], isCompromised: false, by, atMs: nowMs });
  const { withdrawn } = authoritiesOf(first.certificate, merge(first, words(word(first.key))));
  expect(withdrawn).toMatchObject([{ nodeId: node.nodeId, name: 'desktop', by, isCompromised: false }]);
  expect([...(withdrawn[0]?.kept ?? [])]).toEqual([fingerprintText(issuer)]);
  expect(() => mergeAuthorities(first.certificate, undefined, words(word(issuerKey)))).toThrow('no trusted root');
});
