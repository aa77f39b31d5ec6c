/** What a flight begins as, at its origin or at its owner: the record of it, before anything has happened to it. */
import { flightOfInvocation } from './ids.ts';
import type { SessionId } from './ids.ts';
import type { Invocation } from './invocation.ts';
import type { Flight } from './records.ts';

export interface FlightBeginning {
  /** The node whose record it is owns the agent. */
  readonly isOwned: boolean;
  /** When its limits begin to count at that node, by its clock. */
  readonly atMs: number;
  readonly sessionId?: SessionId | undefined;
  /** Of work that comes from another node. */
  readonly originOwner?: string | undefined;
}

export function newFlight(each: Invocation, { isOwned, atMs, sessionId, originOwner }: FlightBeginning): Flight {
  const { limits } = each;
  const flight: Flight = {
    id: flightOfInvocation(each.id),
    invocationId: each.id,
    target: each.target,
    originNodeId: each.originNodeId,
    ownerNodeId: each.ownerNodeId,
    caller: each.caller,
    state: 'queued',
    run: 0,
    lastSeq: 0,
    rerunnable: each.rerunnable,
    limits,
    holdUntilMs: atMs + limits.holdMs,
    totalUntilMs: atMs + limits.totalMs,
    acceptedAtMs: each.acceptedAtMs,
    stdoutBytes: 0,
    stderrBytes: 0,
  };
  return Object.assign(
    flight,
    isOwned ? { receivedAtMs: atMs } : undefined,
    originOwner === undefined ? undefined : { originOwner },
    each.groupId === undefined ? undefined : { groupId: each.groupId },
    sessionId === undefined ? undefined : { sessionId },
  );
}

/** The same, started as it was taken in. */
export function startedFlight(flight: Flight, atMs: number): Flight {
  return { ...flight, state: 'running', run: 1, lastSeq: 1, startedAtMs: atMs };
}
