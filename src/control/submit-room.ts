/** How much of what clients submit the node holds in memory at once, all calls together. */

/** Of tasks, bytes: some of the largest, or very many small ones. */
const usualBytes = 64 * 1024 * 1024;

export class SubmitRoom {
  readonly #mostBytes: number;
  #bytes = 0;
  #waiting: (() => void)[] = [];

  constructor(mostBytes = usualBytes) {
    this.#mostBytes = mostBytes;
  }

  get isFree(): boolean {
    return this.#bytes < this.#mostBytes;
  }

  /** What was read is held, whatever there is room for. @returns what gives its place back; at most once */
  take(bytes: number): () => void {
    this.#bytes += bytes;
    return () => {
      this.#bytes -= bytes;
      if (!this.isFree) return;
      for (const wake of this.#waiting.splice(0)) wake();
    };
  }

  /** Resolves when more may be read. */
  async free(): Promise<void> {
    while (!this.isFree) {
      await new Promise<void>((resolve) => {
        this.#waiting.push(resolve);
      });
    }
  }
}
