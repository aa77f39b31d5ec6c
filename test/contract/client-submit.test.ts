/** Submitting many with the SDK, on a real socket that breaks at the worst moments. */
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { connect } from '../../src/client/index.ts';
import type { Beckon, Submission, SubmitResult } from '../../src/client/index.ts';
import { BrokerError, overload } from '../../src/domain/errors.ts';
import { maxTaskBytes } from '../../src/domain/invocation.ts';
import { FakeNode } from '../support/fake-node.ts';
import { SocketRelay } from '../support/socket-relay.ts';
import { waitFor } from '../support/wait-for.ts';

let node: FakeNode;
let relay: SocketRelay;
let beckon: Beckon;
beforeEach(async () => {
  node = await new FakeNode().start();
  relay = await new SocketRelay(join(node.directory, 'relay.sock'), node.socketPath).start();
  beckon = await connect({ socketPath: relay.path });
});
afterEach(async () => {
  beckon.close();
  await relay[Symbol.asyncDispose]();
  await node.stop();
});

async function all<Each extends Submission>(results: AsyncIterable<SubmitResult<Each>>): Promise<SubmitResult<Each>[]> {
  const found: SubmitResult<Each>[] = [];
  for await (const each of results) found.push(each);
  return found.toSorted((a, b) => a.index - b.index);
}

const many = (count: number, changes: Partial<Submission> = {}): Submission[] => Array.from({ length: count }, (_, index) => ({ address: 'fabric', task: `echo ${index}`, ...changes }));
const tasks = (): string[] => node.broker.invoked.map(({ task }) => Buffer.from(task.text).toString());

describe('each result', () => {
  test('comes with what was submitted, and its flight', async () => {
    const rows = [{ address: 'fabric', task: 'echo a', row: 7 }, { address: 'desktop', task: 'echo b', row: 9, rerunnable: true }];
    const results = await all(beckon.submit(rows));
    expect(results.map(({ index, submission, error }) => [index, submission.row, submission === rows[index], error])).toEqual([[0, 7, true, undefined], [1, 9, true, undefined]]);
    const [first] = results;
    expect(first?.accepted).toMatchObject({ type: 'accepted', target: '@fabric@laptop#main', deduplicated: false });
    expect(await beckon.flight(first?.accepted?.flightId ?? '').result()).toMatchObject({ text: 'a\n' });
    expect(node.broker.invoked.map(({ selector, rerunnable }) => [selector.address, rerunnable])).toEqual([['fabric', false], ['desktop', true]]);
  });

  test('says why it was refused, with all that the node says, and the others are accepted', async () => {
    const take = node.broker.invoke.bind(node.broker);
    const refusal = new BrokerError('ambiguous', 'several match', { hint: 'name one', candidates: [{ address: '@a@b#c' }] });
    node.broker.invoke = async (input) => (input.key === 'k' ? Promise.reject(refusal) : take(input));
    const results = await all(beckon.submit([...many(2), { address: 'fabric', key: 'k' }, ...many(2)]));
    expect(results.map(({ accepted, error }) => accepted?.type ?? error?.code)).toEqual(['accepted', 'accepted', 'ambiguous', 'accepted', 'accepted']);
    expect(results[2]?.error?.toInfo()).toEqual(refusal.toInfo());
  });

  test('of one that there is no place for now comes when the node said, and had a place', async () => {
    const take = node.broker.invoke.bind(node.broker);
    const refused: string[] = [];
    node.broker.invoke = async (input) => {
      const task = Buffer.from(input.task.text).toString();
      if (refused.includes(task) || task === 'echo 3') return take(input);
      refused.push(task);
      throw overload('much waits', 20);
    };
    const results = await all(beckon.submit(many(5), { inFlight: 2 }));
    expect(results.filter(({ accepted }) => accepted !== undefined)).toHaveLength(5);
    expect([refused.length, tasks().length]).toEqual([4, 5]);
  });

  test('is the refusal when there is no place for too long, or when that is asked for', async () => {
    let offers = 0;
    node.broker.invoke = async () => {
      offers += 1;
      throw overload('much waits', 40);
    };
    const [patient, impatient] = await all(beckon.submit([{ address: 'fabric', overloadMs: 100 }, { address: 'fabric', overloadMs: 0 }]));
    expect([patient?.error?.code, impatient?.error?.code, impatient?.error?.retryAfterMs]).toEqual(['overload', 'overload', 40]);
    expect(offers).toBeGreaterThanOrEqual(3);
    expect(offers).toBeLessThanOrEqual(4);
  });

  test('of what no node takes is an error without asking one', async () => {
    const results = await all(beckon.submit([{ address: 'fabric', task: new Uint8Array(maxTaskBytes + 1) }, { address: 'fabric', session: 'old' as never }, ...many(1)]));
    expect(results.map(({ error }) => error?.code)).toEqual(['invalid', 'invalid', undefined]);
    expect(node.broker.invoked).toHaveLength(1);
  });

  test('of thousands comes once', async () => {
    const results = await all(beckon.submit(many(5000)));
    expect([results.length, new Set(results.map(({ accepted }) => accepted?.flightId)).size, new Set(tasks()).size]).toEqual([5000, 5000, 5000]);
  });

  test('of tasks that are large comes, though they do not fit one message', async () => {
    const task = new Uint8Array(3 * 1024 * 1024);
    expect((await all(beckon.submit(many(10, { task })))).filter(({ accepted }) => accepted !== undefined)).toHaveLength(10);
  });
});

