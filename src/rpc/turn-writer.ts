/** What a turn of the event loop has to say over a stream goes out together at its end, and no faster than the other side takes it. */

export interface WritableCall<Message> {
  /** False: not before `drain`. */
  write(message: Message): boolean;
  once(event: 'drain', listener: () => void): unknown;
}

export interface TurnSource<Message> {
  /** Of what waits as much as one message holds. Undefined: there is nothing to write any more. */
  readonly next: () => Message | undefined;
  /** All is written. */
  readonly onEmpty?: () => void;
  /** The other side takes no more for now. */
  readonly onFull?: () => void;
  /** It does again. */
  readonly onDrain?: () => void;
}

export class TurnWriter<Message> {
  readonly #call: WritableCall<Message>;
  readonly #source: TurnSource<Message>;
  #isBusy = false;

  constructor(call: WritableCall<Message>, source: TurnSource<Message>) {
    this.#call = call;
    this.#source = source;
  }

  /** Something waits, for the end of the turn or for the other side. */
  get isBusy(): boolean {
    return this.#isBusy;
  }

  /** After the microtasks of this turn: who says things one by one has then said all that there is at once. */
  flushSoon(): void {
    if (this.#isBusy) return;
    this.#isBusy = true;
    process.nextTick(() => this.#flush());
  }

  #flush(): void {
    const { next, onEmpty, onFull, onDrain } = this.#source;
    for (let message = next(); message !== undefined; message = next()) {
      if (this.#call.write(message)) continue;
      onFull?.();
      this.#call.once('drain', () => {
        onDrain?.();
        this.#flush();
      });
      return;
    }
    this.#isBusy = false;
    onEmpty?.();
  }
}
