/** Why a delivery is not under way, in words for its caller. */
import type { Mesh } from '../domain/mesh-port.ts';
import type { Delivery, Flight } from '../domain/records.ts';
import type { Nodes } from './nodes.ts';

/** Undefined when it is: only one that waits for a link is held. */
export function heldWhy({ mesh, nodes }: { readonly mesh: Mesh; readonly nodes: Nodes }, flight: Flight, delivery: Delivery): string | undefined {
  if (delivery.status !== 'deferred') return undefined;
  const isLinked = mesh.link(flight.ownerNodeId) !== undefined;
  const isPutOff = delivery.failureReason === 'overload' || (delivery.failureReason === 'agent_offline' && isLinked);
  if (isPutOff && delivery.failureDetail !== undefined) return delivery.failureDetail;
  const peer = mesh.peers().find(({ nodeId }) => nodeId === flight.ownerNodeId);
  return peer?.state === 'incompatible' ? peer.why : `${nodes.nameOf(flight.ownerNodeId)} is not reachable`;
}
