/** Agents as this node shows them: its own with all that is known, others as their nodes told of them. */
import { agentFilter } from '../domain/agent-filter.ts';
import type { AgentFilter } from '../domain/agent-filter.ts';
import { formatAddress, parseAddress } from '../domain/address.ts';
import type { Candidate } from '../domain/candidate.ts';
import { notFound } from '../domain/errors.ts';
import type { NodeId } from '../domain/ids.ts';
import type { Page, PageRequest } from '../domain/records.ts';
import type { Registration } from '../domain/registration.ts';
import type { Store } from '../domain/store-port.ts';
import type { AgentView } from './api.ts';
import type { Nodes } from './nodes.ts';
import type { Registry } from './registry.ts';
import type { Self } from './self.ts';

export interface AgentViewsParts {
  readonly store: Store;
  readonly self: Self;
  readonly registry: Pick<Registry, 'candidates'>;
  readonly nodes: Pick<Nodes, 'find'>;
}

export class AgentViews {
  readonly #parts: AgentViewsParts;

  constructor(parts: AgentViewsParts) {
    this.#parts = parts;
  }

  own(registration: Registration): AgentView {
    const { store, self } = this.#parts;
    const endpoint = store.read.endpoint(registration.address);
    return { registration, ...(endpoint === undefined ? {} : { endpoint }), nodeName: self.name(), owner: self.owner(), state: 'here' };
  }

  /** @throws BrokerError `not_found` when it went away meanwhile */
  of(candidate: Candidate): AgentView {
    const [view] = this.#viewsOf([candidate]);
    if (view === undefined) throw notFound(`${candidate.address} is no longer registered`);
    return view;
  }

  list(filter: AgentFilter, { limit, after }: PageRequest): Page<AgentView> {
    const all = this.#matching(filter).filter((each) => after === undefined || each.address > after);
    const shown = all.slice(0, limit);
    const last = shown.at(-1);
    return { items: this.#viewsOf(shown), ...(all.length > shown.length && last !== undefined ? { next: last.address } : {}) };
  }

  /** All that match, by address. @throws BrokerError as `Nodes.find` does */
  all(filter: AgentFilter): AgentView[] {
    return this.#viewsOf(this.#matching(filter));
  }

  #matching({ node, ...filter }: AgentFilter): Candidate[] {
    const { registry, nodes } = this.#parts;
    return registry
      .candidates()
      .filter(agentFilter({ ...filter, ...(node === undefined ? {} : { node: nodes.find(node) }) }))
      .toSorted((a, b) => (a.address < b.address ? -1 : 1));
  }

  #viewsOf(candidates: readonly Candidate[]): AgentView[] {
    const { store, self } = this.#parts;
    const wanted = new Map(candidates.map((each) => [keyOf(each.nodeId, each.address), each]));
    const registrations = new Map<string, Registration>();
    const keep = (nodeId: NodeId, registration: Registration): void => {
      const key = keyOf(nodeId, registration.address);
      if (wanted.has(key)) registrations.set(key, registration);
    };
    for (const registration of store.read.ownRegistrations()) keep(self.nodeId, registration);
    for (const { registration } of store.read.registrations()) if (registration.nodeId !== self.nodeId) keep(registration.nodeId, registration);
    return [...wanted].flatMap(([key, { nodeId, address, nodeName, owner, nodeState, lastSeenMs }]) => {
      const registration = registrations.get(key);
      if (registration === undefined) return [];
      if (nodeId === self.nodeId) return [this.own(registration)];
      return [{ registration: { ...registration, address }, nodeName, owner, state: nodeState, lastSeenMs }];
    });
  }
}

/** Of an instance whatever its node is called now. */
function keyOf(nodeId: string, address: string): string {
  const { agent, workspace = '' } = parseAddress(address);
  return `${nodeId} ${formatAddress({ agent, workspace })}`;
}
