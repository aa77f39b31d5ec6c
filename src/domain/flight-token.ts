/** What the processes of a flight show to their node. It stops accidents, not malice of a process with the node's uid. */
import type { FlightId } from './ids.ts';

/** The variable of a flight's processes that holds their token. */
export const flightTokenVariable = 'BECKON_TOKEN';

export interface FlightTokens {
  /** The same each time for one run of a flight; of no use to any other node, flight or run. */
  of(flightId: FlightId, run: number): string;
  /** The flight that a token names, right or wrong; undefined when it has not the form of a token. */
  flightIn(token: string): FlightId | undefined;
  /** In constant time. */
  proves(token: string, flightId: FlightId, run: number): boolean;
}
