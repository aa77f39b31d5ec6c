/** Certificates as strangers and members show them. Whatever is changed in one, its issuer did not sign it. */
import { sign } from 'node:crypto';
import { isNodeId } from '../../../src/domain/ids.ts';
import { readName } from '../../../src/domain/name.ts';
import { authorityName, lifeOf, meshIdOf, parseLeaf, readCertificate, recogniseChain, verifyChain, verifyIssuer } from '../../../src/trust/certificate.ts';
import { flawOfOwner } from '../../../src/trust/certificate.ts';
import { longestCertificate } from '../../../src/trust/certificate-form.ts';
import { Broken, holds } from '../engine/boundary.ts';
import type { Boundary, Verdict } from '../engine/boundary.ts';
import { mutateDer } from '../engine/mutate-der.ts';
import { keyOf, meshOf, nodeKey, nowMs } from './mesh-keys.ts';
import type { FuzzMesh } from './mesh-keys.ts';
import { refusal } from './readers.ts';

/** What an input is: a leaf as it is, one that the issuer signed after it was changed, an issuer as it is, one that the root signed. */
const kinds = ['leaf', 'signed leaf', 'issuer', 'signed issuer'] as const;
const input = (kind: (typeof kinds)[number], der: Uint8Array): Uint8Array => Buffer.concat([Buffer.from([kinds.indexOf(kind)]), der]);

export const certificates: Boundary = {
  name: 'certificates',
  what: 'X.509 certificates of nodes and issuers, changed before and after they were signed',
  seeds: async () => {
    const mesh = await meshOf(1);
    const other = await meshOf(5);
    const { leaf } = await mesh.chainOf(10, 'laptop');
    const renewed = await mesh.chainOf(10, 'studio', { owner: 'ann@example.com', madeAtMs: nowMs - 80 * 86_400_000 });
    return Object.fromEntries([...kinds].flatMap((kind) => [[`a ${kind}`, input(kind, leaf)], [`a renewed ${kind}`, input(kind, renewed.leaf)], [`an authority as ${kind}`, input(kind, mesh.issuer)], [`a root as ${kind}`, input(kind, mesh.root)], [`of another mesh as ${kind}`, input(kind, other.issuer)]] as const));
  },
  words: ['beckon://', 'URI:', 'DNS:', 'Beckon issuer ', 'laptop', 'ada'],
  mutate: (given, dice, other) => Buffer.concat([dice.chance(0.1) ? Buffer.from([dice.between(0, 3)]) : given.subarray(0, 1), mutateDer(given.subarray(1), dice, other.subarray(1))]),
  longest: longestCertificate + 1_000,
  open: async () => {
    const mesh = await meshOf(1);
    const genuine = await mesh.chainOf(10, 'laptop');
    return { run: (given) => judged(given, mesh, genuine.leaf) };
  },
};

function judged(given: Uint8Array, mesh: FuzzMesh, genuine: Uint8Array): Verdict {
  const kind = (given[0] ?? 0) % kinds.length;
  const shown = given.subarray(1);
  const isIssuer = kind >= 2;
  const der = kind % 2 === 0 ? shown : signedAnew(shown, keyOf(isIssuer ? 1 : 2));
  let verdict: Verdict = 'accepted';
  const attempt = <Value>(work: () => Value): Value | undefined => {
    try {
      return work();
    } catch (error) {
      verdict = refusal(error);
      return undefined;
    }
  };
  attempt(() => lifeOf(der));
  attempt(() => authorityName(der));
  attempt(() => meshIdOf(readCertificate(der)));
  if (isIssuer) {
    if (attempt(() => verifyChain({ leaf: genuine, issuer: der }, mesh.root, nowMs)) !== undefined) exact(der);
    if (attempt(() => verifyIssuer(der, mesh.root, nowMs)) !== undefined && kind === 2) holds(readCertificate(der).verify(readCertificate(mesh.root).publicKey), 'an issuer is one whom the root signed');
    return verdict;
  }
  attempt(() => parseLeaf(der));
  const check = der.length % 2 === 0 ? verifyChain : recogniseChain;
  const identity = attempt(() => check({ leaf: der, issuer: mesh.issuer }, mesh.root, nowMs));
  if (identity !== undefined) {
    exact(der);
    holds(isNodeId(identity.nodeId) && identity.nodeId === nodeKey(10).nodeId, 'a certificate names the node of its own key');
    holds('name' in readName(identity.name) && flawOfOwner(identity.owner) === undefined, 'a member has a name and an owner that can be shown');
    holds(identity.certifiedBy === authorityName(mesh.issuer), 'a certificate names its issuer to the letter');
    holds(Number.isFinite(identity.notAfterMs) && identity.notBeforeMs <= nowMs, 'a certificate has a beginning and an end');
    if (kind === 0 && !readCertificate(der).verify(readCertificate(mesh.issuer).publicKey)) throw new Broken('a certificate is believed that nobody signed');
  }
  return verdict;
}

function exact(der: Uint8Array): void {
  holds(der.length <= longestCertificate && readCertificate(der).raw.equals(der), 'a certificate that is believed is one in DER and nothing else');
}

/** The first of its three parts, and that key's signature over it. */
function signedAnew(der: Uint8Array, key: ReturnType<typeof keyOf>): Uint8Array {
  const [, body] = partAt(der, 0);
  const [signedEnd] = partAt(der, body);
  const signed = der.subarray(body, signedEnd);
  const inside = Buffer.concat([signed, Buffer.from('300506032b6570034100', 'hex'), sign(null, signed, key)]);
  return Buffer.concat([Buffer.from([0x30, 0x82, inside.length >> 8, inside.length & 0xff]), inside]);
}

/** Where the element there ends, and where its content begins. */
function partAt(der: Uint8Array, at: number): readonly [end: number, content: number] {
  const first = der[at + 1] ?? 0;
  const count = first < 0x80 ? 0 : Math.min(4, first & 0x7f);
  let length = first < 0x80 ? first : 0;
  for (let index = 0; index < count; index += 1) length = length * 256 + (der[at + 2 + index] ?? 0);
  return [Math.min(der.length, at + 2 + count + length), Math.min(der.length, at + 2 + count)];
}
