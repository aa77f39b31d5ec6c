/** A flight as its caller sees it: every step from the store, in order, as it becomes durable. */
import type { FlightEventBody } from '../domain/flight-event.ts';
import { isTerminal } from '../domain/flight.ts';
import type { FlightId } from '../domain/ids.ts';
import { notFound } from '../domain/errors.ts';
import type { Flight } from '../domain/records.ts';
import type { Store } from '../domain/store-port.ts';
import type { FlightUpdate } from './api.ts';
import type { Feed } from './feed.ts';
import type { Held } from './held.ts';

/** How much stdout `finished` and `flight show` carry, bytes. */
export const shownOutputBytes = 64 * 1024;
/** What a reader that stalls keeps in memory, about. */
const batchBytes = 64 * 1024;
/** Of one reader, in memory, bytes. */
const keptBytes = 4 * 1024;

export interface FollowParts {
  readonly store: Store;
  readonly feed: Feed;
  readonly nameOf: (nodeId: Flight['ownerNodeId']) => string;
  readonly held: (flight: Flight) => Held | undefined;
}

export interface FollowOptions {
  readonly afterSeq: number;
  readonly deduplicated: boolean;
  readonly signal: AbortSignal;
  readonly notes?: readonly string[];
}

export async function* follow(parts: FollowParts, flightId: FlightId, options: FollowOptions): AsyncIterable<FlightUpdate> {
  const { store, feed } = parts;
  let flight = readFlight(store, flightId);
  yield {
    type: 'accepted',
    atMs: flight.acceptedAtMs,
    invocationId: flight.invocationId,
    flightId,
    target: flight.target,
    deduplicated: options.deduplicated,
    ...(options.notes === undefined ? {} : { notes: options.notes }),
  };
  const shown = new ShownOutput();
  let seq = options.afterSeq;
  let toldReceived = false;
  let toldHeld: string | undefined;
  while (!options.signal.aborted) {
    flight = readFlight(store, flightId);
    if (!toldReceived && flight.receivedAtMs !== undefined) {
      toldReceived = true;
      const { ownerNodeId: nodeId } = flight;
      yield { type: 'received', atMs: flight.receivedAtMs, nodeId, nodeName: parts.nameOf(nodeId) };
      // The reader took its time: what was read before is old.
      continue;
    }
    const held = toldReceived || isTerminal(flight.state) ? undefined : parts.held(flight);
    if (held !== undefined && held.why !== toldHeld) {
      toldHeld = held.why;
      yield { type: 'held', ...held, untilMs: flight.holdUntilMs };
      continue;
    }
    const events = flight.lastSeq > seq ? store.read.events(flightId, seq, batchBytes) : [];
    for (const event of events) {
      seq = event.seq;
      shown.saw(event.body);
      // What was pruned has left its place, and nothing in it.
      const isPruned = event.body.kind === 'output' ? event.body.bytes.length === 0 : event.body.kind === 'unknown' && flight.prunedAtMs !== undefined;
      if (event.body.kind !== 'finished' && !isPruned) yield { type: 'event', atMs: event.atMs, event };
    }
    // The flight was read before its events, so a terminal one has none that are still to come.
    if (isTerminal(flight.state) && seq >= flight.lastSeq) {
      yield { type: 'finished', atMs: flight.finishedAtMs ?? flight.acceptedAtMs, flight, ...(shown.of(flight) ?? (await shownOutput(store, flight))) };
      return;
    }
    if (events.length > 0) continue;
    // Why it is held, as long as its owner has not said that it has it.
    await feed.next(flightId, options.signal, toldReceived ? undefined : flight.ownerNodeId);
  }
}

/** What passes by is not read a second time at the end, when it is little. */
class ShownOutput {
  readonly #pieces: Uint8Array[] = [];
  #bytes = 0;

  saw(body: FlightEventBody): void {
    if (body.kind !== 'output' || body.stream !== 'stdout') return;
    this.#bytes += body.bytes.length;
    if (this.#bytes <= keptBytes) this.#pieces.push(body.bytes);
    else this.#pieces.length = 0;
  }

  /** Undefined when not all of it was seen, or kept. */
  of({ stdoutBytes }: Flight): { output: Uint8Array; truncated: boolean } | undefined {
    if (this.#bytes !== stdoutBytes || stdoutBytes > keptBytes) return undefined;
    return { output: joined(this.#pieces, stdoutBytes), truncated: false };
  }
}

export async function shownOutput(store: Store, flight: Flight): Promise<{ output: Uint8Array; truncated: boolean }> {
  const pieces: Uint8Array[] = [];
  let total = 0;
  let afterSeq = 0;
  while (total < shownOutputBytes) {
    const piece = await store.inspect.output(flight.id, 'stdout', afterSeq, shownOutputBytes - total);
    if (piece.bytes.length > 0) pieces.push(piece.bytes);
    total += piece.bytes.length;
    afterSeq = piece.lastSeq;
    if (piece.done) break;
  }
  return { output: joined(pieces, total).subarray(0, shownOutputBytes), truncated: total < flight.stdoutBytes || flight.stdoutBytes > shownOutputBytes };
}

function joined(pieces: readonly Uint8Array[], size: number): Uint8Array {
  const all = new Uint8Array(size);
  let at = 0;
  for (const piece of pieces) {
    all.set(piece, at);
    at += piece.length;
  }
  return all;
}

export function readFlight(store: Store, flightId: FlightId): Flight {
  const flight = store.read.flight(flightId);
  if (flight === undefined) throw notFound(`no flight ${flightId} is known here`, 'list them: beckon flights');
  return flight;
}

