/** This process's event loop and heap. */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** Each call measures since the one before. */
export function createUtilization(): () => number {
  let last = performance.eventLoopUtilization();
  return () => {
    const now = performance.eventLoopUtilization();
    const { utilization } = performance.eventLoopUtilization(now, last);
    last = now;
    return utilization;
  };
}

/**
 * As V8 does it when memory runs out: the one way to have it shrink what it holds. The function for it is in contexts that are made while the flag is set, and goes with them.
 * https://github.com/v8/v8/blob/13.6.233/src/extensions/gc-extension.cc
 */
export function collectAll(): void {
  setFlagsFromString('--expose-gc');
  try {
    const collect = runInNewContext('gc') as (options: { readonly type: 'major'; readonly flavor: 'last-resort' }) => void;
    collect({ type: 'major', flavor: 'last-resort' });
  } finally {
    setFlagsFromString('--no-expose-gc');
  }
}
