/**
 * Making certificates (RFC 5280, Ed25519 as in RFC 8410). The library is loaded by the first call: most starts of a
 * node make no certificate, and it costs them time and memory.
 */
import type { Extension } from '@peculiar/x509';
import { createPublicKey, randomBytes, webcrypto, type KeyObject } from 'node:crypto';
import { BrokerError } from '../domain/errors.ts';
import { nodeIdOfPublicKey } from '../domain/ids.ts';
import { parseName } from '../domain/name.ts';
import { commonNameOf } from './certificate-form.ts';
import { flawOfOwner, lifeOf, readCertificate, type Roots, rootSet } from './certificate.ts';
import { publicKeyObject, rawPublicKey } from './node-key.ts';

const hourMs = 3_600_000;
const dayMs = 24 * hourMs;

/** Clocks of machines differ: a certificate is in force a day before it was made. */
export const backdatedMs = dayMs;
export const leafLifeMs = 90 * dayMs;
export const issuerLifeMs = 5 * 365 * dayMs;
export const rootLifeMs = 20 * 365 * dayMs;

/**
 * When to make a certificate that has to be in force later than another of the same node, to the second that
 * certificates know, whatever the clocks of two issuers say. One that is not in force yet was made by a clock that was wrong;
 * nobody believes it, and so nothing has to be later than it.
 */
export function after(otherNotBeforeMs: number | undefined, nowMs: number): number {
  if (otherNotBeforeMs === undefined || otherNotBeforeMs > nowMs) return nowMs;
  return Math.max(nowMs, otherNotBeforeMs + backdatedMs + 1000);
}

/** A certificate and the key that signs with it. */
export interface Authority {
  readonly certificate: Uint8Array;
  readonly key: KeyObject;
}

/** A self-signed root. */
export async function makeRoot(key: KeyObject, nowMs: number): Promise<Uint8Array> {
  const name = authorityName('root', key);
  return make({ subject: name, publicKey: createPublicKey(key), pathLength: 1 }, { name, key }, nowMs, nowMs + rootLifeMs);
}

/**
 * A root that follows another. It has its name: so the certificate by which the one before vouches for it is self-issued (RFC 5280, 3.2), and
 * counts for no length of a path that nodes check which know the first root only. OpenSSL tells the two apart by their keys' ids.
 */
export async function makeNextRoot(key: KeyObject, before: Authority, nowMs: number): Promise<{ readonly root: Uint8Array; readonly cross: Uint8Array }> {
  const name = nameOf(before.certificate);
  const subject = { subject: name, publicKey: createPublicKey(key), pathLength: 1 };
  return { root: await make(subject, { name, key }, nowMs, nowMs + rootLifeMs), cross: await make(subject, { name, key: before.key }, nowMs, nowMs + rootLifeMs) };
}

/** An issuer: may sign leaves and no further authority. @param key its key, or the public half of it */
export async function makeIssuer(key: KeyObject, root: Authority, nowMs: number): Promise<Uint8Array> {
  const signer = { name: nameOf(root.certificate), key: root.key };
  const subject = { subject: authorityName('issuer', key), publicKey: publicOf(key), pathLength: 0 };
  return make(subject, signer, nowMs, nowMs + issuerLifeMs);
}

export interface LeafSubject {
  /** Raw Ed25519 key, 32 bytes; the node id in the certificate is made from it. */
  readonly publicKey: Uint8Array;
  readonly name: string;
  readonly owner: string;
  /** As in `PeerIdentity`. */
  readonly namedSinceMs?: number;
}

/**
 * A node's certificate, in force for `lifeMs`, never longer than its issuer's.
 * @throws BrokerError `invalid` for a name, owner or key that a certificate can't carry.
 */
