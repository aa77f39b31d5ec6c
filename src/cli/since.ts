/** Times in the past as people give them: `1h` for so long ago, or an ISO 8601 time. */
import { parseDuration } from '../domain/duration.ts';
import { BrokerError, invalid } from '../domain/errors.ts';
import { quoted } from '../domain/text.ts';

const isoForm = /^\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d{1,9})?)?(Z|[+-]\d\d:\d\d)?)?$/;

/** As a check for an option: a duration, which means so long ago, or a time. @throws BrokerError `invalid` */
export function checkSince(given: string): string {
  if (isoForm.test(given) && !Number.isNaN(Date.parse(given))) return given;
  try {
    parseDuration(given);
    return given;
  } catch (thrown) {
    if (!(thrown instanceof BrokerError)) throw thrown;
    throw invalid(`${quoted(given)} is neither a duration nor a time`, 'for example 1h, or 2026-03-01T14:00:00Z');
  }
}

/** What `checkSince` let through, in ms since 1970. */
export function sinceMs(given: string, nowMs: number): number {
  return isoForm.test(given) ? Math.max(0, Date.parse(given)) : nowMs - parseDuration(given);
}
