/** Several invocations of one request, one a target: accepted together, and done when all have completed. */
import type { FlightState } from './flight.ts';

/** Instances that one request goes to, at most. */
export const mostTargets = 1000;
/** Of task and files together, for all targets: each has its own copy. */
export const mostGroupBytes = 64 * 1024 * 1024;
/** Beyond so many its person is asked first. */
export const unaskedTargets = 5;

/** The first that occurs among its flights is what a group is called: what asks for a person's eyes comes first. */
const worstFirst: readonly FlightState[] = ['indeterminate', 'failed', 'expired', 'cancelled', 'waiting', 'running', 'waking', 'queued', 'completed'];

/** The worst of them; the first of several that are equally bad. Undefined for none. */
export function worstOf<Item extends { readonly state: FlightState }>(flights: readonly Item[]): Item | undefined {
  return worstFirst.map((state) => flights.find((each) => each.state === state)).find((each) => each !== undefined);
}

export interface GroupCount {
  readonly state: FlightState;
  readonly completed: number;
  readonly of: number;
}

export function countOf(flights: readonly { readonly state: FlightState }[]): GroupCount {
  return {
    state: worstOf(flights)?.state ?? 'completed',
    completed: flights.filter(({ state }) => state === 'completed').length,
    of: flights.length,
  };
}
