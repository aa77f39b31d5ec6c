/** What the store counts of its own work. */
import { describe, expect, test } from 'vitest';
import { flightOfInvocation } from '../../src/domain/ids.ts';
import { textTask } from '../support/temp-store.ts';
import { desktop, me, storePerTest } from '../support/store-per-test.ts';

const at = storePerTest();
const counted = (of: 'flights' | 'deliveries'): Record<string, number> => Object.fromEntries(at.store.measured()[of].filter(([, count]) => count > 0));
const local = { kind: 'local', queueLimit: 9 } as const;
const wait = { kind: 'defer', reason: 'peer_unreachable', detail: 'it is not reachable' } as const;

describe('a store counts', () => {
  test('each state that flights and deliveries come into, once it is durable', async () => {
    const { store, story } = at;
    const own = story.invocation({ origin: me, owner: me });
    await store.write.accept(story.accept(own, local));
    const away = story.invocation({ origin: me, owner: desktop });
    await store.write.accept(story.accept(away, wait));
    expect([counted('flights'), counted('deliveries')]).toEqual([{ queued: 2 }, { received: 1, deferred: 1 }]);
    await store.write.start({ stamp: story.stamp(), flightId: flightOfInvocation(own.id) });
    await store.write.finish({ stamp: story.stamp(), flightId: flightOfInvocation(own.id), outcome: { state: 'completed', exitCode: 0 } });
    await store.write.beginAttempt({ stamp: story.stamp(), invocationId: away.id, attemptId: story.attemptId() });
    await store.write.loseAttempts({ stamp: story.stamp(), toNodeId: desktop, reason: 'peer_unreachable', detail: 'gone' });
    await store.write.endAtOrigin({ stamp: story.stamp(), flightId: flightOfInvocation(away.id), outcome: { state: 'expired' }, delivery: { status: 'dead', reason: 'timeout' }, unlessSent: false });
    expect(counted('flights')).toEqual({ queued: 2, running: 1, completed: 1, expired: 1 });
    expect(counted('deliveries')).toEqual({ received: 1, deferred: 2, sent: 1, dead: 1 });
  });

  test('nothing of a write that fails, whatever succeeds in the same commit', async () => {
    const { store, story } = at;
    const first = story.accept(story.invocation({ origin: me, owner: me }), local);
    const full = story.accept(story.invocation({ origin: me, owner: me }), { ...local, queueLimit: 1 });
    const other = story.accept(story.invocation({ origin: desktop, owner: me }), local);
    const answers = await Promise.allSettled([store.write.accept(first), store.write.accept(full), store.write.accept(other), store.write.accept(first)]);
    expect(answers.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'rejected', 'rejected']);
    expect([counted('flights'), counted('deliveries')]).toEqual([{ queued: 1 }, { received: 1 }]);
  });

  test('its commits, how many writes shared each, and how long each took', async () => {
    const { store, story } = at;
    const before = store.measured();
    await Promise.all(Array.from({ length: 20 }, () => store.write.receive({ stamp: story.stamp(), invocation: story.invocation({ origin: desktop, owner: me }), task: textTask('x'), queueLimit: 100 })));
    const { commitSeconds, commitWrites, commitFaults } = store.measured();
    const commits = commitSeconds.count - before.commitSeconds.count;
    expect(commits).toBeLessThan(20);
    expect(commitWrites.count - before.commitWrites.count).toBe(commits);
    expect(commitWrites.sum - before.commitWrites.sum).toBe(20);
    expect(commitSeconds.sum).toBeGreaterThan(before.commitSeconds.sum);
    expect(commitFaults).toBe(0);
  });
});
