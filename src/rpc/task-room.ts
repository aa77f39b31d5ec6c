/**
 * Memory for tasks that are still arriving, whoever sends them: a large one begins to be read when there is room for the whole of
 * it, in the order in which they were announced. So many senders of the largest tasks cost no more than a few of them.
 */

/** Six of the largest. */
const usualBytes = 108 * 1024 * 1024;

export interface Place {
  readonly isGranted: boolean;
  /** Again: nothing. */
  release(): void;
}

interface Waiting {
  readonly bytes: number;
  readonly grant: () => void;
}

export class TaskRoom {
  readonly #mostBytes: number;
  #bytes = 0;
  readonly #waiting = new Set<Waiting>();

  constructor(mostBytes = usualBytes) {
    this.#mostBytes = mostBytes;
  }

  /** @param onGranted is called once there is room, unless there was at once or it is released before */
  take(bytes: number, onGranted: () => void): Place {
    let state: 'waiting' | 'granted' | 'released' = 'waiting';
    const waiting: Waiting = {
      bytes,
      grant: () => {
        state = 'granted';
        this.#bytes += bytes;
        onGranted();
      },
    };
    if (this.#waiting.size === 0 && this.#fits(bytes)) {
      state = 'granted';
      this.#bytes += bytes;
    } else this.#waiting.add(waiting);
    return {
      get isGranted() {
        return state === 'granted';
      },
      release: () => {
        if (state === 'granted') this.#bytes -= bytes;
        state = 'released';
        this.#waiting.delete(waiting);
        this.#grant();
      },
    };
  }

  /** Whoever comes into an empty room fits. */
  #fits(bytes: number): boolean {
    return this.#bytes === 0 || this.#bytes + bytes <= this.#mostBytes;
  }

  #grant(): void {
    for (const next of this.#waiting) {
      if (!this.#fits(next.bytes)) return;
      this.#waiting.delete(next);
      next.grant();
    }
  }
}
