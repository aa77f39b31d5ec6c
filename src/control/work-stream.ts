/**
 * A stream on which a client gives this node work, many pieces a message: read no further than there is room, and ended when all
 * that was begun on it has come to its end.
 */
import type { ServerDuplexStream } from '@grpc/grpc-js';
import type { LocalCaller } from '../broker/api.ts';
import { unavailable } from '../domain/errors.ts';
import type { BrokerError } from '../domain/errors.ts';
import { failure } from '../rpc/handler.ts';
import type { Edge } from '../rpc/handler.ts';
import type { SubmitRoom } from './submit-room.ts';

/** Pieces in one message; more is no client of ours. */
export const mostInMessage = 1024;
/** Pieces taken from one stream and not answered or accepted yet, before its next message is read. */
const mostTaken = 256;

export interface WorkStreamParts<Request, Response> {
  readonly call: ServerDuplexStream<Request, Response>;
  readonly edge: Edge<LocalCaller>;
  readonly room: SubmitRoom;
  /** Aborted when the node stops: what was taken goes on, and nothing more is read. */
  readonly stopping: AbortSignal;
  /** For a client whose node stops. */
  readonly hint: string;
  /** Pieces that hold up the next message. */
  readonly taken: () => number;
  /** @returns whether work was taken from it. Throws nothing */
  readonly onMessage: (message: Request) => boolean;
  /** All that was begun has ended, and that was said. */
  readonly isDone: () => boolean;
  /** Nothing is read or said any more: the client is gone, or nobody knows what it means. Not called after a regular end. */
  readonly onOver: () => void;
}

export class WorkStream<Request, Response> {
  readonly #parts: WorkStreamParts<Request, Response>;
  /** Nothing more is taken; `error`: what the stream fails with once all has ended. */
  #last: { readonly error?: BrokerError } | undefined;
  #isOver = false;

  constructor(parts: WorkStreamParts<Request, Response>) {
    this.#parts = parts;
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  /** What still comes begins nothing. */
  get isClosed(): boolean {
    return this.#last !== undefined;
  }

  run(): void {
    const { call, stopping, hint } = this.#parts;
    const stop = (): void => this.close(unavailable('this node is stopping', hint));
    const over = (): void => {
      stopping.removeEventListener('abort', stop);
      this.#over();
    };
    call.on('cancelled', over);
    call.on('error', over);
    call.once('finish', over);
    if (stopping.aborted) return stop();
    stopping.addEventListener('abort', stop, { once: true });
    // Not by iteration: that destroys a stream that is to carry an error behind its answers.
    call.on('data', (message: Request) => this.#read(message));
    call.once('end', () => this.close());
  }

  /** There may be room again. */
  readOn(): void {
    const { call, taken, room } = this.#parts;
    if (this.#isOver || !call.isPaused()) return;
    if (this.#hasRoom()) call.resume();
    else if (taken() < mostTaken) void room.free().then(() => this.readOn());
  }

  /** Takes no more, and ends when all that was begun has. The first reason stands. */
  close(error?: BrokerError): void {
    this.#last ??= error === undefined ? {} : { error };
    // What still comes is let go by.
    this.#parts.call.resume();
    this.endIfDone();
  }

  endIfDone(): void {
    if (this.#isOver || this.#last === undefined || !this.#parts.isDone()) return;
    this.#isOver = true;
    const { error } = this.#last;
    if (error === undefined) this.#parts.call.end();
    else this.#emit(error);
  }

  /** Ends at once by what is said of no piece in particular. */
  fail(error: BrokerError): void {
    this.#over();
    this.#emit(error);
  }

  #read(message: Request): void {
    const { call, room, onMessage } = this.#parts;
    if (this.#isOver || !onMessage(message) || this.#hasRoom()) return;
    call.pause();
    void room.free().then(() => this.readOn());
  }

  #hasRoom(): boolean {
    const { taken, room } = this.#parts;
    return taken() < mostTaken && room.isFree;
  }

  #over(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#parts.onOver();
  }

  #emit(error: BrokerError): void {
    const { call, edge } = this.#parts;
    call.emit('error', failure(edge, error, call.getPath()));
  }
}
