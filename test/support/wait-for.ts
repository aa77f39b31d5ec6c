/** The only place in the tests with a real timer: waiting, with a bound, for what another process or a socket does. */
import { setTimeout as delay } from 'node:timers/promises';

export interface WaitOptions {
  /** Default 15 s; a bound on a hang, not a target. */
  readonly timeoutMs?: number;
  readonly pollMs?: number;
}

/**
 * Asks `condition` until it gives something truthy, and returns that. A condition that throws counts as not yet.
 * @param what completes "waited for …" in the failure
 * @throws Error naming what was waited for, how long, and the last answer or error
 */
export async function waitFor<T>(what: string, condition: () => T | Promise<T>, options: WaitOptions = {}): Promise<NonNullable<T>> {
  const { timeoutMs = 15_000, pollMs = 10 } = options;
  const startMs = performance.now();
  for (;;) {
    let last: unknown;
    try {
      const value = await condition();
      if (value) return value;
      last = value;
    } catch (error) {
      last = error;
    }
    if (performance.now() - startMs > timeoutMs) {
      throw new Error(`waited ${timeoutMs} ms for ${what}; last: ${last instanceof Error ? last.message : JSON.stringify(last)}`, { cause: last });
    }
    await delay(pollMs);
  }
}
