/**
 * Gathers what metrics tell. Nothing of it reads more the more is stored: counts that are kept, memory, and one short look at the
 * partial indexes, on the thread of the long reads, at what is open.
 */
import { stat, statfs } from 'node:fs/promises';
import type { Broker } from '../broker/broker.ts';
import type { BrokerMeasures } from '../broker/measures.ts';
import { toBrokerError } from '../domain/errors.ts';
import type { Distribution } from '../domain/measure.ts';
import type { Mesh } from '../domain/mesh-port.ts';
import type { StoredTroubles } from '../domain/observation.ts';
import type { Clock, Log } from '../domain/ports.ts';
import type { MeasuredStore } from '../domain/store-measures.ts';
import type { DiskVitals, NodeVitals } from '../domain/vitals.ts';
import { parseLeaf } from '../trust/certificate.ts';
import type { Gossiping } from './gossiping.ts';
import { processVitals } from './system-process.ts';

export interface VitalsParts {
  readonly broker: Pick<Broker, 'status'>;
  readonly measures: BrokerMeasures;
  readonly store: MeasuredStore;
  readonly dbFile: string;
  readonly network: { readonly mesh: Pick<Mesh, 'peers' | 'links'>; readonly gossip: Pick<Gossiping, 'state' | 'measures'>; readonly tickLateSeconds: Distribution };
  readonly clock: Clock;
  readonly log: Log;
}

/** @throws BrokerError `unavailable` once the store is closed */
export async function vitalsOf({ broker, measures, store, dbFile, network, clock, log }: VitalsParts): Promise<NodeVitals> {
  const beganAtMs = clock.monotonic();
  const troubles = async (): Promise<StoredTroubles | undefined> => {
    try {
      return await store.inspect.troubles({ sinceMs: 0, nowMs: clock.now() });
    } catch (error) {
      // All the rest is told in spite of it, and that this is missing.
      log.warn({ code: toBrokerError(error).code, err: error }, 'what waits could not be read for the metrics');
      return undefined;
    }
  };
  const [status, backlog, disk, ofProcess] = await Promise.all([broker.status(), troubles(), diskOf(dbFile), processVitals()]);
  const leaf = store.read.membership()?.chain.leaf;
  const { mesh, gossip, tickLateSeconds } = network;
  const { failure, why, addresses, neighbours } = gossip.state();
  return {
    version: status.version,
    nodeId: status.nodeId,
    name: status.name,
    meshName: status.mesh?.name ?? '',
    isDraining: status.draining,
    isRefused: status.refused !== undefined,
    accepts: measures.accepts.entries(),
    acceptSeconds: measures.acceptSeconds.read(),
    forwards: measures.forwards.entries(),
    registryNews: measures.registryNews.entries(),
    refused: measures.refused.entries(),
    flights: status.flights,
    store: store.measured(),
    troubles: backlog,
    disk,
    peers: mesh.peers(),
    links: mesh.links().length,
    tickLateSeconds: tickLateSeconds.read(),
    gossip: {
      isActive: status.mesh !== undefined && why === undefined && failure === undefined && addresses.length > 0,
      neighbours: neighbours.size,
      received: gossip.measures.received.entries(),
      published: gossip.measures.published.of('published'),
      receivedBytes: gossip.measures.bytes.of('received'),
      publishedBytes: gossip.measures.bytes.of('published'),
    },
    certificateEndsAtMs: leaf === undefined ? undefined : parseLeaf(leaf).notAfterMs,
    process: ofProcess,
    atMs: clock.now(),
    tookSeconds: (clock.monotonic() - beganAtMs) / 1000,
  };
}

async function diskOf(dbFile: string): Promise<DiskVitals | undefined> {
  const [database, log, system] = await Promise.allSettled([stat(dbFile), stat(`${dbFile}-wal`), statfs(dbFile)]);
  if (database.status === 'rejected' || system.status === 'rejected') return undefined;
  const { bsize, bavail, blocks } = system.value;
  return { databaseBytes: database.value.size, logBytes: log.status === 'fulfilled' ? log.value.size : 0, freeBytes: bavail * bsize, totalBytes: blocks * bsize };
}
