/** Questions to many members: so many at once, each with an end, and why one could not be had in words. */
import { toBrokerError, unavailable } from '../domain/errors.ts';
import type { BrokerError } from '../domain/errors.ts';
import type { NodeId } from '../domain/ids.ts';
import { belongs, removedWords } from '../domain/membership.ts';
import type { Link, Mesh } from '../domain/mesh-port.ts';
import type { AnswerTo, PeerQuery } from '../domain/messages.ts';
import type { Member, Store } from '../domain/store-port.ts';
import type { Nodes } from './nodes.ts';
import type { Self } from './self.ts';

/** Nodes: in a large mesh a link has to be made with most of them first. */
const askedAtOnce = 16;
const askMs = 5000;

export interface AskMembersParts {
  readonly store: Pick<Store, 'read'>;
  readonly self: Self;
  readonly mesh: () => Mesh;
  readonly nodes: Nodes;
}

export class AskMembers {
  readonly #parts: AskMembersParts;

  constructor(parts: AskMembersParts) {
    this.#parts = parts;
  }

  /** All but this node: those of the same owner identity first, of these the ones with a link. */
  others(): readonly Member[] {
    const { store, self, mesh } = this.#parts;
    const rank = ({ owner, nodeId }: Member): number => (owner === self.owner() ? 0 : 2) + (mesh().link(nodeId) === undefined ? 1 : 0);
    return store.read
      .members()
      .filter((each) => each.nodeId !== self.nodeId && belongs(each))
      .toSorted((a, b) => rank(a) - rank(b) || (a.nodeId < b.nodeId ? -1 : 1));
  }

  /** @throws BrokerError with what keeps that node from answering, in words */
  async ask<Q extends PeerQuery>(nodeId: NodeId, query: Q, timeoutMs = askMs): Promise<AnswerTo<Q>> {
    const link = await this.link(nodeId);
    return await link.ask(query, timeoutMs);
  }

  /** @throws BrokerError `unavailable` */
  async link(nodeId: NodeId): Promise<Link> {
    const { mesh } = this.#parts;
    const link = mesh().link(nodeId) ?? (await mesh().want(nodeId));
    if (link === undefined) throw this.#unreachable(nodeId);
    return link;
  }

  /** Does `work` with each, 16 at once, in order; no more once it answers true. What `work` throws goes to `failed`. */
  async each(nodes: Iterable<NodeId>, work: (nodeId: NodeId) => Promise<boolean>, failed: (nodeId: NodeId, error: BrokerError) => void): Promise<void> {
    const left = nodes[Symbol.iterator]();
    let isEnough = false;
    const next = async (): Promise<void> => {
      while (!isEnough) {
        const { value, done } = left.next();
        if (done === true) return;
        try {
          if (await work(value)) isEnough = true;
        } catch (error) {
          failed(value, toBrokerError(error));
        }
      }
    };
    await Promise.all(Array.from({ length: askedAtOnce }, next));
  }

  /** Since when a node that does not answer is in its state, and when it was last heard; nothing of one that is alive. */
  absence(nodeId: NodeId): { readonly sinceMs?: number; readonly lastSeenMs?: number } {
    const peer = this.#parts.mesh().peers().find((each) => each.nodeId === nodeId);
    const lastSeenMs = peer?.lastSeenMs ?? this.#parts.store.read.member(nodeId)?.lastSeenMs;
    if (peer === undefined || peer.state === 'alive') return {};
    return { sinceMs: peer.sinceMs, ...(lastSeenMs === undefined ? {} : { lastSeenMs }) };
  }

  #unreachable(nodeId: NodeId): BrokerError {
    const { mesh, nodes, store } = this.#parts;
    const name = nodes.nameOf(nodeId);
    const member = store.read.member(nodeId);
    if (member?.removed !== undefined) return unavailable(`${name} can’t be asked: ${removedWords(member.removed)}`);
    if (member?.left !== undefined) return unavailable(`${name} can’t be asked: it has left the mesh`);
    const peer = mesh().peers().find((each) => each.nodeId === nodeId);
    const why = peer === undefined || peer.why === '' ? '' : `: ${peer.why}`;
    return unavailable(`${name} can't be reached${why}`, 'see its state: beckon peers');
  }
}
