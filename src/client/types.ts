/** What a client of a node sees: the node's use cases in the words of the domain. */
import type { AgentFilter } from '../domain/agent-filter.ts';
import type { AcceptedGroup, AgentsUpdate, ApproveInput, ApproveResult, BrokerApi, DiffPart, FlightUpdate, InvokeAllInput, InvokeInput, NodeStatus, PeersUpdate, RemoveResult, ReplyInput, SettledWorktree, ShareInput, ShareResult, UnshareResult } from '../broker/api.ts';
import type { ExportInput, ExportLine, TailInput, TailUpdate } from '../broker/operator-api.ts';
import type { ConfigView } from '../domain/config-view.ts';
import type { Flight } from '../domain/records.ts';
import type { OutputStream } from '../domain/flight-event.ts';

export type { AgentFilter } from '../domain/agent-filter.ts';
export type { AcceptedGroup, AgentSpec, AgentsUpdate, AgentView, ApproveResult, DiffPart, FlightDetail, FlightUpdate, LeaveResult, MemberView, NodeStatus, PeersUpdate, RemoveResult, ResolveResult, ScannedInstance, ScannedProject, ScanResult, Selector, SettledWorktree, ShareResult, TraceView, UnshareResult, WaitingView } from '../broker/api.ts';
export type { PolicyCheck, PolicyView, RuleView } from '../broker/policy-api.ts';
export type { ExportLine, MeshReport, TailUpdate, TraceParty } from '../broker/operator-api.ts';

export type { BackupProgress, BackupReport } from '../domain/backup-report.ts';

/** `selector.all` is taken for true; each flight is followed by itself. */
export interface InvokeAllRequest extends Omit<InvokeAllInput, 'caller'> {}

export interface InvokeRequest extends Omit<InvokeInput, 'caller'> {
  /** End the stream after `accepted`; the flight goes on. */
  readonly detach?: boolean;
}

/** `signal` ends the reading, never the flight. */
export interface StreamOptions {
  readonly signal?: AbortSignal;
}

type Same = Pick<
  BrokerApi,
  | 'shutdown'
  | 'addAgent'
  | 'removeAgent'
  | 'getAgent'
  | 'getGroup'
  | 'listAgents'
  | 'scanProjects'
  | 'forgetProject'
  | 'resolve'
  | 'listFlights'
  | 'getFlight'
  | 'cancelFlight'
  | 'listWaiting'
  | 'listAudit'
  | 'checkAudit'
  | 'listDeliveries'
  | 'getDelivery'
  | 'trace'
  | 'report'
  | 'peers'
  | 'ping'
  | 'diagnose'
  | 'backup'
  | 'createMesh'
  | 'createInvite'
  | 'joinMesh'
  | 'addIssuer'
  | 'showPolicy'
  | 'checkPolicy'
  | 'exportRecovery'
  | 'importRecovery'
  | 'renameNode'
  | 'leaveMesh'
  | 'members'
  | 'pending'
  | 'admit'
>;

/**
 * A connection to the node of this machine. Each method rejects, and each stream throws, a BrokerError: the node's own,
 * or `unavailable` when no node runs here, it went away, or it did not answer in time.
 */
export interface NodeClient extends Same {
  /** What is set for the node, by whom, and what waits. */
  showConfig(): Promise<ConfigView>;
  /** What is wrong with the audit has been seen. Returns the flaws. */
  noteAudit(): Promise<readonly string[]>;
  status(): Promise<NodeStatus>;
  /** Of what a scan showed. @throws as `BrokerApi.approveProjects` does */
  approveProjects(request: Omit<ApproveInput, 'by'>): Promise<ApproveResult>;
  /** `accepted` first, once the invocation is durable, then all that happens to the flight; `finished` is the last. */
  invoke(request: InvokeRequest, options?: StreamOptions): AsyncIterable<FlightUpdate>;
  /** To all that match, accepted together or not at all; follow each of its flights. */
  invokeAll(request: InvokeAllRequest): Promise<AcceptedGroup>;
  shareAgent(request: Omit<ShareInput, 'by'>): Promise<ShareResult>;
  unshareAgent(request: Omit<ShareInput, 'by'>): Promise<UnshareResult>;
  /** The flight from its beginning, or after `afterSeq`. */
  follow(idArgument: string, options?: StreamOptions & { readonly afterSeq?: number }): AsyncIterable<FlightUpdate>;
  /** All that is stored of one output stream, in order. */
  output(idArgument: string, stream: OutputStream, options?: StreamOptions): AsyncIterable<Uint8Array>;
  /** What an isolated flight changed: `begin`, then the patch. */
  readDiff(idArgument: string, options?: StreamOptions): AsyncIterable<DiffPart>;
  /** Its owner removes the worktree. `tree`: of the diff that was fetched. */
  settleWorktree(request: Omit<Parameters<BrokerApi['settleWorktree']>[0], 'by'>): Promise<SettledWorktree>;
  /** That member is one no longer, for good. @throws as `BrokerApi.removeMember` does */
  removeMember(node: string): Promise<RemoveResult>;
  /** All agents, then what changes. */
  watchAgents(filter: AgentFilter, options?: StreamOptions): AsyncIterable<AgentsUpdate>;
  /** What all nodes write down, in the order of their clocks. */
  tail(input: TailInput, options?: StreamOptions): AsyncIterable<TailUpdate>;
  /** The records of this node, as `OperatorApi.export` has them. */
  export(input: ExportInput, options?: StreamOptions): AsyncIterable<ExportLine>;
  /** All peers, then each change. */
  watchPeers(options?: StreamOptions): AsyncIterable<PeersUpdate>;
  /** Says it to the request that is open, or to the one named, and waits up to `waitMs` for the owner's word. */
  replyToFlight(request: Omit<ReplyInput, 'by'>): Promise<{ flight: Flight; request: string; confirmed: boolean }>;
  /** The new invocation that takes the place of one that came to nothing; `confirmed` when that one may have run. */
  redriveDelivery(idArgument: string, confirmed: boolean): Promise<Extract<FlightUpdate, { type: 'accepted' }>>;
  close(): void;
}
