/** The use cases of a node, as its local clients reach them through the control socket. */
import type { AgentFilter } from '../domain/agent-filter.ts';
import type { AdmitRule, Applicant } from '../domain/admit-rule.ts';
import type { Parent } from '../domain/ancestry.ts';
import type { Check } from '../domain/checks.ts';
import type { ErrorInfo } from '../domain/errors.ts';
import type { FlightEvent, OutputStream } from '../domain/flight-event.ts';
import type { FlightState } from '../domain/flight.ts';
import type { FlightId, GroupId, InvocationId, MeshId, NodeId } from '../domain/ids.ts';
import type { Endpoint, Invocation, Permissions, SessionChoice, Task } from '../domain/invocation.ts';
import type { DeliveryFilter, FlightFilter } from '../domain/messages.ts';
import type { PeerView } from '../domain/mesh-port.ts';
import type { PeerState } from '../domain/peer.ts';
import type { Delivery, DeliveryAttempt, Flight, Page, PageRequest } from '../domain/records.ts';
import type { BackupProgress, BackupReport } from '../domain/backup-report.ts';
import type { Load } from '../domain/presence.ts';
import type { Reply } from '../domain/request.ts';
import type { DiffSummary, Isolation, WorktreeVerb } from '../domain/worktree.ts';
import type { Registration, Visibility } from '../domain/registration.ts';
import type { ShareView } from '../domain/sharing.ts';
import type { TraceContext } from '../domain/trace-context.ts';
import type { AuditApi } from './audit-api.ts';
import type { IssuerApi } from './issuer-api.ts';
import type { PolicyApi } from './policy-api.ts';
import type { OperatorApi, TraceView } from './operator-api.ts';
import type { ProjectsApi } from './projects-api.ts';

export type { TraceView } from './operator-api.ts';
export type { ApproveInput, ApproveResult, ScannedInstance, ScannedProject, ScanResult } from './projects-api.ts';

/** Who calls through the control socket: `uid:501`, or `agent:ADDRESS` for a process of a flight. */
export interface LocalCaller {
  readonly id: string;
  /** The flight whose process calls. It sees its own and what it led to, and changes nothing of the node. */
  readonly flight?: CallingFlight;
}

export interface CallingFlight extends Parent {
  readonly flightId: FlightId;
  /** What its run hands on to whom it calls. */
  readonly trace?: TraceContext;
}

export interface NodeStatus {
  readonly nodeId: NodeId;
  readonly name: string;
  readonly owner: string;
  readonly epoch: number;
  readonly version: string;
  readonly mesh?: { readonly id: MeshId; readonly name: string };
  /** It was removed from that mesh, and has not left it since. */
  readonly removed?: { readonly meshName: string; readonly by: string; readonly atMs: number };
  readonly peers: Readonly<Partial<Record<PeerState, number>>>;
  readonly flights: Readonly<Partial<Record<FlightState, number>>>;
  readonly pid: number;
  readonly listen: readonly string[];
  readonly draining: boolean;
  /** Other nodes take it for a copy of another machine: why. */
  readonly refused?: string;
}

export interface AgentSpec {
  readonly name?: string;
  /** Raw, as git calls a branch. */
  readonly workspace?: string;
  readonly harness?: string;
  readonly cwd: string;
  readonly permissions: Permissions;
  readonly isolate: boolean;
  /** Runs at once. */
  readonly concurrency?: number;
  /** Invocations that may wait for it. */
  readonly queue?: number;
  readonly isDefault: boolean;
  readonly env: readonly string[];
  readonly labels: Readonly<Record<string, string>>;
  readonly capabilities: readonly string[];
  readonly visibility: Visibility;
  readonly argv: readonly string[];
  readonly path: string;
  readonly description: string;
}

/** `endpoint` only for this node's own. `state` is "here" or the state of its node. */
export interface AgentView {
  readonly registration: Registration;
  readonly endpoint?: Endpoint;
  readonly nodeName: string;
  readonly owner: string;
  readonly state: PeerState | 'here';
  readonly lastSeenMs?: number;
  /** How busy it is, when that is known now. */
  readonly presence?: Load;
  /** What its person should know of it, on its own node. */
  readonly note?: string;
  /** Of an own agent: who beside this node's own person may invoke it. */
  readonly shares?: readonly ShareView[];
}

/** In the first all agents, by address; in each later one those that are new or different, and those that are gone. */
export interface AgentsUpdate {
  readonly atMs: number;
  readonly agents: readonly AgentView[];
  readonly gone: readonly GoneAgent[];
}

/** Both: for a while two nodes may have one name. */
export interface GoneAgent {
  readonly nodeId: NodeId;
  readonly address: string;
}

