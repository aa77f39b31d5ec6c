/** The stream Calls, as a client makes it that is not ours: what each call is told, how far ahead of its reader, and what ends it. */
import { credentials, Metadata } from '@grpc/grpc-js';
import type { ClientDuplexStream } from '@grpc/grpc-js';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { BrokerError } from '../../src/domain/errors.ts';
import { flightIdOf, invocationIdOf } from '../../src/domain/ids.ts';
import { maxTaskBytes } from '../../src/domain/invocation.ts';
import { ControlServiceClient } from '../../src/gen/beckon/v1/control.ts';
import type { BeginCall, CallsRequest, CallsResponse, CallSteps, InvokeRequest } from '../../src/gen/beckon/v1/invoke.ts';
import { decodeErrorInfo } from '../../src/rpc/error-info.ts';
import { flightTokenHeader } from '../../src/rpc/flight-token.ts';
import { fromCall } from '../../src/rpc/status.ts';
import { FakeNode } from '../support/fake-node.ts';
import { waitFor } from '../support/wait-for.ts';

let node: FakeNode;
const clients: ControlServiceClient[] = [];
beforeEach(async () => {
  node = await new FakeNode().start();
});
afterEach(async () => {
  for (const each of clients.splice(0)) each.close();
  await node.stop();
});

const selector = { address: 'fabric', any: false, all: false, anyOwner: false, harness: '', capabilities: [], labels: {}, cwd: '/' };

function invoke(number: number, task: string | Uint8Array = 'echo hi', changes: Partial<InvokeRequest> = {}): BeginCall {
  const value = {
    selector, task: { text: Buffer.from(task), files: [] }, key: '', session: undefined, holdMs: undefined, noHold: false, runLimitMs: undefined, rerunnable: false, detach: false, notify: false, idleLimitMs: undefined, takesMore: true, traceparent: '', tracestate: '',
    ...changes,
  };
  return { number, what: { $case: 'invoke', value } };
}

const follow = (number: number, id: string, afterSeq = 0): BeginCall => ({ number, what: { $case: 'follow', value: { id, afterSeq, takesMore: true } } });

interface Stream {
  readonly call: ClientDuplexStream<CallsRequest, CallsResponse>;
  /** What it failed with; undefined when the node ended it in peace. */
  readonly over: Promise<unknown>;
  send(message: Partial<CallsRequest>): void;
  begin(...calls: BeginCall[]): void;
  of(number: number): CallSteps[];
  types(number: number): string[];
  bytes(number: number): number;
  /** How the call ended: `over`, or the code of its error; undefined while it goes on. */
  end(number: number): string | undefined;
}

function open(token?: string): Stream {
  const client = new ControlServiceClient(`unix:${node.socketPath}`, credentials.createInsecure(), { 'grpc.max_send_message_length': -1 });
  clients.push(client);
  const metadata = new Metadata();
  if (token !== undefined) metadata.set(flightTokenHeader, token);
  const call = client.calls(metadata);
  const steps: CallSteps[] = [];
  const over = new Promise<unknown>((resolve) => {
    call.on('error', (error) => resolve(fromCall(error)));
    call.on('data', (message: CallsResponse) => void steps.push(...message.steps));
    call.on('end', () => resolve(undefined));
  });
  const send = (message: Partial<CallsRequest>): void => void call.write({ begin: [], read: [], leave: [], ...message });
  const of = (number: number): CallSteps[] => steps.filter((each) => each.number === number);
  const updates = (number: number): NonNullable<CallSteps['updates'][number]['update']>[] => of(number).flatMap((each) => each.updates.flatMap(({ update }) => update ?? []));
  return {
    call, over, send, of,
    begin: (...calls) => send({ begin: calls }),
    types: (number) => updates(number).map((update) => (update.$case === 'event' ? `${update.value.body?.$case}` : update.$case)),
    bytes: (number) => updates(number).reduce((sum, update) => sum + (update.$case === 'event' && update.value.body?.$case === 'output' ? update.value.body.value.content.length : 0), 0),
    end: (number) => {
      const last = of(number).find(({ isOver }) => isOver);
      if (last === undefined) return undefined;
      return last.error === undefined ? 'over' : decodeErrorInfo(last.error).code;
    },
  };
}

