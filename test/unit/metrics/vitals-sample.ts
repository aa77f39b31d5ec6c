/** A node that has something to tell of everything. */
import { flightStates } from '../../../src/domain/flight.ts';
import { deliveryStates } from '../../../src/domain/delivery.ts';
import type { DistributionReading } from '../../../src/domain/measure.ts';
import type { NodeVitals } from '../../../src/domain/vitals.ts';
import { nodeIdFor } from '../../support/temp-store.ts';

const some: DistributionReading = { buckets: [{ upTo: 0.1, count: 3 }, { upTo: 1, count: 4 }], count: 5, sum: 7.5 };
const [laptop, desktop, server] = [nodeIdFor(1), nodeIdFor(2), nodeIdFor(3)];
const oldest = { invocationId: 'inv_01ARZ3NDEKTSV4RRFFQ69G5FAV', originNodeId: laptop, ownerNodeId: desktop, target: '@echo@desktop#main', sinceMs: 999_000, why: 'secret words', attempts: 1 } as NonNullable<NodeVitals['troubles']>['undelivered']['oldest'] & object;

export const vitals: NodeVitals = {
  version: '1.2.3', nodeId: laptop, name: 'laptop', meshName: 'home', isDraining: false, isRefused: false,
  accepts: [['accepted', 4], ['overload', 1]], acceptSeconds: some, forwards: [['received', 2], ['denied', 0]], registryNews: [['applied', 5], ['refused', 0]], refused: [['handshakes', 3], ['log_lines', 0]],
  flights: { completed: 3, queued: 1 },
  store: { commitSeconds: some, commitWrites: some, commitFaults: 1, flights: flightStates.map((state, index) => [state, index]), deliveries: deliveryStates.map((state, index) => [state, index]) },
  troubles: {
    undelivered: { count: 2, more: false, oldest },
    dead: { count: 1, more: false, newest: [] },
    waiting: { count: 0, more: false },
    paces: [{ address: '@echo@laptop#main', queued: 3, running: 1, oldestQueuedMs: 5_000 }, { address: '@fabric@laptop#a"b\\c', queued: 0, running: 2 }],
  },
  disk: { databaseBytes: 4096, logBytes: 0, freeBytes: 10, totalBytes: 20 },
  peers: [
    { nodeId: desktop, name: 'desktop', state: 'alive', why: '', sinceMs: 0, rttMs: 12, lastSeenMs: 900_000 },
    // A name that two have.
    { nodeId: server, name: 'desktop', state: 'suspect', why: 'silent', sinceMs: 0, rttMs: 15 },
    { nodeId: nodeIdFor(4), name: 'old', state: 'left', why: 'it left the mesh', sinceMs: 0 },
    { nodeId: '' as typeof server, name: '192.168.1.9:7423', state: 'unreachable', why: 'refused', sinceMs: 0 },
  ],
  links: 1, tickLateSeconds: some,
  gossip: { isActive: true, neighbours: 1, received: [['accept', 1], ['reject', 0]], published: 2, receivedBytes: 300, publishedBytes: 200 },
  certificateEndsAtMs: 2_000_000,
  process: { runtime: 'v24', startedAtMs: 5, cpuSeconds: 1.5, residentBytes: 1, heapUsedBytes: 1, heapTotalBytes: 1, loopActiveSeconds: 1, loopIdleSeconds: 1, openFiles: 20, mostFiles: 1024 },
  atMs: 1_000_000, tookSeconds: 0.001,
};
