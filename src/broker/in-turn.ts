/** One after the other: what one writes the next has to see. */
export class InTurn {
  #last: Promise<unknown> = Promise.resolve();

  /** Begins when all before it have ended, however they did: whoever hands work over hears of its failure, and the next goes on. @throws as `work` does */
  run<Result>(work: () => Promise<Result>): Promise<Result> {
    const done = this.#last.then(work);
    this.#last = Promise.allSettled([done]);
    return done;
  }

  /** All that was handed over until now has ended. Never rejects. */
  async settled(): Promise<void> {
    await this.#last;
  }
}
