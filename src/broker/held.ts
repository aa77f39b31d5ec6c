/** Why a delivery is not under way, in words for its caller. */
import type { Mesh } from '../domain/mesh-port.ts';
import type { InvocationId } from '../domain/ids.ts';
import type { Delivery, Flight } from '../domain/records.ts';
import type { Nodes } from './nodes.ts';

export interface Held {
  readonly why: string;
  /** Since when. */
  readonly atMs: number;
}

export interface HeldParts {
  readonly mesh: Mesh;
  readonly nodes: Nodes;
  readonly delivery: (id: InvocationId) => Delivery | undefined;
  /** Whether it was forwarded, and is not answered. */
  readonly isOnItsWay: (flight: Flight) => boolean;
}

/** Undefined when it is: only one that waits for a link is held. */
export function heldSince({ mesh, nodes, delivery: read, isOnItsWay }: HeldParts, flight: Flight): Held | undefined {
  const delivery = isOnItsWay(flight) ? undefined : read(flight.invocationId);
  return delivery?.status === 'deferred' ? { why: heldWhy({ mesh, nodes }, flight, delivery), atMs: delivery.updatedAtMs } : undefined;
}

function heldWhy({ mesh, nodes }: Pick<HeldParts, 'mesh' | 'nodes'>, flight: Flight, delivery: Delivery): string {
  const isLinked = mesh.link(flight.ownerNodeId) !== undefined;
  const isPutOff = delivery.failureReason === 'overload' || (delivery.failureReason === 'agent_offline' && isLinked);
  if (isPutOff && delivery.failureDetail !== undefined) return delivery.failureDetail;
  const peer = mesh.peers().find(({ nodeId }) => nodeId === flight.ownerNodeId);
  return peer?.state === 'incompatible' ? peer.why : `${nodes.nameOf(flight.ownerNodeId)} is not reachable`;
}