/** Which instances a call means: an address, and how to choose among several. */
export interface Selector {
  readonly address: string;
  readonly any: boolean;
  readonly all: boolean;
  readonly anyOwner: boolean;
  readonly harness?: string;
  readonly capabilities: readonly string[];
  readonly labels: Readonly<Record<string, string>>;
  /** The directory that `.` stands for. */
  readonly cwd: string;
}

export interface ResolveResult {
  readonly targets: readonly string[];
  readonly candidates: readonly { readonly address: string; readonly chosen: boolean; readonly why: string }[];
  readonly error?: ErrorInfo;
}

export interface InvokeInput {
  readonly caller: LocalCaller;
  readonly selector: Selector;
  readonly task: Task;
  readonly key?: string;
  readonly session: SessionChoice;
  readonly holdMs?: number;
  readonly noHold: boolean;
  readonly runLimitMs?: number;
  /** From one output to the next. */
  readonly idleLimitMs?: number;
  readonly rerunnable: boolean;
  /** Tell the person at this node when it waits and when it has finished. */
  readonly notify?: boolean;
  /** The distributed trace that it is a part of. */
  readonly trace?: TraceContext;
  /** Set when it makes another one anew: which, and how that one's address was typed. */
  readonly redriveOf?: InvocationId;
  readonly addressTyped?: string;
}

export interface AcceptedFlight {
  readonly flight: Flight;
  readonly deduplicated: boolean;
  /** What its caller should know, a sentence each. */
  readonly notes?: readonly string[];
}

export interface InvokeAllInput extends InvokeInput {
  /** However many match. */
  readonly confirmed: boolean;
  /** Those that its person has said yes to: when others match, nothing is accepted. */
  readonly expected?: readonly string[];
}

export interface AcceptedGroup {
  readonly groupId: GroupId;
  /** One a target, in the order of their addresses. */
  readonly flights: readonly Flight[];
  readonly deduplicated: boolean;
  /** What its caller should know, a sentence each. */
  readonly notes?: readonly string[];
}

export interface ShareInput {
  readonly address: string;
  /** As typed: persons and nodes. None: all members, or all that it is shared with. */
  readonly parties: readonly string[];
  readonly by: string;
}

export interface ShareResult {
  readonly address: string;
  /** As it is now. */
  readonly shares: readonly ShareView[];
  readonly changed: boolean;
}

export interface UnshareResult extends ShareResult {
  /** Queued work of callers that may not invoke it any more: ended. */
  readonly ended: number;
  /** Work of such callers that goes on. */
  readonly running: number;
}

export interface ReplyInput {
  /** Of the flight, as typed. */
  readonly id: string;
  /** As typed; without it the request that is open. */
  readonly request?: string;
  readonly reply: Reply;
  readonly by: string;
  /** How long to wait for the owner's word. */
  readonly waitMs: number;
}

/** Oldest first, each with the node that answered for it: this one, when the flight is known here. */
export interface WaitingView {
  readonly waiting: readonly { readonly flight: Flight; readonly nodeId: NodeId; readonly nodeName: string }[];
  readonly gaps: TraceView['gaps'];
}

/** One step of a flight as a caller sees it. `finished` is the last. `notes`: what its caller should know, a sentence each. */
export type FlightUpdate =
  | { readonly type: 'accepted'; readonly atMs: number; readonly invocationId: InvocationId; readonly flightId: FlightId; readonly target: string; readonly deduplicated: boolean; readonly notes?: readonly string[] }
  | { readonly type: 'held'; readonly atMs: number; readonly why: string; readonly untilMs: number }
  | { readonly type: 'received'; readonly atMs: number; readonly nodeId: NodeId; readonly nodeName: string }
  | { readonly type: 'event'; readonly atMs: number; readonly event: FlightEvent }
  | { readonly type: 'finished'; readonly atMs: number; readonly flight: Flight; readonly output: Uint8Array; readonly truncated: boolean };

export interface FlightDetail {
  readonly flight: Flight;
  /** Kept by the origin: an owner has none of work that came from elsewhere. */
  readonly delivery?: Delivery;
  readonly invocation: Invocation;
  /** Stdout up to 64 KiB. */
  readonly output: Uint8Array;
  readonly truncated: boolean;
  readonly originName: string;
  readonly ownerName: string;
  /** Of a flight with a worktree of its own. */
  readonly isolation?: Isolation;
}

/** `begin` comes first, then the patch in order. */
export type DiffPart =
  | { readonly type: 'begin'; readonly flightId: FlightId; readonly ownerName: string; readonly summary: DiffSummary }
  | { readonly type: 'content'; readonly bytes: Uint8Array };

export interface SettledWorktree {
  readonly flightId: FlightId;
  readonly ownerName: string;
  readonly isolation: Isolation;
  /** The last commit of the branch that was deleted, when it had any of its own: git keeps it for a while. */
  readonly tip?: string;
}

