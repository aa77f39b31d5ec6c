/** What a node says of itself. */
import type { PeerState } from '../domain/peer.ts';
import type { NodeStatus } from './api.ts';
import type { BrokerParts } from './broker-parts.ts';

export async function statusOf({ self, store, mesh, pid, ownAddresses, standing }: Pick<BrokerParts, 'self' | 'store' | 'mesh' | 'pid' | 'ownAddresses' | 'standing'>, draining: boolean): Promise<NodeStatus> {
  const peers: Partial<Record<PeerState, number>> = {};
  for (const { state } of mesh().peers()) peers[state] = (peers[state] ?? 0) + 1;
  const own = self.mesh();
  const removed = store.read.removedFrom();
  return {
    nodeId: self.nodeId,
    name: self.name(),
    owner: self.owner(),
    epoch: self.epoch,
    version: self.version,
    ...(own === undefined ? {} : { mesh: own }),
    ...(removed === undefined ? {} : { removed }),
    peers,
    flights: await store.inspect.countFlights(),
    pid,
    listen: ownAddresses(),
    draining,
    ...standing?.(),
  };
}
