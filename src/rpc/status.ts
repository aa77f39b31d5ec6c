/** BrokerError to gRPC status and back: the one place each way. */
import { Metadata, status } from '@grpc/grpc-js';
import type { ServiceError, StatusObject } from '@grpc/grpc-js';
import { BrokerError, fromInfo, toBrokerError } from '../domain/errors.ts';
import type { ErrorCode, ErrorInfo } from '../domain/errors.ts';
import { ErrorInfo as WireErrorInfo } from '../gen/beckon/v1/record.ts';
import { decodeErrorInfo, encodeErrorInfo } from './error-info.ts';

/** The trailer that carries the whole error. Any gRPC client still gets a fitting status and the message. */
export const errorTrailer = 'beckon-error-bin';

const statusOf: Readonly<Record<ErrorCode, status>> = {
  invalid: status.INVALID_ARGUMENT,
  not_found: status.NOT_FOUND,
  ambiguous: status.FAILED_PRECONDITION,
  denied: status.PERMISSION_DENIED,
  unauthenticated: status.UNAUTHENTICATED,
  conflict: status.ABORTED,
  unavailable: status.UNAVAILABLE,
  overload: status.RESOURCE_EXHAUSTED,
  deadline: status.DEADLINE_EXCEEDED,
  cancelled: status.CANCELLED,
  incompatible: status.UNIMPLEMENTED,
  internal: status.INTERNAL,
};

const codeOf = new Map<status, ErrorCode>([
  ...Object.entries(statusOf).map(([code, number]): [status, ErrorCode] => [number, code as ErrorCode]),
  [status.ALREADY_EXISTS, 'conflict'],
  [status.OUT_OF_RANGE, 'invalid'],
]);

/** Trailers share a header block of 16 KiB with the percent-encoded message. */
const mostTrailerBytes = 6 * 1024;

/** What a handler fails a call with. Anything but a BrokerError becomes `internal` with a generic message. */
export function toStatus(thrown: unknown): Pick<StatusObject, 'code' | 'details' | 'metadata'> {
  const info = toBrokerError(thrown).toInfo();
  const encoded = fitting(info);
  const metadata = new Metadata();
  metadata.set(errorTrailer, Buffer.from(WireErrorInfo.encode(encoded).finish()));
  return { code: statusOf[info.code], details: encoded.message, metadata };
}

/** What a call failed with, from its trailer; from its status when it never reached a Beckon handler. */
export function fromStatus(error: Pick<ServiceError, 'code' | 'details'> & { readonly metadata?: Metadata }): BrokerError {
  const trailer = error.metadata?.get(errorTrailer)[0];
  const info = trailer instanceof Buffer ? infoOf(trailer) : undefined;
  if (info !== undefined) return fromInfo(info);
  const code = codeOf.get(error.code) ?? 'internal';
  const hint = code === 'incompatible' ? 'the other side runs another version of Beckon' : undefined;
  return new BrokerError(code, error.details === '' ? `the call failed: ${code}` : error.details, { hint, cause: error });
}

/** True for what grpc-js throws and emits. */
export function isServiceError(thrown: unknown): thrown is ServiceError {
  return thrown instanceof Error && 'code' in thrown && typeof thrown.code === 'number' && 'details' in thrown;
}

/** Whatever a call threw, as a BrokerError. */
export function fromCall(thrown: unknown): BrokerError {
  return isServiceError(thrown) ? fromStatus(thrown) : toBrokerError(thrown);
}

function infoOf(trailer: Buffer): ErrorInfo | undefined {
  try {
    return decodeErrorInfo(WireErrorInfo.decode(trailer));
  } catch (error) {
    // Not ours after all: the status says what there is to say.
    return toBrokerError(error) && undefined;
  }
}

/** Cut to what trailers can carry, and a client is told elsewhere too: first the message, then detail and the last candidates. */
export function fitting(info: ErrorInfo): WireErrorInfo {
  let encoded = encodeErrorInfo({ ...info, message: cut(info.message), ...(info.hint === undefined ? {} : { hint: cut(info.hint) }) });
  const isTooLong = () => WireErrorInfo.encode(encoded).finish().length > mostTrailerBytes;
  if (isTooLong()) encoded = { ...encoded, detail: {} };
  while (encoded.candidates.length > 0 && isTooLong()) {
    encoded = { ...encoded, candidates: encoded.candidates.slice(0, Math.floor(encoded.candidates.length / 2)) };
  }
  return encoded;
}

function cut(text: string, longest = 1000): string {
  return text.length <= longest ? text : `${text.slice(0, longest)}…`;
}
