/** Who belongs, as every node comes to know it: certificates that prove themselves, passed on over every link. */
import type { NodeId } from '../domain/ids.ts';
import type { Roster as RosterMessage } from '../domain/messages.ts';
import type { Link, Mesh } from '../domain/mesh-port.ts';
import type { Log } from '../domain/ports.ts';
import type { Member, Store } from '../domain/store-port.ts';
import { toBrokerError } from '../domain/errors.ts';
import type { CertificateChain, PeerIdentity } from '../domain/trust.ts';
import type { Chronicler } from './chronicler.ts';
import type { Self } from './self.ts';

/** Members in one message. */
const rosterLimit = 10_000;
const addressLimit = 16;

export interface RosterParts {
  readonly store: Store;
  readonly self: Self;
  readonly chronicler: Chronicler;
  readonly mesh: () => Mesh;
  readonly log: Log;
  /** Against this mesh's root, now. @throws BrokerError `unauthenticated` */
  readonly verify: (chain: CertificateChain) => PeerIdentity;
  readonly ownAddresses: () => readonly string[];
  /** Members became known, or known by other addresses: they may be dialled. */
  readonly onMembers: (members: readonly Member[]) => void;
}

export class Roster {
  readonly #parts: RosterParts;

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
    });
  }

  async received(link: Link, message: RosterMessage): Promise<void> {
    const { store, self, chronicler, mesh } = this.#parts;
    const learned: Member[] = [];
    for (const { chain, addresses } of message.members.slice(0, rosterLimit)) {
      const identity = this.#verified(link, chain);
      if (identity === undefined || identity.nodeId === self.nodeId) continue;
      const isItself = identity.nodeId === link.peer.nodeId;
      const known = store.read.member(identity.nodeId);
      // Only a node itself moves its addresses; another's word counts for a node not known yet.
      const kept = isItself || known === undefined || known.addresses.length === 0 ? addresses.slice(0, addressLimit) : known.addresses;
      learned.push({ nodeId: identity.nodeId, name: identity.name, owner: identity.owner, chain, notBeforeMs: identity.notBeforeMs, addresses: kept });
    }
    const fresh = new Set(await store.write.saveMembers({ stamp: chronicler.stamp(), members: learned }));
    const news = learned.filter((each) => fresh.has(each.nodeId));
    if (news.length === 0) return;
    this.#parts.onMembers(news);
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
