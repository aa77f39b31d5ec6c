/** Append-only facts: one is written with every change of a durable record. A trace is made of these. */
import type { EventId, InvocationId, NodeId } from './ids.ts';
import type { Hlc } from './hlc.ts';

export const eventKinds = [
  'node.started',
  'node.stopped',
  'node.rolled_back',
  'peer.rolled_back',
  'peer.cloned',
  'node.refused',
  'store.pruned',
  'mesh.created',
  'mesh.joined',
  'mesh.left',
  'node.renamed',
  'node.renewed',
  'invite.created',
  'invite.refused',
  'member.admitted',
  'member.renamed',
  'member.renewed',
  'member.left',
  'member.removed',
  'admission.ruled',
  'issuer.added',
  'issuer.removed',
  'issuer.ceased',
  'root.renewed',
  'root.retired',
  'root.learned',
  'recovery.exported',
  'recovery.imported',
  'registry.raised',
  'agent.added',
  'agent.removed',
  'project.approved',
  'project.forgotten',
  'agent.shared',
  'agent.unshared',
  'invocation.accepted',
  'invocation.received',
  'invocation.refused',
  'invocation.redriven',
  'delivery.sent',
  'delivery.deferred',
  'delivery.received',
  'delivery.rejected',
  'delivery.dead',
  'delivery.cancelled',
  'flight.started',
  'flight.waiting',
  'flight.resumed',
  'flight.requeued',
  'flight.reply_given',
  'flight.reply_refused',
  'flight.cancel_requested',
  'flight.finished',
  'flight.worktree',
  'flight.refined',
  'flight.quarantined',
  'flight.released',
  'flight.unknown',
] as const;
export type EventKind = (typeof eventKinds)[number];

/** When a fact was written: wall clock for people, hybrid clock for merging. */
export interface Stamp {
  readonly atMs: number;
  readonly hlc: Hlc;
}

export interface Fact extends Stamp {
  readonly id: EventId;
  readonly nodeId: NodeId;
  readonly what: EventKind;
  readonly invocationId?: InvocationId;
  /** The other node concerned, if one is. */
  readonly peerNodeId?: NodeId;
  /** A few words for people: state, reason, attempt number. Never task text or output. */
  readonly detail: Readonly<Record<string, string>>;
}
