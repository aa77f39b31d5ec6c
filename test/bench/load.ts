/** A closed loop: so many calls in flight, each followed by the next as soon as it is answered, for so long. What is under way then is waited for and counted, and so is its time. */

export interface Load {
  readonly inFlight: number;
  readonly ms: number;
}

/** What one process saw of one load. */
export interface Sample {
  /** Of each call that was answered, ms. */
  readonly tookMs: readonly number[];
  readonly perSecond: number;
  /** Of that process, for each call, µs. */
  readonly cpuUs: number;
}

/** Keeps `inFlight` calls on their way until `isOver`, and tells of each how long it took. */
export type Sender = (inFlight: number, isOver: () => boolean, answered: (tookMs: number) => void) => Promise<unknown>;

export async function sampled({ inFlight, ms }: Load, send: Sender): Promise<Sample> {
  const tookMs: number[] = [];
  const cpu = process.cpuUsage();
  const beganMs = performance.now();
  await send(inFlight, () => performance.now() - beganMs >= ms, (each) => tookMs.push(each));
  const lastedMs = performance.now() - beganMs;
  const { user, system } = process.cpuUsage(cpu);
  return { tookMs, perSecond: (tookMs.length * 1000) / lastedMs, cpuUs: (user + system) / tookMs.length };
}

/** Of a call that says by a promise when it is answered. */
export function sending(call: () => Promise<unknown>): Sender {
  return (inFlight, isOver, answered) => {
    const lane = async (): Promise<void> => {
      while (!isOver()) {
        const startMs = performance.now();
        await call();
        answered(performance.now() - startMs);
      }
    };
    return Promise.all(Array.from({ length: inFlight }, lane));
  };
}
