/** What the processes of a flight are told of it. */
import type { Invocation } from '../domain/invocation.ts';
import type { Flight } from '../domain/records.ts';

export function flightEnvironment(invocation: Invocation, flight: Flight): Readonly<Record<string, string>> {
  return {
    BECKON_INVOCATION_ID: invocation.id,
    BECKON_FLIGHT_ID: flight.id,
    BECKON_ROOT_INVOCATION_ID: invocation.ancestry.rootId,
    BECKON_DEPTH: String(invocation.ancestry.depth),
    BECKON_TARGET: invocation.target,
    BECKON_RUN: String(flight.run),
  };
}
