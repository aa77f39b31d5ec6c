import { describe, expect, test } from 'vitest';
import { Silence, smoothRtt, StallWatch } from '../../../src/mesh/liveness.ts';

describe('silence', () => {
  test('is measured from the last frame, and never negative', () => {
    const silence = new Silence(1_000);
    expect(silence.lastsMs(4_000)).toBe(3_000);
    silence.heard(10_000);
    expect(silence.lastsMs(10_500)).toBe(500);
    expect(silence.lastsMs(9_000)).toBe(0);
  });

  test('starts anew with a grace, which is no sign of life', () => {
    const silence = new Silence(0);
    silence.heard(5_000);
    silence.grace(40_000);
    expect(silence.lastsMs(41_000)).toBe(1_000);
    expect(silence.heardMs).toBe(5_000);
  });
});

describe('the watch over this side', () => {
  test('a tick on time, or a little late, is no stall', () => {
    const watch = new StallWatch(0, 1_000_000);
    expect(watch.tick(1_000, 1_001_000).isGrace).toBe(false);
    expect(watch.tick(3_500, 1_003_500).isGrace).toBe(false);
  });

  test('how late a tick came is told', () => {
    const watch = new StallWatch(0, 0);
    expect(watch.tick(1_700, 1_700)).toEqual({ isGrace: false, lateMs: 700 });
    expect(watch.tick(2_600, 2_600)).toEqual({ isGrace: false, lateMs: 0 });
  });

  test('a process that stood still is told', () => {
    const watch = new StallWatch(0, 0);
    expect(watch.tick(9_000, 9_000).isGrace).toBe(true);
    expect(watch.tick(10_000, 10_000).isGrace).toBe(false);
  });

  test('a machine that slept is told even where the monotonic clock slept too', () => {
    const watch = new StallWatch(0, 0);
    expect(watch.tick(1_000, 3_600_000).isGrace).toBe(true);
  });

  test('a wall clock that is set back is no sleep', () => {
    const watch = new StallWatch(0, 5_000_000);
    expect(watch.tick(1_000, 1_000).isGrace).toBe(false);
  });
});

test('the round trip follows slowly, the first sample at once', () => {
  expect(smoothRtt(undefined, 8)).toBe(8);
  expect(smoothRtt(8, 16)).toBe(9);
});
