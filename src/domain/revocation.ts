/** An issuer's word that a node is a member no longer. It revokes the node's key, and with it every certificate of it, older or later. */
import type { Act } from './audit.ts';
import type { Stamp } from './event.ts';
import type { NodeId } from './ids.ts';
import type { RemovedFrom } from './membership.ts';
import type { SignedRecord } from './registration.ts';

export interface Revocation {
  readonly nodeId: NodeId;
  /** As it was called then. */
  readonly name: string;
  /** Who wanted it, for people. */
  readonly by: string;
  readonly revokedAtMs: number;
  /** DER, of the issuer whose key signed this. */
  readonly issuer: Uint8Array;
  readonly fallen?: FallenIssuer & { readonly keptAs?: KeptAs };
}

/**
 * Who the members were whom whoever removed that issuer knew, those in `kept` first: as `RevocationSeal.whoIs` has it. What that issuer's key says of one of
 * them counts only where it says the same. Left out by versions that did not know this: there `kept` decides.
 */
export type KeptAs = readonly string[];

/** So many of either are in one word. */
export const mostKept = 2_000;

/** The removed node let others in: whoever has its key could go on doing so. What that key has signed counts for these nodes alone. */
export interface FallenIssuer {
  /** DER. */
  readonly issuer: Uint8Array;
  readonly kept: readonly NodeId[];
}

/** As a node keeps it. */
export interface StoredRevocation {
  readonly revocation: Omit<Revocation, 'issuer' | 'fallen'> & { readonly fallen?: FallenIssuer };
  /** Whom those that stay were known as is here alone. */
  readonly record: SignedRecord;
}

/** What the store keeps of removals. The general promises of store-port.ts hold. */
export interface RevocationWrites {
  /**
   * Already verified; of nodes known here or not. `with`: members that such a node certified and that do not stay. Their addresses,
   * registrations and heads go; work of theirs is the caller's to end. Returns the nodes for which something is new.
   */
  saveRevocations(input: { stamp: Stamp; act?: Act | undefined; revocations: readonly (StoredRevocation & { readonly with: readonly NodeId[] })[] }): Promise<readonly NodeId[]>;
}

export interface RevocationReads {
  /** Of a node that need not be known as a member. */
  revocation(nodeId: NodeId): StoredRevocation | undefined;
  revocations(): readonly StoredRevocation[];
  /** Those of nodes that let others in. */
  fallenIssuers(): readonly StoredRevocation[];
  /** Of each member, the issuer that signed the first certificate of it that was seen here: others may have renewed it since. */
  firstIssuers(): readonly { readonly nodeId: NodeId; readonly issuer: Uint8Array }[];
  /** Undefined for a node that was not removed, or has left since. */
  removedFrom(): RemovedFrom | undefined;
}

/** Of two for one node, by issuers that did not hear of each other, all nodes keep the same: the earlier; at one time, the lesser bytes. */
export function comesFirst(a: { readonly atMs: number; readonly record: SignedRecord }, b: { readonly atMs: number; readonly record: SignedRecord }): boolean {
  return a.atMs !== b.atMs ? a.atMs < b.atMs : compareBytes(a.record.payload, b.record.payload) < 0;
}

function compareBytes(a: Uint8Array, b: Uint8Array): number {
  const at = a.findIndex((byte, index) => byte !== b[index]);
  return at === -1 ? a.length - b.length : (a[at] ?? 0) - (b[at] ?? -1);
}
