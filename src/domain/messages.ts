/** What two nodes say to each other inside a session. The mesh adapter carries these and knows their wire form. */
import type { AdmitRule } from './admit-rule.ts';
import type { FailureReason } from './delivery.ts';
import type { ErrorInfo } from './errors.ts';
import type { FlightEvent } from './flight-event.ts';
import type { FlightState } from './flight.ts';
import type { Hlc } from './hlc.ts';
import type { GroupId, InvocationId, NodeId } from './ids.ts';
import type { Invocation, Task } from './invocation.ts';
import type { ObservationAnswer, ObservationQuery } from './observation.ts';
import type { OriginStanding } from './reconciliation.ts';
import type { Delivery, Flight, Page } from './records.ts';
import type { RegistryChange, RegistryEntry, SignedRecord } from './registration.ts';
import type { Reply } from './request.ts';
import type { CertificateChain, IssuerKeyOffer, IssuerProof } from './trust.ts';
import type { DiffSummary, Isolation, WorktreeVerb } from './worktree.ts';

/** The origin hands work over. Its limits are what is left of them at the moment of sending. */
export interface Forward {
  readonly type: 'forward';
  readonly invocation: Invocation;
  readonly task: Task;
  readonly attempt: number;
  readonly hlc: Hlc;
}

/** The owner's word that the invocation is durable there. */
export interface Receipt {
  readonly type: 'receipt';
  readonly invocationId: InvocationId;
  readonly receivedAtMs: number;
  readonly hlc: Hlc;
}

/** The owner's word that it will not take the invocation. It stored nothing of it. */
export interface Reject {
  readonly type: 'reject';
  readonly invocationId: InvocationId;
  readonly reason: FailureReason;
  readonly error: ErrorInfo;
  readonly hlc: Hlc;
}

/** The owner's word that it takes no new work now: it is going down. It stored nothing of this attempt. */
export interface Draining {
  readonly type: 'draining';
  readonly invocationId: InvocationId;
  readonly attempt: number;
  readonly hlc: Hlc;
}

/** The origin's view of one flight that it has sent and not seen end. */
export interface SyncItem {
  readonly invocationId: InvocationId;
  readonly receipted: boolean;
  readonly lastSeq: number;
  readonly cancelRequested: boolean;
}

/** Origin to owner, on session start. */
export interface Sync {
  readonly type: 'sync';
  readonly items: readonly SyncItem[];
}

/** The owner's view of one flight; `unknown` when it holds nothing of it. */
export interface SyncReply {
  readonly type: 'sync_reply';
  readonly items: readonly { readonly invocationId: InvocationId; readonly state: FlightState | 'unknown'; readonly run: number; readonly lastSeq: number }[];
}

/** Origin to owner: end this flight. Repeated until the flight is seen to end. */
export interface Cancel {
  readonly type: 'cancel';
  readonly invocationId: InvocationId;
  readonly hlc: Hlc;
}

/** Owner to origin: a cancel came for an invocation that it never got, and now never takes. */
export interface CancelledUnknown {
  readonly type: 'cancelled_unknown';
  readonly invocationId: InvocationId;
  readonly hlc: Hlc;
}

/** Owner to origin, on the data stream: events in `seq` order, committed at the owner. */
export interface FlightEvents {
  readonly type: 'flight_events';
  readonly invocationId: InvocationId;
  /** When the owner received the invocation: these events prove its receipt as well. */
  readonly receivedAtMs: number;
  readonly events: readonly FlightEvent[];
}

/** Origin to owner: what a person said to a request. Durable at the origin, repeated until the owner has said what it made of it. */
export interface GivenReply {
  readonly type: 'reply';
  readonly invocationId: InvocationId;
  readonly request: string;
  readonly reply: Reply;
  /** Who said it, at the origin. */
  readonly by: string;
  readonly hlc: Hlc;
}

/** Owner to origin: the reply was taken, or why not. */
export interface ReplyOutcome {
  readonly type: 'reply_outcome';
  readonly invocationId: InvocationId;
  readonly request: string;
  readonly error?: ErrorInfo;
  readonly hlc: Hlc;
}

