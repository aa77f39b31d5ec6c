/**
 * What this node knows of all nodes, in memory: their heads, their registrations, and the digest of it all. Read from the
 * store once a mesh, then changed after each commit, so that it never says what is not durable.
 */
import type { Act } from '../domain/audit.ts';
import type { MeshId, NodeId } from '../domain/ids.ts';
import { belongs } from '../domain/membership.ts';
import type { Digest, RecordSeal } from '../domain/ports.ts';
import type { RegistryEntry, SignedRecord } from '../domain/registration.ts';
import { RegistryDigest } from '../domain/registry-digest.ts';
import type { KnownHead } from '../domain/registry-set.ts';
import type { Member, Store, StoredRegistration } from '../domain/store-port.ts';
import type { CertificateChain } from '../domain/trust.ts';
import { RegistryIndex } from './registry-index.ts';
import type { Indexed } from './registry-index.ts';
import type { Self } from './self.ts';

/** Signed words that a node's key is no member's any more. */
export interface Revocations {
  /** All that are kept on that node: the first is the one that is told of it. */
  revocations(nodeId: NodeId): readonly SignedRecord[];
  revoked(): Iterable<NodeId>;
  /** Verifies, stores, and does what follows. True when it was new. @throws BrokerError `unauthenticated`, `invalid` */
  received(record: SignedRecord, act?: Act): Promise<boolean>;
}

export interface RegistryStateParts {
  readonly store: Store;
  readonly self: Self;
  readonly seal: RecordSeal;
  readonly digest: Digest;
  readonly revocations: Revocations | undefined;
  /** Whether the certificate that is stored of a member is one that nodes let in still. Cheap: it is asked with each word of that member. */
  readonly counts: (member: Member) => boolean;
}

export class RegistryState {
  readonly index = new RegistryIndex();
  /** Agents of this node, also those that no other is told of. */
  readonly own = new RegistryIndex();
  /** Counts up with every change of what is listed. */
  #revision = 0;
  readonly #listeners = new Set<() => void>();
  readonly #parts: RegistryStateParts;
  readonly #heads = new Map<NodeId, KnownHead>();
  /** Their certificates count no more. What they said is kept in case that another makes them members again, and is told to nobody. */
  readonly #uncounted = new Set<NodeId>();
  /** Hashes of leaf certificates: what is known need not be verified. */
  readonly #leaves = new Map<NodeId, string>();
  readonly #knownLeaves = new Map<string, NodeId>();
  #digest: RegistryDigest;
  /** What was loaded; `undefined` before anything was. */
  #meshId: MeshId | 'none' | undefined;
  #isOwnStale = true;

  constructor(parts: RegistryStateParts) {
    this.#parts = parts;
    this.#digest = new RegistryDigest(parts.digest);
  }

  get revision(): number {
    return this.#revision;
  }

  onChange(listen: () => void): () => void {
    this.#listeners.add(listen);
    return () => void this.#listeners.delete(listen);
  }

  get digest(): RegistryDigest {
    this.load();
    return this.#digest;
  }

