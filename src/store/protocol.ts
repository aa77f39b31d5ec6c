/** What passes between the main thread and the store's workers. */
import type { AuditHead } from '../domain/audit.ts';
import type { ErrorInfo } from '../domain/errors.ts';
import type { GroupId, SessionId } from '../domain/ids.ts';
import type { Flight } from '../domain/records.ts';
import type { StoreInspection, StoreWrites } from '../domain/store-port.ts';
import type { PackedAccept } from './packed-accept.ts';
import type { PackedAnswers, PackedRequests } from './parcel.ts';

export type WriteName = keyof StoreWrites;
export type Input<Name extends WriteName> = Parameters<StoreWrites[Name]>[0];
export type Result<Name extends WriteName> = Awaited<ReturnType<StoreWrites[Name]>>;

/** Where the worker's answer is smaller than the result: what the caller holds already does not travel back. */
interface Compact {
  /** The flight that the key stands for; of a new one, which the caller knows, its session, if it has one. */
  readonly accept: Flight | SessionId | undefined;
  /** Of the new ones, in their order. */
  readonly acceptAll: { readonly sessions: readonly (SessionId | undefined)[] } | { readonly known: GroupId };
  readonly receive: { readonly known: Flight } | 'cancelled' | { readonly session: SessionId | undefined; readonly isStarted: boolean };
  /** The seq of the first chunk. */
  readonly appendOutput: number;
  /** The seqs of the events that were new. */
  readonly applyEvents: { readonly flight: NonNullable<Result<'applyEvents'>>['flight']; readonly applied: readonly number[] } | undefined;
}
/** What the worker is sent: the input, or that in a smaller form. */
export type Sent<Name extends WriteName> = Name extends 'accept' ? PackedAccept : Input<Name>;
export type Wire<Name extends WriteName> = Name extends keyof Compact ? Compact[Name] : Result<Name>;

const writes: Readonly<Record<WriteName, true>> = {
  boot: true,
  rolledBack: true,
  settleQuarantined: true,
  prune: true,
  note: true,
  audit: true,
  accept: true,
  acceptAll: true,
  receive: true,
  beginAttempt: true,
  loseAttempts: true,
  defer: true,
  receipt: true,
  reject: true,
  endAtOrigin: true,
  applyEvents: true,
  requestCancel: true,
  start: true,
  notified: true,
  recordProcess: true,
  forgetProcesses: true,
  bindSession: true,
  ask: true,
  giveReply: true,
  receiveReply: true,
  settleReply: true,
  timeOutRequest: true,
  appendOutput: true,
  finish: true,
  settleWorktree: true,
  receiveCancel: true,
  acknowledged: true,
  recover: true,
  giveUp: true,
  addAgent: true,
  removeAgent: true,
  shareAgent: true,
  unshareAgent: true,
  setAvailability: true,
  saveProject: true,
  putInstance: true,
  forgetProject: true,
  saveRegistry: true,
  saveMembership: true,
  replaceOwnChain: true,
  renameNode: true,
  leaveMesh: true,
  addInvite: true,
  redeemInvite: true,
  admitMember: true,
  recordApplicant: true,
  addAdmitRules: true,
  saveMembers: true,
  renameMember: true,
  renewMember: true,
  saveIssuer: true,
  addIssuer: true,
  becomeIssuer: true,
  saveDepartures: true,
  saveRevocations: true,
  saw: true,
  probe: true,
};
export const writeNames = Object.keys(writes) as readonly WriteName[];

/** What the inspection thread answers; the counts are a row a state, and read where they are asked for; waking is for who starts it. */
export type LongReads = Omit<StoreInspection, 'countFlights' | 'wake'>;
export type QuestionName = keyof LongReads;

export interface Request {
  readonly id: number;
  readonly name: string;
  readonly input: unknown;
  /** About how many bytes the input holds. */
  readonly size: number;
}

export type Answer =
  | { readonly id: number; readonly value: unknown }
  | { readonly id: number; readonly error: ErrorInfo; readonly cause?: string };

/** Main thread to worker: work, or the wish that it ends. */
export type ToWorker = PackedRequests | 'close';
/** Worker to main thread. */
export type FromWorker = PackedAnswers | 'ready' | { readonly failed: ErrorInfo } | { readonly told: string } | { readonly audited: AuditHead };
