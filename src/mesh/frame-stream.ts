/**
 * One gRPC stream as a stream of frames. Frames that are ready together leave as one message; nothing is written
 * while two messages wait for the transport, so what is queued stays where it can be reordered and counted.
 */
import type { Duplex } from 'node:stream';
import { toBrokerError } from '../domain/errors.ts';
import type { BrokerError } from '../domain/errors.ts';
import { fromCall } from '../rpc/status.ts';

/** A message holds frames up to this many bytes, or one larger frame. */
export const batchBytes = 256 * 1024;
/** The largest message either side takes, bytes. */
export const largestMessage = 4 * 1024 * 1024;
/** The largest frame: a message with its own length in front. */
export const largestFrame = largestMessage - 1024;
const mostWrites = 2;

export interface FrameSink {
  /** The bytes of one message: frames, each after its tag and length. */
  message(bytes: Buffer): void;
  /** Once, when the stream is over. Without an error: the peer ended it. */
  ended(error: BrokerError | undefined): void;
}

export class FrameStream {
  /** Resolves when the transport is done with the stream. */
  readonly closed: Promise<void>;
  readonly #call: Duplex;
  /** The next frame to send, encoded. */
  readonly #pull: () => Uint8Array | undefined;
  #sink: FrameSink;
  #writes = 0;
  #isScheduled = false;
  #isOver = false;
  #isFinishing = false;

  /** @param call a client's or server's bidirectional call of raw bytes */
  constructor(call: Duplex, pull: () => Uint8Array | undefined, sink: FrameSink) {
    this.#call = call;
    this.#pull = pull;
    this.#sink = sink;
    call.on('data', (message: Buffer) => {
      if (!this.#isOver) this.#sink.message(message);
    });
    call.on('error', (error: unknown) => this.#over(fromCall(error)));
    call.on('cancelled', () => this.#over(undefined));
    call.on('end', () => this.#over(undefined));
    this.closed = new Promise((resolve) => {
      call.on('close', () => {
        this.#over(undefined);
        resolve();
      });
    });
  }

  /** Hands what comes from now on to another reader. */
  setSink(sink: FrameSink): void {
    this.#sink = sink;
  }

  /** There is something to pull: it leaves with all that becomes ready in this turn of the event loop. */
  wake(): void {
    if (this.#isScheduled || this.#isOver) return;
    this.#isScheduled = true;
    setImmediate(() => {
      this.#isScheduled = false;
      this.#flush();
    });
  }

  pause(): void {
    this.#call.pause();
  }

  resume(): void {
    if (!this.#isOver) this.#call.resume();
  }

  /** Sends what is ready now and ends this direction. */
  finish(): void {
    if (this.#isFinishing) return;
    this.#isFinishing = true;
    this.#flush();
    this.#isOver = true;
    // Errors from here on are those of a stream that nobody needs any more.
    if (!this.#call.writableEnded && !this.#call.destroyed) this.#call.end();
    this.#call.resume();
  }

  #flush(): void {
    while (!this.#isOver && this.#call.writable && (this.#writes < mostWrites || this.#isFinishing)) {
      const message = this.#batch();
      if (message === undefined) return;
      this.#writes += 1;
      this.#call.write(message, () => {
        this.#writes -= 1;
        this.wake();
      });
    }
  }

  #batch(): Buffer | undefined {
    const parts: Uint8Array[] = [];
    let size = 0;
    while (size < batchBytes) {
      const frame = this.#pull();
      if (frame === undefined) break;
      parts.push(prefix(frame.length), frame);
      size += frame.length;
    }
    return parts.length === 0 ? undefined : Buffer.concat(parts);
  }

  #over(error: BrokerError | undefined): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#sink.ended(error === undefined ? undefined : toBrokerError(error));
  }
}

/** Field 1, length-delimited: a batch is the concatenation of `repeated frames = 1`. */
function prefix(length: number): Uint8Array {
  const bytes = [0x0a];
  let rest = length;
  while (rest > 0x7f) {
    bytes.push((rest & 0x7f) | 0x80);
    rest >>>= 7;
  }
  bytes.push(rest);
  return Uint8Array.from(bytes);
}
