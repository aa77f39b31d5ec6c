/** The system's clock, its wall off by as much as a test says: certificates are judged by TLS as of now, whatever a node's own clock said when they were made. */
import { createSystemClock } from '../../src/app/system-clock.ts';
import type { CancelTimer, Clock } from '../../src/domain/ports.ts';

export class ShiftedClock implements Clock {
  readonly #system = createSystemClock();
  shiftMs: number;

  constructor(shiftMs = 0) {
    this.shiftMs = shiftMs;
  }

  now(): number {
    return this.#system.now() + this.shiftMs;
  }

  monotonic(): number {
    return this.#system.monotonic();
  }

  setTimer(ms: number, fn: () => void): CancelTimer {
    return this.#system.setTimer(ms, fn);
  }
}
