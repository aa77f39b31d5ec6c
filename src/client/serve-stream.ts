/** One `Serve` call: what is said in one turn of the event loop shares a message, and none is larger than a node takes. */
import type { ClientDuplexStream } from '@grpc/grpc-js';
import { sizeOfPiece } from '../domain/serving-port.ts';
import type { FromServer } from '../domain/serving-port.ts';
import type { Attach, NodeFrame, ServeRequest, ServeResponse } from '../gen/beckon/v1/serving.ts';
import { encodeFromServer } from '../rpc/serving.ts';
import { TurnWriter } from '../rpc/turn-writer.ts';

const batchBytes = 1024 * 1024;

export class ServeStream {
  readonly #call: ClientDuplexStream<ServeRequest, ServeResponse>;
  readonly #writer: TurnWriter<ServeRequest>;
  #waiting: FromServer[] = [];
  #isEnding = false;

  constructor(call: ClientDuplexStream<ServeRequest, ServeResponse>) {
    this.#call = call;
    this.#writer = new TurnWriter(call, { next: () => this.#next(), onEmpty: () => this.#endIfMeant() });
  }

  attach(attach: Attach): void {
    this.#call.write({ attach, frames: [] });
  }

  send(message: FromServer): void {
    this.#waiting.push(message);
    this.#writer.flushSoon();
  }

  /** After all that was sent. */
  end(): void {
    this.#isEnding = true;
    this.#writer.flushSoon();
  }

  /** Ends when the node ends the call, or rejects with what the call failed with. */
  async *frames(): AsyncGenerator<readonly NodeFrame[], void, undefined> {
    for await (const { frames } of this.#call as AsyncIterable<ServeResponse>) yield frames;
  }

  cancel(): void {
    this.#call.cancel();
  }

  #endIfMeant(): void {
    if (this.#isEnding) this.#call.end();
  }

  #next(): ServeRequest | undefined {
    if (this.#waiting.length === 0) return undefined;
    let bytes = 0;
    let count = 0;
    while (count < this.#waiting.length && bytes < batchBytes) {
      const message = this.#waiting[count];
      count += 1;
      if (message?.type === 'piece') bytes += sizeOfPiece(message.piece);
    }
    return { attach: undefined, frames: this.#waiting.splice(0, count).map(encodeFromServer) };
  }
}
