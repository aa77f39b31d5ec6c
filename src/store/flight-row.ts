/** A flight as its row has it, and the same as a record. */
import { isTerminal } from '../domain/flight.ts';
import type { FlightState, WaitingReason } from '../domain/flight.ts';
import { flightOfInvocation } from '../domain/ids.ts';
import type { GroupId, InvocationId, SessionId } from '../domain/ids.ts';
import type { ErrorInfo } from '../domain/errors.ts';
import type { Flight } from '../domain/records.ts';
import type { NodeNumbers } from './caches.ts';

export interface FlightRow {
  readonly invocation_id: InvocationId;
  readonly origin: number;
  readonly owner: number;
  /** The other node; null when origin and owner are one. */
  readonly peer: number | null;
  /** 1 when this node is the owner. */
  readonly owned: 0 | 1;
  readonly target: string;
  readonly agent: string;
  session_id: SessionId | null;
  state: FlightState;
  run: number;
  last_seq: number;
  /** What the origin has stored; null when the origin is this node. */
  readonly acked_seq: number | null;
  readonly hold_until_ms: number;
  readonly total_until_ms: number;
  readonly accepted_at_ms: number;
  sent_at_ms: number | null;
  received_at_ms: number | null;
  started_at_ms: number | null;
  finished_at_ms: number | null;
  cancel_requested_at_ms: number | null;
  verdict_by: 'owner' | 'origin' | null;
  exit_code: number | null;
  signal: string | null;
  error: string | null;
  ended: number | null;
  waiting_reason: WaitingReason | null;
  waiting_request: string | null;
  waiting_prompt: string | null;
  waiting_choices: string | null;
  waiting_since_ms: number | null;
  waiting_until_ms: number | null;
  stdout_bytes: number;
  stderr_bytes: number;
  /** Of task and output, those that are stored here now. */
  stored_bytes: number;
  readonly pruned_at_ms: number | null;
  quarantined_at_ms: number | null;
  readonly origin_owner: string | null;
  // Of its invocation.
  readonly caller: string;
  readonly rerunnable: 0 | 1;
  readonly hold_ms: number;
  readonly total_ms: number;
  readonly run_ms: number | null;
  readonly idle_ms: number | null;
  readonly group_id: GroupId | null;
}

/** `{[key]: value}`, or nothing for null: rows have null where records have nothing. */
export function optional<Key extends string, Value>(key: Key, value: Value | null): { [key in Key]?: Value } {
  return value === null ? {} : ({ [key]: value } as { [key in Key]?: Value });
}

export function parseError(text: string | null): ErrorInfo | null {
  return text === null ? null : (JSON.parse(text) as ErrorInfo);
}

export function flightOf(row: FlightRow, nodes: Pick<NodeNumbers, 'idOf'>): Flight {
  return {
    id: flightOfInvocation(row.invocation_id),
    invocationId: row.invocation_id,
    target: row.target,
    originNodeId: nodes.idOf(row.origin),
    ownerNodeId: nodes.idOf(row.owner),
    caller: row.caller,
    ...optional('originOwner', row.origin_owner),
    ...optional('groupId', row.group_id),
    ...optional('sessionId', row.session_id),
    state: row.state,
    run: row.run,
    lastSeq: row.last_seq,
    rerunnable: row.rerunnable === 1,
    limits: {
      holdMs: row.hold_ms,
      totalMs: row.total_ms,
      ...optional('runMs', row.run_ms),
      ...optional('idleMs', row.idle_ms),
    },
    holdUntilMs: row.hold_until_ms,
    totalUntilMs: row.total_until_ms,
    acceptedAtMs: row.accepted_at_ms,
    ...optional('receivedAtMs', row.received_at_ms),
    ...optional('startedAtMs', row.started_at_ms),
    ...optional('finishedAtMs', row.finished_at_ms),
    ...optional('cancelRequestedAtMs', row.cancel_requested_at_ms),
    ...optional('verdictBy', row.verdict_by),
    ...optional('exitCode', row.exit_code),
    ...optional('signal', row.signal),
    ...optional('error', parseError(row.error)),
    ...optional('ended', row.ended),
    ...optional('waiting', waitingOf(row)),
    stdoutBytes: row.stdout_bytes,
    stderrBytes: row.stderr_bytes,
    ...optional('prunedAtMs', row.pruned_at_ms),
    ...optional('quarantinedAtMs', row.quarantined_at_ms),
  };
}

function waitingOf(row: FlightRow): NonNullable<Flight['waiting']> | null {
  if (row.waiting_reason === null) return null;
  return {
    reason: row.waiting_reason,
    request: row.waiting_request ?? '',
    prompt: row.waiting_prompt ?? '',
    choices: JSON.parse(row.waiting_choices ?? '[]') as string[],
    sinceMs: row.waiting_since_ms ?? 0,
    ...optional('untilMs', row.waiting_until_ms),
  };
}

/**
 * When the next deadline ends. The queue deadline binds the owner, and the origin while nothing was sent: afterwards
 * an origin that reads `queued` does not know whether the work has started.
 */
export function dueAtMs(row: FlightRow): number | null {
  if (isTerminal(row.state)) return null;
  return isHeld(row) ? Math.min(row.hold_until_ms, row.total_until_ms) : row.total_until_ms;
}

/** Whether the queue deadline is the one to watch. */
export function isHeld(row: Pick<FlightRow, 'run' | 'state' | 'owned' | 'sent_at_ms'>): boolean {
  return row.run === 0 && (row.state === 'queued' || row.state === 'waking') && (row.owned === 1 || row.sent_at_ms === null);
}

/** The agent's name in a canonical address. */
export function agentIn(target: string): string {
  const end = target.slice(1).search(/[@#]/);
  return end < 0 ? target.slice(1) : target.slice(1, end + 1);
}
