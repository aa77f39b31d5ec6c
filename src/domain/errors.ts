/**
 * The one error type that crosses a component boundary. Its code is closed, its message is for a person, its cause
 * never leaves the process.
 */

export const errorCodes = [
  'invalid',
  'not_found',
  'ambiguous',
  'denied',
  'unauthenticated',
  'conflict',
  'unavailable',
  'overload',
  'deadline',
  'cancelled',
  'incompatible',
  'internal',
] as const;

export type ErrorCode = (typeof errorCodes)[number];

/** Something the caller may have meant, or could use instead. */
export interface ErrorCandidate {
  /** Canonical address. */
  readonly address: string;
  readonly state?: string;
  readonly lastSeenMs?: number;
  readonly why?: string;
}

/** What of an error may be shown, stored and sent. */
export interface ErrorInfo {
  readonly code: ErrorCode;
  readonly message: string;
  readonly hint?: string;
  readonly candidates?: readonly ErrorCandidate[];
  readonly detail?: Readonly<Record<string, string>>;
  /** Of an overload: when it is worth another try, ms from now. */
  readonly retryAfterMs?: number;
}

export interface BrokerErrorOptions {
  readonly hint?: string | undefined;
  readonly candidates?: readonly ErrorCandidate[] | undefined;
  readonly detail?: Readonly<Record<string, string>> | undefined;
  readonly retryAfterMs?: number | undefined;
  readonly cause?: unknown;
}

export class BrokerError extends Error {
  readonly code: ErrorCode;
  readonly hint: string | undefined;
  readonly candidates: readonly ErrorCandidate[] | undefined;
  readonly detail: Readonly<Record<string, string>> | undefined;
  readonly retryAfterMs: number | undefined;

  constructor(code: ErrorCode, message: string, options: BrokerErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'BrokerError';
    this.code = code;
    this.hint = options.hint;
    this.candidates = options.candidates;
    this.detail = options.detail;
    this.retryAfterMs = options.retryAfterMs;
  }

  /** A plain copy without cause and stack, safe to store, print and send. */
  toInfo(): ErrorInfo {
    return {
      code: this.code,
      message: this.message,
      ...(this.hint === undefined ? {} : { hint: this.hint }),
      ...(this.candidates === undefined ? {} : { candidates: this.candidates.map((each) => ({ ...each })) }),
      ...(this.detail === undefined ? {} : { detail: { ...this.detail } }),
      ...(this.retryAfterMs === undefined ? {} : { retryAfterMs: this.retryAfterMs }),
    };
  }
}

export function isErrorCode(value: unknown): value is ErrorCode {
  return (errorCodes as readonly unknown[]).includes(value);
}

/**
 * A BrokerError as it is; anything else becomes `internal` with a generic message, since text of unknown origin may
 * hold paths or secrets. The original stays in `cause`, for the local log.
 */
export function toBrokerError(thrown: unknown): BrokerError {
  if (thrown instanceof BrokerError) return thrown;
  return new BrokerError('internal', 'something went wrong inside the node', {
    hint: 'its log has the details: logs/node.log in its state directory',
    cause: thrown,
  });
}

/** The inverse of `toInfo`. A code this version does not know becomes `internal`, kept in `detail.code`. */
export function fromInfo(info: Omit<ErrorInfo, 'code'> & { readonly code: string }): BrokerError {
  const { message, hint, candidates, retryAfterMs } = info;
  if (isErrorCode(info.code)) return new BrokerError(info.code, message, { hint, candidates, detail: info.detail, retryAfterMs });
  return new BrokerError('internal', message, { hint, candidates, detail: { ...info.detail, code: info.code }, retryAfterMs });
}

export function invalid(message: string, hint?: string): BrokerError {
  return new BrokerError('invalid', message, { hint });
}

export function notFound(message: string, hint?: string): BrokerError {
  return new BrokerError('not_found', message, { hint });
}

export function denied(message: string, hint?: string): BrokerError {
  return new BrokerError('denied', message, { hint });
}

export function conflict(message: string, hint?: string): BrokerError {
  return new BrokerError('conflict', message, { hint });
}

export function unavailable(message: string, hint?: string): BrokerError {
  return new BrokerError('unavailable', message, { hint });
}

/** Refused for now, and nothing of it was kept. @param retryAfterMs when it is worth another try */
export function overload(message: string, retryAfterMs: number, hint?: string): BrokerError {
  return new BrokerError('overload', message, { hint, retryAfterMs });
}

export function internal(message: string, cause?: unknown): BrokerError {
  return new BrokerError('internal', message, { cause });
}
