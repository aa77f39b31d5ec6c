/** An acceptance in a row of values: it crosses to the writer's thread with each invocation, most often with many at once. */
import type { AcceptInput, AcceptPlan } from '../domain/accepting.ts';
import type { Hlc } from '../domain/hlc.ts';
import type { GroupId, InvocationId, NodeId } from '../domain/ids.ts';
import type { Ancestry, Invocation, SessionChoice, Task, TaskFile } from '../domain/invocation.ts';
import type { TraceContext } from '../domain/trace-context.ts';

/** In the order of `packAccept`. An owner that is the origin, and what most invocations have not, is undefined. */
export type PackedAccept = readonly [
  atMs: number, hlc: Hlc, key: string | undefined, payloadHash: string, notify: boolean, text: Uint8Array, files: readonly TaskFile[] | undefined, plan: PackedPlan,
  id: InvocationId, origin: NodeId, owner: NodeId | undefined, caller: string, addressTyped: string, target: string, session: SessionChoice | undefined,
  holdMs: number, totalMs: number, runMs: number | undefined, idleMs: number | undefined, rerunnable: boolean, ancestry: Ancestry | undefined,
  redriveOf: InvocationId | undefined, groupId: GroupId | undefined, acceptedAtMs: number, trace: TraceContext | undefined,
];

/** What is local, the most frequent of all, without its keys. */
type PackedPlan = readonly [queueLimit: number, retryAfterMs: number | undefined, sessionOwner: string | undefined] | Exclude<AcceptPlan, { kind: 'local' }>;

/** @param task as it crosses */
export function packAccept({ stamp, invocation: each, key, payloadHash, plan, notify = false }: AcceptInput, task: Task): PackedAccept {
  const { limits, ancestry, session } = each;
  return [
    stamp.atMs, stamp.hlc, key, payloadHash, notify, task.text, task.files.length === 0 ? undefined : task.files,
    plan.kind === 'local' ? [plan.queueLimit, plan.retryAfterMs, plan.sessionOwner] : plan,
    each.id, each.originNodeId, each.ownerNodeId === each.originNodeId ? undefined : each.ownerNodeId, each.caller, each.addressTyped, each.target, session.mode === 'new' ? undefined : session,
    limits.holdMs, limits.totalMs, limits.runMs, limits.idleMs, each.rerunnable, isOfPerson(each) ? undefined : ancestry,
    each.redriveOf, each.groupId, each.acceptedAtMs, each.trace,
  ];
}

export function unpackAccept([
  atMs, hlc, key, payloadHash, notify, text, files = [], plan, id, origin, owner = origin, caller, addressTyped, target, session = newSession,
  holdMs, totalMs, runMs, idleMs, rerunnable, ancestry = { rootId: id, depth: 0, path: [] }, redriveOf, groupId, acceptedAtMs, trace,
]: PackedAccept): AcceptInput {
  const invocation: Invocation = {
    id, originNodeId: origin, caller, addressTyped, target, ownerNodeId: owner, session,
    limits: { holdMs, totalMs, ...(runMs === undefined ? none : { runMs }), ...(idleMs === undefined ? none : { idleMs }) },
    rerunnable, ancestry, ...(redriveOf === undefined ? none : { redriveOf }), ...(groupId === undefined ? none : { groupId }), acceptedAtMs,
    ...(trace === undefined ? none : { trace }),
  };
  return { stamp: { atMs, hlc }, invocation, task: { text, files }, ...(key === undefined ? none : { key }), payloadHash, plan: unpackPlan(plan), notify };
}

function isOfPerson({ id, ancestry }: Invocation): boolean {
  return ancestry.parentId === undefined && ancestry.rootId === id && ancestry.depth === 0 && ancestry.path.length === 0;
}

const newSession: SessionChoice = { mode: 'new' };
const none = {};

function unpackPlan(plan: PackedPlan): AcceptPlan {
  if (!isRow(plan)) return plan;
  const [queueLimit, retryAfterMs, sessionOwner] = plan;
  return { kind: 'local', queueLimit, ...(retryAfterMs === undefined ? none : { retryAfterMs }), ...(sessionOwner === undefined ? none : { sessionOwner }) };
}

function isRow(plan: PackedPlan): plan is Extract<PackedPlan, readonly unknown[]> {
  return Array.isArray(plan);
}
