/** Making calls: promises and async iteration, BrokerErrors, AbortSignals. */
import type { CallOptions, ClientReadableStream, ClientUnaryCall, Metadata, ServiceError } from '@grpc/grpc-js';
import { Metadata as EmptyMetadata } from '@grpc/grpc-js';
import { internal } from '../domain/errors.ts';
import { fromCall } from './status.ts';

export interface CallLimits {
  readonly signal?: AbortSignal;
  readonly timeoutMs?: number;
  /** Wall clock, ms; needed with `timeoutMs`. */
  readonly nowMs?: number;
}

export type UnaryMethod<Request, Response> = (
  request: Request,
  metadata: Metadata,
  options: Partial<CallOptions>,
  callback: (error: ServiceError | null, response: Response) => void,
) => ClientUnaryCall;

/** As generated code describes a method of one question and one answer. */
export interface UnaryCall<Request, Response> {
  readonly path: string;
  readonly requestSerialize: (request: Request) => Buffer;
  readonly responseDeserialize: (content: Buffer) => Response;
}

/** `callUnary((...args) => client.getStatus(...args), request)`. @throws BrokerError */
export function callUnary<Request, Response>(
  method: UnaryMethod<Request, Response>,
  request: Request,
  limits: CallLimits = {},
): Promise<Response> {
  return new Promise((resolve, reject) => {
    const { signal } = limits;
    const call = method(request, new EmptyMetadata(), optionsOf(limits), (error, response) => {
      signal?.removeEventListener('abort', abort);
      if (error === null) resolve(response);
      else reject(fromCall(error));
    });
    const abort = (): void => call.cancel();
    if (signal?.aborted === true) abort();
    signal?.addEventListener('abort', abort, { once: true });
  });
}

/** The messages of a server stream; leaving the loop early cancels the call. @throws BrokerError */
export async function* readStream<Response>(call: ClientReadableStream<Response>, signal?: AbortSignal): AsyncGenerator<Response, void, undefined> {
  const abort = (): void => call.cancel();
  if (signal?.aborted === true) abort();
  signal?.addEventListener('abort', abort, { once: true });
  try {
    for await (const message of call as AsyncIterable<Response>) yield message;
  } catch (error) {
    throw fromCall(error);
  } finally {
    signal?.removeEventListener('abort', abort);
    call.cancel();
  }
}

export function optionsOf({ timeoutMs, nowMs }: CallLimits): Partial<CallOptions> {
  if (timeoutMs === undefined) return {};
  if (nowMs === undefined) throw internal('a timeout needs the time');
  return { deadline: nowMs + timeoutMs };
}
