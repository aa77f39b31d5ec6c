/**
 * How every gRPC handler is written: the caller is its first argument, made by `authenticate` from the connection, so
 * that a handler without a caller can't be written. Errors become statuses here and nowhere else.
 */
import type { Metadata, handleBidiStreamingCall, handleServerStreamingCall, handleUnaryCall, ServerDuplexStream, ServerWritableStream } from '@grpc/grpc-js';
import { BrokerError, toBrokerError } from '../domain/errors.ts';
import { toStatus } from './status.ts';

/** What of a call tells who makes it. */
export interface Calling {
  getPeer(): string;
  getAuthContext(): ReturnType<ServerWritableStream<unknown, unknown>['getAuthContext']>;
  getPath(): string;
  readonly metadata: Metadata;
}

export interface Edge<Caller> {
  /** @throws BrokerError `unauthenticated` */
  readonly authenticate: (call: Calling) => Caller;
  /** Told of `internal` errors, whose cause stays here: log it. */
  readonly onFault: (error: BrokerError, path: string) => void;
}

/** Made once: grpc-js says of every stream that it is cancelled when it is over, and an error of its own has its stack taken. */
const gone = new BrokerError('cancelled', 'the caller has gone');

/** `signal` aborts when the caller gives up or its connection ends. */
export function unary<Caller, Request, Response>(
  edge: Edge<Caller>,
  handle: (caller: Caller, request: Request, signal: AbortSignal) => Promise<Response>,
): handleUnaryCall<Request, Response> {
  return (call, callback) => {
    const abort = new AbortController();
    call.on('cancelled', () => abort.abort(gone));
    const answer = async (): Promise<Response> => handle(edge.authenticate(call), call.request, abort.signal);
    answer().then(
      (response) => callback(null, response),
      (thrown: unknown) => callback(failure(edge, thrown, call.getPath())),
    );
  };
}

/**
 * The iterable is pulled only as fast as the caller reads. `signal` aborts when the caller gives up; what is thrown
 * after that is dropped.
 */
export function serverStream<Caller, Request, Response>(
  edge: Edge<Caller>,
  handle: (caller: Caller, request: Request, signal: AbortSignal) => AsyncIterable<Response>,
): handleServerStreamingCall<Request, Response> {
  return (call) => {
    const abort = new AbortController();
    call.on('cancelled', () => abort.abort(gone));
    const run = async (): Promise<void> => {
      for await (const response of handle(edge.authenticate(call), call.request, abort.signal)) {
        if (abort.signal.aborted) return;
        if (!call.write(response)) await writable(call, abort.signal);
        if (abort.signal.aborted) return;
      }
    };
    run().then(
      () => call.end(),
      (thrown: unknown) => {
        if (!abort.signal.aborted) call.emit('error', failure(edge, thrown, call.getPath()));
      },
    );
  };
}

/** `handle` takes the call over; the errors it throws at once end it. */
export function duplex<Caller, Request, Response>(
  edge: Edge<Caller>,
  handle: (caller: Caller, call: ServerDuplexStream<Request, Response>) => void,
): handleBidiStreamingCall<Request, Response> {
  return (call) => {
    try {
      handle(edge.authenticate(call), call);
    } catch (thrown) {
      call.emit('error', failure(edge, thrown, call.getPath()));
    }
  };
}

/** Resolves when the stream takes more, or is given up. */
function writable(call: ServerWritableStream<unknown, unknown>, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      call.off('drain', done);
      call.off('close', done);
      signal.removeEventListener('abort', done);
      resolve();
    };
    if (signal.aborted) return resolve();
    call.on('drain', done);
    call.on('close', done);
    signal.addEventListener('abort', done);
  });
}

/** What grpc-js wants: an error that carries code, details and metadata. */
export function failure<Caller>(edge: Edge<Caller>, thrown: unknown, path: string): Error & ReturnType<typeof toStatus> {
  const error = toBrokerError(thrown);
  if (error.code === 'internal') edge.onFault(error, path);
  const status = toStatus(error);
  return Object.assign(new Error(status.details), status);
}
