/** Waiting by the clock of the process. */
import type { CancelTimer, Clock } from './ports.ts';

/** Resolves after `ms`, or at once when `signal` aborts. Never rejects. */
export function pause(clock: Pick<Clock, 'setTimer'>, ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted === true) return resolve();
    const end = (): void => {
      cancelTimer();
      signal?.removeEventListener('abort', end);
      resolve();
    };
    const cancelTimer = clock.setTimer(ms, end);
    signal?.addEventListener('abort', end, { once: true });
  });
}

/** What `work` comes to, or undefined after `ms`: it goes on then, and nobody hears how it ends. @throws as `work` does until then */
export async function within<Result>(clock: Pick<Clock, 'setTimer'>, ms: number, work: Promise<Result>): Promise<Result | undefined> {
  let cancelTimer: CancelTimer = () => undefined;
  const late = new Promise<undefined>((resolve) => {
    cancelTimer = clock.setTimer(ms, () => resolve(undefined));
  });
  return await Promise.race([work, late]).finally(cancelTimer);
}
