/** What is being accepted and not stored yet: counted, so that callers who are faster than the disk are told so instead of filling memory. */
import { overload } from '../domain/errors.ts';
import { maxTaskBytes } from '../domain/invocation.ts';

export interface IntakeSize {
  readonly items: number;
  /** Of their tasks. */
  readonly bytes: number;
}

/** Some tenths of a second of small ones, and six of the largest tasks. */
const usualSize: IntakeSize = { items: 8192, bytes: 6 * maxTaskBytes };
/** The disk has taken that much by then. */
const retryAfterMs = 1_000;

export class Intake {
  readonly #size: IntakeSize;
  #items = 0;
  #bytes = 0;

  constructor(size = usualSize) {
    this.#size = size;
  }

  /** @throws BrokerError `overload` when too much is on its way to the disk already: then `store` was not called */
  async during<Result>(bytes: number, store: () => Promise<Result>): Promise<Result> {
    if (this.#items >= this.#size.items || (this.#items > 0 && this.#bytes + bytes > this.#size.bytes)) {
      throw overload(`this node is given work faster than it can store it: ${this.#items} invocations are on their way to its disk`, retryAfterMs);
    }
    this.#items += 1;
    this.#bytes += bytes;
    try {
      return await store();
    } finally {
      this.#items -= 1;
      this.#bytes -= bytes;
    }
  }
}
