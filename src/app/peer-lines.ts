/**
 * The log of a node, with so many lines a minute about one other node or address, and about all of them: what these do decides how
 * many there are, and the newest lines put the oldest out of the files. What is over is counted, and said once when the minute is over.
 * Lines about nobody else, and those of level debug, which somebody asked for, are not counted.
 */
import type { LogFields } from '../domain/log-fields.ts';
import type { OverLimit } from '../domain/limits.ts';
import type { CancelTimer, Clock, Log } from '../domain/ports.ts';

export const mostPeerLines = 120;
export const mostLinesOfPeers = 1_200;
const minuteMs = 60_000;

export interface PeerLinesParts {
  readonly clock: Pick<Clock, 'monotonic' | 'setTimer'>;
  readonly log: Log;
  readonly onOverLimit: OverLimit;
}

export class PeerLines implements Log {
  readonly #parts: PeerLinesParts;
  /** Of this minute, by whom they are about: as many entries as lines at most. */
  readonly #lines = new Map<string, number>();
  readonly #unsaid = new Map<string, { readonly about: LogFields; count: number }>();
  #all = 0;
  /** Left out of lines about those that nothing is kept of. */
  #unsaidOfOthers = 0;
  #endsAtMs = 0;
  #cancelTimer: CancelTimer | undefined;

  constructor(parts: PeerLinesParts) {
    this.#parts = parts;
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
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
    for (const { about, count } of this.#unsaid.values()) this.#parts.log.warn({ ...about, count }, 'more lines about it were left out in the last minute');
    if (this.#unsaidOfOthers > 0) this.#parts.log.warn({ count: this.#unsaidOfOthers }, 'more lines about other nodes were left out in the last minute');
    this.#lines.clear();
    this.#unsaid.clear();
    this.#all = 0;
    this.#unsaidOfOthers = 0;
  }

  #takes({ peer, peerId, address }: LogFields): boolean {
    const key = peerId ?? address?.replace(/:\d+$/, '');
    if (key === undefined) return true;
    const { clock, onOverLimit } = this.#parts;
    const now = clock.monotonic();
    if (now >= this.#endsAtMs) {
      this.stop();
      this.#endsAtMs = now + minuteMs;
    }
    const own = this.#lines.get(key) ?? 0;
    if (own < mostPeerLines && this.#all < mostLinesOfPeers) {
      this.#lines.set(key, own + 1);
      this.#all += 1;
      return true;
    }
    onOverLimit('log_lines');
    this.#cancelTimer ??= clock.setTimer(this.#endsAtMs - now, () => this.stop());
    const unsaid = this.#unsaid.get(key);
    if (unsaid !== undefined) unsaid.count += 1;
    else if (own > 0) this.#unsaid.set(key, { about: peerId === undefined ? { address } : { peer, peerId }, count: 1 });
    else this.#unsaidOfOthers += 1;
    return false;
  }
}