export interface MemberView {
  readonly name: string;
  readonly nodeId: NodeId;
  readonly owner: string;
  readonly state: PeerState | 'self';
}

/** `all` comes first, and again now and then for what changes all the time; every change of state comes, in order. */
export type PeersUpdate =
  | { readonly type: 'all'; readonly atMs: number; readonly peers: readonly PeerView[] }
  /** Without `from` it became known. */
  | { readonly type: 'changed'; readonly atMs: number; readonly peer: PeerView; readonly from?: PeerState };

export interface LeaveInput {
  /** Ends what runs as `indeterminate`. */
  readonly force: boolean;
  /** Although something is lost by it. */
  readonly confirmed: boolean;
  readonly waitMs: number;
}

export interface LeaveResult {
  readonly left: boolean;
  readonly running: number;
  readonly meshName: string;
  /** Names of members that wrote it down, and of those that could not be told. */
  readonly told: readonly string[];
  readonly untold: readonly string[];
  /** Invocations for others that were ended. */
  readonly ended: number;
  /** What would be lost, a sentence each: nothing was done, for want of `confirmed`. */
  readonly losses: readonly string[];
  /** It had been removed from that mesh, or, with `meshName` empty, its key refused as removed: from its next start on it has another key, and another node id. */
  readonly isNewKey?: boolean;
}

export interface RemoveResult {
  readonly nodeId: NodeId;
  readonly name: string;
  /** Who removed it, for people. */
  readonly by: string;
  readonly atMs: number;
  /** It was removed before: nothing was changed now. */
  readonly already: boolean;
  /** Names of members that wrote it down, and of those that could not be told now. */
  readonly told: readonly string[];
  readonly untold: readonly string[];
  /** Of a node that let others in: names of those that it certified. They stay. */
  readonly letIn: readonly string[];
}

/** Id arguments are as typed: an id, a unique suffix, or `last`. Errors are BrokerErrors with the codes of CLI. */
export interface BrokerApi extends ProjectsApi, OperatorApi, IssuerApi, PolicyApi, AuditApi {
  /** Whose process shows this token. @throws `unauthenticated` for one that is wrong, or whose flight does not run here now */
  flightCaller(token: string): LocalCaller;
  /** @throws `denied` when the flight is neither the caller's own nor what it led to; what `findFlight` throws */
  checkFamily(caller: CallingFlight, idArgument: string): Promise<void>;

  status(): Promise<NodeStatus>;
  /** Begins to drain (with `force`: ends running work as `indeterminate`); the process ends by itself afterwards. */
  shutdown(force: boolean): Promise<{ pid: number; running: number }>;

  addAgent(spec: AgentSpec): Promise<{ agent: AgentView; added: boolean }>;
  removeAgent(address: string): Promise<{ address: string; heldFailed: number }>;
  /** For the verb `invoke`. Again: no change. @throws `conflict` for an agent of another node, `not_found` for whom is not known */
  shareAgent(input: ShareInput): Promise<ShareResult>;
  /** Effective when it resolves: what was queued by callers that may not any more has ended `failed`, `denied`. @throws as `shareAgent`, `not_found` when it was not shared so */
  unshareAgent(input: ShareInput): Promise<UnshareResult>;
  getAgent(address: string): Promise<AgentView>;
  /** @throws `not_found` for an unknown node */
  listAgents(filter: AgentFilter, page: PageRequest): Promise<Page<AgentView>>;
  /** Until `signal` aborts; a slow reader is told the newest alone. @throws as `listAgents` does */
  watchAgents(filter: AgentFilter, signal: AbortSignal): AsyncIterable<AgentsUpdate>;
  resolve(selector: Selector): Promise<ResolveResult>;

  /** Resolves after the invocation is durable. @throws what is known before acceptance (G11) */
  invoke(input: InvokeInput): Promise<AcceptedFlight>;
  /** For one client that has many accepted: each as by `invoke`, one promise for each, in their order. An agent here that could run is not looked at again for 50 ms. */
  submission(): (inputs: readonly InvokeInput[]) => readonly Promise<AcceptedFlight>[];
  /**
   * To all that match, in one commit or not at all. The key stands for the group: again it is the first one, wholly.
   * @throws as `invoke`, naming whom it can't go to; `invalid` with `detail.matches` for more than 5 that are neither `confirmed` nor `expected`
   */
  invokeAll(input: InvokeAllInput): Promise<AcceptedGroup>;
  /** By id, or a suffix of one. @throws `not_found`, `ambiguous` */
  getGroup(idArgument: string): Promise<{ groupId: GroupId; flights: readonly Flight[] }>;
  /**
   * Updates from the store, as they become durable, until the flight is terminal and told, or `signal` aborts.
   * Pull-driven: a slow reader holds nothing up. `accepted` comes first, then whatever has happened, in order.
   */
  follow(flightId: FlightId, options: { afterSeq: number; deduplicated: boolean; signal: AbortSignal; notes?: readonly string[] }): AsyncIterable<FlightUpdate>;
  findFlight(idArgument: string): Promise<Flight>;
  /** `family`: only this invocation and what it led to. `group`: as typed. */
  listFlights(filter: Omit<FlightFilter, 'group'> & { node?: string; group?: string; family?: InvocationId }, page: PageRequest): Promise<Page<Flight>>;
  getFlight(idArgument: string): Promise<FlightDetail>;
  output(flightId: FlightId, stream: OutputStream): AsyncIterable<Uint8Array>;
  /** Waits up to `waitMs` for the owner's word. @throws `conflict` when it has ended, naming the state */
  cancelFlight(idArgument: string, waitMs: number, by?: string): Promise<{ flight: Flight; confirmed: boolean }>;

