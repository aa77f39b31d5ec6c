/** The operator's view, as local clients reach it: what happens on all nodes, what is not well, records to take away. */
import type { Fact } from '../domain/event.ts';
import type { InvocationId, NodeId } from '../domain/ids.ts';
import type { PeerView } from '../domain/mesh-port.ts';
import type { ExportedFlight, FlightStanding, NodeReport } from '../domain/observation.ts';

/** A node that has a part in a flight. */
export interface TraceParty {
  readonly nodeId: NodeId;
  readonly nodeName: string;
  readonly isOrigin: boolean;
  readonly isOwner: boolean;
  /** As it has it; undefined when it did not answer, or knows nothing of it. */
  readonly standing?: FlightStanding;
}

export interface TraceView {
  readonly invocationId: InvocationId;
  /** In HLC order. */
  readonly entries: readonly { readonly fact: Fact; readonly nodeName: string; readonly peerName?: string }[];
  /** `sinceMs`: since when it is in the state that keeps it from answering. `unknown`: what therefore is not known, a few words each. */
  readonly gaps: readonly { readonly nodeId: NodeId; readonly nodeName: string; readonly why: string; readonly sinceMs?: number; readonly unknown?: readonly string[] }[];
  /** Origin and owner, or one that is both. */
  readonly parties: readonly TraceParty[];
}

export interface TailInput {
  /** As typed; without it all nodes that tell. */
  readonly node?: string;
  /** Without it: from now on. */
  readonly sinceMs?: number;
  /** Ends once all that there is was told. */
  readonly noFollow: boolean;
}

export type TailUpdate =
  /** In the order of the hybrid clocks, except where `late`. */
  | { readonly type: 'fact'; readonly atMs: number; readonly fact: Fact; readonly nodeName: string; readonly peerName?: string; readonly late: boolean }
  /** From now on nothing of that node is told. `knownUntilMs`: of the last that was heard of it. */
  | { readonly type: 'gap'; readonly atMs: number; readonly nodeId: NodeId; readonly nodeName: string; readonly why: string; readonly knownUntilMs?: number }
  /** It answers again: what it wrote meanwhile follows. */
  | { readonly type: 'back'; readonly atMs: number; readonly nodeId: NodeId; readonly nodeName: string };

/** A member that could not be asked. What others have open with it, their own reports say. */
export interface ReportGap {
  readonly nodeId: NodeId;
  readonly nodeName: string;
  readonly why: string;
  /** Since when it is in the state that it is in; undefined for one that answers and does not tell. */
  readonly sinceMs?: number;
  readonly lastSeenMs?: number;
}

export interface MeshReport {
  readonly atMs: number;
  /** How far back it looks for what has gone wrong. */
  readonly sinceMs: number;
  readonly nodeId: NodeId;
  readonly meshName?: string;
  /** As this node sees them. */
  readonly peers: readonly PeerView[];
  /** This node first, then those that answered, by name. */
  readonly nodes: readonly NodeReport[];
  readonly gaps: readonly ReportGap[];
  /** Of members whose certificate has ended or will soon, the earliest first. */
  readonly certificates: readonly { readonly nodeId: NodeId; readonly nodeName: string; readonly endsAtMs: number }[];
  readonly names: Names;
}

export type Names = readonly { readonly nodeId: NodeId; readonly name: string }[];

export interface ExportInput {
  readonly sinceMs?: number;
  readonly untilMs?: number;
}

/** `begin` first, then flights, oldest first, then facts, in the order in which they were written, then `end`. */
export type ExportLine =
  | { readonly type: 'begin'; readonly atMs: number; readonly nodeId: NodeId; readonly nodeName: string; readonly version: string; readonly names: Names }
  | ({ readonly type: 'flight' } & ExportedFlight)
  | { readonly type: 'fact'; readonly fact: Fact }
  | { readonly type: 'end'; readonly atMs: number; readonly flights: number; readonly facts: number };

export interface OperatorApi {
  /** Until `signal` aborts; a slow reader is waited for, and nothing piles up. @throws `not_found` for an unknown node */
  tail(input: TailInput, signal: AbortSignal): AsyncIterable<TailUpdate>;
  report(sinceMs: number): Promise<MeshReport>;
  /**
   * What this node has of a period: flights accepted in it and facts written in it. Never tasks, outputs, keys. Each flight is of one
   * moment, and the facts are read last: whatever a flight says has its fact.
   */
  export(input: ExportInput, signal: AbortSignal): AsyncIterable<ExportLine>;
}
