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
import type { CertificateChain, PeerIdentity, WithdrawnIssuer } from '../domain/trust.ts';
import { flawOfBytes, isCalledAsIssuer, longestCertificate, namesIssuer } from './certificate-form.ts';
import { rawPublicKey } from './node-key.ts';

/** What the certificates of one mesh may lead to. Made by `authorities.ts`; a mesh that has had one root only is that root. */
export interface RootSet {
  readonly meshId: MeshId;
  /** The one that made the mesh, and its id. It need not be trusted any more. */
  readonly first: Uint8Array;
  /** DER, the oldest first: that is the one that is spoken of, since all know it. */
  readonly trusted: readonly Uint8Array[];
  /** DER, of issuers, by any of these: a leaf is as good by one certificate of its issuer's key as by another. */
  readonly issuers: readonly Uint8Array[];
  /** DER, the later roots, each signed by one before it. */
  readonly crosses: readonly Uint8Array[];
  /** Roots that were retired, DER, and the fingerprints (`fingerprintText`) of the issuers that each had certified: what those signed until then counts. */
  readonly retired: readonly { readonly root: Uint8Array; readonly issuers: ReadonlySet<string> }[];
  readonly withdrawn: readonly WithdrawnIssuer[];
}

/** One root, DER, of a mesh that has had no other; or all that is known. */
export type Roots = Uint8Array | RootSet;

const alone = new WeakMap<Uint8Array, RootSet>();

/** The same of both kinds; that of one root is made once. @throws BrokerError `invalid` for bytes that are no certificate, and for one whose key can't be read */
export function rootSet(roots: Roots): RootSet {
  if (!(roots instanceof Uint8Array)) return roots;
  const known = alone.get(roots) ?? { meshId: meshIdOf(readCertificate(roots)), first: roots, trusted: [roots], issuers: [], crosses: [], retired: [], withdrawn: [] };
  alone.set(roots, known);
  return known;
}

/** The root that is spoken of to those who know nothing yet, DER. @throws BrokerError `unauthenticated` when none is trusted, `invalid` as `rootSet` */
export function spokenRoot(roots: Roots): Uint8Array {
  const [root] = rootSet(roots).trusted;
  if (root === undefined) throw refused('no root of this mesh is trusted');
  return root;
}

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

/** Of DER. @throws BrokerError `invalid` when the bytes are no X.509 certificate */
export function readCertificate(der: Uint8Array): X509Certificate {
  try {
    return new X509Certificate(der);
  } catch (error) {
    throw new BrokerError('invalid', 'that is not a certificate', { cause: error });
  }
}

/** One that came from others: see `certificate-form.ts`. @throws BrokerError `invalid` also for bytes that hold it in another form */
export function readReceived(bytes: Uint8Array): X509Certificate {
  if (bytes.length > longestCertificate) throw new BrokerError('invalid', `${bytes.length} bytes are more than any certificate of a mesh has`);
  const certificate = readCertificate(bytes);
  const flaw = flawOfBytes(bytes, certificate);
  if (flaw !== undefined) throw new BrokerError('invalid', flaw);
  return certificate;
}

/** OpenSSL looks into the key only when it is asked for it. @throws BrokerError `invalid` when it is none that can be read */
export function keyIn(certificate: X509Certificate): KeyObject {
  try {
    return certificate.publicKey;
  } catch (error) {
    throw new BrokerError('invalid', 'the key in that certificate can’t be read', { cause: error });
  }
}

/** The mesh id is made from the root's key: 26 characters of lower-case base32 (RFC 4648), which are 130 bits, of the SHA-256 of its SubjectPublicKeyInfo. @throws BrokerError `invalid` when that key can't be read */
export function meshIdOf(root: X509Certificate): MeshId {
  const spki = keyIn(root).export({ type: 'spki', format: 'der' });
  const digest = createHash('sha256').update(spki).digest();
  return base32.encode(digest).slice(1, 1 + meshIdLength) as MeshId;
}

/** SHA-256 of the whole certificate, 32 bytes: what an invitation pins. */
export function fingerprintOf(der: Uint8Array): Uint8Array {
  return new Uint8Array(createHash('sha256').update(der).digest());
}

/** The same as text: 64 digits of lower-case hex. */
export function fingerprintText(der: Uint8Array): string {
  return createHash('sha256').update(der).digest('hex');
}

/**
 * What a leaf says, whoever signed it: only `verifyChain`, or a TLS handshake that verified, makes it true. The node id
 * in it is checked to be that of the certificate's own key.
 * @throws BrokerError `unauthenticated` when it is not a leaf of some mesh, `invalid` for bytes that are no certificate and for a key that can't be read
 */
