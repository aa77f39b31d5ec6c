/** Waiting, on the clock port. */
import type { Clock } from '../domain/ports.ts';

export function after(clock: Clock, ms: number): Promise<void> {
  return new Promise((resolve) => {
    clock.setTimer(ms, resolve);
  });
}
