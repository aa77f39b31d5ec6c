/** Agents as this node shows them: its own with all that is known, others as their nodes told of them. */
import { agentFilter } from '../domain/agent-filter.ts';
import type { AgentFilter } from '../domain/agent-filter.ts';
import type { Candidate } from '../domain/candidate.ts';
import { invalid, notFound } from '../domain/errors.ts';
import { isNodeId } from '../domain/ids.ts';
import type { Page, PageRequest } from '../domain/records.ts';
import type { Registration } from '../domain/registration.ts';
import type { ShareView } from '../domain/sharing.ts';
import type { Store } from '../domain/store-port.ts';
import type { AgentView } from './api.ts';
import { keyOf } from './candidates.ts';
import type { Nodes } from './nodes.ts';
import type { NodePresence } from './presence.ts';
import type { Registry } from './registry.ts';
import type { Self } from './self.ts';

export interface AgentViewsParts {
  readonly store: Store;
  readonly self: Self;
  readonly registry: Pick<Registry, 'page' | 'registration'>;
  readonly nodes: Pick<Nodes, 'find'>;
  readonly presence: Pick<NodePresence, 'shown'>;
  /** What its person should know of an agent of this node. */
  readonly noteOf: (address: string) => string | undefined;
  readonly sharesOf: (address: string) => readonly ShareView[];
}

export class AgentViews {
  readonly #parts: AgentViewsParts;

  constructor(parts: AgentViewsParts) {
    this.#parts = parts;
  }

  own(registration: Registration): AgentView {
    const { store, self, presence } = this.#parts;
    const endpoint = store.read.endpoint(registration.address);
    const note = this.#parts.noteOf(registration.address);
    return presence.shown({ registration, ...(endpoint === undefined ? {} : { endpoint }), nodeName: self.name(), owner: self.owner(), state: 'here', shares: this.#parts.sharesOf(registration.address), ...(note === undefined ? {} : { note }) });
  }

  /** @throws BrokerError `not_found` when it went away meanwhile */
  of(candidate: Candidate): AgentView {
    const [view] = this.#viewsOf([candidate]);
    if (view === undefined) throw notFound(`${candidate.address} is no longer registered`);
    return view;
  }

  /** @throws BrokerError `invalid` for a cursor of another list, and as `Nodes.find` does */
  list(filter: AgentFilter, { limit, after }: PageRequest): Page<AgentView> {
    const { items, hasMore } = this.#parts.registry.page(this.#wanted(filter), after === undefined ? undefined : keyIn(after), limit);
    const last = items.at(-1);
    return { items: this.#viewsOf(items), ...(hasMore && last !== undefined ? { next: cursorOf(last) } : {}) };
  }

  /** All that match, by address. @throws BrokerError as `Nodes.find` does */
  all(filter: AgentFilter): readonly AgentView[] {
    return this.list(filter, { limit: Number.POSITIVE_INFINITY }).items;
  }

  #wanted({ node, ...filter }: AgentFilter): (candidate: Candidate) => boolean {
    return agentFilter({ ...filter, ...(node === undefined ? {} : { node: this.#parts.nodes.find(node) }) });
  }

  #viewsOf(candidates: readonly Candidate[]): AgentView[] {
    const { self, registry, presence } = this.#parts;
    return candidates.flatMap((candidate) => {
      const registration = registry.registration(candidate);
      if (registration === undefined) return [];
      const { nodeId, address, nodeName, owner, nodeState, lastSeenMs } = candidate;
      return nodeId === self.nodeId ? [this.own(registration)] : [presence.shown({ registration: { ...registration, address }, nodeName, owner, state: nodeState, lastSeenMs })];
    });
  }
}

const cursorPrefix = 'agents:';

function cursorOf(last: Candidate): string {
  return Buffer.from(`${cursorPrefix}${keyOf(last)}`).toString('base64url');
}

function keyIn(cursor: string): string {
  const text = Buffer.from(cursor, 'base64url').toString('utf8');
  const [, nodeId = '', ...more] = text.split(' ');
  const isOne = text.startsWith(`${cursorPrefix}@`) && isNodeId(nodeId) && more.length === 0;
  if (!isOne) throw invalid('that cursor is none of this list', 'give the "next" of the page before, as it is');
  return text.slice(cursorPrefix.length);
}
