/**
 * Logs who was refused at the network port, without letting strangers fill the log: so many lines a minute, and of these so many of one
 * address. What is over is counted, and said once when the minute is over.
 */
import { hostOf } from '../domain/host-port.ts';
import type { Clock, Log } from '../domain/ports.ts';
import { LineMinute } from './line-minute.ts';

/** Lines a minute. */
const mostLines = 60;
const mostLinesPerAddress = 12;

export class RefusalLog {
  readonly #log: Log;
  readonly #minute: LineMinute;
  #unsaid = 0;

  constructor(clock: Pick<Clock, 'monotonic' | 'setTimer'>, log: Log) {
    this.#log = log;
    this.#minute = new LineMinute({ clock, most: mostLines, mostOfOne: mostLinesPerAddress, onEnd: () => this.#sayUnsaid() });
  }

  refused({ remoteAddress, why }: { readonly remoteAddress: string; readonly why: string }): void {
    if (this.#minute.takes(hostOf(remoteAddress))) this.#log.warn({ address: remoteAddress, why }, 'a connection was refused');
    else this.#unsaid += 1;
  }

  /** Ends the minute, and says what it left out. */
  stop(): void {
    this.#minute.end();
  }

  #sayUnsaid(): void {
    if (this.#unsaid > 0) this.#log.warn({ count: this.#unsaid }, 'more connections were refused in the last minute');
    this.#unsaid = 0;
  }
}
