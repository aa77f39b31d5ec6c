/** How many invocations an agent's queue holds, and whose. */
import { describe, expect, test } from 'vitest';
import type { NodeId } from '../../src/domain/ids.ts';
import { desktop, me, server, storePerTest } from '../support/store-per-test.ts';
import { textTask } from '../support/temp-store.ts';

const at = storePerTest();
const target = '@fabric@laptop#main';

const receive = (origin: NodeId, queueLimit: number, retryAfterMs?: number) =>
  at.store.write.receive({ stamp: at.story.stamp(), invocation: at.story.invocation({ origin, owner: me }, { target }), task: textTask('work'), queueLimit, ...(retryAfterMs === undefined ? {} : { retryAfterMs }) });
const registered = (queue: number) =>
  at.store.write.addAgent({
    stamp: at.story.stamp(),
    endpoint: { agentId: 'agt_01J0000000000000000000000A' as never, address: target, harness: 'command', cwd: '/', argv: ['cat'], env: [], path: '', permissions: 'ask', isolate: false, concurrency: 3, queue },
    registration: { address: target, nodeId: me, harness: 'command', capabilities: [], labels: {}, visibility: 'mesh', description: '', isDefault: false, available: true },
  });

describe('an agent’s queue', () => {
  test('that one node has filled still has a place for another', async () => {
    for (let count = 0; count < 20; count += 1) await receive(desktop, 20);
    await expect(receive(desktop, 20)).rejects.toMatchObject({ code: 'overload' });
    await expect(receive(server, 20)).resolves.toMatchObject({ fresh: true });
    await expect(receive(server, 20)).rejects.toMatchObject({ code: 'overload' });
  });

  test('that is full says when to come back, as its node has seen it work', async () => {
    await receive(desktop, 1);
    await expect(receive(desktop, 1, 1234)).rejects.toMatchObject({ code: 'overload', retryAfterMs: 1234 });
    await expect(receive(desktop, 1)).rejects.toMatchObject({ retryAfterMs: expect.any(Number) });
  });

  test('holds what its registration says, from the moment that says so', async () => {
    await receive(desktop, 100);
    await expect(receive(desktop, 1)).rejects.toMatchObject({ code: 'overload' });
    await registered(2);
    expect(at.store.read.endpoint(target)).toMatchObject({ concurrency: 3, queue: 2 });
    await receive(desktop, 1);
    await expect(receive(desktop, 100)).rejects.toMatchObject({ code: 'overload' });
    await at.store.write.removeAgent({ stamp: at.story.stamp(), address: target });
    await expect(receive(desktop, 100)).resolves.toMatchObject({ fresh: true });
  });

  test('is counted right after a write that failed beside others in one commit', async () => {
    const flights = await Promise.all([receive(desktop, 3), receive(desktop, 3)]);
    const own = at.story.invocation({ origin: me, owner: me }, { target: '@other@laptop#main' });
    const beside = [receive(desktop, 3), at.store.write.acceptAll({ ...at.story.accept(own), members: [own, own].map((invocation) => ({ invocation, plan: { kind: 'local', queueLimit: 9 } as const })) })];
    expect((await Promise.allSettled(beside)).map(({ status }) => status)).toEqual(['fulfilled', 'rejected']);
    // Nothing waits there: what was taken back is not counted.
    const alone = at.story.invocation({ origin: me, owner: me }, { target: '@other@laptop#main' });
    await expect(at.store.write.accept(at.story.accept(alone, { kind: 'local', queueLimit: 1 }))).resolves.toMatchObject({ deduplicated: false });
    await expect(receive(desktop, 3)).rejects.toMatchObject({ code: 'overload' });
    const [first] = flights;
    if (typeof first === 'object') await at.store.write.start({ stamp: at.story.stamp(), flightId: first.flight.id });
    await expect(receive(desktop, 3)).resolves.toMatchObject({ fresh: true });
  });
});
