/** The call Submit, as a client makes it that is not ours: what is answered, in which order, and what ends the call. */
import { credentials } from '@grpc/grpc-js';
import type { ClientDuplexStream } from '@grpc/grpc-js';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { AcceptedFlight, InvokeInput } from '../../src/broker/api.ts';
import { GrpcNodeClient } from '../../src/client/grpc-client.ts';
import { BrokerError } from '../../src/domain/errors.ts';
import { flightIdOf, invocationIdOf } from '../../src/domain/ids.ts';
import { maxTaskBytes } from '../../src/domain/invocation.ts';
import { ControlServiceClient } from '../../src/gen/beckon/v1/control.ts';
import type { InvokeRequest, Submission, Submitted, SubmitRequest, SubmitResponse } from '../../src/gen/beckon/v1/invoke.ts';
import { decodeErrorInfo } from '../../src/rpc/error-info.ts';
import { fromCall } from '../../src/rpc/status.ts';
import { FakeNode } from '../support/fake-node.ts';
import { waitFor } from '../support/wait-for.ts';

let node: FakeNode;
const clients: { close(): void }[] = [];
beforeEach(async () => {
  node = await new FakeNode().start();
});
afterEach(async () => {
  for (const each of clients.splice(0)) each.close();
  await node.stop();
});

interface Stream {
  readonly call: ClientDuplexStream<SubmitRequest, SubmitResponse>;
  readonly answers: Submitted[];
  /** Its numbers and what became of each. */
  readonly told: readonly (readonly [number, string])[];
  /** What it failed with; undefined when the node ended it in peace. */
  readonly over: Promise<unknown>;
  send(...submissions: Submission[]): void;
  /** Resolves when the node has read what was sent before. */
  settled(): Promise<unknown>;
}

const selector = { address: 'fabric', any: false, all: false, anyOwner: false, harness: '', capabilities: [], labels: {}, cwd: '/' };

function invoke(task: string | Uint8Array = 'echo hi', changes: Partial<InvokeRequest> = {}): InvokeRequest {
  return {
    selector, task: { text: Buffer.from(task), files: [] }, key: '', session: undefined, holdMs: undefined, noHold: false, runLimitMs: undefined, rerunnable: false, detach: false, notify: false, idleLimitMs: undefined, takesMore: true, traceparent: '', tracestate: '',
    ...changes,
  };
}

const submission = (number: number, task?: string | Uint8Array, changes?: Partial<InvokeRequest>): Submission => ({ number, invoke: invoke(task, changes) });

function outcomeOf({ outcome }: Submitted): string {
  return outcome?.$case === 'error' ? decodeErrorInfo(outcome.value).code : (outcome?.$case ?? 'nothing');
}

function open(flightToken?: string): Stream {
  const raw = new ControlServiceClient(`unix:${node.socketPath}`, credentials.createInsecure(), { 'grpc.max_receive_message_length': -1, 'grpc.max_send_message_length': -1 });
  const ours = flightToken === undefined ? undefined : new GrpcNodeClient(node.socketPath, undefined, flightToken);
  clients.push(raw, ...(ours === undefined ? [] : [ours]));
  const call = ours === undefined ? raw.submit() : ours.openSubmit();
  const answers: Submitted[] = [];
  const over = new Promise((resolve) => {
    call.on('error', (error) => resolve(fromCall(error)));
    call.on('data', (message: SubmitResponse) => void answers.push(...message.answers));
    call.on('end', () => resolve(undefined));
  });
  return { call, answers, over, send: (...submissions) => void call.write({ submissions }), settled: () => new Promise((resolve) => raw.getStatus({}, resolve)), get told() { return answers.map((each) => [each.number, outcomeOf(each)] as const); } };
}

/** Invocations wait until they are let go, by their task. */
function gated(): { readonly waiting: string[]; readonly release: (task: string) => void } {
  const gates = new Map<string, () => void>();
  const take = node.broker.invoke.bind(node.broker);
  node.broker.invoke = async (input) => {
    await new Promise<void>((resolve) => gates.set(Buffer.from(input.task.text).toString(), resolve));
    return take(input);
  };
  return { get waiting() { return [...gates.keys()]; }, release: (task) => gates.get(task)?.() };
}

