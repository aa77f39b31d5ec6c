/**
 * The durable store. Every write resolves only after the commit that holds it was fsynced; what a write answers was
 * read inside that same commit. A write that fails changes nothing. Errors: `conflict`, `not_found`, `invalid` as
 * named; `unavailable` for a full disk or an I/O error; `internal` for an illegal move of a state table.
 */
import type { AcceptAllInput, AcceptInput } from './accepting.ts';
import type { AdmitRule, Applicant } from './admit-rule.ts';
import type { Act, AuditEntry, AuditHead, AuditInspection, AuditReads, AuditWrites } from './audit.ts';
import type { BackupProgress, BackupReport } from './backup-report.ts';
import type { AttemptId, FlightId, GroupId, InvocationId, MeshId, NodeId, SessionId } from './ids.ts';
import type { MemberWrites } from './member-store.ts';
import type { Invite, Member, Membership } from './membership.ts';
import type { DeliveryFilter, FlightFilter, SyncItem } from './messages.ts';
import type { FailureReason } from './delivery.ts';
import type { ErrorInfo } from './errors.ts';
import type { EventKind, Fact, Stamp } from './event.ts';
import type { FlightEvent, Outcome, OutputStream } from './flight-event.ts';
import type { FlightState } from './flight.ts';
import type { FlightProcess, ProcessMark, TurnSession } from './harness-port.ts';
import type { Hlc } from './hlc.ts';
import type { Endpoint, Invocation, Task } from './invocation.ts';
import type { ObservationReads } from './observation.ts';
import type { Progress } from './progress.ts';
import type { ProjectReads, ProjectWrites } from './project-store.ts';
import type { OriginStanding } from './reconciliation.ts';
import type { Delivery, DeliveryAttempt, Flight, Page, PageRequest } from './records.ts';
import type { Registration, RegistryHead, SignedRecord } from './registration.ts';
import type { Ask, Reply } from './request.ts';
import type { RevocationReads, RevocationWrites } from './revocation.ts';
import type { Share } from './sharing.ts';
import type { PlacedWorktree, Worktree } from './worktree.ts';

export type { AcceptAllInput, AcceptInput, AcceptPlan } from './accepting.ts';
export type { BackupProgress, BackupReport } from './backup-report.ts';
export type { Readdressed } from './member-store.ts';
export type { Invite, Member, Membership, RemovedFrom } from './membership.ts';

/** A piece of what a run tells: its output, or its progress. */
export type RunChunk = OutputChunk | ProgressChunk;

export interface OutputChunk {
  readonly stream: OutputStream;
  readonly bytes: Uint8Array;
  readonly stamp: Stamp;
}

export interface ProgressChunk {
  readonly progress: Progress;
  readonly stamp: Stamp;
}

export interface StoredRegistration {
  readonly registration: Registration;
  readonly record: SignedRecord;
  /** Lower-case hex sha256 of the payload. */
  readonly hash: string;
}

/** When a flight's bytes, and when its records, have been kept long enough. Times are of its end, this node's clock. */
export interface PruneLimits {
  readonly outputsBeforeMs: number;
  /** Tasks and output stored here, of all flights. */
  readonly mostBytes: number;
  readonly recordsBeforeMs: number;
}

/** How far a store has come: its boot, and the number of its newest fact. */
export interface StoreMark {
  readonly epoch: number;
  readonly fact: number;
}

/** A person's reply, kept at the node where it was given until the owner has said what it made of it. */
export interface StoredReply {
  readonly invocationId: InvocationId;
  readonly request: string;
  readonly reply: Reply;
  readonly by: string;
  readonly isSettled: boolean;
  /** Why the owner did not take it. */
  readonly error?: ErrorInfo;
}

