/** The call Serve, as a process makes it that is not ours: what it may send, and what becomes of it when it sends something else. */
import { credentials } from '@grpc/grpc-js';
import type { ClientDuplexStream } from '@grpc/grpc-js';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { GrpcNodeClient } from '../../src/client/grpc-client.ts';
import type { RunEnd } from '../../src/domain/harness-port.ts';
import { flightIdOf, invocationIdOf } from '../../src/domain/ids.ts';
import { maxTaskBytes } from '../../src/domain/invocation.ts';
import { ControlServiceClient } from '../../src/gen/beckon/v1/control.ts';
import { ServeRequest } from '../../src/gen/beckon/v1/serving.ts';
import type { NodeFrame, ServeResponse, ServerFrame } from '../../src/gen/beckon/v1/serving.ts';
import { fromCall } from '../../src/rpc/status.ts';
import { FakeNode } from '../support/fake-node.ts';
import { waitFor } from '../support/wait-for.ts';
import { Collected, requestOf } from './harness.ts';

const address = '@fabric@laptop#main';
const spec = { cwd: '/', permissions: 'ask', isolate: false, isDefault: false, env: [], labels: {}, capabilities: [], visibility: 'mesh', argv: [], path: '', description: '' } as const;
const flightId = flightIdOf('01J9Z6M3T4V8Q2X7K5B1C0D9EF');
const key = { flightId, run: 1 };
const attach = { address: 'fabric', serverId: 'one', concurrency: 2, runs: [] };

let node: FakeNode;
const clients: { close(): void }[] = [];
beforeEach(async () => {
  node = await new FakeNode().start();
  await node.broker.addAgent({ ...spec, harness: 'attached', name: 'fabric' });
});
afterEach(async () => {
  for (const each of clients.splice(0)) each.close();
  await node.stop();
});

interface Stream {
  readonly call: ClientDuplexStream<ServeRequest, ServeResponse>;
  readonly frames: NodeFrame[];
  readonly kinds: string[];
  /** What it failed with; undefined when the node ended it. */
  readonly over: Promise<unknown>;
  send(frame: ServerFrame['frame'], of?: { flightId: string; run: number }): void;
}

function open(flightToken?: string): Stream {
  const client = flightToken === undefined
    ? new ControlServiceClient(`unix:${node.socketPath}`, credentials.createInsecure(), { 'grpc.max_receive_message_length': -1, 'grpc.max_send_message_length': -1 })
    : undefined;
  const mine = flightToken === undefined ? undefined : new GrpcNodeClient(node.socketPath, undefined, flightToken);
  clients.push(client ?? mine ?? { close: () => undefined });
  const call = (client?.serve() ?? mine?.openServe()) as Stream['call'];
  const frames: NodeFrame[] = [];
  const over = new Promise((resolve) => {
    call.on('data', (message: ServeResponse) => void frames.push(...message.frames));
    call.on('error', (error) => resolve(fromCall(error)));
    call.on('end', () => resolve(undefined));
  });
  return { call, frames, over, send: (frame, of = key) => void call.write({ attach: undefined, frames: [{ key: of, frame }] }), get kinds() { return frames.map(({ frame }) => frame?.$case ?? '?'); } };
}

async function attached(changes: Partial<typeof attach> = {}): Promise<Stream> {
  const stream = open();
  stream.call.write({ attach: { ...attach, ...changes }, frames: [] });
  await waitFor('it to be attached', () => stream.kinds.includes('listed'));
  return stream;
}

const served = { agentId: 'agt_01J9Z6M3T4V8Q2X7K5B1C0D9EF', address, harness: 'attached', cwd: '/', argv: [], env: [], path: '', permissions: 'ask', isolate: false } as never;

function begin(task: Uint8Array | string = 'hi', sink = new Collected()) {
  const run = node.served.start({ ...requestOf(served, { task, flightEnv: { BECKON_TOKEN: 't' } }), flightId, invocationId: invocationIdOf(flightId.slice(4)) }, sink);
  const seen: { end?: RunEnd } = {};
  void run.ended.then((end) => (seen.end = end));
  return { run, sink, seen };
}

