/**
 * Registrations of other nodes: what is believed of them, and stored. Each change proves itself; whoever brings it is
 * nobody's proof. What does not fit on what is here is fetched, from who told it.
 */
import { isFullyQualified, parseAddress } from '../domain/address.ts';
import { BrokerError, toBrokerError } from '../domain/errors.ts';
import type { NodeId } from '../domain/ids.ts';
import { peerFields } from '../domain/log-fields.ts';
import type { Link, Mesh } from '../domain/mesh-port.ts';
import type { CancelTimer, Clock, Log, RecordSeal } from '../domain/ports.ts';
import type { RegistryChange, SignedRecord } from '../domain/registration.ts';
import { changeOf, longestRecord, mostRecords, shortOf, supersedes } from '../domain/registry-set.ts';
import type { KnownHead } from '../domain/registry-set.ts';
import type { Member, Store, StoredRegistration } from '../domain/store-port.ts';
import type { OwnRegistrations } from './own-registrations.ts';
import type { RegistrySpread } from './registry-spread.ts';
import type { RegistryState } from './registry-state.ts';
import type { Self } from './self.ts';
import { inSlices } from './slices.ts';

/** News may overtake each other: so long what is missing is waited for before it is asked for. */
const overtakenMs = 250;
/** Changes of one owner that wait for one before them. */
const mostWaiting = 16;
const askMs = 10_000;
/** Answers to one question for a set; each brings at least one record. */
const mostPages = mostRecords;

/** `behind`: true, newer, and to be fetched; `unknown`: of no member. */
export type Taken = 'applied' | 'known' | 'stale' | 'behind' | 'unknown';

export interface RegistryIntakeParts {
  readonly store: Store;
  readonly self: Self;
  readonly seal: RecordSeal;
  readonly mesh: () => Mesh;
  readonly clock: Clock;
  readonly log: Log;
  readonly state: RegistryState;
  readonly own: OwnRegistrations;
  readonly spread: RegistrySpread;
  /** Known by other addresses than before. */
  readonly onMembers: (members: readonly Member[]) => void;
  /** A head that was believed says so. */
  readonly onAuthorities: (authorities: Uint8Array, from: NodeId) => void;
}

export class RegistryIntake {
  readonly #parts: RegistryIntakeParts;
  /** One change of an owner after the other. */
  readonly #turns = new Map<NodeId, Promise<unknown>>();
  readonly #waiting = new Map<NodeId, RegistryChange[]>();
  readonly #timers = new Map<NodeId, CancelTimer>();
  readonly #fetching = new Map<NodeId, Promise<Taken>>();

  constructor(parts: RegistryIntakeParts) {
    this.#parts = parts;
  }

