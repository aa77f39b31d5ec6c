/**
 * A digest of all that a node knows of members and their agents: two nodes whose roots are equal know the same, and where
 * the roots differ the buckets say where. 256 buckets by the node's id, so that a difference in one node costs the exchange
 * of 256 short hashes and of what is in one bucket. Kept as it changes: only what was touched is computed again. Pure.
 */
import type { NodeId } from './ids.ts';
import type { Digest } from './ports.ts';

export const bucketCount = 256;
/** Characters of a digest: 8 bytes in hex. */
const shown = 16;

/** What there is to know of one node, as hashes or as it is. Two nodes that were told the same make the same of it. */
export interface DigestEntry {
  readonly nodeId: NodeId;
  /** DER. */
  readonly leaf?: Uint8Array;
  /** Payload of its head. */
  readonly head?: Uint8Array;
  /** Payload of its departure. */
  readonly departure?: Uint8Array;
  /** Payload of its revocation: all that is known of it besides counts no more. */
  readonly revocation?: Uint8Array;
}

export class RegistryDigest {
  readonly #digest: Digest;
  readonly #buckets: Map<NodeId, string>[] = Array.from({ length: bucketCount }, () => new Map<NodeId, string>());
  readonly #hashes: (string | undefined)[] = Array.from({ length: bucketCount }, () => undefined);
  #root: string | undefined;

  constructor(digest: Digest) {
    this.#digest = digest;
  }

  /** 8 bytes, lower-case hex. */
  get root(): string {
    this.#root ??= this.#digest(this.buckets()).slice(0, shown);
    return this.#root;
  }

  set(entry: DigestEntry): void {
    const hash = entryHash(entry, this.#digest);
    const number = this.bucketOf(entry.nodeId);
    if (this.#buckets[number]?.get(entry.nodeId) === hash) return;
    this.#buckets[number]?.set(entry.nodeId, hash);
    this.#touched(number);
  }

  delete(nodeId: NodeId): void {
    const number = this.bucketOf(nodeId);
    if (this.#buckets[number]?.delete(nodeId) === true) this.#touched(number);
  }

  /** 8 bytes each, lower-case hex. */
  buckets(): readonly string[] {
    return this.#buckets.map((bucket, number) => {
      const known = this.#hashes[number] ?? this.#digest([...bucket.values()].toSorted()).slice(0, shown);
      this.#hashes[number] = known;
      return known;
    });
  }

  /** In the order of their ids. */
  nodesIn(buckets: readonly number[]): NodeId[] {
    return buckets.flatMap((number) => [...(this.#buckets[number]?.keys() ?? [])]).toSorted();
  }

  bucketOf(nodeId: NodeId): number {
    return Number.parseInt(this.#digest([nodeId]).slice(0, 2), 16);
  }

  #touched(number: number): void {
    this.#hashes[number] = undefined;
    this.#root = undefined;
  }
}

/** The buckets in which two differ. */
export function differing(a: readonly string[], b: readonly string[]): number[] {
  return Array.from({ length: bucketCount }, (_, number) => number).filter((number) => a[number] !== b[number]);
}

function entryHash({ nodeId, leaf, head, departure, revocation }: DigestEntry, digest: Digest): string {
  if (revocation !== undefined) return digest([nodeId, 'revoked', revocation]);
  const parts: (Uint8Array | string)[] = [nodeId, leaf ?? '', departure ?? ''];
  // One that left says nothing more: who heard its last head and who did not know the same.
  return digest(departure === undefined ? [...parts, head ?? ''] : parts);
}
