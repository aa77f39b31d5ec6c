/**
 * So many lines a minute about all, and of these so many about one: who makes much noise hides nobody else. A minute begins with
 * its first line. Where something was left out, its end is told, whether or not more comes.
 *
 * `RefusalLog` and `PeerLines` are two such limits, one behind the other: strangers get less than members do. `Complaints`, in the core, is
 * none: it knows the kind of each fault, and says each once; that takes no timer, and the next line of the kind has the count.
 */
import type { CancelTimer, Clock } from '../domain/ports.ts';

const minuteMs = 60_000;

export interface LineMinuteParts {
  readonly clock: Pick<Clock, 'monotonic' | 'setTimer'>;
  /** Lines, together. */
  readonly most: number;
  /** Lines about one. */
  readonly mostOfOne: number;
  /** A minute has ended. */
  readonly onEnd: () => void;
}

export class LineMinute {
  readonly #parts: LineMinuteParts;
  /** Of this minute, by what they are about: as many entries as lines at most. */
  readonly #lines = new Map<string, number>();
  #all = 0;
  #endsAtMs = 0;
  #cancelTimer: CancelTimer | undefined;

  constructor(parts: LineMinuteParts) {
    this.#parts = parts;
  }

  /** Whether a line about that one is to be written; it counts then. */
  takes(about: string): boolean {
    const { clock, most, mostOfOne } = this.#parts;
    const now = clock.monotonic();
    if (now >= this.#endsAtMs) {
      this.end();
      this.#endsAtMs = now + minuteMs;
    }
    const own = this.#lines.get(about) ?? 0;
    if (own < mostOfOne && this.#all < most) {
      this.#lines.set(about, own + 1);
      this.#all += 1;
      return true;
    }
    this.#cancelTimer ??= clock.setTimer(this.#endsAtMs - now, () => this.end());
    return false;
  }

  /** It took a line about that one in this minute. */
  has(about: string): boolean {
    return this.#lines.has(about);
  }

  /** Now, and not when it is over; the next line begins another. */
  end(): void {
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
    this.#lines.clear();
    this.#all = 0;
    this.#endsAtMs = 0;
    this.#parts.onEnd();
  }
}
