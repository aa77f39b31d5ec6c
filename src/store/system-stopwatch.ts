/** How long something took, on a thread that no port reaches: what a worker is given is copied, and a function can't be. */

/** @returns how many seconds have passed since, each time it is called */
export function stopwatch(): () => number {
  const began = performance.now();
  return () => (performance.now() - began) / 1000;
}
