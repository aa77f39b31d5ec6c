/** How long to wait before the next try. */

export interface BackoffOptions {
  /** Upper bound of the first wait, ms. */
  readonly baseMs: number;
  /** Upper bound of every wait, ms. */
  readonly capMs: number;
}

/**
 * "Full jitter" of Marc Brooker, "Exponential Backoff And Jitter" (AWS Architecture Blog, 2015): uniform in
 * (0, min(cap, base × 2^attempt)], whole milliseconds, never 0 so that no loop spins.
 * @param attempt failures so far, minus one: 0 for the first wait
 * @param random01 uniform in [0, 1)
 */
export function backoff(attempt: number, { baseMs, capMs }: BackoffOptions, random01: number): number {
  const boundMs = Math.min(capMs, baseMs * 2 ** Math.max(0, attempt));
  return Math.max(1, Math.ceil(boundMs * random01));
}
