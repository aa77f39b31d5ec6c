/**
 * The log of a node, with so many lines a minute about one other node or address, and about all of them: what these do decides how
 * many there are, and the newest lines put the oldest out of the files. What is over is counted, and said once when the minute is over.
 * Lines about nobody else, and those of level debug, which somebody asked for, are not counted.
 */
import { hostOf } from '../domain/host-port.ts';
import type { LogFields } from '../domain/log-fields.ts';
import type { OverLimit } from '../domain/limits.ts';
import type { Clock, Log } from '../domain/ports.ts';
import { LineMinute } from './line-minute.ts';

export const mostPeerLines = 120;
export const mostLinesOfPeers = 1_200;

export interface PeerLinesParts {
  readonly clock: Pick<Clock, 'monotonic' | 'setTimer'>;
  readonly log: Log;
  readonly onOverLimit: OverLimit;
}

export class PeerLines implements Log {
  readonly #parts: PeerLinesParts;
  readonly #minute: LineMinute;
  /** Of this minute, by whom they are about. */
  readonly #unsaid = new Map<string, { readonly about: LogFields; count: number }>();
  /** Left out of lines about those that nothing is kept of. */
  #unsaidOfOthers = 0;

  constructor(parts: PeerLinesParts) {
    this.#parts = parts;
    this.#minute = new LineMinute({ clock: parts.clock, most: mostLinesOfPeers, mostOfOne: mostPeerLines, onEnd: () => this.#sayUnsaid() });
  }

  debug(fields: LogFields, message: string): void {
    this.#parts.log.debug(fields, message);
  }

  info(fields: LogFields, message: string): void {
    if (this.#takes(fields)) this.#parts.log.info(fields, message);
  }

  warn(fields: LogFields, message: string): void {
    if (this.#takes(fields)) this.#parts.log.warn(fields, message);
  }

  error(fields: LogFields, message: string): void {
    if (this.#takes(fields)) this.#parts.log.error(fields, message);
  }

  /** Says what was left out, and begins anew. */
  stop(): void {
    this.#minute.end();
  }

  #sayUnsaid(): void {
    for (const { about, count } of this.#unsaid.values()) this.#parts.log.warn({ ...about, count }, 'more lines about it were left out in the last minute');
    if (this.#unsaidOfOthers > 0) this.#parts.log.warn({ count: this.#unsaidOfOthers }, 'more lines about other nodes were left out in the last minute');
    this.#unsaid.clear();
    this.#unsaidOfOthers = 0;
  }

  #takes({ peer, peerId, address }: LogFields): boolean {
    const key = peerId ?? (address === undefined ? undefined : hostOf(address));
    if (key === undefined || this.#minute.takes(key)) return true;
    this.#parts.onOverLimit('log_lines');
    const unsaid = this.#unsaid.get(key);
    if (unsaid !== undefined) unsaid.count += 1;
    else if (this.#minute.has(key)) this.#unsaid.set(key, { about: peerId === undefined ? { address } : { peer, peerId }, count: 1 });
    else this.#unsaidOfOthers += 1;
    return false;
  }
}
