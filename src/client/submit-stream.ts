/** One `Submit` call: what is submitted in one turn of the event loop shares a message, and none is larger than a node takes. */
import type { ClientDuplexStream } from '@grpc/grpc-js';
import type { Submission, Submitted, SubmitRequest, SubmitResponse } from '../gen/beckon/v1/invoke.ts';
import { TurnWriter } from '../rpc/turn-writer.ts';

const batchBytes = 1024 * 1024;
/** The node is at work on these while the next are written. */
const batchSize = 32;

export interface SubmitReader {
  readonly answered: (answers: readonly Submitted[]) => void;
  /** With what it failed; undefined when the node ended it in peace. Once. */
  readonly over: (thrown: unknown) => void;
}

export interface Outgoing {
  readonly message: Submission;
  /** Of its task. */
  readonly bytes: number;
}

export class SubmitStream {
  readonly #call: ClientDuplexStream<SubmitRequest, SubmitResponse>;
  readonly #writer: TurnWriter<SubmitRequest>;
  #waiting: Outgoing[] = [];
  #isEnding = false;

  constructor(call: ClientDuplexStream<SubmitRequest, SubmitResponse>, { answered, over }: SubmitReader) {
    this.#call = call;
    this.#writer = new TurnWriter(call, { next: () => this.#next(), onEmpty: () => this.#endIfMeant() });
    call.on('data', ({ answers }: SubmitResponse) => answered(answers));
    call.once('error', over);
    call.once('end', () => call.once('status', () => over(undefined)));
  }

  send(each: Outgoing): void {
    this.#waiting.push(each);
    this.#writer.flushSoon();
  }

  /** After all that was sent. */
  end(): void {
    this.#isEnding = true;
    this.#writer.flushSoon();
  }

  cancel(): void {
    this.#call.cancel();
  }

  #endIfMeant(): void {
    if (this.#isEnding) this.#call.end();
  }

  #next(): SubmitRequest | undefined {
    if (this.#waiting.length === 0) return undefined;
    let bytes = 0;
    let count = 0;
    for (const each of this.#waiting) {
      bytes += each.bytes;
      if (count === batchSize || (count > 0 && bytes > batchBytes)) break;
      count += 1;
    }
    return { submissions: this.#waiting.splice(0, count).map(({ message }) => message) };
  }
}