describe('what is submitted', () => {
  test('is taken only as fast as results are read', async () => {
    let taken = 0;
    function* endless(): Generator<Submission> {
      try {
        for (;;) {
          taken += 1;
          yield { address: 'fabric' };
        }
      } finally {
        taken = -taken;
      }
    }
    let read = 0;
    for await (const _result of beckon.submit(endless(), { inFlight: 10 })) {
      read += 1;
      expect(taken).toBeLessThanOrEqual(read + 10);
      if (read === 100) break;
    }
    expect(taken).toBeLessThan(0);
    expect(node.broker.invoked.length).toBeLessThanOrEqual(110);
  });

  test('may come by and by', async () => {
    async function* slowly(): AsyncGenerator<Submission> {
      for (const each of many(20)) {
        await new Promise<void>((resolve) => setImmediate(resolve));
        yield each;
      }
    }
    expect(await all(beckon.submit(slowly()))).toHaveLength(20);
  });

  test('may come to grief: what came before is answered, and then it is thrown', async () => {
    const grief = new Error('the list can’t be read');
    function* failing(): Generator<Submission> {
      yield* many(3);
      throw grief;
    }
    const results: SubmitResult[] = [];
    await expect((async () => {
      for await (const each of beckon.submit(failing())) results.push(each);
    })()).rejects.toBe(grief);
    expect(results.map(({ accepted }) => accepted?.type)).toEqual(['accepted', 'accepted', 'accepted']);
  });

  test('is nothing at all: no call is made', async () => {
    expect(await all(beckon.submit([]))).toEqual([]);
    expect(relay.count).toBe(1);
  });

  test.each([0, -1, 1.5, 10_001])('with %d in flight is refused', (inFlight) => {
    expect(() => beckon.submit(many(1), { inFlight })).toThrow(/1 to 10000/);
  });
});

describe('a connection that is lost', () => {
  /** The node takes these, and the connection is gone before it can say so. */
  function cutOnce(): void {
    const { broker } = node;
    const invokeEach = broker.invokeEach.bind(broker);
    broker.invokeEach = (inputs) => {
      broker.invokeEach = invokeEach;
      const accepting = invokeEach(inputs);
      relay.cut();
      return accepting;
    };
  }

  test('is mended for what has a key: asked again, and accepted once', async () => {
    cutOnce();
    const results = await all(beckon.submit(many(10).map((each, index) => ({ ...each, key: `k${index}` }))));
    expect(results.map(({ accepted }) => accepted?.deduplicated)).toEqual(Array.from({ length: 10 }, () => true));
    expect(node.broker.invoked).toHaveLength(10);
  });

  test('is an error for what has none, and the rest goes on', async () => {
    cutOnce();
    const results = await all(beckon.submit(many(20), { inFlight: 10 }));
    const lost = results.filter(({ error }) => error !== undefined);
    expect(lost.map(({ error }) => [error?.code, error?.hint?.includes('key')])).toEqual(Array.from({ length: 10 }, () => ['unavailable', true]));
    expect(results.filter(({ accepted }) => accepted !== undefined)).toHaveLength(10);
    expect(node.broker.invoked).toHaveLength(20);
  });

  test('with a node that stops and comes back is bridged: what it had not taken is taken then, once', async () => {
    const results: SubmitResult[] = [];
    let isBack: Promise<void> | undefined;
    for await (const each of beckon.submit(many(300), { inFlight: 20 })) {
      results.push(each);
      if (results.length === 100) isBack = node.server.stop().then(async () => {
        const tries = relay.count;
        await waitFor('it to be looked for while it is away', () => relay.count > tries + 1);
        await node.server.start();
      });
    }
    await isBack;
    expect(results.filter(({ error }) => error !== undefined)).toEqual([]);
    expect([results.length, tasks().length, new Set(tasks()).size]).toEqual([300, 300, 300]);
  });
});

describe('an end before the end', () => {
  test('by its signal is thrown as cancelled, and what was accepted goes on', async () => {
    const abort = new AbortController();
    let count = 0;
    await expect((async () => {
      for await (const _each of beckon.submit(many(1000), { signal: abort.signal, inFlight: 10 })) {
        count += 1;
        if (count === 50) abort.abort();
      }
    })()).rejects.toMatchObject({ code: 'cancelled' });
    expect(count).toBeLessThan(1000);
    expect(node.broker.cancelled).toEqual([]);
  });

  test('before the beginning submits nothing', async () => {
    await expect(all(beckon.submit(many(3), { signal: AbortSignal.abort() }))).rejects.toMatchObject({ code: 'cancelled' });
    expect(node.broker.invoked).toHaveLength(0);
  });

  test('that the node puts to all of it is thrown', async () => {
    using stranger = await connect({ socketPath: node.socketPath, flightToken: 'bad' });
    await expect(all(stranger.submit(many(3)))).rejects.toMatchObject({ code: 'unauthenticated' });
  });

  test('while nobody waits for a result leaves no loop behind', async () => {
    const results = beckon.submit(many(100), { inFlight: 5 });
    await results.next();
    await results.return();
    await waitFor('it to rest', () => node.broker.invoked.length <= 10);
    expect(await results.next()).toMatchObject({ done: true });
  });
});
