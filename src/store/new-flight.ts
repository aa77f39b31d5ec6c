/** The row that a flight begins as, at its origin or at its owner. */
import type { SessionId } from '../domain/ids.ts';
import type { Invocation, Task } from '../domain/invocation.ts';
import { agentIn } from './flight-row.ts';
import type { FlightRow } from './flight-row.ts';

export interface Beginning {
  readonly origin: number;
  readonly owner: number;
  readonly self: number;
  /** Of its task. */
  readonly storedBytes: number;
  readonly session: SessionId | undefined;
  /** Of work that comes from another node. */
  readonly originOwner?: string | undefined;
  /** When its limits begin to count here. */
  readonly atMs: number;
}

export function newFlightRow(each: Invocation, { origin, owner, self, storedBytes, session, originOwner, atMs }: Beginning): FlightRow {
  const isOwned = owner === self;
  return {
    invocation_id: each.id,
    origin,
    owner,
    peer: origin === owner ? null : isOwned ? origin : owner,
    owned: isOwned ? 1 : 0,
    target: each.target,
    agent: agentIn(each.target),
    session_id: session ?? null,
    state: 'queued',
    run: 0,
    last_seq: 0,
    acked_seq: isOwned && origin !== owner ? 0 : null,
    hold_until_ms: atMs + each.limits.holdMs,
    total_until_ms: atMs + each.limits.totalMs,
    accepted_at_ms: each.acceptedAtMs,
    sent_at_ms: null,
    received_at_ms: isOwned ? atMs : null,
    started_at_ms: null,
    finished_at_ms: null,
    cancel_requested_at_ms: null,
    verdict_by: null,
    exit_code: null,
    signal: null,
    error: null,
    ended: null,
    waiting_reason: null,
    waiting_request: null,
    waiting_prompt: null,
    waiting_choices: null,
    waiting_since_ms: null,
    waiting_until_ms: null,
    stdout_bytes: 0,
    stderr_bytes: 0,
    stored_bytes: storedBytes,
    pruned_at_ms: null,
    quarantined_at_ms: null,
    origin_owner: originOwner ?? null,
    caller: each.caller,
    rerunnable: each.rerunnable ? 1 : 0,
    hold_ms: each.limits.holdMs,
    total_ms: each.limits.totalMs,
    run_ms: each.limits.runMs ?? null,
    idle_ms: each.limits.idleMs ?? null,
    group_id: each.groupId ?? null,
  };
}

export function sizeOf({ text, files }: Task): number {
  return files.reduce((sum, { bytes }) => sum + bytes.length, text.length);
}
