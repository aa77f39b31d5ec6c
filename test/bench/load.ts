/** A closed loop: so many calls in flight, each followed by the next as soon as it is answered, for so long. */

export interface Load {
  readonly inFlight: number;
  readonly ms: number;
}

/** What one process saw of one load. */
export interface Sample {
  /** Of each call that was answered, ms. */
  readonly tookMs: readonly number[];
  readonly perSecond: number;
}

/** Calls that begin before the time is over are waited for and counted, and so is their time. */
export async function drive({ inFlight, ms }: Load, call: () => Promise<unknown>): Promise<Sample> {
  const tookMs: number[] = [];
  const beganMs = performance.now();
  const lane = async (): Promise<void> => {
    for (let startMs = performance.now(); startMs - beganMs < ms; startMs = performance.now()) {
      await call();
      tookMs.push(performance.now() - startMs);
    }
  };
  await Promise.all(Array.from({ length: inFlight }, lane));
  return { tookMs, perSecond: (tookMs.length * 1000) / (performance.now() - beganMs) };
}
