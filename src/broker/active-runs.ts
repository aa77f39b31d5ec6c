/** What runs on this node now, and the places that it takes. */
import type { Run } from '../domain/harness-port.ts';
import type { FlightId } from '../domain/ids.ts';
import type { Flight } from '../domain/records.ts';
import type { Readdressed } from '../domain/store-port.ts';
import type { RunRequests } from './requests.ts';
import type { StopCause } from './verdicts.ts';

/** Runs at once of one agent, and of the node. */
export const runsPerAgent = 4;
export const runsPerNode = 32;
/** Of tasks, while their runs go on, all agents together: a run whose task is too large waits in the queue. One alone always fits. */
export const runBytesPerNode = 128 * 1024 * 1024;

export interface ActiveRun {
  /** As it was when its turn came. */
  flight: Flight;
  /** As its agent is called now. */
  target: string;
  /** It was at work when this node died, and is not begun anew. */
  readonly isAdopted: boolean;
  /** By a process of its own: it takes none of the places that the node has for processes that it starts. */
  readonly isServed: boolean;
  /** Of its task, which is in memory as long as it runs. */
  readonly taskBytes: number;
  /** It was stored as started when it was taken in, and so was never in the queue. */
  wasClaimed: boolean;
  run: Run | undefined;
  requests: RunRequests | undefined;
  /** The first cause wins: it makes the verdict. */
  cause: StopCause | undefined;
  ended: Promise<number> | undefined;
  /** Aborted with the first cause. */
  readonly unwanted: AbortController;
  readonly done: Promise<void>;
}

/** A place that is kept for an invocation which is about to be taken in. One of the two follows. */
export interface Claim {
  /** It is stored as started. */
  started(flight: Flight): void;
  /** It is not: it waits for its turn, or was not taken. */
  dropped(): void;
}

export class ActiveRuns extends Map<FlightId, ActiveRun> {
  /** Whether another may begin now, as far as the node goes. */
  takes({ isServed, taskBytes }: Pick<ActiveRun, 'isServed' | 'taskBytes'>): boolean {
    let bytes = 0;
    for (const each of this.values()) bytes += each.taskBytes;
    return (isServed || this.hasPlace()) && (bytes === 0 || bytes + taskBytes <= runBytesPerNode);
  }

  /** For one more process that the node starts. */
  hasPlace(): boolean {
    let places = 0;
    for (const { isServed } of this.values()) if (!isServed) places += 1;
    return places < runsPerNode;
  }

  /** In their session no other turn begins. */
  of(address: string): Flight[] {
    return [...this.values()].flatMap(({ flight, target }) => (target === address ? flight : []));
  }

  /** By agent. */
  counts(): Map<string, number> {
    const counts = new Map<string, number>();
    for (const { target } of this.values()) counts.set(target, (counts.get(target) ?? 0) + 1);
    return counts;
  }

  renamed(agents: readonly Readdressed[]): void {
    const now = new Map(agents.map(({ from, to }) => [from, to]));
    for (const active of this.values()) active.target = now.get(active.target) ?? active.target;
  }
}
