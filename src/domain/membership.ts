/** This node's place in its mesh, the other members, and who may become one. */
import type { MeshId, NodeId } from './ids.ts';
import type { SignedRecord } from './registration.ts';
import type { CertificateChain } from './trust.ts';

export interface Invite {
  readonly secretHash: string;
  readonly owner: string;
  readonly expiresAtMs: number;
}

export interface Membership {
  readonly meshId: MeshId;
  readonly meshName: string;
  /** This node's name and owner identity as its certificate has them. */
  readonly name: string;
  readonly owner: string;
  readonly rootDer: Uint8Array;
  readonly chain: CertificateChain;
  /** Whether this node can admit others. */
  readonly isIssuer: boolean;
  /** Of an issuer: its certificate as one, when that is not the one that signed its leaf. */
  readonly issuerDer?: Uint8Array;
}

export interface Member {
  readonly nodeId: NodeId;
  readonly name: string;
  readonly owner: string;
  readonly chain: CertificateChain;
  readonly notBeforeMs: number;
  readonly addresses: readonly string[];
  readonly lastSeenMs?: number;
  /** It proved to let others in. */
  readonly isIssuer?: boolean;
  /** It left: since when, and its signed word. A later certificate of it makes it a member again. */
  readonly left?: { readonly atMs: number; readonly record: SignedRecord };
}
