/** What the owner says next of a flight of its own. */
import type { Stamp } from '../domain/event.ts';
import { isTerminal } from '../domain/flight.ts';
import type { FlightEvent, FlightEventBody } from '../domain/flight-event.ts';
import type { Flight } from '../domain/records.ts';
import { takeEvent } from './flight-life.ts';
import { flightOf } from './flight-row.ts';
import type { FlightRow } from './flight-row.ts';
import type { Tables } from './tables.ts';

/** Gives the next seq to an event, takes it into the flight and stores both. */
export function report(tables: Tables, row: FlightRow, stamp: Stamp, body: FlightEventBody, keepsProcesses = false): { flight: Flight; event: FlightEvent } {
  const { flights, flightEvents, flightProcesses, facts, nodes } = tables;
  const event: FlightEvent = { seq: row.last_seq + 1, atMs: stamp.atMs, hlc: stamp.hlc, body };
  const { state } = row;
  const change = takeEvent(row, event);
  if (isTerminal(row.state)) {
    row.quarantined_at_ms = null;
    if (!keepsProcesses) flightProcesses.forget(row.invocation_id);
  }
  flightEvents.insert(row.invocation_id, event);
  flights.save(row, state);
  if (change !== undefined) facts.append(stamp, change.what, { invocation: row.invocation_id, peer: row.peer, detail: change.detail });
  return { flight: flightOf(row, nodes), event };
}
