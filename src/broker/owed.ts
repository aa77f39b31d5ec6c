/** What is open between this node and another, so that a link is made for it and stays while it is. */
import type { NodeId } from '../domain/ids.ts';
import { belongs } from '../domain/membership.ts';
import type { Mesh } from '../domain/mesh-port.ts';
import type { Store } from '../domain/store-port.ts';

export interface OwedParts {
  readonly store: Store;
  readonly mesh: () => Mesh;
}

/** Work for it, work of it, what people replied, events that it has not stored, what it is to be asked about. */
export function isOwed({ read }: Pick<Store, 'read'>, nodeId: NodeId): boolean {
  return (
    read.unsent(nodeId, undefined, 1).length > 0 ||
    read.openAt(nodeId, undefined, 1).length > 0 ||
    read.unacknowledged(nodeId, undefined, 1).length > 0 ||
    read.openReplies(nodeId, 1).length > 0 ||
    read.quarantined(nodeId, undefined, 1).length > 0
  );
}

/** Call at the start and now and then: most wishes for a link are told when they come up, and forgotten in a restart. */
export function wantOwed({ store, mesh }: OwedParts): void {
  for (const { nodeId } of store.read.members().filter(belongs)) {
    if (mesh().link(nodeId) === undefined && isOwed(store, nodeId)) void mesh().want(nodeId);
  }
}