export interface StoreWrites extends ProjectWrites, MemberWrites, RevocationWrites, AuditWrites {
  /**
   * Starts a boot: epoch = max(stored + 1, newest + 1, now). A store that is behind `newest`, which is known from
   * outside it, or that was written by `backup`, was rolled back: then as `rolledBack`, in the same commit.
   * `previousEpoch` is the one stored before, 0 for none. `audit`: how far its audit is known to have come; what does not fit becomes a row of it.
   */
  boot(input: { stamp: Stamp; nodeId: NodeId; version: string; newest?: StoreMark; audit?: { readonly known: AuditHead | undefined } }): Promise<{ epoch: number; previousEpoch: number; rolledBack: boolean }>;
  /**
   * This store was put back to an older state, as a peer can prove. Of what was here before this boot: queued work of
   * other origins is held back until they were asked, own work that may have run since ends `indeterminate`, both
   * unless its caller allowed a second run. `fresh` is false when this boot knows it already.
   */
  rolledBack(input: { stamp: Stamp; act?: Act | undefined; evidence: string; peerNodeId?: NodeId }): Promise<{ fresh: boolean; ended: readonly FlightId[]; quarantined: number }>;
  /** What the origin of a held back flight has of it: it is released, or ends `indeterminate`. Undefined when it is not held back. */
  settleQuarantined(input: { stamp: Stamp; flightId: FlightId; origin: OriginStanding | 'unknown' }): Promise<Flight | undefined>;
  /**
   * Removes some of what is over: task and output of flights finished before `outputsBeforeMs`, or the oldest while
   * more than `mostBytes` are stored; records of flights finished, and sessions last used, before `recordsBeforeMs`. Never of a flight that is
   * open or not wholly known to its origin; never a key. A short transaction: call it while `prunable`.
   */
  prune(input: PruneLimits & { stamp: Stamp }): Promise<{ outputs: number; records: number; bytes: number }>;
  /** A fact that changes no record: `node.stopped`, `invocation.refused`. `audit`: what it is to the audit, in the same commit. */
  note(input: { stamp: Stamp; audit?: AuditEntry; what: EventKind; invocationId?: InvocationId; peerNodeId?: NodeId; detail?: Readonly<Record<string, string>> }): Promise<void>;

  /**
   * @throws `conflict` for a key with another payload, `overload` when the local queue is full, `not_found`, `ambiguous`
   * or `denied` for its session (nothing is stored)
   */
  accept(input: AcceptInput): Promise<{ flight: Flight; deduplicated: boolean }>;
  /** All in one commit, or none. `known`: the group that the key stands for. @throws as `accept` */
  acceptAll(input: AcceptAllInput): Promise<{ readonly flights: readonly Flight[] } | { readonly known: GroupId }>;
  /**
   * The owner's dedupe and insert. `fresh` is false for one it has. A tombstone left by a cancel answers `cancelled`.
   * `sessionOwner`: whose sessions, for an agent that keeps some: then the flight gets one, in the same transaction. `originOwner`: as the certificate of its link says.
   * `start`: unless something waits for the agent, it is `running` from the same commit on, as `start` would have it.
   * @throws `conflict` when the id is known from another origin, `overload` when the agent's queue is full, `not_found`,
   * `ambiguous` or `denied` for its session
   */
  receive(input: { stamp: Stamp; invocation: Invocation; task: Task; queueLimit: number; retryAfterMs?: number; sessionOwner?: string; originOwner?: string; start?: boolean }): Promise<{ flight: Flight; fresh: boolean } | 'cancelled'>;

