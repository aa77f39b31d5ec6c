/** The clock of two cores in one test. */
import { togetherMs } from '../../src/broker/event-pump.ts';
import { FakeClock } from './fake-clock.ts';

/** It stands still but for the moments in which what is said is gathered: those pass by themselves. */
export class PairClock extends FakeClock {
  override setTimer(ms: number, fn: () => void): () => void {
    if (ms > togetherMs) return super.setTimer(ms, fn);
    const timer = setTimeout(fn, 1);
    return () => clearTimeout(timer);
  }
}
