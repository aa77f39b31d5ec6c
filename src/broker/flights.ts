/** Finding flights by what a person typed, showing them, and ending them. */
import { BrokerError, conflict, notFound } from '../domain/errors.ts';
import { isTerminal } from '../domain/flight.ts';
import type { OutputStream } from '../domain/flight-event.ts';
import { flightIdOf, parseIdArgument } from '../domain/ids.ts';
import type { FlightId } from '../domain/ids.ts';
import type { Clock, Log } from '../domain/ports.ts';
import type { Flight } from '../domain/records.ts';
import type { Store } from '../domain/store-port.ts';
import type { Isolation } from '../domain/worktree.ts';
import type { FlightDetail } from './api.ts';
import type { Chronicler } from './chronicler.ts';
import type { Feed } from './feed.ts';
import { readFlight, shownOutput } from './follow.ts';
import type { Outbox } from './outbox.ts';
import type { Runner } from './runner.ts';
import type { Self } from './self.ts';
import { until } from './until.ts';

const outputPieceBytes = 256 * 1024;

export interface FlightsParts {
  readonly store: Store;
  readonly self: Self;
  readonly feed: Feed;
  readonly outbox: Outbox;
  readonly runner: Runner;
  readonly chronicler: Chronicler;
  readonly clock: Clock;
  readonly log: Log;
  readonly nameOf: (nodeId: Flight['ownerNodeId']) => string;
  readonly lookAtWorktree: (flight: Flight) => Promise<Isolation | undefined>;
}

export class Flights {
  readonly #parts: FlightsParts;

  constructor(parts: FlightsParts) {
    this.#parts = parts;
  }

  /** By the id of the flight, its invocation or its delivery, a unique suffix, or `last`. @throws `not_found`, `ambiguous`, `invalid` */
  find(argument: string): Flight {
    const { read } = this.#parts.store;
    const id = parseIdArgument(argument);
    if (id.kind === 'last') {
      const newest = read.newestFlight();
      if (newest === undefined) throw notFound('nothing has been invoked here yet', 'start with: beckon invoke ADDRESS TASK');
      return newest;
    }
    if (id.kind === 'id') {
      if (id.prefix === 'grp') throw notFound(`${argument} is a group of flights, not one`, `list them: beckon flights --group ${argument}`);
      const isFlightId = id.prefix === 'flt' || id.prefix === 'inv' || id.prefix === 'dlv';
      const flight = isFlightId ? read.flight(flightIdOf(id.ulid)) : undefined;
      if (flight === undefined) throw notFound(`nothing with the id ${argument} is known here`, 'list what is: beckon flights');
      return flight;
    }
    const [first, second] = read.flightsBySuffix(id.suffix);
    if (first === undefined) throw notFound(`no id known here ends in ${id.suffix}`, 'list them: beckon flights');
    if (second !== undefined) throw new BrokerError('ambiguous', `several ids end in ${id.suffix}`, { hint: `give more of it: ${first.id} or ${second.id}` });
    return first;
  }

  async show(argument: string): Promise<FlightDetail> {
    const flight = this.find(argument);
    const { store, nameOf } = this.#parts;
    const invocation = store.read.invocation(flight.invocationId);
    const delivery = store.read.delivery(flight.invocationId);
    const isolation = await this.#parts.lookAtWorktree(flight);
    if (invocation === undefined) throw notFound(`the records of ${flight.id} are incomplete`);
    return {
      flight,
      invocation,
      ...(delivery === undefined ? {} : { delivery }),
      ...(await shownOutput(store, flight)),
      originName: nameOf(flight.originNodeId),
      ownerName: nameOf(flight.ownerNodeId),
      ...(isolation === undefined ? {} : { isolation }),
    };
  }

  async *output(flightId: FlightId, stream: OutputStream): AsyncIterable<Uint8Array> {
    readFlight(this.#parts.store, flightId);
    let afterSeq = 0;
    for (;;) {
      const piece = await this.#parts.store.inspect.output(flightId, stream, afterSeq, outputPieceBytes);
      if (piece.bytes.length > 0) yield piece.bytes;
      if (piece.done) return;
      afterSeq = piece.lastSeq;
    }
  }

  async cancel(argument: string, by: string, waitMs: number): Promise<{ flight: Flight; confirmed: boolean }> {
    const { store, self, chronicler, runner, outbox, log } = this.#parts;
    const found = this.find(argument);
    if (isTerminal(found.state)) throw endedAlready(found);
    const flight = await store.write.requestCancel({ stamp: chronicler.stamp(), flightId: found.id, by });
    this.#parts.feed.changed(flight.id);
    if (isTerminal(flight.state)) return { flight, confirmed: true };
    // The request is durable: what fails here is done when the agent's next run would begin.
    if (flight.ownerNodeId === self.nodeId) runner.end(flight.id, 'cancel').catch((error: unknown) => log.error({ flightId: flight.id, err: error }, 'a cancel could not be carried out yet'));
    else outbox.cancel(flight);
    const ended = await until(this.#parts, flight.id, waitMs, () => {
      const now = readFlight(store, flight.id);
      return isTerminal(now.state) ? now : undefined;
    });
    const now = ended ?? readFlight(store, flight.id);
    // It came to its own end first.
    if (now.state === 'completed' || now.state === 'failed' || now.state === 'expired') throw endedAlready(now);
    // An `indeterminate` of this side's own is nobody's word that it has ended.
    return { flight: now, confirmed: isTerminal(now.state) && (now.state !== 'indeterminate' || now.verdictBy === 'owner') };
  }
}

/** Before the cancel was asked for, or before it reached the owner. */
function endedAlready(flight: Flight): BrokerError {
  return conflict(`it has ended already: ${flight.state}`, `see how: beckon flight show ${flight.id}`);
}
