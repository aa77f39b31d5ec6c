/**
 * What others can bring about as often as they like, and what is told of for good: in facts, in the audit. The first time counts, and
 * for an hour no other of the same. Bounded in memory, and so in what it lets through: beyond, nothing new counts until an hour has passed.
 */
import type { Clock } from './ports.ts';

const hourMs = 3_600_000;
const mostKeys = 4_096;

export class OnceAnHour {
  readonly #clock: Pick<Clock, 'monotonic'>;
  /** When each counted, the oldest first. */
  readonly #last = new Map<string, number>();

  constructor(clock: Pick<Clock, 'monotonic'>) {
    this.#clock = clock;
  }

  /** Whether this one counts; then no other of that key does for an hour. @param key of what those who bring it about do not choose */
  counts(key: string): boolean {
    const now = this.#clock.monotonic();
    for (const [each, atMs] of this.#last) {
      if (now - atMs < hourMs) break;
      this.#last.delete(each);
    }
    if (this.#last.has(key) || this.#last.size >= mostKeys) return false;
    this.#last.set(key, now);
    return true;
  }
}
