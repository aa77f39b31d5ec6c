/** `ErrorInfo` of the wire and of the domain. */
import type { ErrorCandidate, ErrorInfo } from '../domain/errors.ts';
import type * as wire from '../gen/beckon/v1/record.ts';
import { errorCode } from './enums.ts';
import { list, optionalText, optionalWhole, present, text, texts } from './fields.ts';

export function encodeErrorInfo(info: ErrorInfo): wire.ErrorInfo {
  return {
    code: errorCode.toWire(info.code),
    message: info.message,
    hint: info.hint ?? '',
    candidates: (info.candidates ?? []).map((candidate) => ({
      address: candidate.address,
      state: candidate.state ?? '',
      lastSeenMs: candidate.lastSeenMs,
      why: candidate.why ?? '',
    })),
    detail: { ...info.detail },
    retryAfterMs: info.retryAfterMs,
  };
}

/** A code of a newer version becomes `internal`, its number kept in `detail.code`. @throws BrokerError `invalid` */
export function decodeErrorInfo(message: wire.ErrorInfo): ErrorInfo {
  const code = errorCode.knownFromWire(message.code);
  const detail = { ...texts(message.detail, 'error.detail'), ...(code === undefined ? { code: String(message.code) } : {}) };
  return {
    code: code ?? 'internal',
    message: text(message.message, 'error.message'),
    ...present({
      hint: optionalText(message.hint, 'error.hint'),
      candidates: message.candidates.length === 0 ? undefined : list(message.candidates, 'error.candidates', 1000).map(candidate),
      detail: Object.keys(detail).length === 0 ? undefined : detail,
      retryAfterMs: optionalWhole(message.retryAfterMs, 'error.retry_after_ms'),
    }),
  };
}

export function decodeOptionalErrorInfo(message: wire.ErrorInfo | undefined): ErrorInfo | undefined {
  return message === undefined ? undefined : decodeErrorInfo(message);
}

function candidate(message: wire.ErrorCandidate): ErrorCandidate {
  return {
    address: text(message.address, 'candidate.address'),
    ...present({
      state: optionalText(message.state, 'candidate.state'),
      lastSeenMs: optionalWhole(message.lastSeenMs, 'candidate.last_seen_ms'),
      why: optionalText(message.why, 'candidate.why'),
    }),
  };
}
