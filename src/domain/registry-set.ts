/**
 * An owner's set of records, told as differences, and which of two heads counts. All of it compares hashes, so that every
 * node comes to the same verdict in whatever order it hears. Pure.
 */
import type { RegistryHead, SignedRecord } from './registration.ts';

/** Of one owner, in its whole set. */
export const mostRecords = 5_000;
/** Of one record's payload, bytes. */
export const longestRecord = 16 * 1024;
/** Characters of the short hash that stands for a record: 8 bytes in hex. */
const shortLength = 16;

/** Lower-case hex sha256. */
export type Hash = (content: Uint8Array | string) => string;

export interface KnownHead {
  readonly head: RegistryHead;
  readonly signed: SignedRecord;
  /** Of the payload. */
  readonly hash: string;
}

export const shortOf = (hash: string): string => hash.slice(0, shortLength);

/** @param hashes of the records' payloads, in any order */
export function rootHash(hashes: Iterable<string>, hash: Hash): string {
  return hash([...hashes].toSorted().join('\n'));
}

/**
 * Whether head `a` counts and `than` does not. An owner signs one head of an epoch and version; of two, which only a copy
 * of its store or its key can make, all nodes take the same.
 */
export function supersedes(a: Pick<KnownHead, 'head' | 'hash'>, than: Pick<KnownHead, 'head' | 'hash'> | undefined): boolean {
  if (than === undefined) return true;
  if (a.head.epoch !== than.head.epoch) return a.head.epoch > than.head.epoch;
  if (a.head.version !== than.head.version) return a.head.version > than.head.version;
  return a.hash > than.hash;
}

export interface SetChange {
  /** Of those that were told, the ones that are new. */
  readonly added: readonly string[];
  readonly removed: readonly string[];
}

/**
 * What makes the set that a head names of the one at hand.
 * @param have full hashes @param told full hashes @param gone short hashes
 * @returns undefined when the result is not the set of the head: the difference was made against another set
 */
export function changeOf(
  have: ReadonlySet<string> | ReadonlyMap<string, unknown>,
  { told, gone }: { readonly told: readonly string[]; readonly gone: readonly string[] },
  head: Pick<RegistryHead, 'count' | 'rootHash'>,
  hash: Hash,
): SetChange | undefined {
  const isGone = new Set(gone);
  const left = [...have.keys()].filter((each) => !isGone.has(shortOf(each)));
  const result = new Set([...left, ...told]);
  if (result.size !== head.count || rootHash(result, hash) !== head.rootHash) return undefined;
  return { added: [...result].filter((each) => !have.has(each)), removed: [...have.keys()].filter((each) => !result.has(each)) };
}
