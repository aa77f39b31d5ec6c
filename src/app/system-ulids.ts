/** ULIDs with the machine's randomness. */
import { randomFillSync } from 'node:crypto';
import { base32 } from '../domain/base32.ts';
import type { Ulid } from '../domain/ids.ts';
import type { Clock, UlidSource } from '../domain/ports.ts';

const [timeLength, randomLength, countLength] = [10, 12, 4];
const counts = 32 ** countLength;

/**
 * Each is greater than the one before, also within one millisecond and after the clock went back: then the time of the
 * last one stays and its last part counts up (https://github.com/ulid/spec, monotonicity).
 *
 * The last 20 bits count up all the time, from a random number on; the 60 before them are random. So the last four
 * characters, by which people name things and an index finds them, differ for a million ids in a row, and neighbours in
 * time are neighbours in that index: random ones would each touch a page of their own.
 */
export function createSystemUlids(clock: Pick<Clock, 'now'>): UlidSource {
  const bytes = new Uint8Array(randomLength);
  let atMs = 0;
  let head = '';
  const [start = 0] = randomFillSync(new Uint32Array(1));
  let count = start % counts;
  const begin = (ms: number): void => {
    atMs = ms;
    head = base32(ms, timeLength);
    for (const byte of randomFillSync(bytes)) head += base32(byte, 1);
  };
  return {
    next() {
      const now = Math.floor(clock.now());
      count = (count + 1) % counts;
      if (head === '' || now > atMs) begin(now);
      else if (count === 0) begin(atMs + 1);
      return (head + base32(count, countLength)) as Ulid;
    },
  };
}