const output = (number: number, text: string): ServerFrame['frame'] => ({ $case: 'piece', value: { number, piece: { $case: 'output', value: { stream: 1, content: Buffer.from(text) } } } });
const ended: ServerFrame['frame'] = { $case: 'end', value: { error: undefined } };

describe('a process that attaches', () => {
  test('is told the agent’s whole address first, and then what it is to do', async () => {
    const stream = await attached();
    const { seen, sink } = begin('hällo');
    await waitFor('the run', () => stream.kinds.includes('start'));
    expect(stream.frames[0]).toMatchObject({ frame: { $case: 'attached', value: { address, runs: [] } } });
    expect(stream.frames.at(-1)).toMatchObject({ key, frame: { value: { task: { text: Buffer.from('hällo') }, environment: { BECKON_TOKEN: 't' }, sessionId: expect.stringMatching(/^ses_/) } } });
    stream.send(output(1, 'answer'));
    stream.send(ended);
    await waitFor('the end', () => seen.end);
    expect([sink.text(), seen.end]).toEqual(['answer', { exitCode: 0 }]);
  });

  test('gets a task of 16 MiB whole', async () => {
    const stream = await attached();
    begin(new Uint8Array(maxTaskBytes).fill(120));
    await waitFor('the run', () => stream.kinds.includes('start'), { timeoutMs: 10_000 });
    const { frame } = stream.frames.at(-1) ?? {};
    expect(frame?.$case === 'start' ? frame.value.task?.text.length : 0).toBe(maxTaskBytes);
  });

  test('and leaves takes its agent’s availability with it', async () => {
    const stream = await attached();
    expect(await node.served.check(served)).toEqual({ available: true });
    stream.call.cancel();
    await waitFor('it to be gone', async () => !(await node.served.check(served)).available);
  });

  test('is told when the node stops, at once', async () => {
    const stream = await attached();
    const before = performance.now();
    await node.server.stop();
    expect(await stream.over).toMatchObject({ code: 'unavailable', message: expect.stringContaining('stopping') });
    expect(performance.now() - before).toBeLessThan(1900);
  });

  test('ends its side in peace', async () => {
    const stream = await attached();
    stream.call.end();
    expect(await stream.over).toBeUndefined();
  });
});

describe('is refused, and nothing is attached', () => {
  const first: readonly [string, Partial<ServeRequest>, object][] = [
    ['without a word of what it serves', { attach: undefined, frames: [] }, { code: 'invalid', message: expect.stringContaining('attach') }],
    ['without an address', { attach: { ...attach, address: '' } }, { code: 'invalid' }],
    ['without a name of its own', { attach: { ...attach, serverId: '' } }, { code: 'invalid' }],
    ['when it takes nothing', { attach: { ...attach, concurrency: 0 } }, { code: 'invalid', message: expect.stringContaining('1 to 1024') }],
    ['when it takes too much', { attach: { ...attach, concurrency: 1025 } }, { code: 'invalid' }],
    ['with a run that is none', { attach: { ...attach, runs: [{ flightId: 'flt_nothing', run: 1 }] } }, { code: 'invalid', message: expect.stringContaining('flight_id') }],
    ['with more runs than anybody has', { attach: { ...attach, runs: Array.from({ length: 10_001 }, () => key) } }, { code: 'invalid' }],
    ['for an agent that is not there', { attach: { ...attach, address: 'nobody' } }, { code: 'not_found' }],
  ];
  test.each(first)('%s', async (_how, message, error) => {
    const stream = open();
    stream.call.write({ attach: undefined, frames: [], ...message });
    expect(await stream.over).toMatchObject(error);
    expect(await node.served.check(served)).toMatchObject({ available: false });
  });

  test('for an agent of another kind', async () => {
    node.broker.specs.splice(0, 1, { ...spec, argv: ['cat'] });
    const stream = open();
    stream.call.write({ attach, frames: [] });
    expect(await stream.over).toMatchObject({ code: 'conflict', message: expect.stringContaining('its harness is command') });
  });

  test('for an agent of another node', async () => {
    const view = await node.broker.getAgent('fabric');
    const { endpoint: _none, ...rest } = view;
    node.broker.getAgent = async () => ({ ...rest, nodeName: 'desktop' });
    const stream = open();
    stream.call.write({ attach, frames: [] });
    expect(await stream.over).toMatchObject({ code: 'conflict', message: expect.stringContaining('belongs to desktop') });
  });

  test('as a process of a flight', async () => {
    node.broker.callers.set('good', { id: 'agent:@x@laptop#main', flight: { flightId, invocationId: invocationIdOf(flightId.slice(4)), target: '@x@laptop#main', ancestry: { rootId: invocationIdOf(flightId.slice(4)), depth: 0, path: [] } } });
    const stream = open('good');
    stream.call.write({ attach, frames: [] });
    expect(await stream.over).toMatchObject({ code: 'denied' });
  });
});