/** Resolves when the node pulls no more of anything. */
async function pulledNoMore(): Promise<number> {
  let before = -1;
  await waitFor('the node to pull no more', () => node.broker.pulled > 0 && before === (before = node.broker.pulled), { pollMs: 200, timeoutMs: 10_000 });
  return node.broker.pulled;
}

describe('each call of a stream', () => {
  /** The second end is the flight, with its output. */
  const all = ['accepted', 'received', 'started', 'output', 'finished', 'finished'];

  test('is told all of its own flight in order, and ends with the end of it', async () => {
    const stream = open();
    stream.begin(invoke(7, 'echo seven'), invoke(3, 'exit 1'));
    stream.begin(invoke(0, 'ask approval may I?'));
    await waitFor('two to end', () => stream.end(7) !== undefined && stream.end(3) !== undefined);
    expect(stream.types(7)).toEqual(all);
    expect(stream.types(3)).toEqual(all);
    await waitFor('the third to wait', () => stream.types(0).includes('waiting'));
    expect([stream.end(7), stream.end(3), stream.end(0)]).toEqual(['over', 'over', undefined]);
  });

  test('costs little: what there is at one moment is one piece', async () => {
    const stream = open();
    stream.begin(invoke(1));
    await waitFor('its end', () => stream.end(1));
    expect(stream.of(1).length).toBeLessThanOrEqual(2);
  });

  test('follows a flight that was there before, after what its reader has', async () => {
    const stream = open();
    stream.begin(invoke(1, 'echo hi', { key: 'k' }));
    await waitFor('its end', () => stream.end(1));
    const [flight] = (await node.broker.listFlights({}, { limit: 1 })).items;
    stream.begin(follow(2, flight?.id ?? ''), follow(4, flight?.id ?? '', 1));
    await waitFor('both ends', () => stream.end(2) === 'over' && stream.end(4) === 'over');
    expect([stream.types(2), stream.types(4)]).toEqual([all, all.filter((type) => type !== 'started')]);
  });

  test('takes a number again that has become free', async () => {
    const stream = open();
    for (let count = 1; count <= 3; count += 1) {
      stream.begin(invoke(5));
      await waitFor('its end', () => stream.of(5).filter(({ isOver }) => isOver).length === count);
    }
    expect(node.broker.invoked).toHaveLength(3);
  });

  const bad: readonly [string, BeginCall, string][] = [
    ['of nothing', { number: 2, what: undefined }, 'invalid'],
    ['without a task', invoke(2, 'x', { task: undefined }), 'invalid'],
    ['without a selector', invoke(2, 'x', { selector: undefined }), 'invalid'],
    ['with a task over 16 MiB', invoke(2, new Uint8Array(maxTaskBytes + 1)), 'invalid'],
    ['with a limit that is none', invoke(2, 'x', { holdMs: -1 }), 'invalid'],
    ['that follows a flight that nobody knows', follow(2, 'flt_01J9Z6M3T4V8Q2X7K5B1C0D9EF'), 'not_found'],
    ['that follows from before the beginning', follow(2, 'last', -1), 'invalid'],
  ];
  test.each(bad)('one %s fails alone', async (_how, call, code) => {
    const stream = open();
    stream.begin(invoke(1), call, invoke(3));
    await waitFor('all ends', () => [1, 2, 3].every((number) => stream.end(number) !== undefined), { timeoutMs: 10_000 });
    expect([1, 2, 3].map((number) => stream.end(number))).toEqual(['over', code, 'over']);
  });

  test('is refused with all that the node says, and the others are not', async () => {
    const take = node.broker.invoke.bind(node.broker);
    const refusal = new BrokerError('overload', 'much waits already', { hint: 'try again', retryAfterMs: 1500 });
    node.broker.invoke = async (input) => (input.task.text.length === 0 ? Promise.reject(refusal) : take(input));
    const stream = open();
    stream.begin(invoke(1), invoke(2, ''), invoke(3));
    await waitFor('all ends', () => [1, 2, 3].every((number) => stream.end(number) !== undefined));
    const error = stream.of(2)[0]?.error;
    expect(error === undefined ? undefined : decodeErrorInfo(error)).toEqual(refusal.toInfo());
    expect([stream.end(1), stream.end(3)]).toEqual(['over', 'over']);
  });

  test('is told of a fault of the node in general words', async () => {
    node.broker.invokeEach = (inputs) => inputs.map(() => Promise.reject(new Error('/home/me is full')));
    const stream = open();
    stream.begin(invoke(1));
    await waitFor('its end', () => stream.end(1));
    expect(stream.end(1)).toBe('internal');
    expect(JSON.stringify(stream.of(1))).not.toContain('/home/me');
  });
});

