/** Logs who was refused at the network port, without letting strangers fill the log. */
import type { Clock, Log } from '../domain/ports.ts';

/** Lines a minute; what is over is counted and said once. */
const linesPerMinute = 60;
const minuteMs = 60_000;

export class RefusalLog {
  readonly #clock: Clock;
  readonly #log: Log;
  #windowEndsMs = 0;
  #lines = 0;
  #unsaid = 0;

  constructor(clock: Clock, log: Log) {
    this.#clock = clock;
    this.#log = log;
  }

  refused({ remoteAddress, why }: { readonly remoteAddress: string; readonly why: string }): void {
    const nowMs = this.#clock.monotonic();
    if (nowMs >= this.#windowEndsMs) {
      if (this.#unsaid > 0) this.#log.warn({ count: this.#unsaid }, 'more connections were refused in the last minute');
      this.#windowEndsMs = nowMs + minuteMs;
      this.#lines = 0;
      this.#unsaid = 0;
    }
    if (this.#lines >= linesPerMinute) {
      this.#unsaid += 1;
      return;
    }
    this.#lines += 1;
    this.#log.warn({ address: remoteAddress, why }, 'a connection was refused');
  }
}
