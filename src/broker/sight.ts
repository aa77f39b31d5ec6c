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

  /** The tailnet may have to be asked of it first: the rest can be asked once this has resolved. */
  async settled(peer: PolicyCaller): Promise<void> {
    await this.#parts.policy.settled(peer);
  }

  /** Whether it may inspect this node as a whole, of all agents. */
  seesNode(peer: PolicyCaller): boolean {
    return this.#parts.policy.judge(peer, 'inspect').isAllowed;
  }

  /** Agents of this node that it may inspect, when it may not inspect all. */
  agentsFor(peer: PolicyCaller): ReadonlySet<string> {
    const addresses = this.#parts.store.read.ownRegistrations().map(({ address }) => address);
    return new Set(addresses.filter((address) => this.#inspects(peer, address) === 'allowed'));
  }

  /** What it is told, and what is recorded, when it gets nothing: the same whether or not there is something. */
  async refusal(peer: PolicyCaller): Promise<BrokerError> {
    return (await this.#parts.policy.refusalFor(peer, 'inspect')) ?? denied(`${peer.owner} (${peer.name}) may not inspect this`);
  }

  /** Whether it sees all, text too: nodes of this node's person, whose flights all of these are. */
  seesAll(peer: PolicyCaller): boolean {
    return peer.owner === this.#parts.self.owner() && this.seesNode(peer);
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

  #inspects(peer: PolicyCaller, target: string): Inspects {
    const { isAllowed, rule } = this.#parts.policy.judge(peer, 'inspect', target);
    return isAllowed ? 'allowed' : rule === undefined ? 'unruled' : 'denied';
  }

  #personOf(nodeId: Flight['originNodeId']): string | undefined {
    const { self, store } = this.#parts;
    return nodeId === self.nodeId ? self.owner() : store.read.member(nodeId)?.owner;
  }
}