describe('a call that is left', () => {
  test('is told nothing more, its flight goes on, and so do the others', async () => {
    const stream = open();
    stream.begin(invoke(1, 'ask approval a?'), invoke(2, 'ask approval b?'));
    await waitFor('both to wait', () => stream.types(1).includes('waiting') && stream.types(2).includes('waiting'));
    stream.send({ leave: [1, 99] });
    await waitFor('it to be read no longer', () => node.broker.following === 1);
    for (const { id } of (await node.broker.listFlights({}, { limit: 10 })).items) await node.broker.replyToFlight({ id, reply: { kind: 'approved' }, by: 'me', waitMs: 0 });
    await waitFor('the other to end', () => stream.end(2));
    expect([stream.end(1), stream.types(1).at(-1)]).toEqual([undefined, 'waiting']);
    expect((await node.broker.listFlights({}, { limit: 10 })).items.map(({ state }) => state)).toEqual(['completed', 'completed']);
  });

  test('because its client has gone is read no longer, and its flight goes on', async () => {
    const stream = open();
    stream.begin(invoke(1, 'hang'), invoke(2, 'hang'));
    await waitFor('both to be read', () => node.broker.following === 2);
    stream.call.cancel();
    await waitFor('none to be read', () => node.broker.following === 0);
    expect(node.broker.cancelled).toEqual([]);
  });
});

describe('memory is bounded', () => {
  const pieces = 320;
  const size = pieces * 32_768;

  test('of a call that is not read, two pages leave; no other waits for it; the rest comes as it is read', async () => {
    const stream = open();
    stream.begin(invoke(1, `big ${size}`));
    await waitFor('two pages', () => stream.of(1).filter(({ asksRead }) => asksRead).length === 2);
    expect(await pulledNoMore()).toBeLessThan(10);
    expect(stream.bytes(1)).toBeLessThanOrEqual(5 * 32_768);
    stream.begin(invoke(2, `echo ${'x'.repeat(1000)}`));
    await waitFor('the other to end', () => stream.end(2));
    expect(stream.end(1)).toBeUndefined();
    for (let seen = 0; stream.end(1) === undefined; ) {
      const asked = stream.of(1).filter(({ asksRead }) => asksRead).length;
      stream.send({ read: Array.from({ length: asked - seen }, () => 1) });
      seen = asked;
      await waitFor('more', () => stream.end(1) !== undefined || stream.of(1).filter(({ asksRead }) => asksRead).length > seen);
    }
    expect(stream.bytes(1)).toBe(size);
  });

  test('a client that says that it has read what it was not told gets no more for it', async () => {
    const stream = open();
    stream.begin(invoke(1, 'ask approval a?'));
    await waitFor('it to wait', () => stream.types(1).includes('waiting'));
    stream.send({ read: Array.from({ length: 1000 }, () => 1) });
    stream.begin(invoke(2, `big ${size}`));
    await waitFor('two pages', () => stream.of(2).filter(({ asksRead }) => asksRead).length === 2);
    stream.send({ read: Array.from({ length: 1000 }, () => 2) });
    await pulledNoMore();
    expect(stream.of(2).filter(({ asksRead }) => asksRead)).toHaveLength(4);
  });

  test('of a client that takes in nothing at all nothing more is looked up', async () => {
    const stream = open();
    // The library takes in whatever comes until it is read from for the first time.
    stream.begin(invoke(0));
    await waitFor('the first to end', () => stream.end(0));
    stream.call.pause();
    const many = 600;
    for (let at = 1; at <= many; at += 10) stream.begin(...Array.from({ length: 10 }, (_, index) => invoke(at + index, `big ${6 * 32_768}`)));
    await waitFor('all to be taken', () => node.broker.invoked.length === many + 1);
    // Two pages of each would be six of each.
    expect(await pulledNoMore()).toBeLessThan(many * 3);
    stream.call.resume();
    await waitFor('two pages of each', () => stream.bytes(many) >= 4 * 32_768, { timeoutMs: 10_000 });
  });

  test('while many are not accepted yet no more is read', async () => {
    let count = 0;
    node.broker.invokeEach = (inputs) => inputs.map(() => ((count += 1), new Promise(() => undefined)));
    const stream = open();
    for (let at = 0; at < 2000; at += 10) stream.begin(...Array.from({ length: 10 }, (_, index) => invoke(at + index)));
    await waitFor('some to be taken', () => count >= 256);
    let before = -1;
    await waitFor('the node to stop reading', () => before === (before = count), { pollMs: 200 });
    expect(count).toBe(260);
  });
});

