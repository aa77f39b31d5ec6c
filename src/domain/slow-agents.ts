/** Which agents are slow now, and why one would say so. Pure. */
import { formatDuration } from './duration.ts';
import type { AgentPace, SlowAgent } from './observation.ts';

/** Work that waits for longer than this waits long. */
const longQueuedMs = 60_000;
/** A run is long from here on, and when it takes so many times what it usually takes. */
const longRunMs = 600_000;
const timesUsual = 3;
/** Where nothing has completed yet there is nothing usual. */
const longUnknownRunMs = 3_600_000;

/** Those with a reason, the longest wait or run first. */
export function slowAgents(paces: readonly AgentPace[]): readonly SlowAgent[] {
  return paces
    .flatMap((pace) => {
      const why = [queueOf(pace), runOf(pace)].filter((each) => each !== undefined).join('; ');
      return why === '' ? [] : [{ ...pace, why }];
    })
    .toSorted((a, b) => longest(b) - longest(a) || (a.address < b.address ? -1 : 1));
}

function queueOf({ queued, oldestQueuedMs = 0 }: AgentPace): string | undefined {
  return oldestQueuedMs < longQueuedMs ? undefined : `${queued} wait, the oldest for ${formatDuration(oldestQueuedMs)}`;
}

function runOf({ longestRunMs = 0, usualRunMs }: AgentPace): string | undefined {
  const most = usualRunMs === undefined ? longUnknownRunMs : Math.max(longRunMs, timesUsual * usualRunMs);
  if (longestRunMs < most) return undefined;
  return `one runs for ${formatDuration(longestRunMs)}${usualRunMs === undefined ? ', and none has completed yet' : `, where the usual is ${formatDuration(usualRunMs)}`}`;
}

function longest({ oldestQueuedMs = 0, longestRunMs = 0 }: AgentPace): number {
  return Math.max(oldestQueuedMs, longestRunMs);
}
