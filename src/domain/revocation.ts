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
   * registrations and heads go; work of theirs is the caller's to end. Whoever is out by it is a fact and a row of the audit. Nothing that
   * was signed is undone by what comes after it: in whatever order they come, the same are kept. Returns the nodes for which something is new.
   * @param input.revocations.signer the key that signed it, lower-case hex; left out, nothing is counted for it
   * @throws BrokerError `overload` for what one key has signed too many of (`mostStrangers`, `mostFalls`); nothing is stored then
   */
  saveRevocations(input: { stamp: Stamp; act?: Act | undefined; revocations: readonly (StoredRevocation & { readonly with: readonly NodeId[]; readonly signer?: string })[] }): Promise<readonly NodeId[]>;
}

export interface RevocationReads {
  /** The first of all on a node, which need not be known as a member. */
  revocation(nodeId: NodeId): StoredRevocation | undefined;
  /** That, and all that take the trust from an issuer in the name of that node. */
  revocationsOf(nodeId: NodeId): readonly StoredRevocation[];
  /** The first of each node, and all that take the trust from an issuer. */
  revocations(): readonly StoredRevocation[];
  /** Of which `revocations` tells, without what was signed. */
  revokedNodes(): readonly NodeId[];
  /** All that take the trust from an issuer. */
  fallenIssuers(): readonly StoredRevocation[];
  /** Of each member, the issuer that signed the first certificate of it that was seen here: others may have renewed it since. */
  firstIssuers(): readonly { readonly nodeId: NodeId; readonly issuer: Uint8Array }[];
  /** Undefined for a node that was not removed, or has left since. */
  removedFrom(): RemovedFrom | undefined;
}

/** Removed nodes that one key has named and that are no members where that is kept: more than a mesh ever removed, as many as a recovery file has, and no more than a disk can bear. */
export const mostStrangers = 10_000;

/** Words of one key that take the trust from an issuer: in all, and in the name of one node. */
export const mostFalls = { inAll: 64, ofOneNode: 4 } as const;

interface Ranked {
  readonly atMs: number;
  readonly record: SignedRecord;
  /** Whether it takes the trust from an issuer. */
  readonly fells?: boolean;
}

/**
 * Which of two for one node is told of it, at every node: one that takes the trust from an issuer, since whoever has that key could sign an earlier one that
 * does not; then the earlier; at one time, the lesser bytes. What else was signed is not undone by it.
 */
export function comesFirst(a: Ranked, b: Ranked): boolean {
  const [fellsA, fellsB] = [a.fells === true, b.fells === true];
  if (fellsA !== fellsB) return fellsA;
  return a.atMs !== b.atMs ? a.atMs < b.atMs : compareBytes(a.record.payload, b.record.payload) < 0;
}

function compareBytes(a: Uint8Array, b: Uint8Array): number {
  const at = a.findIndex((byte, index) => byte !== b[index]);
  return at === -1 ? a.length - b.length : (a[at] ?? 0) - (b[at] ?? -1);
}
