/** What the processes of a flight are told of it, and how they reach their node. */
import { flightTokenVariable } from '../domain/flight-token.ts';
import type { Invocation } from '../domain/invocation.ts';
import type { Flight } from '../domain/records.ts';
import type { FlightTraces } from './flight-traces.ts';

/** @param node where its state is, which `beckon` needs to find it, and the token that its control socket knows the flight by */
export function flightEnvironment(invocation: Invocation, flight: Flight, node: { readonly home: string; readonly token: string; readonly traces: FlightTraces }): Readonly<Record<string, string>> {
  return {
    BECKON_INVOCATION_ID: invocation.id,
    BECKON_FLIGHT_ID: flight.id,
    BECKON_ROOT_INVOCATION_ID: invocation.ancestry.rootId,
    BECKON_DEPTH: String(invocation.ancestry.depth),
    BECKON_TARGET: invocation.target,
    BECKON_RUN: String(flight.run),
    BECKON_HOME: node.home,
    [flightTokenVariable]: node.token,
    ...node.traces.environment(invocation, flight.run),
  };
}
