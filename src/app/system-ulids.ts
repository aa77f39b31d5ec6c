/** ULIDs with the machine's randomness. */
import { monotonicFactory } from 'ulid';
import type { Ulid } from '../domain/ids.ts';
import type { Clock, UlidSource } from '../domain/ports.ts';

/**
 * Each is greater than the one before, also within one millisecond and after the clock went back: then the time of the
 * last one stays and its random part counts up (https://github.com/ulid/spec, monotonicity).
 */
export function createSystemUlids(clock: Pick<Clock, 'now'>): UlidSource {
  const make = monotonicFactory();
  // 0 would mean "ask the system clock" to the library.
  return { next: () => make(Math.max(1, Math.floor(clock.now()))) as Ulid };
}
