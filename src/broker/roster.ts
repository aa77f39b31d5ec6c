/** Who belongs, as every node comes to know it: certificates that prove themselves, passed on over every link. */
import { flawOfRule } from '../domain/admit-rule.ts';
import type { Departure } from '../domain/departure.ts';
import type { MeshId, NodeId } from '../domain/ids.ts';
import { belongs } from '../domain/membership.ts';
import { nameHolders } from '../domain/name-holder.ts';
import type { Roster as RosterMessage } from '../domain/messages.ts';
import type { Link, Mesh } from '../domain/mesh-port.ts';
import type { Clock, Log, RecordSeal } from '../domain/ports.ts';
import type { SignedRecord } from '../domain/registration.ts';
import type { Member, Store } from '../domain/store-port.ts';
import { toBrokerError } from '../domain/errors.ts';
import type { CertificateChain, IssuerProof, PeerIdentity } from '../domain/trust.ts';
import type { Chronicler } from './chronicler.ts';
import type { Self } from './self.ts';

/** Members in one message. */
const rosterLimit = 10_000;
const addressLimit = 16;
/** How long certificates are verified before something else gets its turn, ms: heartbeats wait for nobody. */
const sliceMs = 3;

export interface RosterParts {
  readonly store: Store;
  readonly self: Self;
  readonly chronicler: Chronicler;
  readonly mesh: () => Mesh;
  readonly clock: Clock;
  readonly log: Log;
  /** Against this mesh's root, now. @throws BrokerError `unauthenticated` */
  readonly verify: (chain: CertificateChain) => PeerIdentity;
  readonly seal: RecordSeal;
  readonly ownAddresses: () => readonly string[];
  /** Members became known, or known by other addresses: they may be dialled. */
  readonly onMembers: (members: readonly Member[]) => void;
  /** Others have a newer certificate of this node. */
  readonly onOwnChain: (chain: CertificateChain, identity: PeerIdentity) => Promise<void>;
  /** A member has left. */
  readonly onLeft: (nodeId: NodeId) => Promise<void>;
  /** What proves this node to be an issuer; undefined when it is none. */
  readonly issuerProof: () => IssuerProof | undefined;
  /** Whether that proves the node to be an issuer of this mesh. */
  readonly isIssuer: (nodeId: NodeId, proof: IssuerProof) => boolean;
}

type Card = RosterMessage['members'][number];

/** What the certificates of one turn say. */
interface Slice {
  readonly learned: Member[];
  /** Of this node. */
  readonly own: { readonly chain: CertificateChain; readonly identity: PeerIdentity }[];
  next: number;
}

export class Roster {
  readonly #parts: RosterParts;
  /** One after the other, so that no older word is stored after a newer one. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(parts: RosterParts) {
    this.#parts = parts;
  }

  linkUp(link: Link): void {
    const { store, self, ownAddresses } = this.#parts;
    const membership = store.read.membership();
    if (membership === undefined) return;
    const others = store.read.members().filter((each) => each.nodeId !== self.nodeId);
    // One that left and is back shows its new certificate itself.
    const departures = others.flatMap(({ left, removed, nodeId }) => (left === undefined || removed !== undefined || nodeId === link.peer.nodeId ? [] : [left.record]));
    link.send({
      type: 'roster',
      members: [
        { chain: membership.chain, addresses: ownAddresses() },
        ...others.filter(belongs).map(({ chain, addresses }) => ({ chain, addresses })),
      ],
      ...this.#admission(),
      ...(departures.length === 0 ? {} : { departures }),
    });
  }

  /** This node has a new certificate or is dialled elsewhere from now on, or gave members theirs. */
  announce(members: readonly Member[] = []): void {
    const { store, mesh, ownAddresses } = this.#parts;
    const membership = store.read.membership();
    if (membership === undefined) return;
    if (members.length > 0) this.#parts.onMembers(members);
    const own = { chain: membership.chain, addresses: ownAddresses() };
    for (const link of mesh().links()) {
      const told = members.filter(({ nodeId }) => nodeId !== link.peer.nodeId);
      if (members.length === 0 || told.length > 0) link.send({ type: 'roster', members: members.length === 0 ? [own] : told.map(({ chain, addresses }) => ({ chain, addresses })) });
    }
  }

