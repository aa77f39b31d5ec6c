/** Carries what an agent prints to the sink: at once, in order, and no faster than the sink takes it. */
import type { Readable } from 'node:stream';
import { maxOutputChunk, type OutputStream } from '../domain/flight-event.ts';
import type { RunSink } from '../domain/harness-port.ts';
import type { Clock } from '../domain/ports.ts';
import { splitUtf8 } from '../domain/text.ts';

/** What a pipe can hold once its writers are gone (Linux: /proc/sys/fs/pipe-max-size), and as much again. */
const mostLeftInPipe = 2 * 1024 * 1024;

/** How long a pipe that somebody still holds may stay silent before it is given up, ms. */
const quietMs = 200;

/** How long such a pipe is listened to in all, ms: a daemon that says something now and then has no end. */
const patienceMs = 1000;

export class OutputPump {
  readonly #source: Readable;
  readonly #stream: OutputStream;
  readonly #sink: Pick<RunSink, 'output'>;
  readonly #clock: Clock;
  /** Bytes that may still be read; finite once the run is over but for what lies in the pipe. */
  #budget = Number.POSITIVE_INFINITY;
  /** Of the run that is over. */
  #patienceMs = patienceMs;
  #isClosed = false;
  #wake: () => void = () => undefined;

  constructor(source: Readable, stream: OutputStream, sink: Pick<RunSink, 'output'>, clock: Clock) {
    this.#source = source;
    this.#stream = stream;
    this.#sink = sink;
    this.#clock = clock;
    const closed = (): void => {
      this.#isClosed = true;
      this.#wake();
    };
    // An error of a pipe is its end: what was read before is handed over.
    for (const event of ['end', 'error', 'close'] as const) source.on(event, closed);
    source.on('readable', () => this.#wake());
  }

  /** Resolves when all was handed over and the pipe closed, or given up after `finishSoon`. Rejects only with the sink's own error. */
  async run(): Promise<void> {
    // At most the 3 bytes of an unfinished character, which wait for the rest of it.
    let held: Uint8Array = new Uint8Array();
    try {
      for (;;) {
        const chunk = this.#source.read() as Buffer | null;
        if (chunk !== null) {
          this.#budget -= chunk.length;
          held = await this.#handOver(held.length === 0 ? chunk : Buffer.concat([held, chunk]), false);
        } else if (this.#isClosed) break;
        else await this.#somethingNew();
        if (this.#budget <= 0) break;
      }
      await this.#handOver(held, true);
    } finally {
      this.#source.destroy();
    }
  }

  /** The agent and all it started are gone: what is in the pipe still counts, but nobody is waited for who kept it open. */
  finishSoon(): void {
    this.#budget = Math.min(this.#budget, mostLeftInPipe);
    this.#wake();
  }

  async #handOver(bytes: Uint8Array, isEnd: boolean): Promise<Uint8Array> {
    let left = bytes;
    for (;;) {
      const { head, rest } = splitUtf8(left, maxOutputChunk, isEnd);
      // A copy, so that 3 bytes do not keep a whole chunk in memory.
      if (head.length === 0) return Uint8Array.from(rest);
      await this.#sink.output(this.#stream, head);
      left = rest;
    }
  }

  async #somethingNew(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<undefined>();
    this.#wake = (): void => resolve(undefined);
    if (!Number.isFinite(this.#budget)) return promise;
    const sinceMs = this.#clock.monotonic();
    const cancel = this.#clock.setTimer(Math.min(quietMs, this.#patienceMs), () => {
      this.#budget = 0;
      this.#wake();
    });
    await promise;
    cancel();
    this.#patienceMs -= this.#clock.monotonic() - sinceMs;
  }
}