  stop(): void {
    for (const cancel of this.#timers.values()) cancel();
    this.#timers.clear();
  }

  /**
   * News, from a peer or a neighbour in gossip. What is new is passed on once.
   * @throws BrokerError `unauthenticated` or `invalid`: forged, and nothing of it was believed
   */
  async heard(change: RegistryChange, from: NodeId): Promise<Taken> {
    const taken = await this.take(change);
    if (taken === 'applied') {
      this.#parts.spread.tell({ type: 'registry_change', change }, from);
      await this.#retry(change, from);
    }
    if (taken === 'behind') this.#await(change, from);
    return taken;
  }

  /** @throws as `heard` */
  async take(change: RegistryChange): Promise<Taken> {
    const { seal, self, state, own } = this.#parts;
    const head = seal.readHead(change.head);
    const { nodeId } = head;
    const claimed: KnownHead = { head, signed: change.head, hash: seal.hash(change.head.payload) };
    if (nodeId === self.nodeId) {
      if (!own.isBehind(claimed)) return 'stale';
      seal.openHead(change.head);
      await own.raise(claimed);
      return 'stale';
    }
    if (!state.isMember(nodeId)) return 'unknown';
    const known = state.head(nodeId);
    if (known?.hash === claimed.hash) return 'known';
    if (!supersedes(claimed, known)) return 'stale';
    seal.openHead(change.head);
    if (head.count > mostRecords || change.records.length > mostRecords) throw forged(nodeId, `a set of more than ${mostRecords} records`);
    return this.#inTurn(nodeId, () => this.#apply(claimed, change));
  }

  /** The newest set of that node as the peer has it. @throws BrokerError as `Link.ask` and `heard` do */
  fetch(nodeId: NodeId, link: Link): Promise<Taken> {
    const underWay = this.#fetching.get(nodeId);
    if (underWay !== undefined) return underWay;
    const fetched = this.#fetch(nodeId, link).finally(() => this.#fetching.delete(nodeId));
    this.#fetching.set(nodeId, fetched);
    return fetched;
  }

  async #fetch(nodeId: NodeId, link: Link): Promise<Taken> {
    const { seal, state } = this.#parts;
    const pool = new Map<string, SignedRecord>();
    for (let page = 0; page < mostPages; page += 1) {
      const have = [...new Set([...state.index.ofNode(nodeId).keys(), ...pool.keys()])].map(shortOf);
      const { change, more } = await link.ask({ type: 'registry_records', nodeId, have }, askMs);
      if (change === undefined) return 'stale';
      const head = seal.openHead(change.head);
      if (head.nodeId !== nodeId) throw forged(nodeId, 'a head of another node');
      const before = pool.size;
      for (const record of change.records) pool.set(this.#hashOf(nodeId, record), record);
      if (!more) {
        const gone = new Set(change.gone);
        const records = [...pool].flatMap(([hash, record]) => (gone.has(shortOf(hash)) ? [] : [record]));
        return this.take({ head: change.head, records, gone: change.gone });
      }
      if (pool.size === before || pool.size > mostRecords) throw forged(nodeId, 'a set that does not end');
    }
    return 'behind';
  }

  async #apply(claimed: KnownHead, change: RegistryChange): Promise<Taken> {
    const { store, state, seal, clock, onMembers } = this.#parts;
    const { head, signed } = claimed;
    const { nodeId } = head;
    const known = state.head(nodeId);
    if (!supersedes(claimed, known)) return 'stale';
    const have = state.index.ofNode(nodeId);
    const told = new Map(change.records.map((record) => [this.#hashOf(nodeId, record), record]));
    const opened = new Map<string, StoredRegistration>();
    await inSlices(clock, told, ([hash, record]) => {
      if (!have.has(hash)) opened.set(hash, { registration: this.#open(nodeId, record), record, hash });
    });
    const result = changeOf(have, { told: [...told.keys()], gone: change.gone }, head, (content) => seal.hash(content));
    if (result === undefined) return 'behind';
    const added = result.added.map((hash) => opened.get(hash)).filter((each) => each !== undefined);
    const removed = new Set(result.removed);
    const kept = [...have.values()].filter(({ hash }) => !removed.has(hash)).map((each) => each.registration.address);
    const addresses = [...kept, ...added.map((each) => each.registration.address)];
    if (new Set(addresses).size !== addresses.length) throw forged(nodeId, 'two registrations of one address');
    const base = known === undefined ? undefined : { epoch: known.head.epoch, version: known.head.version };
    if (!state.isMember(nodeId)) return 'unknown';
    const isSaved = await store.write.saveRegistry({ head, signedHead: signed, base, records: added, gone: result.removed, atMs: clock.now() });
    if (!isSaved) return 'stale';
    state.applied(claimed, added, result.removed);
    if (head.authorities !== undefined) this.#parts.onAuthorities(head.authorities, nodeId);
    if (String(head.addresses) !== String(known?.head.addresses ?? [])) onMembers([store.read.member(nodeId)].filter((each) => each !== undefined));
    return 'applied';
  }

  #open(nodeId: NodeId, record: SignedRecord): StoredRegistration['registration'] {
    const { seal } = this.#parts;
    const registration = seal.openRegistration(record, nodeId);
    if (registration.nodeId !== nodeId) throw forged(nodeId, 'a registration of another node');
    // Its node is called what its certificate says, whatever stands here: that may have been renamed a moment ago.
    if (!isFullyQualified(parseAddress(registration.address))) throw forged(nodeId, `the address ${registration.address}, which is not whole`);
    return registration;
  }

  #hashOf(nodeId: NodeId, { payload }: SignedRecord): string {
    if (payload.length > longestRecord) throw forged(nodeId, `a record of ${payload.length} bytes`);
    return this.#parts.seal.hash(payload);
  }

  #inTurn<Result>(nodeId: NodeId, work: () => Promise<Result>): Promise<Result> {
    const done = (this.#turns.get(nodeId) ?? Promise.resolve()).then(work);
    const over = Promise.allSettled([done]).then(() => {
      if (this.#turns.get(nodeId) === over) this.#turns.delete(nodeId);
    });
    this.#turns.set(nodeId, over);
    return done;
  }

  /** One before it may be on its way; if not, the set is fetched. */
  #await(change: RegistryChange, from: NodeId): void {
    const { nodeId } = this.#parts.seal.readHead(change.head);
    const waiting = this.#waiting.get(nodeId) ?? [];
    this.#waiting.set(nodeId, [...waiting.slice(1 - mostWaiting), change]);
    if (this.#timers.has(nodeId)) return;
    const cancel = this.#parts.clock.setTimer(overtakenMs, () => {
      this.#timers.delete(nodeId);
      void this.#catchUp(nodeId, from);
    });
    this.#timers.set(nodeId, cancel);
  }

  /** Those that waited for the one that was just applied. */
  async #retry(change: RegistryChange, from: NodeId): Promise<void> {
    const { nodeId } = this.#parts.seal.readHead(change.head);
    const waiting = this.#waiting.get(nodeId) ?? [];
    this.#waiting.delete(nodeId);
    for (const each of waiting) {
      const taken = await this.take(each);
      if (taken === 'applied') this.#parts.spread.tell({ type: 'registry_change', change: each }, from);
      if (taken === 'behind') this.#await(each, from);
    }
    if (this.#waiting.has(nodeId)) return;
    this.#timers.get(nodeId)?.();
    this.#timers.delete(nodeId);
  }

  async #catchUp(nodeId: NodeId, from: NodeId): Promise<void> {
    const { mesh, state, spread, log, seal } = this.#parts;
    const waiting = this.#waiting.get(nodeId) ?? [];
    this.#waiting.delete(nodeId);
    const claims = waiting.map(({ head: signed }) => ({ head: seal.readHead(signed), hash: seal.hash(signed.payload) }));
    if (!claims.some((each) => supersedes(each, state.head(nodeId)))) return;
    const link = mesh().link(from) ?? mesh().link(nodeId);
    if (link === undefined) return;
    try {
      const taken = await this.fetch(nodeId, link);
      const head = state.head(nodeId)?.signed;
      if (taken === 'applied' && head !== undefined) spread.tellHead({ head }, from);
    } catch (error) {
      log.debug({ ...peerFields(link.peer), why: toBrokerError(error).message }, `the changed registry of ${nodeId} could not be fetched; the digests find it`);
    }
  }
}

function forged(nodeId: NodeId, what: string): BrokerError {
  return new BrokerError('unauthenticated', `in the name of ${nodeId} came ${what}`);
}
