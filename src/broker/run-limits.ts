/** The clocks of one run: how long it may take in all, how long it may be silent. */
import type { Limits } from '../domain/invocation.ts';
import type { CancelTimer, Clock } from '../domain/ports.ts';

export class RunLimits {
  readonly #clock: Clock;
  readonly #idleMs: number | undefined;
  readonly #timers: CancelTimer[] = [];
  #lastOutputMs: number;
  #cleared = false;
  /** Its people are asked: the silence is theirs. */
  #isWaiting = false;

  /**
   * `onOverrun` is called at most once a limit.
   * @param ranMs how long it ran before, under a node that died
   */
  constructor(clock: Clock, limits: Limits, onOverrun: (which: 'run limit' | 'idle limit') => void, ranMs = 0) {
    this.#clock = clock;
    this.#idleMs = limits.idleMs;
    this.#lastOutputMs = clock.monotonic();
    if (limits.runMs !== undefined) this.#timers.push(clock.setTimer(Math.max(0, limits.runMs - ranMs), () => onOverrun('run limit')));
    if (this.#idleMs !== undefined) this.#watchIdle(this.#idleMs, () => onOverrun('idle limit'));
  }

  sawOutput(): void {
    this.#lastOutputMs = this.#clock.monotonic();
  }

  /** While an agent waits for an answer its silence does not count; the time of the run does. */
  waits(isWaiting: boolean): void {
    this.#isWaiting = isWaiting;
    this.sawOutput();
  }

  clear(): void {
    this.#cleared = true;
    for (const cancel of this.#timers.splice(0)) cancel();
  }

  /** One timer for the rest of the silence, not one an output. */
  #watchIdle(waitMs: number, onOverrun: () => void): void {
    const cancel = this.#clock.setTimer(waitMs, () => {
      this.#timers.splice(this.#timers.indexOf(cancel), 1);
      if (this.#cleared || this.#idleMs === undefined) return;
      const leftMs = this.#isWaiting ? this.#idleMs : this.#lastOutputMs + this.#idleMs - this.#clock.monotonic();
      if (leftMs > 0) this.#watchIdle(leftMs, onOverrun);
      else onOverrun();
    });
    this.#timers.push(cancel);
  }
}