describe('each submission is answered by itself', () => {
  test('as it is durable, with its flight, in any order', async () => {
    const gate = gated();
    const stream = open();
    stream.send(submission(7, 'first'), submission(3, 'second'));
    stream.send(submission(0, 'third'));
    await waitFor('all to be taken', () => gate.waiting.length === 3);
    for (const [count, task] of ['third', 'first', 'second'].entries()) {
      gate.release(task);
      await waitFor('its answer', () => stream.answers.length === count + 1);
    }
    expect(stream.told).toEqual([[0, 'accepted'], [7, 'accepted'], [3, 'accepted']]);
    const flights = (await node.broker.listFlights({}, { limit: 10 })).items;
    const accepted = stream.answers.flatMap(({ outcome, atMs }) => (outcome?.$case === 'accepted' ? { ...outcome.value, atMs } : []));
    expect(accepted.map(({ flightId }) => flightId).toSorted()).toEqual(flights.map(({ id }) => id).toSorted());
    expect(accepted[0]).toMatchObject({ target: '@fabric@laptop#main', deduplicated: false, atMs: flights[0]?.acceptedAtMs, notes: [] });
  });

  test('with the first flight of its key, twice in one message too', async () => {
    const stream = open();
    stream.send(submission(1, 'x', { key: 'k' }), submission(2, 'x', { key: 'k' }));
    await waitFor('the answers', () => stream.answers.length === 2);
    const [first, second] = stream.answers.map(({ outcome }) => (outcome?.$case === 'accepted' ? outcome.value : undefined));
    expect([first?.deduplicated, second?.deduplicated, second?.flightId]).toEqual([false, true, first?.flightId]);
    expect(node.broker.invoked).toHaveLength(1);
  });

  test('with why it was refused, and the others are not', async () => {
    const take = node.broker.invoke.bind(node.broker);
    const overload = new BrokerError('overload', 'much waits already', { hint: 'try again', retryAfterMs: 1500 });
    node.broker.invoke = async (input) => (input.task.text.length === 0 ? Promise.reject(overload) : take(input));
    const stream = open();
    stream.send(submission(1), submission(2, ''), submission(3));
    await waitFor('the answers', () => stream.answers.length === 3);
    expect(stream.told.toSorted(([a], [b]) => a - b)).toEqual([[1, 'accepted'], [2, 'overload'], [3, 'accepted']]);
    const refused = stream.answers.find(({ number }) => number === 2)?.outcome;
    expect(refused?.$case === 'error' && decodeErrorInfo(refused.value)).toEqual(overload.toInfo());
  });

  const bad: readonly [string, Partial<Submission>, string][] = [
    ['of nothing', { invoke: undefined }, 'invalid'],
    ['without a task', { invoke: invoke('x', { task: undefined }) }, 'invalid'],
    ['without a selector', { invoke: invoke('x', { selector: undefined }) }, 'invalid'],
    ['with a task over 16 MiB', { invoke: invoke(new Uint8Array(maxTaskBytes + 1)) }, 'invalid'],
    ['with more files than anybody attaches', { invoke: invoke('x', { task: { text: Buffer.alloc(0), files: Array.from({ length: 1001 }, () => ({ name: 'f', content: Buffer.alloc(0) })) } }) }, 'invalid'],
    ['with a session of a kind that is not known', { invoke: invoke('x', { session: { mode: 9 as never, name: '' } }) }, 'incompatible'],
    ['with a limit that is none', { invoke: invoke('x', { holdMs: -1 }) }, 'invalid'],
  ];
  test.each(bad)('one %s is refused alone', async (_how, changes, code) => {
    const stream = open();
    stream.send(submission(1), { number: 2, invoke: undefined, ...changes });
    stream.send(submission(3));
    await waitFor('the answers', () => stream.answers.length === 3, { timeoutMs: 10_000 });
    expect(stream.told.toSorted(([a], [b]) => a - b)).toEqual([[1, 'accepted'], [2, code], [3, 'accepted']]);
    expect(node.broker.invoked).toHaveLength(2);
  });

  test('and a fault of the node is told in general words', async () => {
    node.broker.invokeEach = (inputs) => inputs.map(() => Promise.reject(new Error('/home/me is full')));
    const stream = open();
    stream.send(submission(1));
    const answer = await waitFor('the answer', () => stream.answers[0]);
    expect(outcomeOf(answer)).toBe('internal');
    expect(JSON.stringify(answer)).not.toContain('/home/me');
  });

  test('each with its own selector, though others name the same agent', async () => {
    const stream = open();
    stream.send(
      submission(1), submission(2, 'x', { selector: { ...selector, any: true } }), submission(3, 'x', { selector: { ...selector, labels: { a: 'b' } } }), submission(4, 'x', { selector: { ...selector, labels: { a: 'c' } } }),
      submission(5, 'x', { selector: { ...selector, capabilities: ['x'] } }), submission(6, 'x', { selector: { ...selector, cwd: '/home' } }), submission(7, 'x', { selector: { ...selector, harness: 'acp' } }), submission(8),
    );
    await waitFor('the answers', () => stream.answers.length === 8);
    const plain = { address: 'fabric', any: false, all: false, anyOwner: false, capabilities: [], labels: {}, cwd: '/' };
    expect(node.broker.invoked.map((each) => each.selector)).toEqual([
      plain, { ...plain, any: true }, { ...plain, labels: { a: 'b' } }, { ...plain, labels: { a: 'c' } }, { ...plain, capabilities: ['x'] }, { ...plain, cwd: '/home' }, { ...plain, harness: 'acp' }, plain,
    ]);
  });
});

