/** Ends of ranges of invocation ids, in whose order everything is listed: a ULID begins with its time. */
import { base32 } from '../domain/base32.ts';
import { invalid } from '../domain/errors.ts';

/** Above every id. */
export const lastId = 'inv_~';

const lastUlidMs = 2 ** 48 - 1;

/** What no invocation accepted since then is below. @throws BrokerError `invalid` */
export function firstIdAt(sinceMs: number): string {
  if (!Number.isFinite(sinceMs)) throw invalid(`${sinceMs} is no time`);
  return `inv_${base32(Math.min(Math.max(0, Math.floor(sinceMs)), lastUlidMs), 10)}`;
}