describe('the stream', () => {
  test('ends in peace when its client has ended its side and all calls are over', async () => {
    const stream = open();
    stream.begin(invoke(1));
    stream.call.end();
    expect(await stream.over).toBeUndefined();
    expect(stream.end(1)).toBe('over');
  });

  const broken: readonly [string, (stream: Stream) => void, string][] = [
    ['a number that one message gives to two', (stream) => stream.begin(invoke(1), invoke(1)), 'same number'],
    ['a message of more than any client sends at once', (stream) => stream.begin(...Array.from({ length: 1025 }, (_, number) => invoke(number))), '1025'],
  ];
  test.each(broken)('fails for %s, and takes nothing of it', async (_what, send, message) => {
    const stream = open();
    send(stream);
    expect(await stream.over).toMatchObject({ code: 'invalid', message: expect.stringContaining(message) });
    expect(node.broker.invoked).toHaveLength(0);
  });

  test('fails at once for a number that is in use; what was taken goes on unread', async () => {
    const stream = open();
    stream.begin(invoke(5, 'hang'));
    await waitFor('it to be read', () => node.broker.following === 1);
    stream.begin(invoke(5, 'hang'));
    expect(await stream.over).toMatchObject({ code: 'invalid', message: expect.stringContaining('the number 5 is in use') });
    await waitFor('it to be read no longer', () => node.broker.following === 0);
    expect([node.broker.invoked.length, node.broker.cancelled]).toEqual([1, []]);
  });

  test('tells what it took when the node stops, takes no more, and then says why it ends', async () => {
    const stream = open();
    stream.begin(invoke(1, 'ask approval a?'));
    await waitFor('it to wait', () => stream.types(1).includes('waiting'));
    const stopped = node.server.stop();
    stream.begin(invoke(2));
    const [flight] = (await node.broker.listFlights({}, { limit: 1 })).items;
    await node.broker.replyToFlight({ id: flight?.id ?? '', reply: { kind: 'approved' }, by: 'me', waitMs: 0 });
    expect(await stream.over).toMatchObject({ code: 'unavailable', message: expect.stringContaining('stopping') });
    await stopped;
    expect([stream.end(1), stream.of(2), node.broker.invoked.length]).toEqual(['over', [], 1]);
  });
});

describe('a process of a flight', () => {
  const ulid = '01J9Z6M3T4V8Q2X7K5B1C0D9EF';
  const invocationId = invocationIdOf(ulid);
  const caller = { id: 'agent:@x@laptop#main', flight: { flightId: flightIdOf(ulid), invocationId, target: '@x@laptop#main', ancestry: { rootId: invocationId, depth: 0, path: [] } } };

  test('calls as what it is for as long as its flight goes on, and follows its family alone', async () => {
    node.broker.callers.set('good', caller);
    const stream = open('good');
    stream.begin(invoke(1, 'hang'));
    await waitFor('it to be read', () => node.broker.following === 1);
    expect(node.broker.invoked.map((each) => each.caller)).toEqual([caller]);
    const [flight] = (await node.broker.listFlights({}, { limit: 1 })).items;
    stream.begin(follow(2, flight?.id ?? ''));
    await waitFor('it to be refused', () => stream.end(2));
    node.broker.family.add(flight?.id ?? '');
    stream.begin(follow(3, flight?.id ?? ''));
    await waitFor('both to be read', () => node.broker.following === 2);
    node.broker.callers.delete('good');
    stream.begin(invoke(4), follow(5, flight?.id ?? ''));
    await waitFor('both to be refused', () => stream.end(4) !== undefined && stream.end(5) !== undefined);
    expect([2, 4, 5].map((number) => stream.end(number))).toEqual(['denied', 'unauthenticated', 'unauthenticated']);
    expect([node.broker.invoked.length, node.broker.following]).toEqual([1, 2]);
  });
});