export async function makeLeaf(
  subject: LeafSubject,
  issuer: Authority,
  roots: Roots,
  nowMs: number,
  lifeMs: number = leafLifeMs,
): Promise<Uint8Array> {
  const name = parseName(subject.name);
  const flaw = flawOfOwner(subject.owner);
  if (flaw !== undefined) throw new BrokerError('invalid', `that owner identity can’t stand in a certificate: ${flaw}`);
  const uri = `beckon://${rootSet(roots).meshId}/${nodeIdOfPublicKey(subject.publicKey)}`;
  const since = subject.namedSinceMs;
  // X.520 dnQualifier: what tells entries of one name apart.
  const subjectName: DistinguishedName = [{ CN: [{ utf8String: name }] }, { O: [{ utf8String: subject.owner }] }, ...(since === undefined ? [] : [{ '2.5.4.46': [{ printableString: String(since) }] }])];
  const notAfterMs = Math.min(nowMs + lifeMs, lifeOf(issuer.certificate).notAfterMs);
  return make(
    { subject: subjectName, publicKey: publicKeyObject(subject.publicKey), uri },
    { name: authorityName('issuer', issuer.key), key: issuer.key },
    nowMs,
    notAfterMs,
  );
}

type DistinguishedName = Record<string, ({ utf8String: string } | { printableString: string })[]>[];

function authorityName(kind: 'root' | 'issuer', key: KeyObject): DistinguishedName {
  return [{ CN: [{ utf8String: commonNameOf(kind, rawPublicKey(key)) }] }];
}

/** Of an authority: its common name is all of it. */
function nameOf(certificate: Uint8Array): DistinguishedName {
  const { CN } = readCertificate(certificate).toLegacyObject().subject as unknown as { readonly CN: string };
  return [{ CN: [{ utf8String: CN }] }];
}

function publicOf(key: KeyObject): KeyObject {
  return key.type === 'public' ? key : createPublicKey(key);
}

interface Subject {
  readonly subject: DistinguishedName;
  readonly publicKey: KeyObject;
  /** Of an authority: how many authorities may follow. */
  readonly pathLength?: number;
  /** Of a leaf. */
  readonly uri?: string;
}

interface Signer {
  readonly name: DistinguishedName;
  readonly key: KeyObject;
}

async function make(subject: Subject, signer: Signer, nowMs: number, notAfterMs: number): Promise<Uint8Array> {
  // The library's decorators want the metadata polyfill before them.
  await import('reflect-metadata');
  const x509 = await import('@peculiar/x509');
  const publicKey = subject.publicKey.toCryptoKey('Ed25519', true, ['verify']);
  const signerPublic = createPublicKey(signer.key).toCryptoKey('Ed25519', true, ['verify']);
  const isAuthority = subject.pathLength !== undefined;
  const usage = isAuthority
    ? x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign
    : x509.KeyUsageFlags.digitalSignature;
  const extensions: Extension[] = [
    new x509.BasicConstraintsExtension(isAuthority, subject.pathLength, true),
    new x509.KeyUsagesExtension(usage, true),
    await x509.SubjectKeyIdentifierExtension.create(publicKey, false, webcrypto),
    await x509.AuthorityKeyIdentifierExtension.create(signerPublic, false, webcrypto),
  ];
  if (subject.uri !== undefined) {
    extensions.push(
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.clientAuth, x509.ExtendedKeyUsage.serverAuth]),
      new x509.SubjectAlternativeNameExtension([{ type: 'url', value: subject.uri }]),
    );
  }
  const certificate = await x509.X509CertificateGenerator.create(
    {
      serialNumber: serialNumber(),
      subject: new x509.Name(subject.subject),
      issuer: new x509.Name(signer.name),
      notBefore: new Date(nowMs - backdatedMs),
      notAfter: new Date(notAfterMs),
      publicKey,
      signingKey: signer.key.toCryptoKey('Ed25519', true, ['sign']),
      signingAlgorithm: { name: 'Ed25519' },
      extensions,
    },
    webcrypto,
  );
  return new Uint8Array(certificate.rawData);
}

/** 16 random bytes, positive and of constant length (RFC 5280, 4.1.2.2). */
function serialNumber(): string {
  const bytes = randomBytes(16);
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x40;
  return bytes.toString('hex');
}
