/** What a node tells of its facts, its flights and itself to whom may inspect it. Never a task or an output. */
import type { Fact } from './event.ts';
import type { FlightState } from './flight.ts';
import type { FlightStory } from './flight-spans.ts';
import type { Invocation } from './invocation.ts';
import type { InvocationId, NodeId } from './ids.ts';
import type { PeerState } from './peer.ts';
import type { Delivery, DeliveryAttempt, Flight } from './records.ts';

/** Facts in the order in which they were written. */
export interface FactPage {
  readonly facts: readonly Fact[];
  /** The number to go on after. */
  readonly next: number;
  readonly more: boolean;
}

/** Invocations of a trace, with facts that end a span of theirs. */
export interface StoryPage {
  readonly stories: readonly FlightStory[];
  /** The number of the fact to go on after. */
  readonly next: number;
  readonly more: boolean;
}

export interface FactRange {
  /** The number of a fact: only later ones. */
  readonly after: number;
  /** Only those up to this number. */
  readonly upTo?: number;
  /** By the wall clock at which each was written. */
  readonly sinceMs?: number;
  readonly untilMs?: number;
}

/** Which nodes a flight is between. */
export interface FoundFlight {
  readonly invocationId: InvocationId;
  readonly originNodeId: NodeId;
  readonly ownerNodeId: NodeId;
}

/** How far a flight has come, as one of its nodes has it. */
export interface FlightStanding {
  readonly originNodeId: NodeId;
  readonly ownerNodeId: NodeId;
  readonly state: FlightState;
  readonly run: number;
  readonly lastSeq: number;
  readonly acceptedAtMs: number;
  readonly receivedAtMs?: number;
  readonly startedAtMs?: number;
  readonly finishedAtMs?: number;
  readonly verdictBy?: 'owner' | 'origin';
  readonly cancelRequested: boolean;
}

export function standingOf(flight: Flight): FlightStanding {
  const { originNodeId, ownerNodeId, state, run, lastSeq, acceptedAtMs, receivedAtMs, startedAtMs, finishedAtMs, verdictBy } = flight;
  return {
    ...{ originNodeId, ownerNodeId, state, run, lastSeq, acceptedAtMs, cancelRequested: flight.cancelRequestedAtMs !== undefined },
    ...(receivedAtMs === undefined ? {} : { receivedAtMs }),
    ...(startedAtMs === undefined ? {} : { startedAtMs }),
    ...(finishedAtMs === undefined ? {} : { finishedAtMs }),
    ...(verdictBy === undefined ? {} : { verdictBy }),
  };
}

/** `more`: there are more than were counted. */
export interface Count {
  readonly count: number;
  readonly more: boolean;
}

export interface TroubledFlight extends FoundFlight {
  readonly target: string;
  readonly sinceMs: number;
  /** A few words. */
  readonly why: string;
  /** Of its delivery. */
  readonly attempts: number;
}

export interface Backlog extends Count {
  readonly oldest?: TroubledFlight;
}

export interface Troubled extends Count {
  readonly newest: readonly TroubledFlight[];
}

/** What an agent of this node has to do, and how long it takes for it. Durations until now. */
export interface AgentPace {
  readonly address: string;
  readonly queued: number;
  readonly running: number;
  readonly oldestQueuedMs?: number;
  readonly longestRunMs?: number;
  /** Median of the last that completed. */
  readonly usualRunMs?: number;
}

/** What is not well at a node, as its store has it. */
export interface StoredTroubles {
  readonly undelivered: Backlog;
  /** Since the time that was asked for, by when each was accepted. */
  readonly dead: Troubled;
  readonly indeterminate: Troubled;
  /** For people. */
  readonly waiting: Backlog;
  /** Of agents that have something to do, those with the oldest of it first. */
  readonly paces: readonly AgentPace[];
}

/** What is open at the telling node with another one: what waits for it, and what was sent to it and is not over. */
export interface Owing {
  readonly nodeId: NodeId;
  readonly undelivered: Backlog;
  readonly open: Count;
}

export interface SlowAgent extends AgentPace {
  readonly why: string;
}

/** One node's own word about itself. */
export interface NodeReport extends Omit<StoredTroubles, 'paces'> {
  readonly nodeId: NodeId;
  readonly name: string;
  readonly owner: string;
  readonly version: string;
  readonly epoch: number;
  readonly draining: boolean;
  readonly flights: Readonly<Partial<Record<FlightState, number>>>;
  readonly peers: Readonly<Partial<Record<PeerState, number>>>;
  readonly slow: readonly SlowAgent[];
  /** With members that it has no link to. */
  readonly owing: readonly Owing[];
  /** Why others take it for a copy. */
  readonly refused?: string;
}

/** A flight with all that this node knows of its transport, as it was when it was read. */
export interface ExportedFlight {
  readonly flight: Flight;
  readonly invocation: Invocation;
  readonly delivery?: Delivery;
  readonly attempts: readonly DeliveryAttempt[];
}

/** Long reads of the store, each by index and no longer than a page. */
export interface ObservationReads {
  /** At most `limit`, of a bounded stretch of all that is stored: it may hold none and have more. */
  factsIn(range: FactRange, limit: number): Promise<FactPage>;
  /** A number before that of every fact written since then. */
  factsBefore(sinceMs: number): Promise<number>;
  /** Of a bounded stretch of facts after that one, up to so many that end a span. */
  storiesIn(after: number, limit: number): Promise<StoryPage>;
  troubles(input: { readonly sinceMs: number; readonly nowMs: number }): Promise<StoredTroubles>;
  /** Of those nodes the ones that something is open with. */
  owedTo(nodeIds: readonly NodeId[]): Promise<readonly Owing[]>;
  /** Flights accepted in that time, in the order of their ids, after the one and up to the other. */
  exported(range: { readonly after?: InvocationId; readonly upTo: InvocationId; readonly sinceMs?: number; readonly untilMs?: number }, limit: number): Promise<{ readonly flights: readonly ExportedFlight[]; readonly last?: InvocationId }>;
}

/** What peers ask of it. */
export type ObservationQuery =
  | { readonly type: 'trace'; readonly invocationId: InvocationId }
  /** Without `after`: from `sinceMs` on; without that too: from now on. `hlc`: the asking node's clock. */
  | { readonly type: 'facts'; readonly after?: number; readonly sinceMs?: number; readonly limit: number; readonly hlc: Fact['hlc'] }
  /** The end of a ULID, 4 characters at least. */
  | { readonly type: 'find'; readonly suffix: string }
  | { readonly type: 'report'; readonly sinceMs: number };

export type ObservationAnswer =
  /** `standing`: undefined from a version that does not say, and where nothing is known of it. */
  | { readonly type: 'trace'; readonly facts: readonly Fact[]; readonly standing?: FlightStanding }
  /** `hlc`: what the answering node writes from now on is later. `putBack`: its store was put back to before `after`. */
  | (FactPage & { readonly type: 'facts'; readonly hlc: Fact['hlc']; readonly putBack: boolean })
  /** Two at most. */
  | { readonly type: 'find'; readonly found: readonly FoundFlight[] }
  | { readonly type: 'report'; readonly report: NodeReport };
