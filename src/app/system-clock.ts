/** The clock port on the machine's own clocks. The only place, with its neighbours, that reads them. */
import type { CancelTimer, Clock } from '../domain/ports.ts';

/** The longest delay that `setTimeout` takes; a longer one would fire at once. */
const longestDelayMs = 2 ** 31 - 1;

/**
 * `monotonic` counts from the start of the process; on Linux and macOS it stands still while the machine sleeps.
 * Timers of any length, which never keep the process alive; a delay that is negative or no number counts as 0.
 */
export function createSystemClock(): Clock {
  return { now: () => Date.now(), monotonic: () => performance.now(), setTimer };
}

function setTimer(ms: number, fn: () => void): CancelTimer {
  let timer: NodeJS.Timeout;
  const arm = (leftMs: number): void => {
    timer = setTimeout(() => (leftMs > longestDelayMs ? arm(leftMs - longestDelayMs) : fn()), Math.min(leftMs, longestDelayMs));
    timer.unref();
  };
  arm(ms > 0 ? ms : 0);
  return () => clearTimeout(timer);
}