  /** Verified already. Written down, and passed on once. */
  async departed(departures: readonly { readonly departure: Departure; readonly record: SignedRecord }[], from?: Link): Promise<void> {
    const { store, chronicler, mesh, log, onMembers, onLeft } = this.#parts;
    const gone = new Set(await store.write.saveDepartures({ stamp: chronicler.stamp(), departures }));
    if (gone.size === 0) return;
    const members = [...gone].map((nodeId) => store.read.member(nodeId)).filter((each) => each !== undefined);
    for (const { name, nodeId } of members) log.info({ peer: name, nodeId }, `${name} left the mesh`);
    onMembers(members);
    const records = departures.filter(({ departure }) => gone.has(departure.nodeId));
    for (const link of mesh().links()) {
      const told = records.filter(({ departure }) => departure.nodeId !== link.peer.nodeId).map(({ record }) => record);
      if (link !== from && told.length > 0) link.send({ type: 'roster', members: [], departures: told });
    }
    for (const nodeId of gone) await onLeft(nodeId);
  }

  /** Each in its node's own words: whoever passes them on is not believed. */
  async #departures(link: Link, records: readonly SignedRecord[]): Promise<void> {
    const { store, seal, self, verify, log } = this.#parts;
    const keyOf = (nodeId: NodeId): Uint8Array | undefined => {
      const member = store.read.member(nodeId);
      return member === undefined ? undefined : verify(member.chain).publicKey;
    };
    const known = records.flatMap((record) => {
      try {
        const departure = seal.openDeparture(record, keyOf);
        return departure.nodeId === self.nodeId ? [] : [{ departure, record }];
      } catch (error) {
        log.debug({ peer: link.peer.name, why: toBrokerError(error).message }, 'a departure in a roster was not believed');
        return [];
      }
    });
    await this.departed(known, link);
  }

  /** Other issuers are to know the rules of admission too. */
  rulesChanged(): void {
    const admission = this.#admission();
    if (admission !== undefined) for (const link of this.#parts.mesh().links()) link.send({ type: 'roster', members: [], ...admission });
  }

  received(link: Link, message: RosterMessage): Promise<void> {
    const taken = this.#last.then(() => this.#take(link, message));
    // Whoever hands it over hears of its failure; the next one goes on.
    this.#last = Promise.allSettled([taken]);
    return taken;
  }

  /** Undefined on a node that lets nobody in. */
  #admission(): Pick<RosterMessage, 'admission'> | undefined {
    const proof = this.#parts.issuerProof();
    const rules = this.#parts.store.read.admitRules();
    return proof === undefined ? undefined : { admission: { rules, proof } };
  }

  /** Whoever can let nodes in by itself may as well say whom others let in. */
  async #rules(link: Link, { rules, proof }: NonNullable<RosterMessage['admission']>): Promise<void> {
    const { store, chronicler, isIssuer, log } = this.#parts;
    if (!isIssuer(link.peer.nodeId, proof)) {
      log.warn({ peer: link.peer.name }, 'a node that is no issuer sent rules of admission: not believed');
      return;
    }
    if (store.read.member(link.peer.nodeId)?.issuerDer === undefined) await store.write.saveIssuer({ nodeId: link.peer.nodeId, certificate: proof.certificate });
    if (rules.length === 0) return;
    const added = await store.write.addAdmitRules({ stamp: chronicler.stamp(), rules: rules.filter((rule) => flawOfRule(rule) === undefined) });
    if (added.length > 0) log.info({ peer: link.peer.name, rules: added.map(({ kind, value }) => `${kind} ${value}`) }, 'rules of admission came from another issuer');
  }

  async #take(link: Link, message: RosterMessage): Promise<void> {
    const { store, self, clock, onOwnChain } = this.#parts;
    const meshId = self.mesh()?.id;
    const cards = message.members.slice(0, rosterLimit);
    const stored = new Map(store.read.members().map((each) => [keyOf(each.chain), each]));
    for (let next = 0; next < cards.length; ) {
      const slice = this.#verifySlice(link, cards, next, stored);
      next = slice.next;
      for (const { chain, identity } of slice.own) await onOwnChain(chain, identity);
      if (slice.learned.length > 0) await this.#learn(link, slice.learned, meshId);
      else if (next < cards.length) await new Promise<void>((resolve) => void clock.setTimer(0, resolve));
    }
    if (message.admission !== undefined) await this.#rules(link, message.admission);
    if (message.departures !== undefined) await this.#departures(link, message.departures);
  }

  /** Synchronous, and as long as a turn may take. */
  #verifySlice(link: Link, cards: readonly Card[], from: number, stored: ReadonlyMap<string, Member>): Slice {
    const { clock } = this.#parts;
    const untilMs = clock.monotonic() + sliceMs;
    const slice: Slice = { learned: [], own: [], next: from };
    do {
      const card = cards[slice.next];
      slice.next += 1;
      if (card !== undefined) this.#look(link, card, stored.get(keyOf(card.chain)), slice);
    } while (slice.next < cards.length && clock.monotonic() < untilMs);
    return slice;
  }

  /** What is stored was verified when it came. */
  #look(link: Link, { chain, addresses }: Card, same: Member | undefined, slice: Slice): void {
    const { store, self } = this.#parts;
    if (same?.removed !== undefined) return;
    const identity = same === undefined ? this.#verified(link, chain) : undefined;
    if (identity?.nodeId === self.nodeId) slice.own.push({ chain, identity });
    const seen = same ?? identity;
    if (seen === undefined || seen.nodeId === self.nodeId) return;
    const { nodeId, name, owner, notBeforeMs } = seen;
    const isItself = nodeId === link.peer.nodeId;
    const known = same ?? store.read.member(nodeId);
    // Only a node itself moves its addresses; another's word counts for a node not known yet.
    const kept = isItself || known === undefined || known.addresses.length === 0 ? addresses.slice(0, addressLimit) : known.addresses;
    if (same !== undefined && String(kept) === String(same.addresses)) return;
    slice.learned.push({ nodeId, name, owner, chain, notBeforeMs, addresses: kept });
  }

  async #learn(link: Link, learned: readonly Member[], meshId: MeshId | undefined): Promise<void> {
    const { store, chronicler, mesh, onMembers } = this.#parts;
    const fresh = new Set(await store.write.saveMembers({ stamp: chronicler.stamp(), members: learned, ...(meshId === undefined ? {} : { meshId }) }));
    const news = learned.filter((each) => fresh.has(each.nodeId) && belongs(store.read.member(each.nodeId) ?? each));
    if (news.length === 0) return;
    onMembers(news);
    this.#tellOfNames(news);
    for (const other of mesh().links()) {
      const told = news.filter((each) => each.nodeId !== other.peer.nodeId);
      if (other !== link && told.length > 0) other.send({ type: 'roster', members: told.map(({ chain, addresses }) => ({ chain, addresses })) });
    }
  }

  /** Two issuers, each out of the other's sight, may grant one name. */
  #tellOfNames(news: readonly Member[]): void {
    const { self, log } = this.#parts;
    for (const each of news) {
      if (each.name !== self.name()) continue;
      const own = { nodeId: self.nodeId, name: self.name(), notBeforeMs: self.certifiedAtMs() };
      if (nameHolders([own, each]).get(each.name) === self.nodeId) continue;
      log.warn({ name: each.name, nodeId: each.nodeId }, `another node was called ${each.name} before this one: this one is found by its id only, ${self.nodeId}; beckon mesh rename OTHER gives it another name`);
    }
  }

  /** A certificate that has ended is no offence of the peer that still lists it. */
  #verified(link: Link, chain: CertificateChain): (PeerIdentity & { readonly nodeId: NodeId }) | undefined {
    try {
      return this.#parts.verify(chain);
    } catch (error) {
      this.#parts.log.debug({ peer: link.peer.name, why: toBrokerError(error).message }, 'a member in a roster was not believed');
      return undefined;
    }
  }
}

const latin1 = new TextDecoder('latin1');

function keyOf({ leaf, issuer }: CertificateChain): string {
  return `${latin1.decode(leaf)} ${latin1.decode(issuer)}`;
}
