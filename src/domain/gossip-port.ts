/**
 * News that go to all members at once, over connections apart from the sessions. Best effort: what gossip loses, comes too
 * late or twice changes nothing, since every part proves itself and the digests of the sessions find what is missing.
 */
import type { NodeId } from './ids.ts';
import type { RegistryChange, RegistryEntry, SignedRecord } from './registration.ts';

export type GossipNews =
  | { readonly type: 'registry_change'; readonly change: RegistryChange }
  | { readonly type: 'registry_entry'; readonly entry: RegistryEntry }
  | { readonly type: 'presence'; readonly presence: SignedRecord };

/** What the core makes of news: passed on; not passed on, and nobody's fault; or held against whoever sent it. */
export type GossipVerdict = 'accept' | 'ignore' | 'reject';

/** @param from the neighbour that it came from, which need not be who made it */
export type GossipHandler = (news: GossipNews, from: NodeId) => Promise<GossipVerdict>;

export interface Gossip {
  /** To all that gossip reaches; what was published or heard within the last two minutes goes out once. Never throws. */
  publish(news: GossipNews): void;
  /** Nodes that there is a live gossip connection with. */
  neighbours(): ReadonlySet<NodeId>;
}

/** Of a node that gossips with nobody. */
export const noGossip: Gossip = { publish: () => undefined, neighbours: () => new Set() };