export function parseLeaf(der: Uint8Array): PeerIdentity {
  const leaf = readCertificate(der);
  if (leaf.raw.length > longestCertificate) throw refused('the certificate is longer than any of a mesh');
  const match = subjectForm.exec(leaf.subjectAltName ?? '');
  if (match === null) throw refused('the certificate names no node');
  if (leaf.ca) throw refused('the certificate is not that of a node but of an authority');
  const usages = usagesOf(leaf);
  if (!usages.includes(clientAuth) || !usages.includes(serverAuth)) throw refused('the certificate is not made for nodes');
  // Before `toLegacyObject`: of a certificate whose key can't be read that ends the process (seen with Node 24.21).
  const key = keyIn(leaf);
  if (key.asymmetricKeyType !== 'ed25519') throw refused('the certificate’s key is not Ed25519');
  const [, meshId = '', nodeId = ''] = match;
  const publicKey = rawPublicKey(key);
  if (!isNodeId(nodeId) || nodeId !== nodeIdOfPublicKey(publicKey)) {
    throw refused('the certificate names another node than its key makes');
  }
  if (!namesIssuer(leaf)) throw refused('the certificate does not name its issuer as issuers are called');
  const { CN: name, O: owner, dnQualifier } = leaf.toLegacyObject().subject as unknown as Readonly<Record<string, unknown>>;
  if (typeof name !== 'string' || !isCanonicalName(name)) throw refused('the certificate has no node name');
  if (typeof owner !== 'string' || flawOfOwner(owner) !== undefined) throw refused('the certificate has no owner');
  return {
    meshId: meshId as MeshId,
    nodeId,
    name,
    owner,
    serial: leaf.serialNumber,
    ...lifeIn(leaf),
    ...(typeof dnQualifier === 'string' && /^\d{1,15}$/.test(dnQualifier) ? { namedSinceMs: Number(dnQualifier) } : {}),
    publicKey,
    certifiedBy: leaf.issuer,
    fingerprint: fingerprintText(der),
  };
}

/**
 * What that certificate is made for, as object identifiers. Where they can't be read Node leaves the error in OpenSSL's queue of the thread, and the next call
 * that looks there throws it, whatever that call is about (seen with Node 24.21): another question empties the queue.
 */
function usagesOf(certificate: X509Certificate): readonly string[] {
  const usages = certificate.keyUsage as readonly string[] | undefined;
  certificate.checkIssued(certificate);
  return usages ?? [];
}

/** From when to when that certificate is in force, both included, ms since 1970. As `lifeIn`. @throws BrokerError `invalid` for bytes that are no certificate */
export function lifeOf(der: Uint8Array): { readonly notBeforeMs: number; readonly notAfterMs: number } {
  return lifeIn(readCertificate(der));
}

/** The same of one that was read; NaN for a time that is none. By its text: `validFromDate` of such a time is whatever the memory held before (seen with Node 24.21). */
export function lifeIn({ validFrom, validTo }: X509Certificate): { readonly notBeforeMs: number; readonly notAfterMs: number } {
  return { notBeforeMs: Date.parse(validFrom), notAfterMs: Date.parse(validTo) };
}

/** What leaves that this issuer signed have as `certifiedBy`. @throws BrokerError `invalid` for bytes that are no certificate */
export function authorityName(issuer: Uint8Array): string {
  return readCertificate(issuer).subject;
}

/**
 * The identity of a leaf that its issuer signed, whom a root signed that is trusted, all three in force at `nowMs`, the mesh being
 * that of the roots.
 * @param nowMs ms since 1970
 * @throws BrokerError `unauthenticated` with the reason, `invalid` for bytes that are no certificate and for a key that can't be read
 */
export function verifyChain(chain: CertificateChain, roots: Roots, nowMs: number): PeerIdentity {
  const set = rootSet(roots);
  const leaf = readReceived(chain.leaf);
  const issuer = trustedIssuer(chain.issuer, set, nowMs);
  if (!leaf.checkIssued(issuer) || !leaf.verify(issuer.publicKey)) throw refused('its issuer did not sign the certificate');
  const identity = parseLeaf(chain.leaf);
  checkInForce(leaf, 'certificate', nowMs);
  if (identity.meshId !== set.meshId) throw refused('the certificate is of another mesh');
  return identity;
}

/**
 * The same of a certificate that may have ended: as of the last moment at which it was in force. Who its node is, is known by
 * that, and nothing is opened to it: handshakes judge by the time at which they are.
 * @throws BrokerError as `verifyChain` does
 */
export function recogniseChain(chain: CertificateChain, roots: Roots, nowMs: number): PeerIdentity {
  return verifyChain(chain, roots, Math.min(nowMs, lifeOf(chain.leaf).notAfterMs));
}

/**
 * The raw key, 32 bytes, of an issuer that a root signed which is trusted, both in force at `nowMs`.
 * @throws BrokerError as `verifyChain` does
 */
export function verifyIssuer(issuerDer: Uint8Array, roots: Roots, nowMs: number): Uint8Array {
  return rawPublicKey(keyIn(trustedIssuer(issuerDer, rootSet(roots), nowMs)));
}

