/**
 * Tells the person at the origin when a flight starts to wait for them and when it has finished. What was told is stored
 * afterwards: a node that dies in between tells it again after its start, so each is told at least once. One that could
 * not be told is not tried again.
 */
import { toBrokerError } from '../domain/errors.ts';
import type { FlightId } from '../domain/ids.ts';
import { endTold, notificationDue } from '../domain/notification.ts';
import type { Notifier } from '../domain/notification.ts';
import type { Log, Startable } from '../domain/ports.ts';
import type { Store } from '../domain/store-port.ts';

/** A hundred flights that end at once are no reason to start a hundred programs. */
const mostAtOnce = 4;

export interface NotificationsParts {
  readonly store: Store;
  readonly notifier: Notifier;
  readonly log: Log;
}

export class Notifications implements Startable {
  readonly #parts: NotificationsParts;
  /** Flights whose person wants to know, and what was told last. */
  readonly #wanted = new Map<FlightId, string | undefined>();
  readonly #changed = new Set<FlightId>();
  readonly #busy = new Map<FlightId, Promise<void>>();
  readonly #stopping = new AbortController();
  #isRunning = false;
  #lastFailure: string | undefined;

  constructor(parts: NotificationsParts) {
    this.#parts = parts;
  }

  /** What was not told before this start is told now. */
  start(): Promise<void> {
    for (const { flightId, told } of this.#parts.store.read.toNotify()) {
      this.#wanted.set(flightId, told);
      this.#changed.add(flightId);
    }
    this.#isRunning = true;
    this.#next();
    return Promise.resolve();
  }

  /** Resolves when all that there is to tell now is told, or `signal` aborts. */
  async settled(signal: AbortSignal): Promise<void> {
    const aborted = new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
    while (!signal.aborted && this.#busy.size > 0) await Promise.race([aborted, ...this.#busy.values()]);
  }

  async stop(): Promise<void> {
    this.#isRunning = false;
    this.#stopping.abort();
    await Promise.all(this.#busy.values());
  }

  /** The person behind this flight wants to know. */
  accepted(flightId: FlightId): void {
    this.#wanted.set(flightId, undefined);
    this.changed(flightId);
  }

  /** Call after each commit that changed the flight. */
  changed(flightId: FlightId): void {
    if (!this.#wanted.has(flightId)) return;
    this.#changed.add(flightId);
    this.#next();
  }

  #next(): void {
    for (const flightId of this.#changed) {
      if (!this.#isRunning || this.#busy.size >= mostAtOnce) return;
      if (this.#busy.has(flightId)) continue;
      this.#changed.delete(flightId);
      const telling = this.#tell(flightId)
        .catch((error: unknown) => this.#parts.log.warn({ flightId, err: error }, 'a notification stopped; it is tried again with the next change, or the next start'))
        .finally(() => {
          this.#busy.delete(flightId);
          this.#next();
        });
      this.#busy.set(flightId, telling);
    }
  }

  async #tell(flightId: FlightId): Promise<void> {
    const { store, notifier } = this.#parts;
    // What happens in one turn of the event loop is looked at once.
    await Promise.resolve();
    const flight = store.read.flight(flightId);
    const due = flight === undefined ? undefined : notificationDue(flight, this.#wanted.get(flightId));
    if (flight === undefined) this.#wanted.delete(flightId);
    if (due === undefined) return;
    const failure = await notifier.notify(due.notification, this.#stopping.signal).then(
      () => undefined,
      (error: unknown) => toBrokerError(error),
    );
    if (this.#stopping.signal.aborted) return;
    // A command that is wrong is wrong each time: said once.
    if (failure !== undefined && failure.message !== this.#lastFailure) this.#parts.log.warn({ flightId, err: failure }, 'a notification could not be shown');
    this.#lastFailure = failure?.message;
    await store.write.notified({ flightId, told: due.mark });
    if (due.mark === endTold) {
      this.#wanted.delete(flightId);
      this.#changed.delete(flightId);
      return;
    }
    this.#wanted.set(flightId, due.mark);
    this.#changed.add(flightId);
  }
}
