/**
 * Tells waiting readers that a flight changed. It carries no data: readers take that from the store, so that a slow
 * one holds nothing up and all see only what is durable.
 */
import type { FlightId, NodeId } from '../domain/ids.ts';

export class Feed {
  readonly #waiting = new Map<FlightId, Set<() => void>>();
  /** Those that wait for word of the owner, too. */
  readonly #byOwner = new Map<NodeId, Set<() => void>>();
  readonly #onChanged: (flightId: FlightId) => void;

  /** @param onChanged is told of every change too */
  constructor(onChanged: (flightId: FlightId) => void = () => undefined) {
    this.#onChanged = onChanged;
  }

  /** Call after the commit that changed the flight. */
  changed(flightId: FlightId): void {
    this.#onChanged(flightId);
    this.#wake(flightId);
  }

  #wake(flightId: FlightId): void {
    const waiters = this.#waiting.get(flightId);
    if (waiters === undefined) return;
    this.#waiting.delete(flightId);
    for (const wake of waiters) wake();
  }

  /** Whether that node can be reached, or has what was sent to it, is another than before: who waits for another's word hears nothing of it. */
  ownerChanged(ownerNodeId: NodeId): void {
    for (const wake of [...(this.#byOwner.get(ownerNodeId) ?? [])]) wake();
  }

  /** Everyone looks again: the node is stopping, say. */
  wakeAll(): void {
    for (const flightId of [...this.#waiting.keys()]) this.#wake(flightId);
  }

  /**
   * Resolves at the next change, or when `signal` aborts. No change is missed by a reader that looked at the store in
   * the same turn of the event loop as it calls this.
   * @param ownerNodeId its changes count, too
   */
  next(flightId: FlightId, signal: AbortSignal, ownerNodeId?: NodeId): Promise<void> {
    if (signal.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      const waiters = this.#waiting.get(flightId) ?? new Set();
      this.#waiting.set(flightId, waiters);
      const wake = (): void => {
        signal.removeEventListener('abort', wake);
        waiters.delete(wake);
        if (waiters.size === 0 && this.#waiting.get(flightId) === waiters) this.#waiting.delete(flightId);
        if (ownerNodeId !== undefined) this.#leave(ownerNodeId, wake);
        resolve();
      };
      waiters.add(wake);
      if (ownerNodeId !== undefined) this.#byOwner.set(ownerNodeId, (this.#byOwner.get(ownerNodeId) ?? new Set()).add(wake));
      signal.addEventListener('abort', wake, { once: true });
    });
  }

  #leave(ownerNodeId: NodeId, wake: () => void): void {
    const waiters = this.#byOwner.get(ownerNodeId);
    waiters?.delete(wake);
    if (waiters?.size === 0) this.#byOwner.delete(ownerNodeId);
  }
}