describe('the call', () => {
  test('ends in peace when its client has ended its side and has all answers', async () => {
    const gate = gated();
    const stream = open();
    stream.send(submission(1, 'slow'));
    stream.call.end();
    await waitFor('it to be taken', () => gate.waiting.length === 1);
    gate.release('slow');
    expect(await stream.over).toBeUndefined();
    expect(stream.told).toEqual([[1, 'accepted']]);
  });

  test('takes a number again once it is answered', async () => {
    const stream = open();
    for (let count = 1; count <= 3; count += 1) {
      stream.send(submission(5));
      await waitFor('its answer', () => stream.answers.length === count);
    }
    expect(stream.told).toEqual([[5, 'accepted'], [5, 'accepted'], [5, 'accepted']]);
  });

  test('fails for a number that is in use, after what it took is answered', async () => {
    const gate = gated();
    const stream = open();
    stream.send(submission(5, 'first'));
    await waitFor('it to be taken', () => gate.waiting.length === 1);
    stream.send(submission(4, 'second'), submission(5, 'third'));
    await stream.settled();
    await waitFor('it to have been read', () => true);
    gate.release('first');
    expect(await stream.over).toMatchObject({ code: 'invalid', message: expect.stringContaining('the number 5 is in use') });
    expect([stream.told, gate.waiting]).toEqual([[[5, 'accepted']], ['first']]);
  });

  test('fails for a number that one message gives to two, and takes neither', async () => {
    const stream = open();
    stream.send(submission(1), submission(2), submission(1));
    expect(await stream.over).toMatchObject({ code: 'invalid', message: expect.stringContaining('same number') });
    expect(node.broker.invoked).toHaveLength(0);
  });

  test('fails for a message of more than any client sends at once', async () => {
    const stream = open();
    stream.send(...Array.from({ length: 1025 }, (_, number) => submission(number)));
    expect(await stream.over).toMatchObject({ code: 'invalid', message: expect.stringContaining('1025') });
    expect(node.broker.invoked).toHaveLength(0);
  });

  test('fails for a message that no node takes', async () => {
    const stream = open();
    stream.send(submission(1, new Uint8Array(21 * 1024 * 1024)));
    expect(await stream.over).toMatchObject({ code: 'overload' });
  });

  test('fails for bytes that are no message, and the next is served', async () => {
    const client = new ControlServiceClient(`unix:${node.socketPath}`, credentials.createInsecure());
    clients.push(client);
    const call = client.makeBidiStreamRequest('/beckon.v1.ControlService/Submit', (bytes: Buffer) => bytes, (bytes: Buffer) => bytes);
    const over = new Promise((resolve) => call.on('error', resolve));
    call.write(Buffer.from([0xff, 0xff, 0xff, 0xff, 0xff]));
    expect(await over).toMatchObject({ code: expect.any(Number) });
    const stream = open();
    stream.send(submission(1));
    await waitFor('the answer', () => stream.answers.length === 1);
  });

  test('lets what it took go on when its client is gone in the middle', async () => {
    const gate = gated();
    const stream = open();
    stream.send(submission(1, 'taken'));
    await waitFor('it to be taken', () => gate.waiting.length === 1);
    stream.call.cancel();
    expect(await stream.over).toMatchObject({ code: 'cancelled' });
    gate.release('taken');
    await waitFor('it to be accepted', () => node.broker.invoked.length === 1);
  });

  test('answers what it took when the node stops, and then says why it ends', async () => {
    const gate = gated();
    const stream = open();
    stream.send(submission(1, 'taken'));
    await waitFor('it to be taken', () => gate.waiting.length === 1);
    const stopped = node.server.stop();
    stream.send(submission(2, 'too late'));
    gate.release('taken');
    expect(await stream.over).toMatchObject({ code: 'unavailable', message: expect.stringContaining('stopping') });
    await stopped;
    expect([stream.told, gate.waiting]).toEqual([[[1, 'accepted']], ['taken']]);
  });

  test('ends at once when the node stops and nothing is open', async () => {
    const stream = open();
    stream.send(submission(1));
    await waitFor('the answer', () => stream.answers.length === 1);
    const before = performance.now();
    await node.server.stop();
    expect(await stream.over).toMatchObject({ code: 'unavailable' });
    expect(performance.now() - before).toBeLessThan(1900);
  });
});

