/** Agents that serve themselves through the SDK, on one node, called from another. */
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { connect } from '../../src/client/index.ts';
import type { Beckon, Handler, RunContext, ServeOptions, Server, Update } from '../../src/client/index.ts';
import type { LocalNode } from '../support/local-node.ts';
import { LocalPair } from '../support/local-node.ts';
import { SocketRelay } from '../support/socket-relay.ts';
import { waitFor } from '../support/wait-for.ts';

let pair: LocalPair;
/** The program that serves, on the desktop, and the one that calls, on the laptop. */
let there: Beckon;
let here: Beckon;
let relay: SocketRelay;
const servers: Server[] = [];
const socketOf = (node: LocalNode): string => join(node.home, 'run', 'control.sock');

beforeAll(async () => {
  pair = await new LocalPair().start();
  relay = await new SocketRelay(join(pair.root, 'relay.sock'), socketOf(pair.desktop)).start();
  there = await connect({ socketPath: relay.path });
  here = await connect({ socketPath: socketOf(pair.laptop) });
}, 60_000);
afterEach(async () => {
  for (const server of servers.splice(0)) await server.close();
});
afterAll(async () => {
  there.close();
  here.close();
  await relay[Symbol.asyncDispose]();
  await pair[Symbol.asyncDispose]();
});

let count = 0;
/** Of a new agent, known to be available on the laptop. */
async function serve(handler: Handler, options: ServeOptions = {}): Promise<Server> {
  count += 1;
  const server = await there.serve(`agent${count}/main`, handler, options);
  servers.push(server);
  await available(server.address, true);
  return server;
}

function available(address: string, isIt: boolean): Promise<boolean> {
  return waitFor(`${address} to be ${isIt ? '' : 'un'}available on the laptop`, async () => (await here.getAgent(address)).registration.available === isIt);
}

async function updatesOf(updates: AsyncIterable<Update>): Promise<Update[]> {
  const found: Update[] = [];
  for await (const update of updates) found.push(update);
  return found;
}

const aborted = (signal: AbortSignal): Promise<void> => new Promise((resolve) => (signal.aborted ? resolve() : signal.addEventListener('abort', () => resolve(), { once: true })));

