/** Points in an answer where a model waits for the test. */
export class Gates {
  readonly #waiting = new Map<string, number>();
  readonly #opened = new Map<string, PromiseWithResolvers<void>>();

  /** How many answers wait there now. */
  waiting(name: string): number {
    return this.#waiting.get(name) ?? 0;
  }

  /** Lets all pass that wait there, and all that come later. */
  open(name: string): void {
    this.#of(name).resolve();
  }

  /** @throws the signal's reason when it aborts first */
  async pass(name: string, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    const left = Promise.withResolvers<never>();
    const leave = (): void => left.reject(signal.reason);
    signal.addEventListener('abort', leave);
    this.#waiting.set(name, this.waiting(name) + 1);
    try {
      await Promise.race([this.#of(name).promise, left.promise]);
    } finally {
      signal.removeEventListener('abort', leave);
      this.#waiting.set(name, this.waiting(name) - 1);
    }
  }

  #of(name: string): PromiseWithResolvers<void> {
    const gate = this.#opened.get(name) ?? Promise.withResolvers<void>();
    this.#opened.set(name, gate);
    return gate;
  }
}