  /** A send begins: `sent` is durable before a byte leaves. False when the delivery may no longer be sent. */
  beginAttempt(input: { stamp: Stamp; invocationId: InvocationId; attemptId: AttemptId }): Promise<boolean>;
  /** Every open attempt towards the peer is lost: `sent` → `deferred`. Returns how many. */
  loseAttempts(input: { stamp: Stamp; toNodeId: NodeId; reason: FailureReason; detail: string }): Promise<number>;
  /**
   * The owner's word that it does not take this attempt now: `sent` → `deferred`. Undefined, and no change, when that
   * attempt is not the one that is open. @throws `denied` when another node speaks of it
   */
  defer(input: { stamp: Stamp; invocationId: InvocationId; fromNodeId: NodeId; attempt: number; reason: FailureReason; detail: string }): Promise<Flight | undefined>;
  /** The owner's receipt. From any other node than the owner: `denied`. Undefined when unknown here. */
  receipt(input: { stamp: Stamp; invocationId: InvocationId; fromNodeId: NodeId; receivedAtMs: number }): Promise<Flight | undefined>;
  /** The owner refused: delivery `rejected`, flight `failed` with the error. Same rule about the sender. */
  reject(input: { stamp: Stamp; invocationId: InvocationId; fromNodeId: NodeId; reason: FailureReason; error: ErrorInfo }): Promise<Flight | undefined>;
  /** The origin's own verdict. Undefined when the flight is terminal already. With `unlessSent` also when it was ever sent. */
  endAtOrigin(input: { stamp: Stamp; flightId: FlightId; outcome: Outcome; delivery: { status: 'dead' | 'cancelled'; reason: FailureReason } | undefined; unlessSent: boolean }): Promise<Flight | undefined>;
  /**
   * The owner's events, applied in order: those at or below `lastSeq` are dropped, a gap stops there. Marks the
   * delivery received. A terminal verdict of the origin other than `indeterminate` stands.
   * @returns the flight with its new `lastSeq` and the events that were new; undefined when unknown here
   * @throws `denied` when `fromNodeId` is not the owner
   */
  applyEvents(input: { stamp: Stamp; invocationId: InvocationId; fromNodeId: NodeId; receivedAtMs: number; events: readonly FlightEvent[] }): Promise<{ flight: Flight; applied: readonly FlightEvent[] } | undefined>;
  /**
   * Durable wish to end it, and the end itself of one for another node that was never sent. Returns the flight as it now
   * is; `conflict` when terminal, naming the state. Again: no change.
   */
  requestCancel(input: { stamp: Stamp; flightId: FlightId; by: string }): Promise<Flight>;

  /** This was told of a flight with `notify`: a request, or its end (`endTold`), after which nothing is. */
  notified(input: { flightId: FlightId; told: string }): Promise<void>;

  /**
   * `queued → running`, run + 1, event `started`, and where it runs when it is isolated. Undefined when it is not queued
   * any more. @throws `conflict` when the worktree was settled meanwhile
   */
  start(input: { stamp: Stamp; flightId: FlightId; worktree?: PlacedWorktree }): Promise<{ flight: Flight; event: FlightEvent } | undefined>;
  /** A process of a flight that runs here, until the flight ends. One that has ended by now is left alone. */
  recordProcess(input: { flightId: FlightId; process: ProcessMark }): Promise<void>;
  /** What `finish` was told to keep on record is gone. */
  forgetProcesses(input: { flightId: FlightId }): Promise<void>;
  /** What the agent calls the session of the flight. */
  bindSession(input: { flightId: FlightId; agentSession: string }): Promise<void>;
  appendOutput(input: { flightId: FlightId; chunks: readonly RunChunk[] }): Promise<readonly FlightEvent[]>;
  /** The owner's terminal event. Undefined when terminal already. `keepsProcesses`: its processes wait for the next turn, and stay on record. `last`: pieces of the run that come before it. */
  finish(input: { stamp: Stamp; flightId: FlightId; outcome: Outcome; keepsProcesses?: boolean; last?: readonly RunChunk[] }): Promise<{ flight: Flight; event: FlightEvent } | undefined>;
  /** `running → waiting`: the request and its event. Undefined when it does not run any more. */
  ask(input: { stamp: Stamp; flightId: FlightId; request: string; ask: Omit<Ask, 'timeoutMs'>; untilMs: number }): Promise<{ flight: Flight; event: FlightEvent } | undefined>;
  /**
   * A reply given at this node. At the owner it is taken at once: `waiting → running`, and `isTaken` tells it from one
   * that was taken before. Elsewhere it is kept for the owner. The same reply again changes nothing.
   * @throws `conflict` when the request is not open as far as this node knows, or was answered otherwise; the error of the owner that did not take it
   */
  giveReply(input: { stamp: Stamp; act?: Act | undefined; flightId: FlightId; request: string; reply: Reply; by: string }): Promise<{ flight: Flight; isSettled: boolean; isTaken: boolean }>;
  /** A reply that the origin sent to this owner, once however often it comes. @throws `not_found`, `denied` when it is of another origin, `conflict` when it comes too late */
  receiveReply(input: { stamp: Stamp; act?: Act | undefined; invocationId: InvocationId; originNodeId: NodeId; request: string; reply: Reply; by: string }): Promise<{ flight: Flight; isTaken: boolean }>;
  /** The owner's word on a reply that was given here. False when none waits for it. */
  settleReply(input: { stamp: Stamp; invocationId: InvocationId; fromNodeId: NodeId; request: string; error?: ErrorInfo }): Promise<boolean>;
  /** Nobody answered in time: `waiting → running`. Undefined when the request is not open any more. */
  timeOutRequest(input: { stamp: Stamp; flightId: FlightId; request: string }): Promise<{ flight: Flight; event: FlightEvent } | undefined>;
  /**
   * What became of the worktree of a flight: decided at the owner, who removes it afterwards; at another node what the owner said.
   * The same state again changes nothing. @throws `not_found`; at the owner `conflict` when it was settled otherwise, or somebody works in it
   */
  settleWorktree(input: { stamp: Stamp; flightId: FlightId; state: Worktree['state']; by?: string }): Promise<Worktree>;
  /** A cancel from the origin: leaves a tombstone when unknown. @throws `denied` when known from another origin */
  receiveCancel(input: { stamp: Stamp; invocationId: InvocationId; originNodeId: NodeId }): Promise<Flight | 'tombstone'>;
  /** The origin holds events through `seq`. */
  acknowledged(input: { flightId: FlightId; originNodeId: NodeId; seq: number }): Promise<void>;
  /** At start: work of ours that was running or waiting when the node died becomes `indeterminate`, or queued again if rerunnable. `ended`: processes found and ended, by the flight that they were spawned for; of a flight that is over they count for the turn of its session that ran. */
  recover(input: {
    stamp: Stamp;
    nodeId: NodeId;
    ended?: ReadonlyMap<FlightId, number>;
    /** Addresses of agents whose work may have outlived the node: what they were at stays as it is, `open`. */
    mayReturn?: readonly string[];
  }): Promise<{ indeterminate: readonly FlightId[]; requeued: readonly FlightId[]; open: readonly FlightId[] }>;
  /** Nobody came back to what `recover` left open: queued again if rerunnable, else `indeterminate`. Undefined when it has ended already. */
  giveUp(input: { stamp: Stamp; flightId: FlightId; error: ErrorInfo }): Promise<{ flight: Flight; event: FlightEvent } | undefined>;

