/** The one place where an error's code becomes an HTTP status. */
import type { ErrorCode } from '../domain/errors.ts';

const statuses: Readonly<Record<ErrorCode, number>> = {
  invalid: 400,
  unauthenticated: 401,
  denied: 403,
  not_found: 404,
  ambiguous: 409,
  conflict: 409,
  incompatible: 426,
  overload: 429,
  cancelled: 499,
  internal: 500,
  unavailable: 503,
  deadline: 504,
};

export function httpStatusOf(code: ErrorCode): number {
  return statuses[code];
}