describe('a process that says what none should is cut off, and its run waits for one that is well', () => {
  const frames: readonly [string, ServerFrame, string | undefined][] = [
    ['a frame of no kind', { key, frame: undefined }, undefined],
    ['a frame of no run', { key: undefined, frame: ended }, 'key'],
    ['a run that is none', { key: { flightId: '../../etc', run: 1 }, frame: ended }, 'flight_id'],
    ['a negative piece', { key, frame: output(-1, 'x') }, 'piece.number'],
    ['a gap', { key, frame: output(7, 'x') }, 'can\'t follow'],
    ['an empty piece', { key, frame: output(1, '') }, 'bytes'],
    ['a piece over 32 KiB', { key, frame: output(1, 'x'.repeat(32_769)) }, 'bytes'],
    ['a piece of nothing', { key, frame: { $case: 'piece', value: { number: 1, piece: undefined } } }, undefined],
    ['output to nowhere', { key, frame: { $case: 'piece', value: { number: 1, piece: { $case: 'output', value: { stream: 9 as never, content: Buffer.from('x') } } } } }, undefined],
    ['a question for no reason', { key, frame: { $case: 'ask', value: { number: 1, reason: 0, prompt: 'p', choices: [], timeoutMs: undefined } } }, undefined],
    ['a prompt without end', { key, frame: { $case: 'ask', value: { number: 1, reason: 1, prompt: 'p'.repeat(70_000), choices: [], timeoutMs: undefined } } }, 'ask.prompt'],
    ['a session without a name', { key, frame: { $case: 'session', value: { name: '' } } }, 'session.name'],
  ];
  test.each(frames)('%s', async (_what, frame, says) => {
    const stream = await attached();
    const { seen, sink } = begin();
    await waitFor('the run', () => stream.kinds.includes('start'));
    stream.call.write({ attach: undefined, frames: [frame] });
    const error = (await stream.over) as { code: string; message: string };
    expect(['invalid', 'incompatible']).toContain(error.code);
    if (says !== undefined) expect(error.message).toContain(says);
    const again = await attached({ runs: [key] } as never);
    again.send(output(1, 'well'));
    again.send(ended);
    await waitFor('the end', () => seen.end);
    expect([sink.text(), seen.end]).toEqual(['well', { exitCode: 0 }]);
  });

  test('attaching twice', async () => {
    const stream = await attached();
    stream.call.write({ attach, frames: [] });
    expect(await stream.over).toMatchObject({ code: 'invalid', message: expect.stringContaining('once') });
  });

  test('a message that no node takes', async () => {
    const stream = await attached();
    stream.send(output(1, 'x'.repeat(21 * 1024 * 1024)));
    expect(await stream.over).toMatchObject({ code: 'overload' });
  });

  test('bytes that are no message', async () => {
    const client = new ControlServiceClient(`unix:${node.socketPath}`, credentials.createInsecure());
    clients.push(client);
    const call = client.makeBidiStreamRequest('/beckon.v1.ControlService/Serve', (bytes: Buffer) => bytes, (bytes: Buffer) => bytes);
    const over = new Promise((resolve) => call.on('error', resolve));
    call.write(Buffer.from([0xff, 0xff, 0xff, 0xff, 0xff]));
    expect(await over).toMatchObject({ code: expect.any(Number) });
    expect(ServeRequest.decode(new Uint8Array())).toEqual({ attach: undefined, frames: [] });
    await attached();
  });
});
