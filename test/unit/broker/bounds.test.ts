/** What the core keeps in memory, whatever is asked of it. */
import { describe, expect, test } from 'vitest';
import { ActiveRuns, runBytesPerNode } from '../../../src/broker/active-runs.ts';
import type { ActiveRun } from '../../../src/broker/active-runs.ts';
import { EventPump } from '../../../src/broker/event-pump.ts';
import { Intake } from '../../../src/broker/intake.ts';
import { Pace } from '../../../src/broker/pace.ts';
import { Window } from '../../../src/broker/window.ts';
import type { FlightId, InvocationId } from '../../../src/domain/ids.ts';
import type { Link } from '../../../src/domain/mesh-port.ts';
import type { FlightEvents } from '../../../src/domain/messages.ts';
import type { Store } from '../../../src/domain/store-port.ts';

import { FakeClock } from '../../support/fake-clock.ts';
import { silentLog } from '../../support/temp-store.ts';
import { waitFor } from '../../support/wait-for.ts';

describe('what is on its way to the disk', () => {
  test('is bounded in number: who comes then is told overload, and when to come back', async () => {
    const intake = new Intake({ items: 2, bytes: 1000 });
    const stored = Promise.withResolvers<void>();
    const under = [intake.during(1, () => stored.promise), intake.during(1, () => stored.promise)];
    let called = false;
    await expect(intake.during(1, async () => (called = true))).rejects.toMatchObject({ code: 'overload', retryAfterMs: expect.any(Number) });
    expect(called).toBe(false);
    stored.resolve();
    await Promise.all(under);
    expect(await intake.during(1, async () => 'taken')).toBe('taken');
  });

  test('is bounded in bytes, whatever becomes of it; the largest is taken alone', async () => {
    const intake = new Intake({ items: 100, bytes: 1000 });
    const stored = Promise.withResolvers<void>();
    const large = intake.during(5000, () => stored.promise);
    await expect(intake.during(1, async () => undefined)).rejects.toMatchObject({ code: 'overload' });
    stored.reject(new Error('disk full'));
    await expect(large).rejects.toThrow('disk full');
    expect(await intake.during(1000, async () => 'taken')).toBe('taken');
  });
});

describe('who is told to come back later', () => {
  test('is told a time that fits how fast the agent works, within bounds', async () => {
    const clock = new FakeClock();
    const pace = new Pace(clock);
    expect(pace.retryAfterMs('unknown')).toBe(5000);
    for (let count = 0; count < 20; count += 1) {
      await clock.advance(200);
      pace.ended('steady');
      pace.ended('fast');
      await clock.advance(1);
      pace.ended('fast');
    }
    expect(pace.retryAfterMs('steady')).toBe(2010);
    expect(pace.retryAfterMs('fast')).toBeGreaterThanOrEqual(500);
    await clock.advance(3_600_000);
    expect(pace.retryAfterMs('steady')).toBe(60_000);
  });
});

describe('runs at once', () => {
  const run = (taskBytes: number, isServed = true) => ({ isServed, taskBytes }) as ActiveRun;

  test('hold their tasks in memory within one bound for all agents, attached ones too', () => {
    const runs = new ActiveRuns();
    for (let index = 0; runs.takes(run(16 * 1024 * 1024)); index += 1) runs.set(`flt_${index}` as FlightId, run(16 * 1024 * 1024));
    expect(runs.size * 16 * 1024 * 1024).toBe(runBytesPerNode);
    expect(runs.takes(run(0))).toBe(true);
  });

  test('let one with a task larger than the bound begin alone', () => {
    const runs = new ActiveRuns();
    expect(runs.takes(run(2 * runBytesPerNode))).toBe(true);
    runs.set('flt_1' as FlightId, run(2 * runBytesPerNode));
    expect(runs.takes(run(1))).toBe(false);
  });
});

test('a forward that was asked about keeps its place until its owner has spoken', async () => {
  const window = new Window<string>({ items: 1, bytes: 100 });
  window.add('first', { addedAtMs: 0, bytes: 1 });
  expect(window.olderThan(20_000)).toEqual(['first']);
  window.renew('first', 20_001);
  expect([window.olderThan(20_000), window.hasRoom]).toEqual([[], false]);
  window.remove('first');
  expect(window.hasRoom).toBe(true);
});

test('an origin that comes back is told what it missed a page at a time, however much that is, and all of it', async () => {
  const total = 1300;
  const ids = Array.from({ length: total }, (_, index) => `inv_${String(index).padStart(26, '0')}` as InvocationId);
  let largest = 0;
  const acked = new Set<InvocationId>();
  const open = new Set<InvocationId>();
  const store = {
    read: {
      unacknowledged: (_node: unknown, after: InvocationId | undefined, limit: number) => ids.filter((id) => id > (after ?? '')).slice(0, limit).map((invocationId) => ({ invocationId, ackedSeq: 0, lastSeq: 1 })),
      flight: (id: FlightId) => ({ id, originNodeId: 'origin', lastSeq: 1, finishedAtMs: 1, receivedAtMs: 1, acceptedAtMs: 1 }),
      events: (_id: FlightId, afterSeq: number) => (afterSeq === 0 ? [{ seq: 1, body: { kind: 'finished' } }] : []),
    },
    write: { acknowledged: async () => undefined },
  } as unknown as Store;
  const link = {
    peer: { nodeId: 'origin', name: 'origin' }, isUp: true,
    sendEvents: async ({ invocationId }: FlightEvents) => {
      open.add(invocationId);
      largest = Math.max(largest, open.size);
    },
  } as unknown as Link;
  const pump = new EventPump(link, { store, clock: new FakeClock(), log: silentLog });
  pump.resume();
  while (acked.size < total) {
    await waitFor('more to be sent', () => open.size > 0);
    const next = [...open];
    for (const invocationId of next) {
      open.delete(invocationId);
      acked.add(invocationId);
      pump.acknowledged({ type: 'event_ack', invocationId, seq: 1, unknown: false });
    }
  }
  expect(acked.size).toBe(total);
  expect(largest).toBeLessThanOrEqual(750);
});