  /** @throws `conflict` when the address exists and differs. `added` false when identical. */
  addAgent(input: { stamp: Stamp; act?: Act | undefined; endpoint: Endpoint; registration: Registration }): Promise<{ added: boolean }>;
  /**
   * Held flights of it are returned, for the caller to end. Its sessions go with it. `why`, when given, is remembered for
   * 30 days, for work that comes for it later. `isByHand`: an instance of a project is not made anew; the last one takes the project with it. @throws `not_found`
   */
  removeAgent(input: { stamp: Stamp; act?: Act | undefined; address: string; why?: string; isByHand?: boolean }): Promise<{ held: readonly FlightId[] }>;
  /** Returns those that are new. @throws `not_found` */
  shareAgent(input: { stamp: Stamp; act?: Act | undefined; address: string; shares: readonly Share[]; by: string }): Promise<readonly Share[]>;
  /** Without `shares` all. Returns those that were. @throws `not_found`, also for one that is not among them: nothing is changed then */
  unshareAgent(input: { stamp: Stamp; act?: Act | undefined; address: string; shares?: readonly Share[]; by: string }): Promise<readonly Share[]>;
  setAvailability(input: { address: string; available: boolean; why?: string }): Promise<void>;
  /**
   * A head, and what changes with it in its owner's set: `records` come, the hashes `gone` go. `base` is the head that the
   * difference was made against, undefined for none. False, and nothing is changed, when another one is stored by now.
   */
  saveRegistry(input: {
    head: RegistryHead;
    signedHead: SignedRecord;
    base: Pick<RegistryHead, 'epoch' | 'version'> | undefined;
    records: readonly StoredRegistration[];
    gone: readonly string[];
    atMs: number;
  }): Promise<boolean>;

  /** `epoch`: of its boot, when it was heard of. */
  saw(input: { nodeId: NodeId; atMs: number; epoch?: number }): Promise<void>;
  /** A commit like any other that leaves nothing behind: that writes are taken. @throws `unavailable` */
  probe(): Promise<void>;
}