/** The same for what it signed at that time, for ever: also by a root that was retired since, when it was known to have certified it. @throws BrokerError as `verifyChain` does */
export function verifyIssuerOnce(issuerDer: Uint8Array, roots: Roots, atMs: number): Uint8Array {
  const set = rootSet(roots);
  const former = set.retired.find(({ issuers }) => issuers.has(fingerprintText(issuerDer)));
  return verifyIssuer(issuerDer, former === undefined ? set : { ...set, trusted: [...set.trusted, former.root] }, atMs);
}

/** Of the certificates of that issuer's key, the given one first, those that are in force at `nowMs` and lead to a trusted root; none when none does. @throws BrokerError `invalid` */
export function goodIssuers(issuerDer: Uint8Array, roots: Roots, nowMs: number): readonly Uint8Array[] {
  const set = rootSet(roots);
  return certificatesOf(issuerDer, set).filter((each) => signedBy(readCertificate(each), set, nowMs) === undefined);
}

export interface Life {
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
}

/** From when to when certificates of that issuer's key lead to a trusted root: what `goodIssuers` says at any time, asked once. @throws BrokerError `invalid` */
export function goodTimes(issuerDer: Uint8Array, roots: Roots): readonly Life[] {
  const set = rootSet(roots);
  return certificatesOf(issuerDer, set).flatMap((der) => {
    const issuer = readCertificate(der);
    return set.trusted.flatMap((root): Life[] => {
      const [a, b] = [lifeIn(issuer), lifeOf(root)];
      const life = { notBeforeMs: Math.max(a.notBeforeMs, b.notBeforeMs), notAfterMs: Math.min(a.notAfterMs, b.notAfterMs) };
      return signedBy(issuer, { ...set, trusted: [root] }, life.notAfterMs) === undefined ? [life] : [];
    });
  });
}

function trustedIssuer(issuerDer: Uint8Array, set: RootSet, nowMs: number): X509Certificate {
  readReceived(issuerDer);
  let first: BrokerError | undefined;
  for (const each of certificatesOf(issuerDer, set)) {
    const issuer = readCertificate(each);
    const why = signedBy(issuer, set, nowMs);
    if (why === undefined) return issuer;
    first ??= why;
  }
  throw first ?? refused('the root did not sign the issuer');
}

/** All of that issuer's key. */
function certificatesOf(issuerDer: Uint8Array, { issuers }: RootSet): readonly Uint8Array[] {
  if (issuers.length === 0) return [issuerDer];
  const key = rawPublicKey(keyIn(readCertificate(issuerDer)));
  const others = issuers.filter((each) => Buffer.from(rawPublicKey(keyIn(readCertificate(each)))).equals(key));
  return [issuerDer, ...others.filter((each) => !Buffer.from(each).equals(issuerDer))];
}

/** Why no trusted root vouches for it; undefined when one does. */
function signedBy(issuer: X509Certificate, { trusted }: RootSet, nowMs: number): BrokerError | undefined {
  let first: BrokerError | undefined;
  for (const der of trusted) {
    try {
      const root = readCertificate(der);
      verifyAuthority(root, root, 'root', nowMs);
      verifyAuthority(issuer, root, 'issuer', nowMs);
      return undefined;
    } catch (error) {
      if (!(error instanceof BrokerError)) throw error;
      first ??= error;
    }
  }
  return first ?? refused('no root of this mesh is trusted');
}

function verifyAuthority(authority: X509Certificate, signer: X509Certificate, what: 'root' | 'issuer', nowMs: number): void {
  if (!authority.ca) throw refused(`the ${what}'s certificate is not that of an authority`);
  if (!authority.checkIssued(signer) || !authority.verify(keyIn(signer))) {
    throw refused(what === 'root' ? 'the root is not signed by itself' : `the root did not sign the ${what}`);
  }
  if (what === 'issuer' && !isCalledAsIssuer(authority, rawPublicKey(keyIn(authority)))) throw refused('the issuer is not called as its key makes it');
  checkInForce(authority, `${what}'s certificate`, nowMs);
}

function checkInForce(certificate: X509Certificate, what: string, nowMs: number): void {
  const { notBeforeMs, notAfterMs } = lifeIn(certificate);
  // Of a time that is none nothing is before, and nothing after.
  if (Number.isNaN(notBeforeMs) || Number.isNaN(notAfterMs)) throw refused(`the ${what} does not say from when to when it is valid`);
  if (nowMs < notBeforeMs) throw refused(`the ${what} is not valid before ${new Date(notBeforeMs).toISOString()}`);
  if (nowMs > notAfterMs) throw refused(`the ${what} expired on ${new Date(notAfterMs).toISOString()}`);
}

/** DER certificates as the PEM text that TLS wants, in the order given. @throws BrokerError `invalid` for bytes that are no certificate */
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
