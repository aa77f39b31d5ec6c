/** Who belongs, as every node comes to know it: certificates that prove themselves, passed on over every link. */
import { flawOfRule } from '../domain/admit-rule.ts';
import type { Act, Audit } from '../domain/audit.ts';
import type { Departure } from '../domain/departure.ts';
import { publicKeyOfNodeId } from '../domain/ids.ts';
import type { MeshId, NodeId } from '../domain/ids.ts';
import { belongs } from '../domain/membership.ts';
import { nameHolders } from '../domain/name-holder.ts';
import type { Roster as RosterMessage } from '../domain/messages.ts';
import type { Link, Mesh } from '../domain/mesh-port.ts';
import type { Clock, Log, RecordSeal } from '../domain/ports.ts';
import type { RegistryEntry, SignedRecord } from '../domain/registration.ts';
import type { Member, Store } from '../domain/store-port.ts';
import { toBrokerError } from '../domain/errors.ts';
import { peerFields } from '../domain/log-fields.ts';
import { pause } from '../domain/pause.ts';
import type { CertificateChain, IssuerProof, PeerIdentity } from '../domain/trust.ts';
import { actOfPeer } from './acts.ts';
import type { Authorities } from './authorities.ts';
import type { Chronicler } from './chronicler.ts';
import { Complaints } from './complaints.ts';
import { InTurn } from './in-turn.ts';
import type { RegistrySpread } from './registry-spread.ts';
import type { RegistryState, Revocations } from './registry-state.ts';
import type { Self } from './self.ts';

/** Members in one message. */
const rosterLimit = 10_000;
const addressLimit = 16;
/** Members that were learned at once and are passed on. */
const mostSpread = 16;
/** How long certificates are verified before something else gets its turn, ms: heartbeats wait for nobody. */
const sliceMs = 3;

export interface RosterParts {
  readonly store: Store;
  readonly self: Self;
  readonly chronicler: Chronicler;
  readonly mesh: () => Mesh;
  readonly state: RegistryState;
  readonly spread: RegistrySpread;
  /** Undefined where nobody judges them: they are passed over. */
  readonly revocations: Revocations | undefined;
  readonly clock: Clock;
  readonly log: Log;
  /** Undefined: what is not believed is recorded nowhere. */
  readonly audit?: Audit;
  /** Against this mesh's root, as of now or, when it has ended, of its end. @throws BrokerError `unauthenticated` */
  readonly recognise: (chain: CertificateChain) => PeerIdentity;
  readonly seal: RecordSeal;
  readonly ownAddresses: () => readonly string[];
  /** Members became known, or known by other addresses: they may be dialled. */
  readonly onMembers: (members: readonly Member[]) => void;
  /** Whether an issuer made it that was removed since: it replaces none that another made. */
  readonly isFallen: (chain: CertificateChain) => boolean;
  /** Others have a newer certificate of this node. */
  readonly onOwnChain: (chain: CertificateChain, identity: PeerIdentity) => Promise<void>;
  /** A member has left. */
  readonly onLeft: (nodeId: NodeId) => Promise<void>;
  /** What proves this node to be an issuer; undefined when it is none. */
  readonly issuerProof: () => IssuerProof | undefined;
  readonly authorities: () => Pick<Authorities, 'linkUp' | 'heard'>;
  /** Whether that proves the node to be an issuer of this mesh. */
  readonly isIssuer: (nodeId: NodeId, proof: IssuerProof) => boolean;
}

type Card = RosterMessage['members'][number];

/** What the certificates of one turn say. */
interface Slice {
  readonly learned: Member[];
  /** Those of them that are known by a certificate which counts less, whatever its time. */
  readonly outranked: NodeId[];
  /** Of this node. */
  readonly own: { readonly chain: CertificateChain; readonly identity: PeerIdentity }[];
  next: number;
}

export class Roster {
  readonly #parts: RosterParts;
  readonly #complaints: Complaints;
  /** What the peer of each link proved to be an issuer by. Asked again whenever it counts: its key may have been removed since. */
  readonly #proofs = new WeakMap<Link, IssuerProof>();
  /** One after the other, so that no older word is stored after a newer one. */
  readonly #turns = new InTurn();

  constructor(parts: RosterParts) {
    this.#parts = parts;
    this.#complaints = new Complaints(parts.clock, parts.log);
  }

