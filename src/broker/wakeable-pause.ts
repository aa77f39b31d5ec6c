/** Waiting by the clock of the node, cut short by whoever has news. */
import type { Clock } from '../domain/ports.ts';

export class WakeablePause {
  readonly #clock: Clock;
  readonly #signal: AbortSignal;
  #wake = (): void => undefined;

  /** @param signal ends every wait */
  constructor(clock: Clock, signal: AbortSignal) {
    this.#clock = clock;
    this.#signal = signal;
  }

  /** Resolves after `ms`, with `wake`, or when the signal aborts. One wait at a time. */
  wait(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        cancelTimer();
        this.#signal.removeEventListener('abort', done);
        resolve();
      };
      const cancelTimer = this.#clock.setTimer(ms, done);
      this.#signal.addEventListener('abort', done);
      this.#wake = done;
    });
  }

  /** Without effect while nobody waits. */
  wake(): void {
    this.#wake();
  }
}
