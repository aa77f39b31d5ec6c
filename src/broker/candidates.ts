/** Registrations as resolution and lists see them: with what is known of their nodes now. */
import { onNode } from '../domain/address.ts';
import type { Candidate } from '../domain/candidate.ts';
import type { NodeId } from '../domain/ids.ts';
import type { Mesh, PeerView } from '../domain/mesh-port.ts';
import { belongs } from '../domain/membership.ts';
import { nameHolders } from '../domain/name-holder.ts';
import type { Clock } from '../domain/ports.ts';
import type { Registration } from '../domain/registration.ts';
import type { Store } from '../domain/store-port.ts';
import type { Indexed } from './registry-index.ts';
import type { RegistryState } from './registry-state.ts';
import type { Self } from './self.ts';

export interface CandidatesParts {
  readonly store: Store;
  readonly self: Self;
  readonly mesh: () => Mesh;
  readonly clock: Clock;
  readonly state: RegistryState;
}

type NodeFacts = Pick<Candidate, 'nodeName' | 'owner' | 'nodeNameOwned' | 'nodeState' | 'lastSeenMs' | 'rttMs'>;

interface Listed {
  readonly key: string;
  readonly indexed: Indexed;
}

export class Candidates {
  readonly #parts: CandidatesParts;
  readonly #registrations = new WeakMap<Candidate, Registration>();
  /** In the order of addresses, as long as nothing of it has changed. */
  #listed: { readonly revision: number; readonly items: readonly Listed[] } | undefined;

  constructor(parts: CandidatesParts) {
    this.#parts = parts;
  }

  /** All instances known here, or all of one agent. */
  find(agent?: string): Candidate[] {
    const { state } = this.#parts;
    const [own, index] = [state.ownAgents(), state.told()];
    const look = this.#look();
    const found = agent === undefined ? [...own.all(), ...index.all()] : [...own.ofAgent(agent), ...index.ofAgent(agent)];
    return found.flatMap((each) => this.#candidate(each, look) ?? []);
  }

  /** Of those that are wanted, by address. @param after the `keyOf` of the last one before */
  page(isWanted: (candidate: Candidate) => boolean, after: string | undefined, limit: number): { readonly items: readonly Candidate[]; readonly hasMore: boolean } {
    const listed = this.#all();
    const look = this.#look();
    const items: Candidate[] = [];
    for (let at = after === undefined ? 0 : firstAfter(listed, after); at < listed.length; at += 1) {
      const indexed = listed[at]?.indexed;
      const candidate = indexed === undefined ? undefined : this.#candidate(indexed, look);
      if (candidate === undefined || !isWanted(candidate)) continue;
      if (items.length === limit) return { items, hasMore: true };
      items.push(candidate);
    }
    return { items, hasMore: false };
  }

  /** What a candidate of this was made of, as its node told it. */
  registration(candidate: Candidate): Registration | undefined {
    return this.#registrations.get(candidate);
  }

  #all(): readonly Listed[] {
    const { state, self } = this.#parts;
    const [own, index] = [state.ownAgents(), state.told()];
    if (this.#listed?.revision === state.revision) return this.#listed.items;
    const names = new Map<NodeId, string | undefined>();
    const items: Listed[] = [];
    for (const indexed of [...own.all(), ...index.all()]) {
      const { nodeId, address } = indexed.registration;
      if (nodeId !== self.nodeId && !names.has(nodeId)) names.set(nodeId, this.#parts.store.read.member(nodeId)?.name);
      const name = nodeId === self.nodeId ? self.name() : names.get(nodeId);
      if (name !== undefined) items.push({ key: keyOf({ address: onNode(address, name), nodeId }), indexed });
    }
    items.sort((a, b) => (a.key < b.key ? -1 : 1));
    this.#listed = { revision: state.revision, items };
    return items;
  }

  /** What is known of nodes, looked up once for one question. */
  #look(): (nodeId: NodeId) => NodeFacts | undefined {
    const known = new Map<NodeId, NodeFacts | undefined>();
    const peers = new Map(this.#parts.mesh().peers().map((peer) => [peer.nodeId, peer]));
    return (nodeId) => {
      if (!known.has(nodeId)) known.set(nodeId, this.#factsOf(nodeId, peers.get(nodeId)));
      return known.get(nodeId);
    };
  }

  #factsOf(nodeId: NodeId, peer: PeerView | undefined): NodeFacts | undefined {
    const { store, self, clock } = this.#parts;
    if (nodeId === self.nodeId) {
      const name = self.name();
      return { nodeName: name, owner: self.owner(), nodeNameOwned: this.#holder(name) === nodeId, nodeState: 'here', lastSeenMs: clock.now() };
    }
    const member = store.read.member(nodeId);
    if (member === undefined) return undefined;
    return {
      nodeName: member.name,
      owner: member.owner,
      nodeNameOwned: (this.#holder(member.name) ?? nodeId) === nodeId,
      nodeState: member.removed !== undefined ? 'removed' : member.left !== undefined ? 'left' : (peer?.state ?? 'unreachable'),
      lastSeenMs: Math.max(peer?.lastSeenMs ?? 0, member.lastSeenMs ?? 0),
      ...(peer?.rttMs === undefined ? {} : { rttMs: peer.rttMs }),
    };
  }

  #holder(name: string): NodeId | undefined {
    const { store, self } = this.#parts;
    const others = store.read.membersNamed(name).filter((each) => belongs(each) && each.nodeId !== self.nodeId);
    const own = self.name() === name ? [{ nodeId: self.nodeId, name, notBeforeMs: self.namedSinceMs() }] : [];
    return nameHolders([...others, ...own]).get(name);
  }

  #candidate(indexed: Indexed, look: (nodeId: NodeId) => NodeFacts | undefined): Candidate | undefined {
    const { registration, agent, workspace } = indexed;
    const node = look(registration.nodeId);
    if (node === undefined) return undefined;
    const { harness, capabilities, labels, isDefault, available, unavailableWhy, nodeId } = registration;
    const candidate = {
      address: onNode(registration.address, node.nodeName),
      ...{ agent, workspace, nodeId, harness, capabilities, labels, isDefault, available },
      ...(unavailableWhy === undefined ? {} : { unavailableWhy }),
      ...node,
    };
    this.#registrations.set(candidate, registration);
    return candidate;
  }
}

/** By address, and by node where two have one name. */
export function keyOf({ address, nodeId }: Pick<Candidate, 'address' | 'nodeId'>): string {
  return `${address} ${nodeId}`;
}

function firstAfter(listed: readonly Listed[], key: string): number {
  let [low, high] = [0, listed.length];
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    if ((listed[middle]?.key ?? '') <= key) low = middle + 1;
    else high = middle;
  }
  return low;
}