  /** `confirmed` is false when the owner has not said within `waitMs` what it made of it: it stands. @throws `conflict` when it comes too late */
  replyToFlight(input: ReplyInput): Promise<{ flight: Flight; request: string; confirmed: boolean }>;
  listWaiting(): Promise<WaitingView>;

  /** Everything in an isolated flight's worktree against the commit that it began at. @throws `conflict` where none is kept, `unavailable` when its owner does not answer */
  readDiff(idArgument: string): AsyncIterable<DiffPart>;
  /** Its owner removes the worktree. `tree`: of the diff that was fetched. @throws as `readDiff`, and `conflict` when there is more in it than was fetched */
  settleWorktree(input: { id: string; verb: WorktreeVerb; tree?: string; by: string }): Promise<SettledWorktree>;

  listDeliveries(filter: DeliveryFilter & { node?: string; invocation?: string }, page: PageRequest): Promise<Page<Delivery>>;
  getDelivery(idArgument: string): Promise<{ delivery: Delivery; attempts: readonly DeliveryAttempt[] }>;
  /** A new invocation of the same. @throws `conflict` when it may run, may have run without `confirmed`, or completed */
  redriveDelivery(input: { id: string; caller: LocalCaller; confirmed: boolean }): Promise<{ flight: Flight; deduplicated: boolean }>;
  trace(idArgument: string): Promise<TraceView>;
  peers(): Promise<readonly PeerView[]>;
  /** Until `signal` aborts. */
  watchPeers(signal: AbortSignal): AsyncIterable<PeersUpdate>;
  /** @throws `not_found` for an unknown node, `unavailable` when it does not answer */
  ping(node: string): Promise<{ nodeId: NodeId; name: string; address: string; rttMs: number }>;

  /** What of itself only a node that runs can check; asks peers, and takes seconds. */
  diagnose(): Promise<readonly Check[]>;

  /** To a new file at this absolute path; `tell` hears how far it is. @throws as `Store.backup` does */
  backup(path: string, tell?: (progress: BackupProgress) => void): Promise<BackupReport>;

  createMesh(input: { name?: string; new: boolean }): Promise<{ meshId: MeshId; name: string; owner: string; nodeName: string }>;
  createInvite(input: { ttlMs?: number; forPerson?: string }): Promise<{ token: string; expiresAtMs: number; addresses: readonly string[] }>;
  joinMesh(token: string): Promise<{ meshId: MeshId; meshName: string; nodeName: string; owner: string }>;
  /**
   * This node under another name, certified anew, its agents with it. @throws `conflict` without a mesh or when another
   * member has the name, `unavailable` when no issuer can be reached, naming them
   */
  renameNode(name: string): Promise<{ name: string; was: string }>;
  /** Resolves when it has left, or after `waitMs` while work still runs: then it goes on. @throws `conflict` when it is in no mesh, and its key not refused by one */
  leaveMesh(input: LeaveInput): Promise<LeaveResult>;
  /**
   * That member is one no longer, for good. `by`: who wants it, here. @throws `not_found` with the nearest, `invalid` for this node itself,
   * `denied` when no issuer is this owner's, `unavailable` naming those that can't be reached, `conflict` outside of a mesh
   */
  removeMember(node: string, by: string): Promise<RemoveResult>;
  members(): Promise<readonly MemberView[]>;
  /** Oldest first. @throws `denied` on a node that is no issuer */
  pending(): Promise<readonly Applicant[]>;
  /**
   * Lets in one that waits, and all that a rule names, now and later.
   * @throws `denied` on a node that is no issuer, `not_found` or `ambiguous` for a node that does not wait, `invalid` for a rule
   */
  admit(input: { node?: string; rules: readonly AdmitRule[] }): Promise<{ rules: readonly AdmitRule[] }>;
}

