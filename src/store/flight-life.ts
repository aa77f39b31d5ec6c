/** What an event, or a verdict, makes of a flight's row. Every move goes through the domain's tables. */
import { internal } from '../domain/errors.ts';
import type { EventKind, Stamp } from '../domain/event.ts';
import { assertMove, canRefine, isTerminal, refineIndeterminate, rerun } from '../domain/flight.ts';
import { contentBytes } from '../domain/flight-event.ts';
import type { FlightEvent, Outcome } from '../domain/flight-event.ts';
import type { WorktreeStart } from '../domain/worktree.ts';
import type { FactDetail } from './events.ts';
import { optional } from './flight-row.ts';
import type { FlightRow } from './flight-row.ts';

export interface Change {
  readonly what: EventKind;
  readonly detail: FactDetail;
}

/**
 * Takes the owner's event into the row and counts it.
 * @returns the fact to be written, or undefined when no state changed
 * @throws BrokerError `internal` for a move that the tables do not have
 */
export function takeEvent(row: FlightRow, event: FlightEvent): Change | undefined {
  if (event.seq !== row.last_seq + 1) throw internal(`event ${event.seq} can't follow event ${row.last_seq}`);
  const change = isTerminal(row.state) ? takeLate(row, event) : takeCurrent(row, event);
  row.last_seq = event.seq;
  return change;
}

/** Starts what was never started, before it is stored. */
export function startNew(row: FlightRow, { atMs, hlc }: Stamp): { readonly event: FlightEvent; readonly change: Change } {
  const event: FlightEvent = { seq: row.last_seq + 1, atMs, hlc, body: { kind: 'started', run: row.run + 1, ...optional('session', row.session_id) } };
  const change = takeEvent(row, event);
  if (change === undefined) throw internal('a start is a change');
  return { event, change };
}

function takeCurrent(row: FlightRow, { body, atMs }: FlightEvent): Change | undefined {
  switch (body.kind) {
    case 'output':
      countOutput(row, body.stream, body.bytes.length);
      return undefined;
    case 'tool':
    case 'plan':
    case 'diff':
    case 'thought':
    case 'usage':
    case 'unknown':
      row.stored_bytes += contentBytes(body);
      return undefined;
    case 'started':
      assertMove(row.state, 'running');
      row.state = 'running';
      row.run = body.run;
      row.started_at_ms ??= atMs;
      row.session_id ??= body.session ?? null;
      return { what: 'flight.started', detail: { run: String(body.run), ...whereOf(body.worktree) } };
    case 'waiting':
      assertMove(row.state, 'waiting');
      row.state = 'waiting';
      row.waiting_reason = body.reason;
      row.waiting_request = body.request;
      row.waiting_prompt = body.prompt;
      row.waiting_choices = JSON.stringify(body.choices);
      row.waiting_since_ms = atMs;
      row.waiting_until_ms = body.untilMs ?? null;
      return { what: 'flight.waiting', detail: { reason: body.reason, request: body.request } };
    case 'resumed':
      assertMove(row.state, 'running');
      row.state = 'running';
      stopWaiting(row);
      return { what: 'flight.resumed', detail: {} };
    case 'requeued':
      row.state = rerun(row.state);
      stopWaiting(row);
      return { what: 'flight.requeued', detail: { run: String(body.run) } };
    case 'finished':
      return end(row, body, 'owner', atMs);
  }
}

function whereOf(worktree: WorktreeStart | undefined): FactDetail {
  return worktree === undefined ? {} : { head: worktree.head.slice(0, 12), branch: worktree.branch, dirty: String(worktree.dirty) };
}

/** The origin has ended the flight: the owner's story is kept, and can only refine an `indeterminate`. */
function takeLate(row: FlightRow, { body, atMs }: FlightEvent): Change | undefined {
  if (body.kind === 'output') countOutput(row, body.stream, body.bytes.length);
  else row.stored_bytes += contentBytes(body);
  if (body.kind === 'started') {
    row.run = body.run;
    row.started_at_ms ??= atMs;
    row.session_id ??= body.session ?? null;
  }
  if (body.kind !== 'finished' || row.verdict_by !== 'origin' || !canRefine(row.state, body.state)) return undefined;
  return refine(row, body, atMs);
}

/** The owner's evidence on what the origin had to call `indeterminate`. */
export function refine(row: FlightRow, outcome: Outcome, atMs: number): Change {
  row.state = refineIndeterminate(row.state, outcome.state);
  settle(row, outcome, 'owner', atMs);
  return { what: 'flight.refined', detail: describe(outcome) };
}

export function end(row: FlightRow, outcome: Outcome, by: 'owner' | 'origin', atMs: number): Change {
  assertMove(row.state, outcome.state);
  row.state = outcome.state;
  settle(row, outcome, by, atMs);
  stopWaiting(row);
  return { what: 'flight.finished', detail: { ...describe(outcome), by } };
}

function settle(row: FlightRow, outcome: Outcome, by: 'owner' | 'origin', atMs: number): void {
  row.finished_at_ms = atMs;
  row.verdict_by = by;
  row.exit_code = outcome.exitCode ?? null;
  row.signal = outcome.signal ?? null;
  row.error = outcome.error === undefined ? null : JSON.stringify(outcome.error);
  row.ended = outcome.ended ?? null;
}

function describe(outcome: Outcome): FactDetail {
  return {
    state: outcome.state,
    ...(outcome.exitCode === undefined ? {} : { exitCode: String(outcome.exitCode) }),
    ...(outcome.signal === undefined ? {} : { signal: outcome.signal }),
    ...(outcome.error === undefined ? {} : { error: outcome.error.code }),
  };
}

function countOutput(row: FlightRow, stream: 'stdout' | 'stderr', bytes: number): void {
  if (stream === 'stdout') row.stdout_bytes += bytes;
  else row.stderr_bytes += bytes;
  row.stored_bytes += bytes;
}

function stopWaiting(row: FlightRow): void {
  row.waiting_reason = null;
  row.waiting_request = null;
  row.waiting_prompt = null;
  row.waiting_choices = null;
  row.waiting_since_ms = null;
  row.waiting_until_ms = null;
}