  /** A newcomer may be unknown to whom it links with; all others are found by comparing what both know. */
  linkUp(link: Link): void {
    const membership = this.#parts.store.read.membership();
    if (membership === undefined) return;
    // First: who knows of no other root may not believe what follows.
    this.#parts.authorities().linkUp(link);
    link.send({ type: 'roster', members: [{ chain: membership.chain, addresses: this.#parts.ownAddresses() }], ...this.#admission(link) });
  }

  /** This node has a new certificate, or gave members theirs. */
  announce(members: readonly Member[] = []): void {
    const { store, self, state, spread, onMembers } = this.#parts;
    const membership = store.read.membership();
    if (membership === undefined) return;
    if (members.length > 0) onMembers(members);
    else state.memberChanged(self.nodeId);
    for (const { chain } of members.length > 0 ? members : [membership]) spread.tell({ type: 'registry_entry', entry: { chain } });
  }

  /** Verified already. Written down, and passed on once. Returns how many were new. */
  async departed(departures: readonly { readonly departure: Departure; readonly record: SignedRecord }[], from?: NodeId): Promise<number> {
    const { store, chronicler, log, spread, onMembers, onLeft } = this.#parts;
    if (departures.length === 0) return 0;
    const { heard, gone } = await store.write.saveDepartures({ stamp: chronicler.stamp(), act: this.#actOf(from), departures });
    onMembers(departures.map(({ departure }) => store.read.member(departure.nodeId)).filter((each) => each !== undefined));
    for (const { departure, record } of departures) {
      const { nodeId } = departure;
      if (!heard.includes(nodeId)) continue;
      const name = store.read.member(nodeId)?.name ?? nodeId;
      if (gone.includes(nodeId)) log.info(peerFields({ name, nodeId }), `${name} left the mesh`);
      spread.tell({ type: 'registry_entry', entry: { departure: record } }, from);
    }
    for (const nodeId of gone) await onLeft(nodeId);
    return heard.length;
  }

  /**
   * What others know of members, besides their heads. What is new is passed on once.
   * @returns how many of them said something new
   */
  entries(entries: readonly RegistryEntry[], from: NodeId): Promise<number> {
    return this.#turns.run(async () => {
      const cards = entries.flatMap(({ chain }) => (chain === undefined ? [] : [{ chain, addresses: [] }]));
      const learned = await this.#cards(cards, from);
      const departed = await this.#departures(entries.flatMap(({ departure }) => departure ?? []), from);
      return learned + departed + (await this.#revocations(entries, from));
    });
  }

  /** Each in its node's own words: whoever passes them on is not believed. */
  async #departures(records: readonly SignedRecord[], from: NodeId): Promise<number> {
    const { store, seal, self } = this.#parts;
    const keyOf = (nodeId: NodeId): Uint8Array | undefined => (store.read.member(nodeId) === undefined ? undefined : publicKeyOfNodeId(nodeId));
    const known = records.flatMap((record) => {
      try {
        const departure = seal.openDeparture(record, keyOf);
        return departure.nodeId === self.nodeId || this.#isKnown(departure, record) ? [] : [{ departure, record }];
      } catch (error) {
        this.#disbelieved(from, 'departure', error);
        return [];
      }
    });
    return this.departed(known, from);
  }

  #isKnown({ nodeId }: Departure, { payload }: SignedRecord): boolean {
    const left = this.#parts.store.read.member(nodeId)?.left?.record.payload;
    return left !== undefined && this.#parts.seal.hash(left) === this.#parts.seal.hash(payload);
  }

  async #revocations(entries: readonly RegistryEntry[], from: NodeId): Promise<number> {
    const { revocations, spread } = this.#parts;
    let fresh = 0;
    for (const { revocation } of entries) {
      if (revocation === undefined || revocations === undefined) continue;
      try {
        if (!(await revocations.received(revocation, this.#actOf(from)))) continue;
        fresh += 1;
        spread.tell({ type: 'registry_entry', entry: { revocation } }, from);
      } catch (error) {
        this.#disbelieved(from, 'revocation', error);
      }
    }
    return fresh;
  }

  /** Other issuers are to know the rules of admission too. */
  rulesChanged(): void {
    for (const link of this.#parts.mesh().links()) this.#tellRules(link);
  }

  received(link: Link, message: RosterMessage): Promise<void> {
    return this.#turns.run(async () => {
      if (message.authorities !== undefined) await this.#parts.authorities().heard(message.authorities, link.peer.nodeId);
      await this.#cards(message.members, link.peer.nodeId);
      if (message.admission !== undefined) await this.#rules(link, message.admission);
    });
  }

  /** Of who brought it; what it brought proves itself. */
  #actOf(from: NodeId | undefined): Act | undefined {
    const link = from === undefined ? undefined : this.#parts.mesh().link(from);
    return link === undefined ? undefined : actOfPeer(link);
  }

  #tellRules(link: Link): void {
    const admission = this.#admission(link);
    if (admission !== undefined) link.send({ type: 'roster', members: [], ...admission });
  }

  /**
   * Undefined on a node that lets nobody in. All may know that this one does; whom it lets in is for those who let in too, and for its own
   * person: rules have people's names in them.
   */
  #admission(link: Link): Pick<RosterMessage, 'admission'> | undefined {
    const { store, self, issuerProof, isIssuer } = this.#parts;
    const { peer } = link;
    const proof = issuerProof();
    if (proof === undefined) return undefined;
    const theirs = this.#proofs.get(link);
    const mayKnow = peer.owner === self.owner() || (theirs !== undefined && isIssuer(peer.nodeId, theirs));
    return { admission: { rules: mayKnow ? store.read.admitRules() : [], proof } };
  }

  /** Whoever can let nodes in by itself may as well say whom others let in. */
  async #rules(link: Link, { rules, proof }: NonNullable<RosterMessage['admission']>): Promise<void> {
    const { store, chronicler, isIssuer, log } = this.#parts;
    if (!isIssuer(link.peer.nodeId, proof)) {
      log.warn(peerFields(link.peer), 'a node that is no issuer sent rules of admission: not believed');
      return;
    }
    if (store.read.member(link.peer.nodeId)?.issuerDer === undefined) await store.write.saveIssuer({ nodeId: link.peer.nodeId, certificate: proof.certificate });
    const isFirst = !this.#proofs.has(link);
    this.#proofs.set(link, proof);
    // It is one of those who may know them, from now on.
    if (isFirst) this.#tellRules(link);
    if (rules.length === 0) return;
    const added = await store.write.addAdmitRules({ stamp: chronicler.stamp(), act: actOfPeer(link), rules: rules.filter((rule) => flawOfRule(rule) === undefined) });
    if (added.length > 0) log.info({ ...peerFields(link.peer), rules: added.map(({ kind, value }) => `${kind} ${value}`) }, 'rules of admission came from another issuer');
  }

