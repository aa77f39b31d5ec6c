/** Callers with more large tasks than their node has room for. */
import { credentials, Metadata, Server, ServerCredentials } from '@grpc/grpc-js';
import { connect as connectHttp2 } from 'node:http2';
import { connect as connectSocket } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, onTestFinished, test } from 'vitest';
import { createSystemClock } from '../../src/app/system-clock.ts';
import { connect } from '../../src/client/index.ts';
import type { Beckon } from '../../src/client/index.ts';
import { controlHandlers } from '../../src/control/handlers.ts';
import { largeTasks } from '../../src/control/large-tasks.ts';
import { ControlServiceClient, ControlServiceService } from '../../src/gen/beckon/v1/control.ts';
import { InvokeRequest } from '../../src/gen/beckon/v1/invoke.ts';
import { Selector } from '../../src/gen/beckon/v1/agent.ts';
import type { InvokeResponse } from '../../src/gen/beckon/v1/invoke.ts';
import { taskBytesKey } from '../../src/rpc/task-bytes.ts';
import { TaskRoom } from '../../src/rpc/task-room.ts';
import { FakeNode } from '../support/fake-node.ts';
import { waitFor } from '../support/wait-for.ts';

const task = new Uint8Array(400 * 1024);
/** Of a node that has room for two of these. */
const roomBytes = 2.5 * task.length;

let node: FakeNode;
let server: Server;
let beckon: Beckon;
let socketPath: string;
/** What the node is storing, and lets it be stored. */
let storing: PromiseWithResolvers<void>;
let large: number;

beforeEach(async () => {
  node = await new FakeNode().start();
  storing = Promise.withResolvers<void>();
  large = 0;
  const { broker } = node;
  const invoke = broker.invoke.bind(broker);
  broker.invoke = async (input) => {
    if (input.task.text.length === task.length) {
      large += 1;
      await storing.promise;
    }
    return invoke({ ...input, task: { text: new TextEncoder().encode('echo hi'), files: [] } });
  };
  server = new Server({ interceptors: [largeTasks({ room: new TaskRoom(roomBytes), mostBytes: 20 * 1024 * 1024, clock: createSystemClock(), arrivalMs: 300 })] });
  server.addService(ControlServiceService, controlHandlers(broker, { authenticate: () => ({ id: 'uid:1' }), onFault: () => undefined }, { served: {} as never, stopping: new AbortController().signal, config: () => Promise.reject(new Error('nobody asks')) }));
  socketPath = join(node.directory, 'small.sock');
  await new Promise<void>((resolve, reject) => server.bindAsync(`unix:${socketPath}`, ServerCredentials.createInsecure(), (error) => (error === null ? resolve() : reject(error))));
  beckon = await connect({ socketPath });
});
afterEach(async () => {
  beckon.close();
  server.forceShutdown();
  await node.stop();
});

test('have as many of them read as there is room for, and small ones beside them', async () => {
  const calls = Array.from({ length: 5 }, () => beckon.invoke('fabric', task));
  await waitFor('the room to be full', () => large === 2);
  expect(await beckon.invoke('fabric', 'echo small').result()).toMatchObject({ state: 'completed' });
  expect(large).toBe(2);
  storing.resolve();
  const results = await Promise.all(calls.map((call) => call.result()));
  expect(results.map(({ text }) => text)).toEqual(Array.from({ length: 5 }, () => 'hi\n'));
});

test('leave no place taken when they go away while they wait for one', async () => {
  const first = Array.from({ length: 2 }, () => beckon.invoke('fabric', task));
  await waitFor('the room to be full', () => large === 2);
  const leaving = new AbortController();
  const gone = Array.from({ length: 3 }, () => beckon.invoke('fabric', task, { signal: leaving.signal, detach: true }));
  // What is asked later on the same connection is there later.
  await beckon.status();
  leaving.abort();
  await Promise.allSettled(gone.map((call) => call.accepted));
  await beckon.status();
  storing.resolve();
  await Promise.all(first.map((call) => call.result()));
  expect(await beckon.invoke('fabric', task).result()).toMatchObject({ state: 'completed' });
  expect(large).toBe(3);
});

test('are read no further than to their first bytes when these say more than was announced, and wait as the others do', async () => {
  const plain = new ControlServiceClient(`unix:${socketPath}`, credentials.createInsecure());
  onTestFinished(() => plain.close());
  const request = { ...InvokeRequest.decode(new Uint8Array(0)), selector: { ...Selector.decode(new Uint8Array(0)), address: 'fabric' }, task: { text: Buffer.from(task), files: [] } };
  const less = new Metadata();
  less.set(taskBytesKey, '1000');
  const results = [undefined, less, undefined, less, undefined].map(async (said) => {
    let isFinished = false;
    for await (const { update } of plain.invoke(request, said ?? new Metadata()) as AsyncIterable<InvokeResponse>) isFinished ||= update?.update?.$case === 'finished';
    return isFinished;
  });
  await waitFor('the room to be full', () => large === 2);
  expect(await beckon.invoke('fabric', 'echo small').result()).toMatchObject({ state: 'completed' });
  expect(large).toBe(2);
  storing.resolve();
  expect(await Promise.all(results)).toEqual(Array.from({ length: 5 }, () => true));
  expect(large).toBe(5);
});

test('begin and never come: their places go to others', async () => {
  const path = ControlServiceService.invoke.path;
  const sessions = Array.from({ length: 3 }, () => {
    const session = connectHttp2('http://localhost', { createConnection: () => connectSocket(socketPath) });
    session.on('error', () => undefined);
    const stream = session.request({ ':method': 'POST', ':path': path, 'content-type': 'application/grpc', te: 'trailers', [taskBytesKey]: String(task.length) });
    // It ends with its first headers: nothing was said before.
    const status = new Promise<unknown>((resolve) => stream.once('response', (headers) => resolve(headers['grpc-status'])));
    stream.on('error', () => undefined);
    // Of 400 KiB as it says, the first 100.
    const prefix = Buffer.alloc(5);
    prefix.writeUInt32BE(task.length, 1);
    stream.write(Buffer.concat([prefix, Buffer.alloc(100 * 1024)]));
    stream.resume();
    return { session, status };
  });
  onTestFinished(() => sessions.forEach(({ session }) => session.destroy()));
  storing.resolve();
  expect(await beckon.invoke('fabric', task).result()).toMatchObject({ state: 'completed' });
  expect(await Promise.all(sessions.map(({ status }) => status))).toEqual(['4', '4', '4']);
});
