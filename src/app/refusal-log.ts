/**
 * Logs who was refused at the network port, without letting strangers fill the log: so many lines a minute, and of these so many of one
 * address, so that who makes much noise hides nobody else. What is over is counted, and said once when the minute is over.
 */
import type { CancelTimer, Clock, Log } from '../domain/ports.ts';

/** Lines a minute. */
const mostLines = 60;
const mostLinesPerAddress = 12;
const minuteMs = 60_000;

export class RefusalLog {
  readonly #clock: Pick<Clock, 'setTimer'>;
  readonly #log: Log;
  /** Of this minute: as many entries as lines. */
  readonly #lines = new Map<string, number>();
  #cancelTimer: CancelTimer | undefined;
  #said = 0;
  #unsaid = 0;

  constructor(clock: Pick<Clock, 'setTimer'>, log: Log) {
    this.#clock = clock;
    this.#log = log;
  }

  refused({ remoteAddress, why }: { readonly remoteAddress: string; readonly why: string }): void {
    this.#cancelTimer ??= this.#clock.setTimer(minuteMs, () => this.stop());
    const host = remoteAddress.replace(/:\d+$/, '');
    const own = this.#lines.get(host) ?? 0;
    if (this.#said >= mostLines || own >= mostLinesPerAddress) {
      this.#unsaid += 1;
      return;
    }
    this.#said += 1;
    this.#lines.set(host, own + 1);
    this.#log.warn({ address: remoteAddress, why }, 'a connection was refused');
  }

  /** Ends the minute, and says what it left out. */
  stop(): void {
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
    if (this.#unsaid > 0) this.#log.warn({ count: this.#unsaid }, 'more connections were refused in the last minute');
    this.#lines.clear();
    this.#said = 0;
    this.#unsaid = 0;
  }
}
