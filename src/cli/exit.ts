/** Exit codes: the one place that knows the table of the command line. */
import type { ErrorCode } from '../domain/errors.ts';
import type { FlightState } from '../domain/flight.ts';
import { worstOf } from '../domain/group.ts';
import type { Flight } from '../domain/records.ts';

export const exitOk = 0;
export const exitWorkFailed = 1;
export const exitStillGoing = 10;
export const exitInternal = 70;

export const exitCodes: readonly number[] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 70];

export function exitOfError(code: ErrorCode): number {
  switch (code) {
    case 'deadline':
      return 1;
    case 'invalid':
      return 2;
    case 'not_found':
    case 'ambiguous':
      return 3;
    case 'unavailable':
      return 4;
    case 'denied':
    case 'unauthenticated':
      return 5;
    case 'conflict':
      return 6;
    case 'cancelled':
      return 7;
    case 'overload':
      return 11;
    case 'internal':
    case 'incompatible':
      return 70;
  }
}

/** How `invoke --all` and a wait for a group end: 0 when all completed, else as the worst of them. */
export function exitOfGroup(flights: readonly Ended[]): number {
  const worst = worstOf(flights);
  return worst === undefined ? exitOk : exitOfFlight(worst);
}

type Ended = { readonly state: FlightState } & Pick<Flight, 'error' | 'exitCode' | 'signal'>;

/** A failure without an error, or with an exit code other than 0 or a signal, is the agent's own. */
export function isOfAgent({ error, exitCode, signal }: Omit<Ended, 'state'>): boolean {
  return error === undefined || (exitCode ?? 0) !== 0 || signal !== undefined;
}

/** How `invoke`, `flight wait` and `flight follow` end. */
export function exitOfFlight(flight: Ended): number {
  switch (flight.state) {
    case 'completed':
      return exitOk;
    case 'failed':
      return flight.error === undefined || isOfAgent(flight) ? exitWorkFailed : exitOfError(flight.error.code);
    case 'cancelled':
      return 7;
    case 'expired':
      return 8;
    case 'indeterminate':
      return 9;
    case 'queued':
    case 'waking':
    case 'running':
    case 'waiting':
      return exitStillGoing;
  }
}
