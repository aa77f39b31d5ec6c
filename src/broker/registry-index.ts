/** Registrations in memory, by node and by the name of the agent: what is asked of one agent costs by its instances alone. */
import { parseAddress } from '../domain/address.ts';
import type { NodeId } from '../domain/ids.ts';
import type { Registration } from '../domain/registration.ts';

export interface Indexed {
  readonly registration: Registration;
  readonly agent: string;
  readonly workspace: string;
  /** Of the payload that its owner signed; for what was never signed, something of its own. */
  readonly hash: string;
}

const none: ReadonlyMap<string, Indexed> = new Map();

export class RegistryIndex {
  readonly #byNode = new Map<NodeId, Map<string, Indexed>>();
  readonly #byAgent = new Map<string, Set<Indexed>>();

  nodes(): Iterable<NodeId> {
    return this.#byNode.keys();
  }

  /** By hash. */
  ofNode(nodeId: NodeId): ReadonlyMap<string, Indexed> {
    return this.#byNode.get(nodeId) ?? none;
  }

  ofAgent(agent: string): Iterable<Indexed> {
    return this.#byAgent.get(agent) ?? [];
  }

  *all(): Generator<Indexed> {
    for (const set of this.#byNode.values()) yield* set.values();
  }

  add(registration: Registration, hash: string): void {
    const { agent, workspace = '' } = parseAddress(registration.address);
    const indexed: Indexed = { registration, agent, workspace, hash };
    const ofNode = this.#byNode.get(registration.nodeId) ?? new Map<string, Indexed>();
    this.#byNode.set(registration.nodeId, ofNode.set(hash, indexed));
    const ofAgent = this.#byAgent.get(agent) ?? new Set<Indexed>();
    this.#byAgent.set(agent, ofAgent.add(indexed));
  }

  delete(nodeId: NodeId, hash: string): void {
    const ofNode = this.#byNode.get(nodeId);
    const indexed = ofNode?.get(hash);
    if (ofNode === undefined || indexed === undefined) return;
    ofNode.delete(hash);
    if (ofNode.size === 0) this.#byNode.delete(nodeId);
    const ofAgent = this.#byAgent.get(indexed.agent);
    ofAgent?.delete(indexed);
    if (ofAgent?.size === 0) this.#byAgent.delete(indexed.agent);
  }

  clear(): void {
    this.#byNode.clear();
    this.#byAgent.clear();
  }
}
