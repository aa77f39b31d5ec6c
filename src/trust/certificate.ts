/**
 * Reading and judging certificates of a mesh. A leaf says which node (SAN `beckon://<mesh-id>/<node-id>`), its name (CN),
 * its owner identity (O) and, when it was renewed, since when it has that name (dnQualifier, ms); it is signed by an issuer, and that by the root. Making them: `issue.ts`.
 */
import { createHash, X509Certificate } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { base32 } from 'multiformats/bases/base32';
import { BrokerError } from '../domain/errors.ts';
import { isNodeId, nodeIdOfPublicKey, type MeshId } from '../domain/ids.ts';
import { readName } from '../domain/name.ts';
import type { CertificateChain, PeerIdentity } from '../domain/trust.ts';
import { publicKeyObject, rawPublicKey } from './node-key.ts';

const meshIdLength = 26;
const subjectForm = /^URI:beckon:\/\/([a-z2-7]{26})\/(k[0-9a-z]+)$/;
const clientAuth = '1.3.6.1.5.5.7.3.2';
const serverAuth = '1.3.6.1.5.5.7.3.1';
// X.520: an organization name has at most 64 characters.
const longestOwner = 64;

/** What is wrong with an owner identity; undefined when a certificate can carry it and a terminal show it. */
export function flawOfOwner(text: string): string | undefined {
  if (text === '') return 'it is empty';
  if (Array.from(text).length > longestOwner) return `it is longer than ${longestOwner} characters`;
  if (!text.isWellFormed() || /[^\P{C}]/u.test(text)) return 'it has characters that cannot be printed';
  if (text !== text.trim()) return 'it starts or ends with a space';
  return undefined;
}

/** @throws BrokerError `invalid` when the bytes are no X.509 certificate. */
export function readCertificate(der: Uint8Array): X509Certificate {
  try {
    return new X509Certificate(der);
  } catch (error) {
    throw new BrokerError('invalid', 'that is not a certificate', { cause: error });
  }
}

/** OpenSSL looks into the key only when it is asked for it. @throws BrokerError `invalid` when it is none that can be read */
export function keyIn(certificate: X509Certificate): KeyObject {
  try {
    return certificate.publicKey;
  } catch (error) {
    throw new BrokerError('invalid', 'the key in that certificate can’t be read', { cause: error });
  }
}

/** The mesh id is made from the root's key: 26 characters of lower-case base32 of its SPKI's SHA-256. */
export function meshIdOf(root: X509Certificate): MeshId {
  const spki = keyIn(root).export({ type: 'spki', format: 'der' });
  const digest = createHash('sha256').update(spki).digest();
  return base32.encode(digest).slice(1, 1 + meshIdLength) as MeshId;
}

/** SHA-256 of the whole certificate, 32 bytes: what an invitation pins. */
export function fingerprintOf(der: Uint8Array): Uint8Array {
  return new Uint8Array(createHash('sha256').update(der).digest());
}

/**
 * What a leaf says, whoever signed it: only `verifyChain`, or a TLS handshake that verified, makes it true. The node id
 * in it is checked to be that of the certificate's own key.
 * @throws BrokerError `unauthenticated` when it is not a leaf of some mesh.
 */
export function parseLeaf(der: Uint8Array): PeerIdentity {
  const leaf = readCertificate(der);
  const match = subjectForm.exec(leaf.subjectAltName ?? '');
  if (match === null) throw refused('the certificate names no node');
  if (leaf.ca) throw refused('the certificate is not that of a node but of an authority');
  const usages = leaf.keyUsage as readonly string[] | undefined;
  if (!usages?.includes(clientAuth) || !usages.includes(serverAuth)) throw refused('the certificate is not made for nodes');
  const key = keyIn(leaf);
  if (key.asymmetricKeyType !== 'ed25519') throw refused("the certificate's key is not Ed25519");
  const [, meshId = '', nodeId = ''] = match;
  const publicKey = rawPublicKey(key);
  if (!isNodeId(nodeId) || nodeId !== nodeIdOfPublicKey(publicKey)) {
    throw refused('the certificate names another node than its key makes');
  }
  const { CN: name, O: owner, dnQualifier } = leaf.toLegacyObject().subject as unknown as Readonly<Record<string, unknown>>;
  if (typeof name !== 'string' || !isCanonicalName(name)) throw refused('the certificate has no node name');
  if (typeof owner !== 'string' || flawOfOwner(owner) !== undefined) throw refused('the certificate has no owner');
  return {
    meshId: meshId as MeshId,
    nodeId,
    name,
    owner,
    serial: leaf.serialNumber,
    notBeforeMs: leaf.validFromDate.getTime(),
    notAfterMs: leaf.validToDate.getTime(),
    ...(typeof dnQualifier === 'string' && /^\d{1,15}$/.test(dnQualifier) ? { namedSinceMs: Number(dnQualifier) } : {}),
    publicKey,
    certifiedBy: leaf.issuer,
  };
}

