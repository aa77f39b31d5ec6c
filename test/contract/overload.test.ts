/** What a caller is told, and does, when a node takes nothing more for now. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { connect } from '../../src/client/index.ts';
import type { Beckon } from '../../src/client/index.ts';
import { denied, overload } from '../../src/domain/errors.ts';
import { FakeNode } from '../support/fake-node.ts';
import { waitFor } from '../support/wait-for.ts';

let node: FakeNode;
let beckon: Beckon;
beforeEach(async () => {
  node = await new FakeNode().start();
  beckon = await connect({ socketPath: node.socketPath });
});
afterEach(async () => {
  beckon.close();
  await node.stop();
});

/** @returns how often it was asked */
function refuse(times: number, retryAfterMs: number): () => number {
  const { broker } = node;
  const invoke = broker.invoke.bind(broker);
  let asked = 0;
  broker.invoke = async (input) => {
    asked += 1;
    if (asked <= times) throw overload('10000 invocations wait for @fabric@laptop#main already', retryAfterMs);
    return invoke(input);
  };
  return () => asked;
}

describe('the command line', () => {
  test('says what is full and when to try again, and exits 11', async () => {
    refuse(1, 2400);
    const { code, stderr } = await node.run(['invoke', 'fabric', 'echo hi']);
    expect([code, stderr]).toEqual([11, 'error: 10000 invocations wait for @fabric@laptop#main already\nhint: try again in 3 s\n']);
  });

  test('gives scripts the time in ms', async () => {
    refuse(1, 2400);
    const { code, events } = await node.run(['invoke', 'fabric', 'echo hi', '--json']);
    expect([code, events.at(-1)]).toMatchObject([11, { type: 'error', error: { code: 'overload', retryAfterMs: 2400 } }]);
  });
});

describe('a call of the SDK', () => {
  test('is offered again when the node said, and accepted once', async () => {
    const asked = refuse(2, 5);
    expect(await beckon.invoke('fabric', 'echo hi').result()).toMatchObject({ state: 'completed', text: 'hi\n' });
    expect([asked(), node.broker.invoked.length]).toEqual([3, 1]);
  });

  test('is told so after as long as its caller is willing to wait', async () => {
    const asked = refuse(Number.POSITIVE_INFINITY, 60_000);
    await expect(beckon.invoke('fabric', 'echo hi', { overloadMs: 59_999 }).result()).rejects.toMatchObject({ code: 'overload', retryAfterMs: 60_000 });
    await expect(beckon.invoke('fabric', 'echo hi', { overloadMs: 0 }).result()).rejects.toMatchObject({ code: 'overload' });
    expect(asked()).toBe(2);
  });

  test('that is given up while it waits is not offered again', async () => {
    const asked = refuse(Number.POSITIVE_INFINITY, 30_000);
    const caller = new AbortController();
    const call = beckon.invoke('fabric', 'echo hi', { signal: caller.signal });
    await waitFor('the first refusal', () => asked() === 1);
    caller.abort();
    await expect(call.result()).rejects.toMatchObject({ code: 'cancelled' });
    expect(asked()).toBe(1);
  });

  test('that is refused for another reason is not offered again', async () => {
    let asked = 0;
    node.broker.invoke = async () => {
      asked += 1;
      throw denied('no');
    };
    await expect(beckon.invoke('fabric', 'echo hi').result()).rejects.toMatchObject({ code: 'denied' });
    expect(asked).toBe(1);
  });
});

test('a stream of a flight does not keep the task that it began with', async () => {
  const { broker } = node;
  const requests: { task?: unknown }[] = [];
  const invoke = broker.invoke.bind(broker);
  broker.invoke = async (input) => {
    requests.push(input);
    return invoke(input);
  };
  const { controlHandlers } = await import('../../src/control/handlers.ts');
  const request = { selector: { address: 'fabric', any: false, all: false, anyOwner: false, harness: '', capabilities: [], labels: {}, cwd: '/' }, task: { text: Buffer.from('echo hi'), files: [] }, session: undefined, noHold: false, rerunnable: false, notify: false, key: '', holdMs: undefined, runLimitMs: undefined, idleLimitMs: undefined, detach: true, traceparent: '', tracestate: '' };
  const handlers = controlHandlers(broker, { authenticate: () => ({ id: 'uid:1' }), onFault: () => undefined }, { served: {} as never, stopping: new AbortController().signal, config: () => Promise.reject(new Error('nobody asks')) });
  const written: unknown[] = [];
  const ended = Promise.withResolvers<void>();
  const call = { request, on: () => call, write: (each: unknown) => (written.push(each), true), end: () => ended.resolve(), emit: (_event: string, error: Error) => ended.reject(error), getPath: () => '' };
  handlers.invoke(call as never);
  await ended.promise;
  expect(requests).toHaveLength(1);
  expect(written).toHaveLength(1);
  expect(request.task).toBeUndefined();
});