/** Origin to owner: stored durably through `seq`. Returns the credit of what it covers. */
export interface EventAck {
  readonly type: 'event_ack';
  readonly invocationId: InvocationId;
  readonly seq: number;
  /** The origin holds no such flight: stop sending. */
  readonly unknown: boolean;
}

/** What changed in one owner's set, to those whom gossip may not reach. */
export interface RegistryNews {
  readonly type: 'registry_change';
  readonly change: RegistryChange;
}

/** What changed of a member. */
export interface EntryNews {
  readonly type: 'registry_entry';
  readonly entry: RegistryEntry;
}

/** How busy a node is, in its own signed words. */
export interface PresenceNews {
  readonly type: 'presence';
  readonly presence: SignedRecord;
}

/** Members that the sender knows, and where they listen. Each chain proves itself. */
export interface Roster {
  readonly type: 'roster';
  readonly members: readonly { readonly chain: CertificateChain; readonly addresses: readonly string[] }[];
  /** Of an issuer, for issuers. */
  readonly admission?: { readonly rules: readonly AdmitRule[]; readonly proof: IssuerProof };
  /** Roots besides the first, and what they say of issuers: as they travel. */
  readonly authorities?: Uint8Array;
}

export type ControlMessage = Forward | Receipt | Reject | Draining | Sync | SyncReply | Cancel | CancelledUnknown | GivenReply | ReplyOutcome | EventAck | RegistryNews | EntryNews | PresenceNews | Roster;
export type PeerMessage = ControlMessage | FlightEvents;

export interface FlightFilter {
  readonly state?: FlightState;
  readonly agent?: string;
  /** Accepted together: of this node's own calls only. */
  readonly group?: GroupId;
}

export interface DeliveryFilter {
  readonly status?: Delivery['status'];
  readonly invocationId?: InvocationId;
  readonly sinceMs?: number;
}

/** What a person wants to become of a worktree. `tree`: of the diff that was fetched, which is all there may be in it. */
export interface Settle {
  readonly verb: WorktreeVerb;
  readonly tree?: string;
  /** Who wants it, at the node that asks. */
  readonly by: string;
}

/** A person's reply, given at a node that has no part in the flight: the asked one gives it in its place. */
export interface RelayedReply {
  readonly type: 'reply';
  readonly invocationId: InvocationId;
  /** As typed; empty: the one that is open. */
  readonly request: string;
  readonly reply: Reply;
  readonly by: string;
  readonly waitMs: number;
}

/** Questions that the other answers from its store. */
export type InspectionQuery =
  | { readonly type: 'ping' }
  /** An owner whose store was rolled back asks the origin. */
  | { readonly type: 'standings'; readonly invocationIds: readonly InvocationId[] }
  | { readonly type: 'flights'; readonly filter: FlightFilter; readonly limit: number; readonly after?: string }
  | { readonly type: 'deliveries'; readonly filter: DeliveryFilter; readonly limit: number; readonly after?: string };

/** Of one flight's work: what a person wants of it at another node. */
export type WorkQuery =
  | RelayedReply
  /** The origin of a flight asks its owner for the diff: a new one, or, of one that was begun, what follows `offset`. */
  | { readonly type: 'diff'; readonly invocationId: InvocationId; readonly snapshot?: string; readonly offset: number }
  /** The origin of a flight asks its owner about the worktree; with `settle`: what is to become of it. */
  | { readonly type: 'worktree'; readonly invocationId: InvocationId; readonly settle?: Settle };

