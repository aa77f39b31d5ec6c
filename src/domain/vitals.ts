/** How a node is, as numbers for whoever watches it over time. No task, no output, no id of an invocation. */
import type { FlightState } from './flight.ts';
import type { DistributionReading } from './measure.ts';
import type { PeerView } from './mesh-port.ts';
import type { StoredTroubles } from './observation.ts';
import type { StoreMeasures } from './store-measures.ts';

/** Each label of a closed list, with how often it came about. */
export type Counted = readonly (readonly [label: string, count: number])[];

export interface ProcessVitals {
  readonly runtime: string;
  readonly startedAtMs: number;
  readonly cpuSeconds: number;
  readonly residentBytes: number;
  readonly heapUsedBytes: number;
  readonly heapTotalBytes: number;
  /** Of the event loop, since the start, seconds. */
  readonly loopActiveSeconds: number;
  readonly loopIdleSeconds: number;
  /** Undefined where the system does not say. */
  readonly openFiles?: number;
  readonly mostFiles?: number;
}

export interface DiskVitals {
  readonly databaseBytes: number;
  /** What is not in the database's own file yet. */
  readonly logBytes: number;
  /** Of the file system, for this user. */
  readonly freeBytes: number;
  readonly totalBytes: number;
}

export interface NodeVitals {
  readonly version: string;
  readonly nodeId: string;
  readonly name: string;
  /** Empty: in none. */
  readonly meshName: string;
  readonly isDraining: boolean;
  /** Others take it for the copy of a machine. */
  readonly isRefused: boolean;
  readonly accepts: Counted;
  readonly acceptSeconds: DistributionReading;
  readonly forwards: Counted;
  readonly registryNews: Counted;
  /** Refused because a limit was reached. */
  readonly refused: Counted;
  /** Stored now. */
  readonly flights: Readonly<Partial<Record<FlightState, number>>>;
  readonly store: StoreMeasures;
  /** Undefined when it could not be read this time. */
  readonly troubles: Pick<StoredTroubles, 'undelivered' | 'dead' | 'waiting' | 'paces'> | undefined;
  readonly disk: DiskVitals | undefined;
  /** Also addresses where nobody has shown who it is: their id is empty. */
  readonly peers: readonly PeerView[];
  readonly links: number;
  /** How late the look at all sessions came that is due each second. */
  readonly tickLateSeconds: DistributionReading;
  readonly gossip: {
    readonly isActive: boolean;
    readonly neighbours: number;
    readonly received: Counted;
    readonly published: number;
    readonly receivedBytes: number;
    readonly publishedBytes: number;
  };
  /** Of this node's own certificate; undefined without a mesh. */
  readonly certificateEndsAtMs: number | undefined;
  readonly process: ProcessVitals;
  readonly atMs: number;
  /** What it took to read all this. */
  readonly tookSeconds: number;
}

