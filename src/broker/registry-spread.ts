/** News of the registry on their way out: by gossip to all that it reaches, and over the sessions with those that it may not reach. */
import type { Gossip, GossipNews } from '../domain/gossip-port.ts';
import type { NodeId } from '../domain/ids.ts';
import type { Link, Mesh } from '../domain/mesh-port.ts';
import type { RegistryChange } from '../domain/registration.ts';

/** Records of one piece of news, bytes: of a change that is larger only the head is told, and who wants the rest asks for it. */
const mostNewsBytes = 48 * 1024;

export interface RegistrySpreadParts {
  readonly mesh: () => Mesh;
  readonly gossip: () => Gossip;
}

export class RegistrySpread {
  readonly #parts: RegistrySpreadParts;
  /** Links whose peer said that it has gossip neighbours. */
  readonly #gossiping = new WeakSet<Link>();

  constructor(parts: RegistrySpreadParts) {
    this.#parts = parts;
  }

  /** What the peer last said of itself. */
  heard(link: Link, gossips: boolean): void {
    if (gossips) this.#gossiping.add(link);
    else this.#gossiping.delete(link);
  }

  /** @param from who told this node: it need not be told */
  tell(news: GossipNews, from?: NodeId): void {
    const { mesh, gossip } = this.#parts;
    const told = news.type === 'registry_change' ? { ...news, change: bounded(news.change) } : news;
    gossip().publish(told);
    const isAlone = gossip().neighbours().size === 0;
    for (const link of mesh().links()) if (link.peer.nodeId !== from && (isAlone || !this.#gossiping.has(link))) link.send(told);
  }

  /** That there is a newer set, without it: alike wherever it comes from, so that gossip carries it once. */
  tellHead({ head }: Pick<RegistryChange, 'head'>, from?: NodeId): void {
    this.tell({ type: 'registry_change', change: { head, records: [], gone: [] } }, from);
  }
}

function bounded(change: RegistryChange): RegistryChange {
  const bytes = change.records.reduce((sum, each) => sum + each.payload.length + each.signature.length, change.gone.length * 8);
  return bytes <= mostNewsBytes ? change : { head: change.head, records: [], gone: [] };
}
