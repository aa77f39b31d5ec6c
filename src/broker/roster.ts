/** Who belongs, as every node comes to know it: certificates that prove themselves, passed on over every link. */
import { flawOfRule } from '../domain/admit-rule.ts';
import type { NodeId } from '../domain/ids.ts';
import type { Roster as RosterMessage } from '../domain/messages.ts';
import type { Link, Mesh } from '../domain/mesh-port.ts';
import type { Clock, Log } from '../domain/ports.ts';
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
  readonly ownAddresses: () => readonly string[];
  /** Members became known, or known by other addresses: they may be dialled. */
  readonly onMembers: (members: readonly Member[]) => void;
  /** What proves this node to be an issuer; undefined when it is none. */
  readonly issuerProof: () => IssuerProof | undefined;
  /** Whether that proves the node to be an issuer of this mesh. */
  readonly isIssuer: (nodeId: NodeId, proof: IssuerProof) => boolean;
}

type Card = RosterMessage['members'][number];

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
    link.send({
      type: 'roster',
      members: [
        { chain: membership.chain, addresses: ownAddresses() },
        ...others.map(({ chain, addresses }) => ({ chain, addresses })),
      ],
      ...this.#admission(),
    });
  }

  /** Peers dial this node elsewhere from now on: they are told over the links that are there. */
  addressesChanged(): void {
    const { store, mesh, ownAddresses } = this.#parts;
    const membership = store.read.membership();
    if (membership === undefined) return;
    for (const link of mesh().links()) link.send({ type: 'roster', members: [{ chain: membership.chain, addresses: ownAddresses() }] });
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

  /** Undefined on a node that lets nobody in, or has no rules yet. */
  #admission(): Pick<RosterMessage, 'admission'> | undefined {
    const proof = this.#parts.issuerProof();
    const rules = this.#parts.store.read.admitRules();
    return proof === undefined || rules.length === 0 ? undefined : { admission: { rules, proof } };
  }

  /** Whoever can let nodes in by itself may as well say whom others let in. */
  async #rules(link: Link, { rules, proof }: NonNullable<RosterMessage['admission']>): Promise<void> {
    const { store, chronicler, isIssuer, log } = this.#parts;
    if (!isIssuer(link.peer.nodeId, proof)) {
      log.warn({ peer: link.peer.name }, 'a node that is no issuer sent rules of admission: not believed');
      return;
    }
    const added = await store.write.addAdmitRules({ stamp: chronicler.stamp(), rules: rules.filter((rule) => flawOfRule(rule) === undefined) });
    if (added.length > 0) log.info({ peer: link.peer.name, rules: added.map(({ kind, value }) => `${kind} ${value}`) }, 'rules of admission came from another issuer');
  }

  async #take(link: Link, message: RosterMessage): Promise<void> {
    if (message.admission !== undefined) await this.#rules(link, message.admission);
    const cards = message.members.slice(0, rosterLimit);
    const stored = new Map(this.#parts.store.read.members().map((each) => [keyOf(each.chain), each]));
    for (let next = 0; next < cards.length; ) {
      const slice = this.#verifySlice(link, cards, next, stored);
      next = slice.next;
      if (slice.learned.length > 0) await this.#learn(link, slice.learned);
      else if (next < cards.length) await new Promise<void>((resolve) => void this.#parts.clock.setTimer(0, resolve));
    }
  }

  /** Synchronous, and as long as a turn may take. */
  #verifySlice(link: Link, cards: readonly Card[], from: number, stored: ReadonlyMap<string, Member>): { readonly learned: Member[]; readonly next: number } {
    const { clock } = this.#parts;
    const untilMs = clock.monotonic() + sliceMs;
    const learned: Member[] = [];
    let next = from;
    do {
      const card = cards[next];
      next += 1;
      const member = card === undefined ? undefined : this.#memberOf(link, card, stored.get(keyOf(card.chain)));
      if (member !== undefined) learned.push(member);
    } while (next < cards.length && clock.monotonic() < untilMs);
    return { learned, next };
  }

  /** Undefined when there is nothing to learn of it. What is stored was verified when it came. */
  #memberOf(link: Link, { chain, addresses }: Card, same: Member | undefined): Member | undefined {
    const { store, self } = this.#parts;
    const identity = same ?? this.#verified(link, chain);
    if (identity === undefined || identity.nodeId === self.nodeId) return undefined;
    const { nodeId, name, owner, notBeforeMs } = identity;
    const isItself = nodeId === link.peer.nodeId;
    const known = same ?? store.read.member(nodeId);
    // Only a node itself moves its addresses; another's word counts for a node not known yet.
    const kept = isItself || known === undefined || known.addresses.length === 0 ? addresses.slice(0, addressLimit) : known.addresses;
    if (same !== undefined && String(kept) === String(same.addresses)) return undefined;
    return { nodeId, name, owner, chain, notBeforeMs, addresses: kept };
  }

  async #learn(link: Link, learned: readonly Member[]): Promise<void> {
    const { store, chronicler, mesh, onMembers } = this.#parts;
    const fresh = new Set(await store.write.saveMembers({ stamp: chronicler.stamp(), members: learned }));
    const news = learned.filter((each) => fresh.has(each.nodeId));
    if (news.length === 0) return;
    onMembers(news);
    for (const other of mesh().links()) {
      const told = news.filter((each) => each.nodeId !== other.peer.nodeId);
      if (other !== link && told.length > 0) other.send({ type: 'roster', members: told.map(({ chain, addresses }) => ({ chain, addresses })) });
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