  async #cards(given: readonly Card[], from: NodeId): Promise<number> {
    const { self, clock, onOwnChain } = this.#parts;
    const meshId = self.mesh()?.id;
    const cards = given.slice(0, rosterLimit);
    let learned = 0;
    for (let next = 0; next < cards.length; ) {
      const slice = this.#verifySlice(from, cards, next);
      next = slice.next;
      for (const { chain, identity } of slice.own) await onOwnChain(chain, identity);
      if (slice.learned.length > 0) learned += await this.#learn(slice, from, meshId);
      else if (next < cards.length) await pause(clock, 0);
    }
    return learned;
  }

  /** Synchronous, and as long as a turn may take. */
  #verifySlice(teller: NodeId, cards: readonly Card[], from: number): Slice {
    const { clock } = this.#parts;
    const untilMs = clock.monotonic() + sliceMs;
    const slice: Slice = { learned: [], outranked: [], own: [], next: from };
    do {
      const card = cards[slice.next];
      slice.next += 1;
      if (card !== undefined) this.#look(teller, card, slice);
    } while (slice.next < cards.length && clock.monotonic() < untilMs);
    return slice;
  }

  /** What is known was verified when it came. */
  #look(from: NodeId, { chain, addresses }: Card, slice: Slice): void {
    const { store, self, state, isFallen } = this.#parts;
    const same = state.nodeOfLeaf(chain);
    const isMoved = same === from && addresses.length > 0;
    if (same === self.nodeId || (same !== undefined && !isMoved)) return;
    const known = same === undefined ? undefined : store.read.member(same);
    const identity = known === undefined ? this.#verified(from, chain) : undefined;
    const seen = known ?? identity;
    if (seen === undefined) return;
    const knownBy = identity === undefined ? undefined : identity.nodeId === self.nodeId ? store.read.membership()?.chain : store.read.member(identity.nodeId)?.chain;
    const [isOfFallen, wasOfFallen] = knownBy === undefined ? [false, false] : [isFallen(chain), isFallen(knownBy)];
    // Unless what is known counts no more.
    if (isOfFallen && !wasOfFallen && (identity === undefined || identity.nodeId === self.nodeId || !state.isUncounted(identity.nodeId))) return;
    if (identity?.nodeId === self.nodeId) slice.own.push({ chain, identity });
    if (seen.nodeId === self.nodeId) return;
    const { nodeId, name, owner, notBeforeMs, namedSinceMs } = seen;
    const before = known ?? store.read.member(nodeId);
    // Only a node itself moves its addresses; another's word counts for a node not known yet.
    const kept = (nodeId === from && addresses.length > 0) || before === undefined || before.addresses.length === 0 ? addresses.slice(0, addressLimit) : before.addresses;
    if (known !== undefined && String(kept) === String(known.addresses)) return;
    if (wasOfFallen && !isOfFallen) slice.outranked.push(nodeId);
    slice.learned.push({ nodeId, name, owner, chain, notBeforeMs, ...(namedSinceMs === undefined ? {} : { namedSinceMs }), addresses: kept });
  }

  async #learn({ learned, outranked }: Slice, from: NodeId, meshId: MeshId | undefined): Promise<number> {
    const { store, chronicler, state, spread, onMembers } = this.#parts;
    // Who knows a later one that counts no more, or less, would have to go without that node.
    const instead = [...outranked, ...learned.map(({ nodeId }) => nodeId).filter((nodeId) => state.isUncounted(nodeId))];
    const fresh = new Set(await store.write.saveMembers({ stamp: chronicler.stamp(), act: this.#actOf(from), members: learned, instead, ...(meshId === undefined ? {} : { meshId }) }));
    const news = learned.filter((each) => fresh.has(each.nodeId));
    const stored = news.map((each) => store.read.member(each.nodeId)).filter((each) => each !== undefined);
    if (stored.length > 0) onMembers(stored);
    this.#tellOfNames(stored.filter(belongs));
    // More than a few are not news but what a node that was away catches up with.
    if (news.length <= mostSpread) for (const { chain } of news) spread.tell({ type: 'registry_entry', entry: { chain } }, from);
    return news.length;
  }

  /** Two issuers, each out of the other's sight, may grant one name. */
  #tellOfNames(news: readonly Member[]): void {
    const { self, log } = this.#parts;
    for (const each of news) {
      if (each.name !== self.name()) continue;
      const own = { nodeId: self.nodeId, name: self.name(), notBeforeMs: self.namedSinceMs() };
      if (nameHolders([own, each]).get(each.name) === self.nodeId) continue;
      log.warn(peerFields(each), `another node was called ${each.name} before this one: this one is found by its id only, ${self.nodeId}; beckon mesh rename OTHER gives it another name`);
    }
  }

  /** Also one that has ended: all are to know of the same members, and its node is let in by none of them. */
  #verified(from: NodeId, chain: CertificateChain): (PeerIdentity & { readonly nodeId: NodeId }) | undefined {
    try {
      return this.#parts.recognise(chain);
    } catch (error) {
      this.#disbelieved(from, 'member', error);
      return undefined;
    }
  }

  /** Of a member two honest nodes may think differently, for a while: one has not heard of a removal yet. */
  #disbelieved(from: NodeId, what: 'departure' | 'revocation' | 'member', error: unknown): void {
    const { code, message } = toBrokerError(error);
    const peer = { nodeId: from, name: this.#parts.store.read.member(from)?.name ?? from };
    // A revocation is in the audit by whoever judged it.
    const act = what === 'departure' ? this.#actOf(from) : undefined;
    if (act !== undefined) this.#parts.audit?.refused({ kind: 'record.refused', about: { what, why: message } }, act);
    this.#complaints.tell({ peer, kind: what, level: what === 'member' ? 'info' : 'warn', fields: { code, why: message }, message: `a ${what} that a peer told of was not believed` });
  }
}
