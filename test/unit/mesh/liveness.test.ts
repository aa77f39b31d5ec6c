import { describe, expect, test } from 'vitest';
import { deadAfterMs, heartbeatEveryMs, Liveness, smoothRtt, StallWatch, suspectAfterMs, tickMs } from '../../../src/mesh/liveness.ts';

describe('liveness', () => {
  test('three missed heartbeats make a suspect, and a peer is given up within 20 s', () => {
    const liveness = new Liveness(0);
    expect(liveness.at(suspectAfterMs - 1)).toBe('alive');
    expect(liveness.at(suspectAfterMs)).toBe('suspect');
    expect(liveness.at(deadAfterMs - 1)).toBe('suspect');
    expect(liveness.at(deadAfterMs)).toBe('dead');
    expect(suspectAfterMs).toBe(3 * heartbeatEveryMs);
    expect(deadAfterMs + tickMs).toBeLessThan(20_000);
  });

  test('whatever is heard, and a grace, start the silence anew', () => {
    const liveness = new Liveness(0);
    liveness.heard(10_000);
    expect(liveness.at(10_000 + suspectAfterMs - 1)).toBe('alive');
    liveness.grace(40_000);
    expect(liveness.at(40_000 + suspectAfterMs - 1)).toBe('alive');
  });
});

describe('the watch over this side', () => {
  test('a tick on time, or a little late, is no stall', () => {
    const watch = new StallWatch(0, 1_000_000);
    expect(watch.tick(1_000, 1_001_000)).toBe(false);
    expect(watch.tick(3_500, 1_003_500)).toBe(false);
  });

  test('a process that stood still is told', () => {
    const watch = new StallWatch(0, 0);
    expect(watch.tick(9_000, 9_000)).toBe(true);
    expect(watch.tick(10_000, 10_000)).toBe(false);
  });

  test('a machine that slept is told even where the monotonic clock slept too', () => {
    const watch = new StallWatch(0, 0);
    expect(watch.tick(1_000, 3_600_000)).toBe(true);
  });

  test('a wall clock that is set back is no sleep', () => {
    const watch = new StallWatch(0, 5_000_000);
    expect(watch.tick(1_000, 1_000)).toBe(false);
  });
});

test('the round trip follows slowly, the first sample at once', () => {
  expect(smoothRtt(undefined, 8)).toBe(8);
  expect(smoothRtt(8, 16)).toBe(9);
});