describe('a function is an agent', () => {
  test('its text is the answer', async () => {
    const { address } = await serve((task) => `you said ${task}`);
    expect(address).toMatch(/^@agent\d+@desktop#main$/);
    const result = await here.invoke(address, 'hällo').result();
    expect(result).toMatchObject({ state: 'completed', text: 'you said hällo', exitCode: 0, target: address, truncated: false });
  });

  test('nothing is an answer too, and so are bytes, a promise, a list and a generator', async () => {
    for (const [handler, text] of [
      [() => undefined, ''],
      [() => new TextEncoder().encode('bytes'), 'bytes'],
      [async () => 'later', 'later'],
      [() => ['a', 'b'].values(), 'ab'],
      [async function* () { yield 'c'; yield new Uint8Array([0x64]); }, 'cd'],
    ] as const) {
      const { address } = await serve(handler as Handler);
      expect((await here.invoke(address).result()).text).toBe(text);
    }
  });

  test('what it yields streams; what it says besides the answer is told apart', async () => {
    const gate = Promise.withResolvers<void>();
    const { address } = await serve(async function* (_task, context) {
      yield 'first ';
      await context.stderr('hm');
      await context.progress({ kind: 'tool', call: '1', title: 'ls', tool: 'shell', state: 'done' });
      await gate.promise;
      yield 'last';
    });
    const kinds: string[] = [];
    for await (const update of here.invoke(address)) {
      kinds.push(update.type === 'output' ? `${update.stream} ${update.text}` : update.type);
      if (update.type === 'tool') gate.resolve();
    }
    expect(kinds).toEqual(['accepted', 'received', 'started', 'stdout first ', 'stderr hm', 'tool', 'stdout last', 'finished']);
  });

  test('an answer of megabytes arrives whole, and no piece of it ends inside a character', async () => {
    const text = 'grüße → 🙂 '.repeat(150_000);
    const bytes = new TextEncoder().encode(text);
    const { address } = await serve(async function* () {
      for (let at = 0; at < bytes.length; at += 100_001) yield bytes.subarray(at, at + 100_001);
    });
    const call = here.invoke(address);
    const pieces = (await updatesOf(call)).flatMap((update) => (update.type === 'output' ? update.text : []));
    expect(pieces.join('') === text).toBe(true);
    const result = await call.result();
    expect([result.text === text, result.truncated]).toEqual([true, false]);
  });

  test('it gets the files, the task byte by byte, and its session', async () => {
    const { address } = await serve((_task, context) => JSON.stringify([context.files.map(({ name, bytes }) => [name, bytes.length]), [...context.bytes], context.session?.id, context.run]));
    const { text, flightId } = await here.invoke(address, new Uint8Array([0, 255]), { files: { 'a.txt': 'ab', 'b.bin': new Uint8Array(3) } }).result();
    expect(JSON.parse(text)).toEqual([[['a.txt', 2], ['b.bin', 3]], [0, 255], flightId.replace('flt', 'ses'), 1]);
  });

  test('a session goes on, with the name that the agent gave it', async () => {
    const { address } = await serve((task, { session, nameSession }) => {
      nameSession(`thread-${task}`);
      return `${session?.id} ${session?.agentSession ?? 'new'}`;
    });
    const first = (await here.invoke(address, '1').result()).text;
    const second = (await here.invoke(address, '2', { session: 'continue' }).result()).text;
    const third = (await here.invoke(address, '3', { session: { id: 'thread-2' } }).result()).text;
    const id = first.split(' ')[0];
    expect([first, second, third]).toEqual([`${id} new`, `${id} thread-1`, `${id} thread-2`]);
  });

  test('what it throws fails the flight with its words, and is told to who serves', async () => {
    const told: unknown[] = [];
    const { address } = await serve(() => Promise.reject(new Error('no such branch')), { onError: (error, { flightId }) => told.push([(error as Error).message, flightId]) });
    const { state, error, exitCode, flightId } = await here.invoke(address).result();
    expect({ state, message: error?.message, exitCode }).toEqual({ state: 'failed', message: 'no such branch', exitCode: 1 });
    expect(told).toEqual([['no such branch', flightId]]);
    const shown = await pair.laptop.cli('invoke', address, 'x');
    expect([shown.code, shown.stderr]).toEqual([1, expect.stringContaining('the agent failed: no such branch')]);
  });

  test('it asks, and whoever called answers', async () => {
    const { address } = await serve(async (_task, { ask }) => {
      const approval = await ask({ reason: 'approval', prompt: 'may I?', choices: ['once'] });
      const text = await ask('which one?');
      return `${approval.kind}, ${text.kind === 'text' ? text.text : text.kind}`;
    });
    const call = here.invoke(address);
    for await (const update of call) {
      if (update.type !== 'waiting') continue;
      if (update.reason === 'approval') await call.approve(update.request);
      else await call.reply('the second');
    }
    expect((await call.result()).text).toBe('approved, the second');
  });

  test('what it invokes is a child of its flight', async () => {
    const inner = await serve(() => 'inner');
    const outer = await serve(async (_task, { invoke }) => {
      const child = await invoke(inner.address).result();
      return `${child.flightId} ${child.text}`;
    });
    const { text, invocationId } = await here.invoke(outer.address).result();
    const [child = '', said] = text.split(' ');
    expect(said).toBe('inner');
    expect((await there.getFlight(child)).invocation).toMatchObject({ caller: `agent:${outer.address}`, ancestry: { parentId: invocationId, rootId: invocationId, depth: 1 } });
  });
});

describe('an end from outside', () => {
  test('an abort of the caller cancels the flight and reaches the function', async () => {
    const seen: string[] = [];
    const { address } = await serve(async (_task, { signal }) => {
      await aborted(signal);
      seen.push((signal.reason as Error).message);
    });
    const abort = new AbortController();
    const call = here.invoke(address, '', { signal: abort.signal });
    const last: string[] = [];
    for await (const update of call) {
      if (update.type === 'started') abort.abort();
      last.push(update.type);
    }
    expect(last.at(-1)).toBe('finished');
    expect(await call.result()).toMatchObject({ state: 'cancelled' });
    expect(seen).toEqual([expect.stringContaining('cancelled')]);
  });

  test('before it is invoked nothing is sent; with detach the flight goes on', async () => {
    const gate = Promise.withResolvers<void>();
    const { address } = await serve(() => gate.promise.then(() => 'done'));
    await expect(here.invoke(address, '', { signal: AbortSignal.abort() }).result()).rejects.toMatchObject({ code: 'cancelled' });
    const abort = new AbortController();
    const call = here.invoke(address, '', { signal: abort.signal, detach: true });
    const { flightId } = await call.accepted;
    abort.abort();
    await expect(call.result()).rejects.toMatchObject({ code: 'cancelled', message: expect.stringContaining('goes on') });
    gate.resolve();
    expect(await here.flight(flightId).result()).toMatchObject({ state: 'completed', text: 'done' });
  });

  test('a loop that is left lets the flight go on, and its end can be had afterwards', async () => {
    const gate = Promise.withResolvers<void>();
    const { address } = await serve(() => gate.promise.then(() => 'done'));
    const call = here.invoke(address);
    for await (const update of call) if (update.type === 'started') break;
    gate.resolve();
    expect(await call.result()).toMatchObject({ state: 'completed', text: 'done' });
    await expect(updatesOf(call)).rejects.toMatchObject({ code: 'invalid' });
  });

  test('a cancel of the parent ends what it invoked', async () => {
    const inner = await serve((_task, { signal }) => aborted(signal));
    const children: RunContext['flightId'][] = [];
    const outer = await serve(async (_task, { invoke }) => {
      const child = invoke(inner.address);
      children.push((await child.accepted).flightId);
      await child.result();
    });
    const call = here.invoke(outer.address);
    await waitFor('the child', () => children.length > 0);
    await call.cancel();
    expect(await call.result()).toMatchObject({ state: 'cancelled' });
    await pair.desktop.becomes(children[0] as RunContext['flightId'], 'cancelled');
  });

  test('a function that does not listen is not called cancelled', async () => {
    const gate = Promise.withResolvers<void>();
    const { address } = await serve(() => gate.promise);
    const call = here.invoke(address);
    for await (const update of call) if (update.type === 'started') break;
    expect(await call.cancel()).toEqual({ state: 'indeterminate', confirmed: true });
    expect(await call.result()).toMatchObject({ state: 'indeterminate', error: { message: expect.stringContaining('may still be at work') } });
    gate.resolve();
  });
});

describe('how many at once', () => {
  test('as many as the process takes; the rest waits in order', async () => {
    let [now, most] = [0, 0];
    const order: string[] = [];
    const { address } = await serve(async (task) => {
      order.push(task);
      most = Math.max(most, (now += 1));
      await new Promise((resolve) => setImmediate(resolve));
      now -= 1;
    }, { concurrency: 2 });
    const calls = [];
    for (let number = 0; number < 12; number += 1) {
      calls.push(here.invoke(address, String(number)));
      await calls.at(-1)?.accepted;
    }
    await Promise.all(calls.map((call) => call.result()));
    expect(most).toBe(2);
    expect(order.map(Number)).toEqual(order.map(Number).toSorted((a, b) => a - b));
  });

  test('more than a node runs of its own, and those do not wait for them', async () => {
    const gate = Promise.withResolvers<void>();
    let now = 0;
    const { address } = await serve(() => {
      now += 1;
      return gate.promise;
    }, { concurrency: 50 });
    const calls = Array.from({ length: 50 }, () => here.invoke(address));
    await waitFor('all to run', () => now === 50, { timeoutMs: 20_000 });
    const echo = await pair.desktop.addAgent('cat', { argv: ['cat'] });
    await pair.knows(pair.laptop, echo);
    expect((await here.invoke(echo, 'side by side').result()).text).toBe('side by side');
    gate.resolve();
    for (const call of calls) expect((await call.result()).state).toBe('completed');
  });

  test('two processes share the work', async () => {
    const gate = Promise.withResolvers<void>();
    const by: string[] = [];
    const first = await serve(() => (by.push('one'), gate.promise), { concurrency: 2 });
    const other = await connect({ socketPath: socketOf(pair.desktop) });
    const second = await other.serve(first.address, () => (by.push('two'), gate.promise), { concurrency: 2 });
    const calls = Array.from({ length: 4 }, () => here.invoke(first.address));
    await waitFor('all to run', () => by.length === 4);
    expect(by.toSorted()).toEqual(['one', 'one', 'two', 'two']);
    gate.resolve();
    await Promise.all(calls.map((call) => call.result()));
    await second.close();
    other.close();
    expect((await here.invoke(first.address).result()).state).toBe('completed');
  });
});

describe('coming and going', () => {
  test('close takes nothing more, ends what runs, and then the agent is not available', async () => {
    const gate = Promise.withResolvers<void>();
    const server = await serve(() => gate.promise.then(() => 'drained'), { concurrency: 1 });
    const call = here.invoke(server.address);
    for await (const update of call) if (update.type === 'started') break;
    const closing = server.close();
    await available(server.address, false);
    await expect(here.invoke(server.address).result()).rejects.toMatchObject({ code: 'unavailable', message: expect.stringContaining('no process serves it now') });
    gate.resolve();
    await closing;
    expect(await call.result()).toMatchObject({ state: 'completed', text: 'drained' });
  });

  test('what waited when the process left is run by the next one', async () => {
    const gate = Promise.withResolvers<void>();
    const server = await serve(() => gate.promise.then(() => 'one'), { concurrency: 1 });
    const calls = [here.invoke(server.address), here.invoke(server.address)];
    await waitFor('the second to be there', async () => (await there.listFlights({ agent: server.address, state: 'queued' }, { limit: 10 })).items.length === 1);
    gate.resolve();
    await server.close();
    servers.push(await there.serve(server.address, () => 'two'));
    expect((await Promise.all(calls.map((call) => call.result()))).map(({ text }) => text).toSorted()).toEqual(['one', 'two']);
  });

  test('an agent that is removed ends its server, after what runs', async () => {
    const gate = Promise.withResolvers<void>();
    const server = await serve(() => gate.promise.then(() => 'last'));
    servers.pop();
    const call = here.invoke(server.address);
    for await (const update of call) if (update.type === 'started') break;
    await there.removeAgent(server.address);
    gate.resolve();
    await expect(server.closed).rejects.toMatchObject({ code: 'not_found', message: expect.stringContaining('not registered') });
    expect((await call.result()).text).toBe('last');
  });

  test('serving again is the same agent; of another kind, or otherwise registered, is a conflict', async () => {
    const server = await serve(() => 'one', { labels: { tier: 'gold' }, cwd: '/' });
    await server.close();
    const again = await there.serve(server.address.replace('@desktop', ''), () => 'two');
    servers.push(again);
    expect(again.address).toBe(server.address);
    await expect(there.serve(server.address, () => '', { labels: { tier: 'tin' } })).rejects.toMatchObject({ code: 'conflict', message: expect.stringContaining('labels') });
    await pair.desktop.addAgent('program', { argv: ['cat'] });
    await expect(there.serve('program/main', () => '')).rejects.toMatchObject({ code: 'conflict', message: expect.stringContaining('its harness is command') });
    await expect(there.serve('agent@laptop/main', () => '')).rejects.toMatchObject({ code: 'conflict', message: expect.stringContaining('desktop, not laptop') });
    await expect(there.serve('agent/main', () => '', { concurrency: 0 })).rejects.toMatchObject({ code: 'invalid' });
  });

  test('an agent that is added by hand waits for its process', async () => {
    const added = await pair.desktop.cli('agent', 'add', 'byhand', '--harness', 'attached', '--workspace', 'main', '--json');
    expect([added.code, added.json['agent'] ?? added.json]).toEqual([0, expect.objectContaining({ available: false })]);
    const refused = await pair.desktop.cli('agent', 'add', 'other', '--harness', 'attached', '--workspace', 'main', '--json', '--', 'cat');
    expect(refused.code).toBe(2);
    servers.push(await there.serve('byhand/main', () => 'here'));
    await available('@byhand@desktop#main', true);
    expect((await here.invoke('byhand').result()).text).toBe('here');
  });

  test('a connection that is cut again and again loses nothing and doubles nothing', async () => {
    const lines = 2000;
    const { address } = await serve(async function* () {
      for (let line = 0; line < lines; line += 1) {
        if (line % 250 === 100) relay.cut();
        yield `${line} ${'x'.repeat(line % 97)}\n`;
        if (line % 50 === 0) await new Promise((resolve) => setImmediate(resolve));
      }
    });
    const before = relay.count;
    const { state, text } = await here.invoke(address).result();
    expect(state).toBe('completed');
    expect(text.split('\n').slice(0, -1).map((line) => Number(line.split(' ')[0]))).toEqual(Array.from({ length: lines }, (_each, line) => line));
    expect(relay.count).toBeGreaterThan(before);
  });

  test('a question outlives a cut connection', async () => {
    const { address } = await serve(async (_task, { ask }) => (await ask({ reason: 'approval', prompt: 'may I?' })).kind);
    const call = here.invoke(address);
    for await (const update of call) {
      if (update.type !== 'waiting') continue;
      relay.cut();
      await call.approve();
    }
    expect((await call.result()).text).toBe('approved');
    const { entries } = await here.trace((await call.accepted).flightId);
    expect(entries.filter(({ fact, nodeName }) => fact.what === 'flight.waiting' && nodeName === 'desktop')).toHaveLength(1);
  });

  test('a call goes on over a restart of its own node', async () => {
    const gate = Promise.withResolvers<void>();
    const { address } = await serve(async function* () {
      yield 'before ';
      await gate.promise;
      yield 'after';
    });
    const call = here.invoke(address);
    const texts: string[] = [];
    const kinds: string[] = [];
    for await (const update of call) {
      kinds.push(update.type);
      if (update.type !== 'output') continue;
      texts.push(update.text);
      if (texts.length > 1) continue;
      await pair.laptop[Symbol.asyncDispose]();
      await pair.laptop.start();
      await pair.laptop.sees(pair.desktop, 'alive');
      gate.resolve();
    }
    expect(texts).toEqual(['before ', 'after']);
    expect(kinds).toEqual(['accepted', 'received', 'started', 'output', 'output', 'finished']);
    expect((await call.result()).text).toBe('before after');
  });
});