/** Of a member, about its membership. Who asks is the link's peer. */
export type MemberQuery =
  /** To an issuer: a certificate under that name. */
  | { readonly type: 'rename'; readonly name: string }
  /** To an issuer: a certificate for another while. `nowMs`: the wall clock of who asks. */
  | { readonly type: 'renew'; readonly nowMs: number }
  /** Which key would you let others in with? */
  | { readonly type: 'issuer_key' }
  /** The root has certified that key, DER. */
  | { readonly type: 'become_issuer'; readonly certificate: Uint8Array }
  /** To the holder of the root's key, by an issuer: for another while. */
  | { readonly type: 'renew_issuer' }
  /** I am no member from now on: remember my signed word. */
  | { readonly type: 'leave'; readonly departure: SignedRecord }
  /** To an issuer of the same owner identity: that node is a member no longer. `by`: who wants it, at the asking node. */
  | { readonly type: 'remove'; readonly nodeId: NodeId; readonly by: string }
  /** That node is one no longer: write it down. */
  | { readonly type: 'revoked'; readonly revocation: SignedRecord };

/** Of what replicates. Hashes are the first 8 bytes of a sha256, lower-case hex. */
export type RegistryQuery =
  | { readonly type: 'registry_digest'; readonly root: string }
  | { readonly type: 'registry_entries'; readonly buckets: readonly number[]; readonly after?: NodeId }
  /** The set of a node, without the records that the asking node has. */
  | { readonly type: 'registry_records'; readonly nodeId: NodeId; readonly have: readonly string[] };

export type RegistryAnswer =
  /** `buckets` when the roots differ. */
  | { readonly type: 'registry_digest'; readonly root: string; readonly buckets?: readonly string[] }
  | { readonly type: 'registry_entries'; readonly entries: readonly RegistryEntry[]; readonly next?: NodeId }
  /** `change` is undefined when nothing is known of that node; with `more` not all fitted. */
  | { readonly type: 'registry_records'; readonly change?: RegistryChange; readonly more: boolean };

/** Questions one node asks another, which the other's core answers. */
export type CoreQuery = InspectionQuery | ObservationQuery | WorkQuery | MemberQuery | RegistryQuery;

/** Questions about who hears and reaches whom, which the other's mesh answers by itself. */
export type ReachQuery =
  /** Do you hear that node, now? */
  | { readonly type: 'reach'; readonly nodeId: NodeId }
  /** Dial the addresses that this node listens on, each once. */
  | { readonly type: 'dial_back' };

export type PeerQuery = CoreQuery | ReachQuery;

export interface DialBack {
  readonly address: string;
  /** This node answered there and proved itself. */
  readonly reached: boolean;
  readonly why?: string;
}

export type PeerAnswer =
  | { readonly type: 'reply'; readonly flight: Flight; readonly request: string; readonly confirmed: boolean }
  | { readonly type: 'rename'; readonly chain: CertificateChain }
  | { readonly type: 'renew'; readonly chain: CertificateChain }
  | { readonly type: 'issuer_key'; readonly offer: IssuerKeyOffer }
  | { readonly type: 'become_issuer' }
  | { readonly type: 'renew_issuer' }
  | { readonly type: 'leave' }
  | { readonly type: 'remove'; readonly revocation: SignedRecord }
  | { readonly type: 'revoked' }
  | RegistryAnswer
  /** `nowMs`: the other's wall clock; undefined from a version that does not say. */
  | { readonly type: 'ping'; readonly nowMs?: number }
  /** `epoch`: of that node, as the other's session has it; 0 without one. */
  | { readonly type: 'reach'; readonly reached: boolean; readonly epoch: number }
  | { readonly type: 'dial_back'; readonly results: readonly DialBack[] }
  | ObservationAnswer
  /** Of those that are known there. */
  | { readonly type: 'standings'; readonly standings: readonly (OriginStanding & { readonly invocationId: InvocationId })[] }
  | { readonly type: 'diff'; readonly snapshot: string; readonly summary: DiffSummary; readonly bytes: Uint8Array }
  /** `tip`: the last commit of the branch that was deleted. */
  | { readonly type: 'worktree'; readonly isolation: Isolation; readonly tip?: string }
  | { readonly type: 'flights'; readonly page: Page<Flight> }
  | { readonly type: 'deliveries'; readonly page: Page<Delivery> };

export type AnswerTo<Q extends PeerQuery> = Extract<PeerAnswer, { readonly type: Q['type'] }>;

