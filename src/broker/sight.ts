/** What a peer may see of this node's work: the rules of `domain/visibility.ts`, fed with what this node knows of the flight's parties. */
import { denied } from '../domain/errors.ts';
import type { BrokerError } from '../domain/errors.ts';
import type { PolicyCaller } from '../domain/policy.ts';
import type { Delivery, Flight } from '../domain/records.ts';
import type { Store } from '../domain/store-port.ts';
import { deliveryStates, flightStates, sightOf } from '../domain/visibility.ts';
import type { Inspects, Sight } from '../domain/visibility.ts';
import type { Policy } from './policy.ts';
import type { Self } from './self.ts';

export interface SightParts {
  readonly store: Pick<Store, 'read'>;
  readonly self: Pick<Self, 'nodeId' | 'owner'>;
  readonly policy: Pick<Policy, 'settled' | 'judge' | 'refusalFor'>;
}

type Between = Pick<Flight, 'target' | 'originNodeId' | 'ownerNodeId' | 'originOwner'>;

export class PeerSight {
  readonly #parts: SightParts;

  constructor(parts: SightParts) {
    this.#parts = parts;
  }

  /** Of this node as a whole. @returns undefined when it may; the rest can be asked then */
  async refusalOf(peer: PolicyCaller): Promise<BrokerError | undefined> {
    await this.#parts.policy.settled(peer);
    return this.#mayAll(peer) ? undefined : this.#parts.policy.refusalFor(peer, 'inspect');
  }

  /** Of what it may not see though it may see others: in the same words as for what is not there. */
  denial({ owner, name }: PolicyCaller): BrokerError {
    return denied(`${owner} (${name}) may not inspect the work of ${this.#parts.self.owner()}`);
  }

  /** Whether it sees all, text too: nodes of this node's person, whose flights all of these are. */
  seesAll(peer: PolicyCaller): boolean {
    return peer.owner === this.#parts.self.owner() && this.#mayAll(peer);
  }

  ofFlight(peer: PolicyCaller, flight: Between): Sight {
    const { originNodeId, ownerNodeId, originOwner } = flight;
    const persons = [originOwner ?? this.#personOf(originNodeId), this.#personOf(ownerNodeId)];
    return sightOf(peer, { nodes: [originNodeId, ownerNodeId], persons: persons.filter((each) => each !== undefined) }, this.#inspects(peer, flight.target));
  }

  flight(peer: PolicyCaller, flight: Flight): Flight {
    return this.ofFlight(peer, flight) === 'text' ? flight : flightStates(flight);
  }

  delivery(peer: PolicyCaller, delivery: Delivery): Delivery {
    const { target, fromNodeId: originNodeId, toNodeId: ownerNodeId } = delivery;
    return this.ofFlight(peer, { target, originNodeId, ownerNodeId }) === 'text' ? delivery : deliveryStates(delivery);
  }

  #mayAll(peer: PolicyCaller): boolean {
    return this.#parts.policy.judge(peer, 'inspect').isAllowed;
  }

  #inspects(peer: PolicyCaller, target: string): Inspects {
    const { isAllowed, rule } = this.#parts.policy.judge(peer, 'inspect', target);
    return isAllowed ? 'allowed' : rule === undefined ? 'unruled' : 'denied';
  }

  #personOf(nodeId: Flight['originNodeId']): string | undefined {
    const { self, store } = this.#parts;
    return nodeId === self.nodeId ? self.owner() : store.read.member(nodeId)?.owner;
  }
}
