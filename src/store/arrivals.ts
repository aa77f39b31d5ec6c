/** The states that flights and deliveries come into within one batch of the writer; what is undone in it never came about. */
import { deliveryStates } from '../domain/delivery.ts';
import type { DeliveryState } from '../domain/delivery.ts';
import { flightStates } from '../domain/flight.ts';
import type { FlightState } from '../domain/flight.ts';

/** Every arrival is one of so many: states of flights first, then those of deliveries. */
export const arrivalKinds = flightStates.length + deliveryStates.length;

const ofFlight = Object.fromEntries(flightStates.map((state, index) => [state, index])) as Readonly<Record<FlightState, number>>;
const ofDelivery = Object.fromEntries(deliveryStates.map((state, index) => [state, flightStates.length + index])) as Readonly<Record<DeliveryState, number>>;

/** Numbers, since this is done several times an acceptance. */
export class Arrivals {
  #pending: number[] = [];

  flight(state: FlightState): void {
    this.#pending.push(ofFlight[state]);
  }

  delivery(state: DeliveryState): void {
    this.#pending.push(ofDelivery[state]);
  }

  mark(): number {
    return this.#pending.length;
  }

  backTo(mark: number): void {
    this.#pending.length = mark;
  }

  /** The batch is durable: each is counted once, in a cell a kind. */
  countInto(cells: Float64Array): void {
    for (const kind of this.#pending) cells[kind] = (cells[kind] ?? 0) + 1;
    this.#pending.length = 0;
  }
}