/** Whose work waits for an agent: what it may have done there is the same for all of it. `originOwner` as of a `Flight`. */
export type QueuedCaller = Pick<Flight, 'originNodeId' | 'originOwner'>;

/** @property busy none of these sessions @property after none up to this one @property caller of this one alone */
export interface QueuedWhich {
  readonly busy?: readonly SessionId[] | undefined;
  readonly after?: FlightId | undefined;
  readonly caller?: QueuedCaller | undefined;
}

/** Short reads on the calling thread: each is by index and bounded, and sees only what is durable. */
export interface StoreReads extends RevocationReads, ProjectReads, AuditReads {
  lastHlc(): Hlc | undefined;
  /** The number of the newest fact, 0 for none. */
  newestFact(): number;
  flight(id: FlightId): Flight | undefined;
  /** At most two of those whose ULID ends so, newest first: enough to know that it is ambiguous. */
  flightsBySuffix(suffix: string): readonly Flight[];
  newestFlight(): Flight | undefined;
  /** What an idempotency key of this caller stands for. */
  keyed(caller: string, key: string): { invocationId: InvocationId; payloadHash: string } | undefined;
  invocation(id: InvocationId): Invocation | undefined;
  /** Undefined once pruned. */
  task(id: InvocationId): Task | undefined;
  /** Of its task, without reading it; 0 once pruned. */
  taskBytes(id: InvocationId): number;
  /** Events after `afterSeq` in order, up to about `maxBytes` of output, at least one if there is one. */
  events(id: FlightId, afterSeq: number, maxBytes: number): readonly FlightEvent[];
  delivery(id: InvocationId): Delivery | undefined;
  reply(id: InvocationId, request: string): StoredReply | undefined;
  /** Given here for that owner, which has not yet said what it made of them. */
  openReplies(ownerNodeId: NodeId, limit: number): readonly StoredReply[];
  /** Not terminal, ours to send, never sent or lost since, oldest first, after the given id. */
  unsent(toNodeId: NodeId, after: InvocationId | undefined, limit: number): readonly InvocationId[];
  /** Sent to that owner and not terminal here, in id order. */
  openAt(ownerNodeId: NodeId, after: InvocationId | undefined, limit: number): readonly SyncItem[];
  /** Of that origin, owned here, with events it has not acknowledged, in id order. */
  unacknowledged(originNodeId: NodeId, after: InvocationId | undefined, limit: number): readonly { invocationId: InvocationId; ackedSeq: number; lastSeq: number }[];
  /** Of that origin and held back until it was asked, in id order. */
  quarantined(originNodeId: NodeId, after: InvocationId | undefined, limit: number): readonly InvocationId[];
  /** Of that origin, owned here and not over, in id order. */
  openFor(originNodeId: NodeId, after: InvocationId | undefined, limit: number): readonly InvocationId[];
  /** The two newest epochs seen of that node, newest first. */
  seenEpochs(nodeId: NodeId): readonly number[];
  /** Whether `prune` would find something. */
  prunable(limits: PruneLimits): boolean;
  /** Owned here, queued for that agent and not held back, oldest first. */
  queued(address: string, limit: number, which?: QueuedWhich): readonly FlightId[];
  /** Whose these are, each once: the cost is that of the callers, however much each has queued. */
  queuedCallers(address: string): readonly QueuedCaller[];
  /** Of an agent here. */
  session(id: SessionId): TurnSession | undefined;
  /** That a flight ran in. */
  worktree(id: FlightId): Worktree | undefined;
  /** The newest of that name, made here. */
  worktreeNamed(name: string): Worktree | undefined;
  /** The one that is kept for the next turn of a session. */
  worktreeOfSession(id: SessionId): Worktree | undefined;
  /** The flight owned here that runs, or waits, in that session. */
  turnOf(id: SessionId): FlightId | undefined;
  /** Held back or not. @param atMost it is counted no further */
  queuedCount(address: string, atMost?: number): number;
  /** The agents that something is queued for here, registered or not, by address. */
  queuedTargets(): readonly string[];
  /** The earliest queue deadline (of what has not started) and total deadline (of what has not ended). */
  due(nowMs: number, limit: number): readonly { flightId: FlightId; which: 'hold' | 'total' }[];
  /** The earliest deadline later than `afterMs`. */
  nextDeadlineMs(afterMs?: number): number | undefined;
  /** Flights accepted with `notify` whose end was not told yet, and what was told last. */
  toNotify(): readonly { readonly flightId: FlightId; readonly told: string | undefined }[];
  /** On record: of flights that have not ended, and those kept after the end of theirs. */
  processes(): readonly FlightProcess[];
  endpoints(): readonly Endpoint[];
  endpoint(address: string): Endpoint | undefined;
  ownRegistrations(): readonly Registration[];
  ownRegistration(address: string): Registration | undefined;
  /** Whom an agent here is shared with. */
  shares(address: string): readonly Share[];
  /** Accepted together, in the order of their targets. */
  group(id: GroupId): readonly Flight[];
  /** At most two of those whose ULID ends so. */
  groupsBySuffix(suffix: string): readonly GroupId[];
  /** Of every node that told its set, this one too. */
  registryHeads(): readonly { head: RegistryHead; signedHead: SignedRecord }[];
  registryHead(nodeId: NodeId): { head: RegistryHead; signedHead: SignedRecord } | undefined;
  registrations(nodeId?: NodeId): readonly StoredRegistration[];
  /** By the hash of its payload. */
  signedRegistration(nodeId: NodeId, hash: string): SignedRecord | undefined;
  invite(secretHash: string): (Invite & { readonly usedBy?: NodeId }) | undefined;
  /** Undefined, too, once this node was removed: see `removedFrom`. */
  membership(): Membership | undefined;
  /** Which mesh this node is in: a part of `membership` that is asked for with every signature. */
  mesh(): { readonly id: MeshId; readonly name: string } | undefined;
  members(): readonly Member[];
  member(nodeId: NodeId): Member | undefined;
  /** Those of that name, left or not. */
  membersNamed(name: string): readonly Member[];
  /** Whether this node was in that mesh, and left. */
  hasLeft(meshId: MeshId): boolean;
  /** Of a node of a mesh that this one has left. */
  formerName(nodeId: NodeId): string | undefined;
  admitRules(): readonly AdmitRule[];
  /** Oldest first. */
  applicants(): readonly Applicant[];
  /** Nodes that this one made issuers. */
  issuers(): readonly NodeId[];
}