  /** Where this is another mesh than was read, or the first. */
  load(): void {
    const { store, self, seal, digest, revocations } = this.#parts;
    const meshId = self.mesh()?.id ?? 'none';
    if (this.#meshId === meshId) return;
    this.#meshId = meshId;
    this.index.clear();
    this.#heads.clear();
    this.#uncounted.clear();
    this.#leaves.clear();
    this.#knownLeaves.clear();
    this.#digest = new RegistryDigest(digest);
    // What a mesh told that this node was removed from is nobody's word any more.
    if (meshId === 'none') return this.#changed();
    for (const { head, signedHead: signed } of store.read.registryHeads()) this.#heads.set(head.nodeId, { head: seal.readHead(signed), signed, hash: seal.hash(signed.payload) });
    for (const { registration, hash } of store.read.registrations()) this.index.add(registration, hash);
    this.#changed();
    for (const member of store.read.members()) this.#enter(member.nodeId, member);
    for (const nodeId of revocations?.revoked() ?? []) this.#enter(nodeId, store.read.member(nodeId));
    this.#enter(self.nodeId, undefined);
  }

  /** Own agents have changed. */
  ownChanged(): void {
    this.#isOwnStale = true;
    this.#changed();
  }

  /** What other nodes told of theirs. */
  told(): { all(): Iterable<Indexed>; ofAgent(agent: string): Iterable<Indexed> } {
    this.load();
    const { self } = this.#parts;
    const isOthers = ({ registration: { nodeId } }: Indexed): boolean => nodeId !== self.nodeId && !this.#uncounted.has(nodeId);
    return {
      all: () => [...this.index.all()].filter(isOthers),
      ofAgent: (agent) => [...this.index.ofAgent(agent)].filter(isOthers),
    };
  }

  ownAgents(): RegistryIndex {
    if (!this.#isOwnStale) return this.own;
    this.#isOwnStale = false;
    this.own.clear();
    for (const registration of this.#parts.store.read.ownRegistrations()) this.own.add(registration, registration.address);
    return this.own;
  }

  head(nodeId: NodeId): KnownHead | undefined {
    this.load();
    return this.#heads.get(nodeId);
  }

  heads(): Iterable<KnownHead> {
    this.load();
    return this.#heads.values();
  }

  /** It is committed. */
  applied(known: KnownHead, added: readonly StoredRegistration[], gone: readonly string[]): void {
    const { nodeId } = known.head;
    this.#heads.set(nodeId, known);
    for (const hash of gone) this.index.delete(nodeId, hash);
    for (const { registration, hash } of added) this.index.add(registration, hash);
    this.memberChanged(nodeId);
  }

  /** Certificate, departure or revocation of that node are other than before. */
  memberChanged(nodeId: NodeId): void {
    this.load();
    this.#changed();
    if (this.#meshId !== 'none') this.#enter(nodeId, nodeId === this.#parts.self.nodeId ? undefined : this.#parts.store.read.member(nodeId));
  }

  /** Of which node that very certificate is the one that is known: it was verified when it came. */
  nodeOfLeaf({ leaf }: CertificateChain): NodeId | undefined {
    this.load();
    return this.#knownLeaves.get(this.#parts.seal.hash(leaf));
  }

  /** The same of one that was removed by more than one word; of others `entry`. */
  entries(nodeId: NodeId): readonly RegistryEntry[] {
    const words = this.#parts.revocations?.revocations(nodeId) ?? [];
    return words.length > 0 ? words.map((revocation) => ({ revocation })) : [this.entry(nodeId)].filter((each) => each !== undefined);
  }

  /** All that is known of a node besides its records; undefined for nothing. */
  entry(nodeId: NodeId): RegistryEntry | undefined {
    const { store, self, revocations } = this.#parts;
    const [revocation] = revocations?.revocations(nodeId) ?? [];
    // All else of it counts no more.
    if (revocation !== undefined) return { revocation };
    const member = nodeId === self.nodeId ? store.read.membership() : store.read.member(nodeId);
    // Of one whose certificate counts no more, say since it was removed with the issuer that let it in: others that never knew it don't believe that.
    if (this.#uncounted.has(nodeId) || (member !== undefined && 'removed' in member)) return undefined;
    const departure = member !== undefined && 'left' in member ? member.left?.record : undefined;
    const head = departure === undefined ? this.head(nodeId)?.signed : undefined;
    if (member === undefined && head === undefined) return undefined;
    return {
      ...(member === undefined ? {} : { chain: member.chain }),
      ...(head === undefined ? {} : { head }),
      ...(departure === undefined ? {} : { departure }),
    };
  }

  /** Whether what that node says of itself counts. */
  isMember(nodeId: NodeId): boolean {
    const member = this.#parts.store.read.member(nodeId);
    return member !== undefined && this.isIn(member);
  }

  /** The same of one at hand. */
  isIn(member: Member): boolean {
    return belongs(member) && this.#parts.counts(member);
  }

  /** Whether that node is known by a certificate that counts no more: any other that does takes its place. */
  isUncounted(nodeId: NodeId): boolean {
    const member = this.#parts.store.read.member(nodeId);
    return member !== undefined && !this.#parts.counts(member);
  }

  #changed(): void {
    this.#revision += 1;
    for (const listen of this.#listeners) listen();
  }

  #enter(nodeId: NodeId, member: Member | undefined): void {
    const { store, self, seal, revocations, counts } = this.#parts;
    const words = revocations?.revocations(nodeId) ?? [];
    const revocation = words.length === 0 ? undefined : Buffer.concat(words.map(({ payload }) => payload));
    const isUncounted = member !== undefined && !counts(member);
    if (isUncounted) this.#uncounted.add(nodeId);
    else this.#uncounted.delete(nodeId);
    if (member?.removed !== undefined || revocation !== undefined) this.#forgetSet(nodeId);
    const chain = nodeId === self.nodeId ? store.read.membership()?.chain : (member?.removed === undefined && !isUncounted) || revocation !== undefined ? member?.chain : undefined;
    const head = this.#heads.get(nodeId)?.signed.payload;
    const before = this.#leaves.get(nodeId);
    if (before !== undefined) this.#knownLeaves.delete(before);
    this.#leaves.delete(nodeId);
    // A head that outlived its member says nothing.
    if (chain === undefined && revocation === undefined && (nodeId !== self.nodeId || head === undefined)) return this.#digest.delete(nodeId);
    if (chain !== undefined) {
      const hash = seal.hash(chain.leaf);
      this.#leaves.set(nodeId, hash);
      this.#knownLeaves.set(hash, nodeId);
    }
    this.#digest.set({
      nodeId,
      ...(revocation === undefined ? {} : { revocation }),
      ...(chain === undefined ? {} : { leaf: chain.leaf }),
      ...(head === undefined ? {} : { head }),
      ...(member?.left === undefined ? {} : { departure: member.left.record.payload }),
    });
  }

  /** The store has forgotten it too. */
  #forgetSet(nodeId: NodeId): void {
    this.#heads.delete(nodeId);
    for (const hash of [...this.index.ofNode(nodeId).keys()]) this.index.delete(nodeId, hash);
  }
}
