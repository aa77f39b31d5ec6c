/** Calls of the SDK that share one stream, on a real socket: each goes its own way, and older nodes know nothing of it. */
import { Server, ServerCredentials } from '@grpc/grpc-js';
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { connect } from '../../src/client/index.ts';
import type { Beckon } from '../../src/client/index.ts';
import { authenticate } from '../../src/control/authenticate.ts';
import { controlHandlers } from '../../src/control/handlers.ts';
import { ControlServiceService } from '../../src/gen/beckon/v1/control.ts';
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

test('many at once have each its own end', async () => {
  const results = await Promise.all(Array.from({ length: 500 }, (_, index) => beckon.invoke('fabric', index % 7 === 0 ? `exit ${index % 2}` : `echo ${index}`).result()));
  expect(results.map(({ state, text }) => [state, text])).toEqual(Array.from({ length: 500 }, (_, index) => (index % 7 === 0 ? [index % 2 === 0 ? 'completed' : 'failed', ''] : ['completed', `${index}\n`])));
  expect(new Set(results.map(({ flightId }) => flightId)).size).toBe(500);
});

test('one that is read slowly is sent no more than it has room for, and no other waits for it', async () => {
  const slow = beckon.invoke('fabric', `big ${320 * 32_768}`);
  await slow.accepted;
  let before = -1;
  await waitFor('the node to pull no more', () => before === (before = node.broker.pulled), { pollMs: 200 });
  expect(node.broker.pulled).toBeLessThan(10);
  expect(await beckon.invoke('fabric', 'echo quick').result()).toMatchObject({ text: 'quick\n' });
  let bytes = 0;
  for await (const update of slow) if (update.type === 'output') bytes += update.bytes.length;
  expect(bytes).toBe(320 * 32_768);
});

test('a loop that is left early ends the reading of that call, not its flight, and not the others', async () => {
  const other = beckon.invoke('fabric', 'ask approval may I?');
  await other.accepted;
  for await (const update of beckon.invoke('fabric', 'hang')) if (update.type === 'started') break;
  await waitFor('it to be read no longer', () => node.broker.following === 1);
  expect(node.broker.cancelled).toEqual([]);
  await other.approve();
  expect(await other.result()).toMatchObject({ state: 'completed' });
});

test('an abort that lets go stops the reading at once, and the flight goes on', async () => {
  const abort = new AbortController();
  const call = beckon.invoke('fabric', 'hang', { signal: abort.signal, detach: true });
  await call.accepted;
  abort.abort();
  await expect(call.result()).rejects.toMatchObject({ code: 'cancelled', message: expect.stringContaining('the flight goes on') });
  await waitFor('it to be read no longer', () => node.broker.following === 0);
  expect(node.broker.cancelled).toEqual([]);
});

test('one that a stopping node had not taken is asked again without a key, once it is back', async () => {
  const first = beckon.invoke('fabric', 'ask approval may I?');
  const { flightId } = await first.accepted;
  await waitFor('it to wait', () => node.broker.following === 1);
  const stopped = node.server.stop();
  const second = beckon.invoke('fabric', 'echo late').result();
  await new Promise<void>((resolve) => setImmediate(resolve));
  await node.broker.replyToFlight({ id: flightId, reply: { kind: 'approved' }, by: 'me', waitMs: 0 });
  expect(await first.result()).toMatchObject({ state: 'completed' });
  await stopped;
  await node.server.start();
  expect(await second).toMatchObject({ state: 'completed', text: 'late\n' });
  expect(node.broker.invoked).toHaveLength(2);
});

test('one that was asked while no node was there was not taken: it is asked without a key once one is', async () => {
  await node.server.stop();
  const call = beckon.invoke('fabric', 'echo late');
  const result = call.result();
  await delay(300);
  await node.server.start();
  expect(await result).toMatchObject({ state: 'completed', text: 'late\n' });
  expect(node.broker.invoked).toHaveLength(1);
});

test('a process whose calls are over ends by itself, though nothing closes its connection', async () => {
  const client = new URL('../../src/client/index.ts', import.meta.url).href;
  const program = `import { connect } from '${client}'; const beckon = await connect({ socketPath: process.argv[1] }); for (const n of [1, 2]) process.stdout.write((await beckon.invoke('fabric', 'echo ' + n).result()).text);`;
  const { stdout } = await promisify(execFile)(process.execPath, ['--disable-warning=ExperimentalWarning', '--input-type=module', '-e', program, node.socketPath], { timeout: 10_000 });
  expect(stdout).toBe('1\n2\n');
});

describe('a node of a version without it', () => {
  let directory: string;
  let old: Server;
  beforeEach(async () => {
    directory = mkdtempSync(join(tmpdir(), 'beckon-old-'));
    old = new Server();
    const edge = { authenticate: authenticate(process.getuid?.() ?? 0, node.broker), onFault: () => undefined };
    const { calls: _calls, ...known } = ControlServiceService;
    old.addService(known, controlHandlers(node.broker, edge, { served: node.served, stopping: new AbortController().signal, config: () => Promise.resolve(node.config) }) as never);
    await new Promise<void>((resolve, reject) => old.bindAsync(`unix:${join(directory, 'old.sock')}`, ServerCredentials.createInsecure(), (error) => (error === null ? resolve() : reject(error))));
  });
  afterEach(() => {
    old.forceShutdown();
    rmSync(directory, { recursive: true, force: true });
  });

  test('is asked as it knows it, also for what was asked before that was clear, and takes each once', async () => {
    const mine = await connect({ socketPath: join(directory, 'old.sock') });
    const asked = Array.from({ length: 50 }, (_, index) => mine.invoke('fabric', `echo ${index}`));
    const results = await Promise.all(asked.map((call) => call.result()));
    expect(results.map(({ text }) => text)).toEqual(Array.from({ length: 50 }, (_, index) => `${index}\n`));
    expect(await mine.invoke('fabric', 'echo more').result()).toMatchObject({ text: 'more\n' });
    expect(await mine.flight(results[0]?.flightId ?? '').result()).toMatchObject({ text: '0\n' });
    expect(node.broker.invoked).toHaveLength(51);
    mine.close();
  });
});
