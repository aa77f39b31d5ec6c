/** What a store counts of its own work, since it was opened. */
import type { DeliveryState } from './delivery.ts';
import type { FlightState } from './flight.ts';
import type { DistributionReading } from './measure.ts';
import type { Store } from './store-port.ts';

export interface StoreMeasures {
  /** Group commits, the sync of the disk with them: how long each took, seconds. */
  readonly commitSeconds: DistributionReading;
  /** How many writes shared one. */
  readonly commitWrites: DistributionReading;
  /** Commits that the disk refused; nothing of them was stored. */
  readonly commitFaults: number;
  /** How many flights came into each state, as commits had it: those that this node accepted and those that it took in. */
  readonly flights: readonly (readonly [FlightState, number])[];
  /** How many deliveries of this node did: a try to send is `sent`. */
  readonly deliveries: readonly (readonly [DeliveryState, number])[];
}

export interface MeasuredStore extends Store {
  /** Read from memory: no thread is asked, and no file. */
  measured(): StoreMeasures;
}