/** From when to when that certificate is in force, ms. @throws BrokerError `invalid` */
export function lifeOf(der: Uint8Array): { readonly notBeforeMs: number; readonly notAfterMs: number } {
  const { validFromDate, validToDate } = readCertificate(der);
  return { notBeforeMs: validFromDate.getTime(), notAfterMs: validToDate.getTime() };
}

/** What leaves that this issuer signed have as `certifiedBy`. */
export function authorityName(issuer: Uint8Array): string {
  return readCertificate(issuer).subject;
}

/**
 * The identity of a leaf that its issuer signed, whom the root signed, all three in force at `nowMs`, the mesh being
 * that of the root.
 * @throws BrokerError `unauthenticated` with the reason, `invalid` for bytes that are no certificate.
 */
export function verifyChain(chain: CertificateChain, rootDer: Uint8Array, nowMs: number): PeerIdentity {
  const issuerKey = publicKeyObject(verifyIssuer(chain.issuer, rootDer, nowMs));
  const leaf = readCertificate(chain.leaf);
  if (!leaf.checkIssued(readCertificate(chain.issuer)) || !leaf.verify(issuerKey)) throw refused('its issuer did not sign the certificate');
  const identity = parseLeaf(chain.leaf);
  checkInForce(leaf, 'certificate', nowMs);
  if (identity.meshId !== meshIdOf(readCertificate(rootDer))) throw refused('the certificate is of another mesh');
  return identity;
}

/**
 * The same of a certificate that may have ended: as of the last moment at which it was in force. Who its node is, is known by
 * that, and nothing is opened to it: handshakes judge by the time at which they are.
 * @throws BrokerError as `verifyChain` does
 */
export function recogniseChain(chain: CertificateChain, rootDer: Uint8Array, nowMs: number): PeerIdentity {
  return verifyChain(chain, rootDer, Math.min(nowMs, readCertificate(chain.leaf).validToDate.getTime()));
}

/**
 * The raw key of an issuer that the root signed, both in force at `nowMs`.
 * @throws BrokerError as `verifyChain` does.
 */
export function verifyIssuer(issuerDer: Uint8Array, rootDer: Uint8Array, nowMs: number): Uint8Array {
  const root = readCertificate(rootDer);
  const issuer = readCertificate(issuerDer);
  verifyAuthority(root, root, 'root', nowMs);
  verifyAuthority(issuer, root, 'issuer', nowMs);
  return rawPublicKey(keyIn(issuer));
}

function verifyAuthority(authority: X509Certificate, signer: X509Certificate, what: string, nowMs: number): void {
  if (!authority.ca) throw refused(`the ${what}'s certificate is not that of an authority`);
  if (!authority.checkIssued(signer) || !authority.verify(keyIn(signer))) {
    throw refused(what === 'root' ? 'the root is not signed by itself' : `the root did not sign the ${what}`);
  }
  checkInForce(authority, `${what}'s certificate`, nowMs);
}

function checkInForce(certificate: X509Certificate, what: string, nowMs: number): void {
  const { validFromDate, validToDate } = certificate;
  // Of a time that is none nothing is before, and nothing after.
  if (Number.isNaN(validFromDate.getTime()) || Number.isNaN(validToDate.getTime())) throw refused(`the ${what} does not say from when to when it is valid`);
  if (nowMs < validFromDate.getTime()) throw refused(`the ${what} is not valid before ${validFromDate.toISOString()}`);
  if (nowMs > validToDate.getTime()) throw refused(`the ${what} expired on ${validToDate.toISOString()}`);
}

/** DER certificates as the PEM text that TLS wants, in the order given. */
export function toPem(...certificates: readonly Uint8Array[]): string {
  return certificates.map((der) => readCertificate(der).toString()).join('');
}

function isCanonicalName(text: string): boolean {
  const read = readName(text);
  return 'name' in read && read.name === text;
}

function refused(why: string): BrokerError {
  return new BrokerError('unauthenticated', why);
}