/** Long reads, on a thread of their own. */
export interface StoreInspection extends ObservationReads, AuditInspection {
  /** A question is likely to come soon: what has to be made ready for the first of them is, without waiting for it. */
  wake(): void;
  /** `family`: only this invocation and what it led to, as far as it is stored here. */
  flights(filter: FlightFilter & { family?: InvocationId }, page: PageRequest): Promise<Page<Flight>>;
  deliveries(filter: DeliveryFilter, page: PageRequest): Promise<Page<Delivery>>;
  deliveriesBySuffix(suffix: string): Promise<readonly Delivery[]>;
  attempts(invocationId: InvocationId): Promise<readonly DeliveryAttempt[]>;
  facts(invocationId: InvocationId): Promise<readonly Fact[]>;
  countFlights(): Promise<Readonly<Partial<Record<FlightState, number>>>>;
  /** Output and progress events of the flight's last run. */
  pieces(flightId: FlightId): Promise<number>;
  /** For a large one: see `StoreReads.taskBytes`. */
  task(invocationId: InvocationId): Promise<Task | undefined>;
  /** `ok`, or the first thing that is wrong with the file. Reads all of it. */
  quickCheck(): Promise<string>;
  /** Stdout (and stderr) stored here, in order, a piece at a time. */
  output(flightId: FlightId, stream: OutputStream, afterSeq: number, maxBytes: number): Promise<{ bytes: Uint8Array; lastSeq: number; done: boolean }>;
}

export interface Store {
  readonly write: StoreWrites;
  readonly read: StoreReads;
  readonly inspect: StoreInspection;
  /**
   * Writes all that is stored at one moment to a new file, mode 0600, and checks it. Writes go on meanwhile; `tell` hears how far it is.
   * @throws `conflict` when something is there, `invalid` for a bad path, `unavailable` for a disk that is full or fails
   */
  backup(path: string, tell?: (progress: BackupProgress) => void): Promise<BackupReport>;
  /** Resolves when every write in hand has settled and all is closed. */
  close(): Promise<void>;
}

