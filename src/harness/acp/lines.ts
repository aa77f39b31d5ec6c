/** Splits bytes into lines, none longer than a limit. Costs each byte once, however many pieces a line comes in. */

const newline = 0x0a;

export class TooLong extends Error {}

export class Lines {
  readonly #limit: number;
  #pieces: Buffer[] = [];
  #held = 0;

  /** @param limit the longest line, bytes */
  constructor(limit: number) {
    this.#limit = limit;
  }

  /** The lines that end in `chunk`, without their ends. @throws TooLong */
  *push(chunk: Buffer): Generator<Buffer> {
    let from = 0;
    for (let end = chunk.indexOf(newline); end >= 0; end = chunk.indexOf(newline, from)) {
      yield this.#take(chunk.subarray(from, end));
      from = end + 1;
    }
    if (from < chunk.length) this.#hold(chunk.subarray(from));
  }

  /** What is left without an end. */
  rest(): Buffer {
    return this.#take(Buffer.alloc(0));
  }

  #hold(piece: Buffer): void {
    this.#held += piece.length;
    if (this.#held > this.#limit) {
      this.#pieces = [];
      throw new TooLong(`a line of more than ${this.#limit} bytes`);
    }
    this.#pieces.push(piece);
  }

  #take(last: Buffer): Buffer {
    this.#hold(last);
    const line = this.#pieces.length === 1 ? last : Buffer.concat(this.#pieces, this.#held);
    this.#pieces = [];
    this.#held = 0;
    return line;
  }
}
