/** A token bucket: what one peer may cost. Pure; the time comes in. */
export interface AllowanceRate {
  readonly perSecond: number;
  /** What it may cost at once after a while of rest. */
  readonly burst: number;
}

export class Allowance {
  readonly #rate: AllowanceRate;
  #left: number;
  #atMs: number;

  constructor(rate: AllowanceRate, nowMs: number) {
    this.#rate = rate;
    this.#left = rate.burst;
    this.#atMs = nowMs;
  }

  /** Charges it, and says how long to wait until that is paid for, ms; 0 while there is some left. */
  charge(cost: number, nowMs: number): number {
    const { perSecond, burst } = this.#rate;
    this.#left = Math.min(burst, this.#left + (Math.max(0, nowMs - this.#atMs) * perSecond) / 1000) - cost;
    this.#atMs = nowMs;
    return this.#left >= 0 ? 0 : Math.ceil((-this.#left * 1000) / perSecond);
  }
}
