/** One look at a time, however often it is asked for: what is noticed during one is looked at once more, by the next. */
export class QueuedLook {
  readonly #look: () => Promise<void>;
  #looking: Promise<void> = Promise.resolve();
  #isQueued = false;

  /** @param look never rejects */
  constructor(look: () => Promise<void>) {
    this.#look = look;
  }

  ask(): void {
    if (this.#isQueued) return;
    this.#isQueued = true;
    this.#looking = this.#looking.then(() => {
      this.#isQueued = false;
      return this.#look();
    });
  }

  /** Those that were asked for are over. */
  settled(): Promise<void> {
    return this.#looking;
  }
}
