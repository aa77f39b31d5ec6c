/** How the end of a flight is written down at its owner, if need be until the store takes it. */
import type { Outcome } from '../domain/flight-event.ts';
import type { Clock, Log } from '../domain/ports.ts';
import type { Flight } from '../domain/records.ts';
import type { Store, StoreWrites } from '../domain/store-port.ts';
import type { Chronicler } from './chronicler.ts';

/** Between tries to write down what the store would not take, and before its agent's next run. */
export const storeRetryMs = 2000;

type How = Pick<Parameters<StoreWrites['finish']>[0], 'keepsProcesses' | 'last'>;

export interface EndingsParts {
  readonly store: Store;
  readonly chronicler: Chronicler;
  readonly clock: Clock;
  readonly log: Log;
  /** Aborted when the node stops at once: nothing is waited for any more. */
  readonly forced: () => AbortSignal;
  readonly told: (flight: Flight) => void;
}

export class Endings {
  readonly #parts: EndingsParts;

  constructor(parts: EndingsParts) {
    this.#parts = parts;
  }

  /** @throws what the store throws */
  async finish(flight: Flight, outcome: Outcome): Promise<void> {
    const { store, chronicler, told } = this.#parts;
    const finished = await store.write.finish({ stamp: chronicler.stamp(), flightId: flight.id, outcome });
    if (finished !== undefined) told(finished.flight);
  }

  /** The agent has ended: its verdict is owed, however long the store refuses it. A stop of the node leaves it to the next start. */
  async finishSurely(flight: Flight, outcome: Outcome, how: How = {}): Promise<void> {
    const { store, chronicler } = this.#parts;
    await this.surely(flight, () => store.write.finish({ stamp: chronicler.stamp(), flightId: flight.id, outcome, ...how }));
  }

  async surely(flight: Flight, write: () => Promise<{ readonly flight: Flight } | undefined>): Promise<void> {
    const { log, forced, told } = this.#parts;
    for (;;) {
      try {
        const written = await write();
        if (written !== undefined) told(written.flight);
        return;
      } catch (error) {
        log.error({ flightId: flight.id, err: error }, 'the end of a run could not be stored; trying again');
        if (forced().aborted) return;
        await this.pause();
      }
    }
  }

  /** Until the store may take more, or the node stops at once. */
  async pause(): Promise<void> {
    const forced = this.#parts.forced();
    if (forced.aborted) return;
    await new Promise<void>((resolve) => {
      const cancelTimer = this.#parts.clock.setTimer(storeRetryMs, resolve);
      forced.addEventListener('abort', () => (cancelTimer(), resolve()), { once: true });
    });
  }
}
