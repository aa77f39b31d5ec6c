/** A clock that stands still until a test moves it. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { CancelTimer, Clock } from '../../src/domain/ports.ts';

interface Timer {
  readonly dueMs: number;
  readonly fn: () => void;
}

export class FakeClock implements Clock {
  #wallMs: number;
  #monotonicMs = 0;
  /** In the order they were set: of two that are due at once the older fires first. */
  readonly #timers = new Set<Timer>();

  constructor(startMs = 1_700_000_000_000) {
    this.#wallMs = startMs;
  }

  /** Whole, as the system's is, although timers may be due in between. */
  now(): number {
    return Math.floor(this.#wallMs);
  }

  monotonic(): number {
    return this.#monotonicMs;
  }

  setTimer(ms: number, fn: () => void): CancelTimer {
    const timer = { dueMs: this.#monotonicMs + Math.max(0, ms), fn };
    this.#timers.add(timer);
    return () => void this.#timers.delete(timer);
  }

  /** How many timers wait. */
  get pending(): number {
    return this.#timers.size;
  }

  /** When the next timer is due, ms from now; undefined when none waits. */
  get nextInMs(): number | undefined {
    const next = this.#next();
    return next === undefined ? undefined : next.dueMs - this.#monotonicMs;
  }

  /**
   * Moves both clocks on, firing each timer at its own time, in order, those too that are set on the way. What a timer
   * sets off has settled (as far as it waits for nothing outside the process) before the next one fires.
   */
  async advance(ms: number): Promise<void> {
    const endMs = this.#monotonicMs + ms;
    await settle();
    for (let next = this.#next(); next !== undefined && next.dueMs <= endMs; next = this.#next()) {
      this.#moveTo(Math.max(next.dueMs, this.#monotonicMs));
      this.#timers.delete(next);
      next.fn();
      await settle();
    }
    this.#moveTo(endMs);
    await settle();
  }

  /** The wall clock alone: a correction by NTP, by a person, or a sleep that the monotonic clock did not count. */
  jump(ms: number): void {
    this.#wallMs += ms;
  }

  #next(): Timer | undefined {
    let next: Timer | undefined;
    for (const timer of this.#timers) if (next === undefined || timer.dueMs < next.dueMs) next = timer;
    return next;
  }

  #moveTo(monotonicMs: number): void {
    this.#wallMs += monotonicMs - this.#monotonicMs;
    this.#monotonicMs = monotonicMs;
  }
}

/** Two turns of the event loop: microtasks, and what they put off by one turn. */
async function settle(): Promise<void> {
  await nextTurn();
  await nextTurn();
}
