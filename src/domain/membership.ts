/** This node's place in its mesh, the other members, and who may become one. */
import { conflict } from './errors.ts';
import type { BrokerError } from './errors.ts';
import type { MeshId, NodeId } from './ids.ts';
import { fewOf } from './nearest.ts';
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
  /** The first root, which the mesh's id is made of. */
  readonly rootDer: Uint8Array;
  /** Later roots, and what they say of issuers, as it travels; left out while there is nothing of that. */
  readonly authorities?: Uint8Array;
  /** When the root's key was last written to a recovery file here, or read from one. */
  readonly recoveryMs?: number;
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
  /** As in `PeerIdentity`. */
  readonly namedSinceMs?: number;
  readonly addresses: readonly string[];
  readonly lastSeenMs?: number;
  /** It proved to let others in, with that certificate. */
  readonly isIssuer?: boolean;
  readonly issuerDer?: Uint8Array;
  /** The same of one that may let nobody in any more: what its key has signed, or may yet, goes by that. */
  readonly issuedAs?: Uint8Array;
  /** It left: since when, and its signed word. A later certificate of it makes it a member again. */
  readonly left?: { readonly atMs: number; readonly record: SignedRecord };
  /** It was removed, or let in by a node that was removed and not kept by whoever removed that one. */
  readonly removed?: Removed;
}

export interface Removed {
  readonly atMs: number;
  /** Who wanted it, for people. */
  readonly by: string;
  readonly record: SignedRecord;
}

/** The mesh that this node was removed from, and has not left since. */
export interface RemovedFrom {
  readonly meshId: MeshId;
  readonly meshName: string;
  readonly name: string;
  readonly owner: string;
  readonly by: string;
  readonly atMs: number;
}

/** Neither left nor removed. */
export function belongs({ left, removed }: Pick<Member, 'left' | 'removed'>): boolean {
  return left === undefined && removed === undefined;
}

/** @param members all that are known, this node left out. @returns the hint for who wants to let others in and can't */
export function whereIssuersAre(members: readonly Pick<Member, 'name' | 'isIssuer' | 'left' | 'removed'>[]): string {
  const names = members.filter((each) => each.isIssuer === true && belongs(each)).map(({ name }) => name);
  return names.length === 0 ? 'run it on the node that made the mesh, or on the second machine of its owner' : `run it on one that lets others in: ${fewOf(names.toSorted())}`;
}

/** As people are told. */
export function removedWords({ by }: Pick<Removed, 'by'>): string {
  return `it was removed from the mesh by ${by}`;
}

/** What a node in no mesh answers to what only a member can do. @param from the mesh that it was removed from, if it was */
export function outsideError(from: Pick<RemovedFrom, 'meshName' | 'by'> | undefined): BrokerError {
  if (from === undefined) return conflict('this node is in no mesh yet', 'make one: beckon mesh create');
  return conflict(`this node was removed from ${from.meshName} by ${from.by}`, 'forget that mesh: beckon mesh leave');
}
