import { setTimeout as delay } from 'node:timers/promises';

/** Resolves after `ms`, or as soon as `enough` aborts. */
export async function rest(ms: number, enough: AbortSignal): Promise<void> {
  try {
    await delay(ms, undefined, { signal: enough });
  } catch (error) {
    if (!enough.aborted) throw error;
  }
}
