/** The states that flights and deliveries come into within one batch of the writer; what is undone in it never came about. */
import type { DeliveryState } from '../domain/delivery.ts';
import type { FlightState } from '../domain/flight.ts';

export type Arrival = { readonly flight: FlightState } | { readonly delivery: DeliveryState };

export class Arrivals {
  #pending: Arrival[] = [];

  add(arrival: Arrival): void {
    this.#pending.push(arrival);
  }

  mark(): number {
    return this.#pending.length;
  }

  backTo(mark: number): void {
    this.#pending.length = mark;
  }

  /** The batch is durable: each is told once. */
  taken(): readonly Arrival[] {
    if (this.#pending.length === 0) return this.#pending;
    const taken = this.#pending;
    this.#pending = [];
    return taken;
  }
}
