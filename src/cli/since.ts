/** Times in the past as people give them: `1h` for so long ago, an ISO 8601 time, or one as lists show it, of this machine's clock. */
import { parseDuration } from '../domain/duration.ts';
import { BrokerError, invalid } from '../domain/errors.ts';
import { quoted } from '../domain/text.ts';

const isoForm = /^\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d{1,9})?)?(Z|[+-]\d\d:\d\d)?)?$/;

/** As a check for an option: a duration, which means so long ago, or a time. @throws BrokerError `invalid` */
export function checkSince(given: string): string {
  if (isoForm.test(given) && !Number.isNaN(Date.parse(given))) return given;
  try {
    parseDuration(given);
    return given;
  } catch (thrown) {
    // What is a duration, and no good one, was said by name.
    if (!(thrown instanceof BrokerError) || /^[0-9]+(ms|s|m|h|d)$/.test(given)) throw thrown;
    throw invalid(`${quoted(given)} is neither a duration nor a time`, 'for example 1h, 2026-03-01T14:00:00Z, or "2026-03-01 14:00:00" by the clock of this machine');
  }
}

/** What `checkSince` let through, in ms since 1970. */
export function sinceMs(given: string, nowMs: number): number {
  return isoForm.test(given) ? Math.max(0, Date.parse(given)) : nowMs - parseDuration(given);
}
