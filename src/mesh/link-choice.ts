/**
 * Which members a node keeps a session with. Up to a size all; above it its neighbours on a ring of hashed ids, so that
 * both ends name the same pairs, a node that comes or goes moves few links, and those who answer are always connected:
 * each holds on to the next one that does. The order mixes in the mesh id, so that nobody chooses a place by choosing a
 * key before. After Chord's successor lists (Stoica et al. 2001, section IV.E.3). Pure.
 */
import { createHash } from 'node:crypto';
import type { MeshId, NodeId } from '../domain/ids.ts';

/** Other members, up to which every pair has a session. */
export const allLinkedUpTo = 20;
/** Members that answer, on either side of a node: twice as many sessions. */
export const neighboursEachWay = 6;
/** Members that are away, on either side, that are looked for all the time: of a large mesh that starts, most are. */
export const awayEachWay = 12;

/** The others, from the one that follows `self` on the ring to the one before it. */
export function ringOrder(meshId: MeshId, self: NodeId, others: Iterable<NodeId>): NodeId[] {
  const own = placeOf(meshId, self);
  const placed = [...new Set(others)].filter((nodeId) => nodeId !== self).map((nodeId) => ({ nodeId, place: placeOf(meshId, nodeId) }));
  placed.sort((a, b) => (a.place < b.place ? -1 : 1));
  const next = placed.findIndex(({ place }) => place > own);
  const from = next === -1 ? 0 : next;
  return [...placed.slice(from), ...placed.slice(0, from)].map(({ nodeId }) => nodeId);
}

/**
 * Those to have a session with: of a small mesh all; else on each side so many that are not away, and the nearest of
 * those that are, who may be back any time. However many are away, the next that answers is among them.
 * @param order as `ringOrder` gives it
 */
export function neighboursOf(order: readonly NodeId[], isAway: (nodeId: NodeId) => boolean): ReadonlySet<NodeId> {
  if (order.length <= allLinkedUpTo) return new Set(order);
  return new Set([...reach(order, isAway), ...reach(order.toReversed(), isAway)]);
}

function reach(order: readonly NodeId[], isAway: (nodeId: NodeId) => boolean): readonly NodeId[] {
  const [answering, away]: [NodeId[], NodeId[]] = [[], []];
  for (const nodeId of order) {
    if (answering.length === neighboursEachWay) break;
    if (!isAway(nodeId)) answering.push(nodeId);
    else if (away.length < awayEachWay) away.push(nodeId);
  }
  return [...answering, ...away];
}

function placeOf(meshId: MeshId, nodeId: NodeId): string {
  return createHash('sha256').update(`beckon/ring/1\0${meshId}\0${nodeId}`).digest('hex');
}
