/**
 * The newest flights and their events, as the writes that made them answered: what was committed a moment ago need not
 * be read from the file, which costs the main thread a look at the log for each page. Bounded; what is not here is read.
 */
import type { FlightEvent } from '../domain/flight-event.ts';
import type { FlightId } from '../domain/ids.ts';
import type { Flight } from '../domain/records.ts';

const mostFlights = 1024;
/** Of one flight its last events are kept, so many and so many bytes of them. */
const mostEvents = 16;
export const mostBytes = 4 * 1024;

interface Entry {
  /** Of the write that answered this. */
  readonly number: number;
  readonly flight: Flight;
  /** Without gaps, the last one the newest of the flight. */
  readonly events: readonly FlightEvent[];
}

export class RecentFlights {
  /** Oldest first. */
  readonly #entries = new Map<FlightId, Entry>();
  /** The number of the last write whose effect on that flight, or on all, its answer does not tell. */
  readonly #unsure = new Map<FlightId, number>();
  #unsureOfAll = 0;

  /** @param number writes are numbered in the order in which they were asked for, which is that of their commits */
  doubt(number: number, id: FlightId): void {
    this.#entries.delete(id);
    this.#unsure.set(id, number);
    if (this.#unsure.size > mostFlights) this.doubtAll(number);
  }

  doubtAll(number: number): void {
    this.#entries.clear();
    this.#unsure.clear();
    this.#unsureOfAll = number;
  }

  /** @param events the last of the flight, as far as they are known */
  note(number: number, flight: Flight, events: readonly FlightEvent[]): void {
    const known = this.#entries.get(flight.id);
    if (number < this.#unsureOfAll || number < (this.#unsure.get(flight.id) ?? 0) || number < (known?.number ?? 0)) return;
    this.#entries.delete(flight.id);
    // What it waits for may be long.
    if (flight.waiting !== undefined) return;
    this.#entries.set(flight.id, { number, flight, events: tailOf([...(known?.events ?? []), ...events], flight.lastSeq) });
    for (const oldest of this.#entries.keys()) {
      if (this.#entries.size <= mostFlights) break;
      this.#entries.delete(oldest);
    }
  }

  flight(id: FlightId): Flight | undefined {
    return this.#entries.get(id)?.flight;
  }

  /** Undefined when it does not have all of them. */
  events(id: FlightId, afterSeq: number, maxBytes: number): readonly FlightEvent[] | undefined {
    const entry = this.#entries.get(id);
    if (entry === undefined) return undefined;
    if (afterSeq >= entry.flight.lastSeq) return [];
    const first = entry.events.findIndex(({ seq }) => seq === afterSeq + 1);
    if (first < 0) return undefined;
    const found: FlightEvent[] = [];
    let bytes = 0;
    for (const event of entry.events.slice(first)) {
      bytes += bytesOf(event);
      if (found.length > 0 && bytes > maxBytes) break;
      found.push(event);
    }
    return found;
  }
}

/** Those that end without a gap at `lastSeq`. */
function tailOf(events: readonly FlightEvent[], lastSeq: number): readonly FlightEvent[] {
  let [first, bytes] = [events.length, 0];
  for (const event of events.toReversed()) {
    bytes += bytesOf(event);
    if (events.length - first === mostEvents || bytes > mostBytes || event.seq !== lastSeq - (events.length - first) || !kinds.has(event.body.kind)) break;
    first -= 1;
  }
  return events.slice(first);
}

/** Of the others the file has another form than who told them. */
const kinds: ReadonlySet<string> = new Set<FlightEvent['body']['kind']>(['started', 'output', 'finished']);

function bytesOf({ body }: FlightEvent): number {
  return body.kind === 'output' ? body.bytes.length : 0;
}
