/** Errors of the operating system, as Node throws them: an `Error` with a code, such as `ENOENT`. */

/** Its code; of anything else that was thrown its text, for messages that have to say something. */
export function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : String(error);
}

/** Nothing is at that path; a file where one of its directories should be is something. */
export function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT';
}

/** What people are told of whatever was thrown. */
export function wordsOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}
