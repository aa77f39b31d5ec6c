/**
 * What the writer's thread counts of its work, in memory that the node's own thread reads: so nothing is sent for it, and nobody
 * waits. One thread writes; a number that is read while it is written is the one before or the one after, as every machine that Node runs on has it.
 */
import { deliveryStates } from '../domain/delivery.ts';
import { flightStates } from '../domain/flight.ts';
import { Counts, Distribution, secondBounds } from '../domain/measure.ts';
import type { StoreMeasures } from '../domain/store-measures.ts';
import { arrivalKinds } from './arrivals.ts';
import type { Arrivals } from './arrivals.ts';

/** Up to `mostMembers` of a group commit. */
const memberBounds = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512];
const sizes = [Distribution.cellsFor(secondBounds), Distribution.cellsFor(memberBounds), 1, arrivalKinds];
const bytes = sizes.reduce((sum, each) => sum + each, 0) * Float64Array.BYTES_PER_ELEMENT;

export class StoreTally {
  readonly buffer: SharedArrayBuffer;
  readonly #seconds: Distribution;
  readonly #members: Distribution;
  readonly #faults: Counts<'faults'>;
  readonly #arrivals: Float64Array;
  readonly #flights: Counts<(typeof flightStates)[number]>;
  readonly #deliveries: Counts<(typeof deliveryStates)[number]>;

  /** @param buffer that of the other thread's, to see the same */
  constructor(buffer = new SharedArrayBuffer(bytes)) {
    this.buffer = buffer;
    let at = 0;
    const next = (length: number | undefined): Float64Array => {
      const part = new Float64Array(buffer, at, length);
      at += part.byteLength;
      return part;
    };
    this.#seconds = new Distribution(secondBounds, next(sizes[0]));
    this.#members = new Distribution(memberBounds, next(sizes[1]));
    this.#faults = new Counts(['faults'], next(sizes[2]));
    this.#arrivals = next(sizes[3]);
    this.#flights = new Counts(flightStates, this.#arrivals.subarray(0, flightStates.length));
    this.#deliveries = new Counts(deliveryStates, this.#arrivals.subarray(flightStates.length));
  }

  committed(seconds: number, members: number, arrivals: Arrivals): void {
    this.#seconds.observe(seconds);
    this.#members.observe(members);
    arrivals.countInto(this.#arrivals);
  }

  failed(): void {
    this.#faults.add('faults');
  }

  read(): StoreMeasures {
    return {
      commitSeconds: this.#seconds.read(),
      commitWrites: this.#members.read(),
      commitFaults: this.#faults.of('faults'),
      flights: this.#flights.entries(),
      deliveries: this.#deliveries.entries(),
    };
  }
}
