/** How long turns of this thread's event loop take, and of what: a node that is late may have had no processor, or waited for a disk. */
import { openSync, readSync } from 'node:fs';
import { PerformanceObserver } from 'node:perf_hooks';

/** One turn, ms. `otherMs` of it this thread neither ran nor waited for a processor: it waited in a call, for a disk most likely. */
export interface Turn {
  readonly lateMs: number;
  readonly cpuMs: number;
  /** Ready, and others had the processors. */
  readonly queuedMs: number;
  readonly otherMs: number;
  /** Of `cpuMs`, collecting garbage. */
  readonly gcMs: number;
}

export interface Turns {
  /** Processor time of the turn that took most of it. */
  readonly turnMs: number;
  /** The turn that was over latest. */
  readonly latest: Turn;
}

const none: Turn = { lateMs: 0, cpuMs: 0, queuedMs: 0, otherMs: 0, gcMs: 0 };
const everyMs = 1;

/** Looks at a timer that is due in each turn of the loop. Linux tells how long a thread was ready and did not run; elsewhere that counts as `otherMs`. */
export function watchTurns(): () => Turns {
  const queuedNow = queueClock();
  const gc = watchGc();
  let before = { atMs: performance.now(), cpuMs: cpuNow(), queuedMs: queuedNow() };
  let told = { turnMs: 0, latest: none };
  setInterval(() => {
    const now = { atMs: performance.now(), cpuMs: cpuNow(), queuedMs: queuedNow() };
    const cpuMs = now.cpuMs - before.cpuMs;
    const queuedMs = now.queuedMs - before.queuedMs;
    const lateMs = Math.max(0, now.atMs - before.atMs - everyMs);
    const gcMs = gc();
    before = now;
    const latest = lateMs <= told.latest.lateMs ? told.latest : { lateMs, cpuMs, queuedMs, otherMs: Math.max(0, lateMs - cpuMs - queuedMs), gcMs };
    told = { turnMs: Math.max(told.turnMs, cpuMs), latest };
  }, everyMs).unref();
  return () => {
    const last = told;
    told = { turnMs: 0, latest: none };
    return last;
  };
}

function cpuNow(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1000;
}

/** Of the main thread, ms: the second number of its schedstat. */
function queueClock(): () => number {
  let descriptor: number;
  try {
    descriptor = openSync('/proc/self/schedstat', 'r');
  } catch {
    return () => 0;
  }
  const text = Buffer.alloc(128);
  return () => Number(text.toString('latin1', 0, readSync(descriptor, text, 0, text.length, 0)).split(' ')[1]) / 1e6;
}

/** Since it was asked last, ms. What a collection took is told in the turn after it, so it may be counted with the next. */
function watchGc(): () => number {
  let ms = 0;
  const observer = new PerformanceObserver((list) => {
    for (const { duration } of list.getEntries()) ms += duration;
  });
  observer.observe({ entryTypes: ['gc'] });
  return () => {
    const sum = ms;
    ms = 0;
    return sum;
  };
}
