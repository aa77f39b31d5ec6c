/** Who a node is to its mesh: what a verified certificate says, and what a member holds to prove itself. */
import type { MeshId, NodeId } from './ids.ts';

/** What a leaf certificate says of its node. Only ever made from a certificate that was checked. */
export interface PeerIdentity {
  readonly meshId: MeshId;
  readonly nodeId: NodeId;
  /** The node's name as its issuer granted it. */
  readonly name: string;
  /** The owner identity: the person, or the tag, that the node belongs to. */
  readonly owner: string;
  /** Upper-case hexadecimal. */
  readonly serial: string;
  /** Wall-clock milliseconds. */
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  /** From when on it has that name: of a certificate that was renewed, the start of the first with it. Left out: `notBeforeMs`. */
  readonly namedSinceMs?: number;
  /** The node's Ed25519 key, 32 bytes. */
  readonly publicKey: Uint8Array;
  /** The issuer that signed the certificate, by a name that holds half of its key. */
  readonly certifiedBy?: string;
  /** Of that certificate: lower-case hex sha256. */
  readonly fingerprint?: string;
}

/** An issuer that lets nobody in any more, by the word of a root. Its machine may go on as a member. */
export interface WithdrawnIssuer {
  readonly nodeId: NodeId;
  readonly name: string;
  readonly by: string;
  readonly atMs: number;
  /** As `PeerIdentity.certifiedBy`. */
  readonly certifies: string;
  /** Fingerprints of certificates that it signed and that were known then. */
  readonly kept: ReadonlySet<string>;
  /** Its key may be in other hands: nothing else that it signed counts. */
  readonly isCompromised: boolean;
}

/** What counts of an issuer on which there is more than one word: that its key is in other hands, if any says so; else the first. */
export function withdrawalIn(withdrawn: readonly WithdrawnIssuer[], certifies: string): WithdrawnIssuer | undefined {
  const words = withdrawn.filter((each) => each.certifies === certifies);
  return words.find(({ isCompromised }) => isCompromised) ?? words[0];
}

/** A root of the mesh, as people are shown it. */
export interface RootView {
  /** Lower-case hex sha256 of its certificate. */
  readonly fingerprint: string;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  /** `in_use`: new certificates lead to it; `accepted`: certificates that lead to it hold, too. */
  readonly state: 'in_use' | 'accepted' | 'retired';
  /** The one that vouched for it; none for the first. */
  readonly signedBy?: string;
  readonly isKeyHere: boolean;
  /** Issuers that are certified by it. */
  readonly issuers: number;
}

/** What a member needs to speak for itself: its key, its chain, and the root that it judges others by. */
export interface MeshIdentity {
  readonly meshId: MeshId;
  readonly meshName: string;
  readonly nodeId: NodeId;
  readonly name: string;
  readonly owner: string;
  /** PKCS#8. Never logged, never sent. */
  readonly keyPem: string;
  /** The leaf, then its issuer. */
  readonly chainPem: string;
  readonly rootPem: string;
}

/** The DER certificates of one member: its own, and that of the issuer which signed it. */
export interface CertificateChain {
  readonly leaf: Uint8Array;
  readonly issuer: Uint8Array;
}

/** Which of two certificates of one node counts, at every member. Two of one second, which two issuers can make, are ordered by their bytes. */
export function isLaterCertificate(a: { readonly notBeforeMs: number; readonly leaf: Uint8Array }, than: { readonly notBeforeMs: number; readonly leaf: Uint8Array }): boolean {
  if (a.notBeforeMs !== than.notBeforeMs) return a.notBeforeMs > than.notBeforeMs;
  const at = a.leaf.findIndex((byte, index) => byte !== than.leaf[index]);
  return at >= 0 && (a.leaf[at] ?? 0) > (than.leaf[at] ?? -1);
}

export function isSameCertificate(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, index) => byte === b[index]);
}

/** That a node lets others in: its certificate as an issuer, and that key's statement about the node itself. */
export interface IssuerProof {
  readonly certificate: Uint8Array;
  readonly attestation: Uint8Array;
}

/** The key that a node issues with, or would, and its own proof that that node holds it. */
export interface IssuerKeyOffer {
  /** Raw, 32 bytes. */
  readonly publicKey: Uint8Array;
  readonly proof: Uint8Array;
}

/** The last word on a peer whose certificate holds: undefined lets it in, a text is why not (removed, say). */
export type Judge = (peer: PeerIdentity) => string | undefined;
