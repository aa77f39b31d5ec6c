import { describe, expect, it } from 'vitest';
import { RunLimits } from '../../../src/broker/run-limits.ts';
import { FakeClock } from '../../support/fake-clock.ts';

const base = { holdMs: 1000, totalMs: 1000 };

describe('RunLimits', () => {
  it('says so once when a run takes longer than its limit, however much it prints', async () => {
    const clock = new FakeClock();
    const overruns: string[] = [];
    const limits = new RunLimits(clock, { ...base, runMs: 100 }, (which) => overruns.push(which));
    for (let i = 0; i < 20; i += 1) {
      limits.sawOutput();
      await clock.advance(10);
    }
    expect(overruns).toEqual(['run limit']);
  });

  it('counts silence from the last output, an hour of it included', async () => {
    const clock = new FakeClock();
    const overruns: string[] = [];
    const hourMs = 3_600_000;
    const limits = new RunLimits(clock, { ...base, idleMs: hourMs }, (which) => overruns.push(which));
    await clock.advance(hourMs - 1);
    limits.sawOutput();
    await clock.advance(hourMs - 1);
    expect(overruns).toEqual([]);
    await clock.advance(1);
    expect(overruns).toEqual(['idle limit']);
  });

  it('does not count the silence of an agent that waits for an answer, and counts anew from the answer', async () => {
    const clock = new FakeClock();
    const overruns: string[] = [];
    const limits = new RunLimits(clock, { ...base, idleMs: 100 }, (which) => overruns.push(which));
    await clock.advance(50);
    limits.waits(true);
    await clock.advance(10_000);
    expect(overruns).toEqual([]);
    limits.waits(false);
    await clock.advance(99);
    expect(overruns).toEqual([]);
    await clock.advance(101);
    expect(overruns).toEqual(['idle limit']);
  });

  it('counts what the run took under a node that died', async () => {
    const clock = new FakeClock();
    const overruns: string[] = [];
    const limits = new RunLimits(clock, { ...base, runMs: 100 }, (which) => overruns.push(which), 70);
    await clock.advance(29);
    expect(overruns).toEqual([]);
    await clock.advance(1);
    expect(overruns).toEqual(['run limit']);
    limits.clear();
    void new RunLimits(clock, { ...base, runMs: 100 }, (which) => overruns.push(which), 1000);
    await clock.advance(0);
    expect(overruns).toHaveLength(2);
  });

  it('says nothing and keeps no timer once it is cleared', async () => {
    const clock = new FakeClock();
    const limits = new RunLimits(clock, { ...base, runMs: 10, idleMs: 10 }, () => expect.unreachable());
    limits.clear();
    expect(clock.pending).toBe(0);
    await clock.advance(100);
  });
});
