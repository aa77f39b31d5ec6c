/**
 * A node that has come to rest gives back what its work took. V8 keeps what it has grown to (32 MB of new space, and all garbage of
 * the start) until work asks for more; at rest nothing ever does. One full collection after each stretch of work, while
 * nobody waits: it holds the event loop for some 50 ms.
 */
import type { CancelTimer, Clock, Startable } from '../domain/ports.ts';

/** Between two looks. */
const everyMs = 10_000;
/** Shares of the time in which the event loop was at work: more is work, less is rest. */
const busy = 0.05;
/** Looks in a row that found rest. */
const quietLooks = 2;
/** Between two collections, however often work comes and goes. */
const apartMs = 5 * 60_000;

export interface AtRestParts {
  readonly clock: Clock;
  /** The share of the time, 0 to 1, in which the event loop was at work since it was last asked. */
  readonly utilization: () => number;
  /** Collects all there is, and returns the memory. */
  readonly collect: () => void;
}

export class AtRest implements Startable {
  readonly #parts: AtRestParts;
  #quiet = 0;
  /** The start is work. */
  #hasWorked = true;
  #collectedAtMs: number | undefined;
  #cancel: CancelTimer | undefined;

  constructor(parts: AtRestParts) {
    this.#parts = parts;
  }

  start(): Promise<void> {
    if (this.#cancel === undefined) this.#next();
    return Promise.resolve();
  }

  stop(): Promise<void> {
    this.#cancel?.();
    this.#cancel = undefined;
    return Promise.resolve();
  }

  #next(): void {
    this.#cancel = this.#parts.clock.setTimer(everyMs, () => {
      this.#look();
      this.#next();
    });
  }

  #look(): void {
    const { clock, utilization, collect } = this.#parts;
    const isBusy = utilization() >= busy;
    this.#hasWorked ||= isBusy;
    this.#quiet = isBusy ? 0 : this.#quiet + 1;
    const isApart = this.#collectedAtMs === undefined || clock.monotonic() - this.#collectedAtMs >= apartMs;
    if (!this.#hasWorked || this.#quiet < quietLooks || !isApart) return;
    this.#hasWorked = false;
    this.#collectedAtMs = clock.monotonic();
    collect();
  }
}