describe('a process of a flight', () => {
  const ulid = '01J9Z6M3T4V8Q2X7K5B1C0D9EF';
  const invocationId = invocationIdOf(ulid);
  const caller = { id: 'agent:@x@laptop#main', flight: { flightId: flightIdOf(ulid), invocationId, target: '@x@laptop#main', ancestry: { rootId: invocationId, depth: 0, path: [] } } };

  test('submits as what it is, for as long as its flight goes on', async () => {
    node.broker.callers.set('good', caller);
    const stream = open('good');
    stream.send(submission(1));
    await waitFor('the answer', () => stream.answers.length === 1);
    expect(node.broker.invoked.map((each) => each.caller)).toEqual([caller]);
    node.broker.callers.delete('good');
    stream.send(submission(2));
    expect(await stream.over).toMatchObject({ code: 'unauthenticated' });
    expect(node.broker.invoked).toHaveLength(1);
  });
});

describe('memory is bounded', () => {
  const inputs: InvokeInput[] = [];
  const settle = (how: () => Promise<AcceptedFlight>): void => {
    inputs.length = 0;
    node.broker.invokeEach = (each) => each.map((input) => (inputs.push(input), how()));
  };

  test('a client that reads no answers is not read from, and has them all once it reads', async () => {
    const candidates = Array.from({ length: 30 }, () => ({ address: '@fabric@laptop#main', why: 'y'.repeat(100) }));
    settle(() => Promise.reject(new BrokerError('overload', 'x'.repeat(1000), { candidates })));
    const stream = open();
    const all = 6000;
    // The library takes in whatever comes until it is read from for the first time.
    stream.send(submission(all));
    await waitFor('the first answer', () => stream.answers.length === 1);
    stream.call.pause();
    for (let at = 0; at < all; at += 10) stream.send(...Array.from({ length: 10 }, (_, index) => submission(at + index)));
    let before = -1;
    await waitFor('the node to stop reading', () => inputs.length > 0 && before === (before = inputs.length), { pollMs: 300, timeoutMs: 10_000 });
    expect(inputs.length).toBeLessThan(all / 2);
    stream.call.resume();
    await waitFor('all answers', () => stream.answers.length > all, { timeoutMs: 10_000 });
    expect(new Set(stream.answers.map(({ number }) => number)).size).toBe(all + 1);
  });

  test('while many are under way no more is read', async () => {
    settle(() => new Promise(() => undefined));
    const stream = open();
    for (let at = 0; at < 2000; at += 10) stream.send(...Array.from({ length: 10 }, (_, index) => submission(at + index)));
    await waitFor('some to be taken', () => inputs.length >= 256);
    let before = -1;
    await waitFor('the node to stop reading', () => before === (before = inputs.length), { pollMs: 200 });
    expect(inputs.length).toBe(260);
  });
});
