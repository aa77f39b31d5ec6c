/** Agents that serve themselves through the SDK, on one node, called from another. */
import { describe, expect, test } from 'vitest';
import { BrokerError } from '../../src/client/index.ts';
import type { Handler, RunContext } from '../../src/client/index.ts';
import { aborted, servedPairForAll, updatesOf } from '../support/served-pair.ts';
import { waitFor } from '../support/wait-for.ts';

const pair = servedPairForAll();

describe('a function is an agent', () => {
  test('its text is the answer', async () => {
    const { address } = await pair.serve((task) => `you said ${task}`);
    expect(address).toMatch(/^@agent\d+@desktop#main$/);
    const result = await pair.here.invoke(address, 'hällo').result();
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
      const { address } = await pair.serve(handler as Handler);
      expect((await pair.here.invoke(address).result()).text).toBe(text);
    }
  });

  test('what it yields streams; what it says besides the answer is told apart', async () => {
    const gate = Promise.withResolvers<void>();
    const { address } = await pair.serve(async function* (_task, context) {
      yield 'first ';
      await context.stderr('hm');
      await context.progress({ kind: 'tool', call: '1', title: 'ls', tool: 'shell', state: 'done' });
      await gate.promise;
      yield 'last';
    });
    const kinds: string[] = [];
    for await (const update of pair.here.invoke(address)) {
      kinds.push(update.type === 'output' ? `${update.stream} ${update.text}` : update.type);
      if (update.type === 'tool') gate.resolve();
    }
    expect(kinds).toEqual(['accepted', 'received', 'started', 'stdout first ', 'stderr hm', 'tool', 'stdout last', 'finished']);
  });

  test('an answer of megabytes arrives whole, and no piece of it ends inside a character', async () => {
    const text = 'grüße → 🙂 '.repeat(150_000);
    const bytes = new TextEncoder().encode(text);
    const { address } = await pair.serve(async function* () {
      for (let at = 0; at < bytes.length; at += 100_001) yield bytes.subarray(at, at + 100_001);
    });
    const call = pair.here.invoke(address);
    const pieces = (await updatesOf(call)).flatMap((update) => (update.type === 'output' ? update.text : []));
    expect(pieces.join('') === text).toBe(true);
    const result = await call.result();
    expect([result.text === text, result.truncated]).toEqual([true, false]);
    const atOnce = await pair.serve(() => text.repeat(3));
    expect((await pair.here.invoke(atOnce.address).result()).text === text.repeat(3)).toBe(true);
  });

  test('it gets the files, the task byte by byte, and its session', async () => {
    const { address } = await pair.serve((_task, context) => JSON.stringify([context.files.map(({ name, bytes }) => [name, bytes.length]), [...context.bytes], context.session?.id, context.run]));
    const { text, flightId } = await pair.here.invoke(address, new Uint8Array([0, 255]), { files: { 'a.txt': 'ab', 'b.bin': new Uint8Array(3) } }).result();
    expect(JSON.parse(text)).toEqual([[['a.txt', 2], ['b.bin', 3]], [0, 255], flightId.replace('flt', 'ses'), 1]);
  });

  test('a session goes on, with the name that the agent gave it', async () => {
    const { address } = await pair.serve((task, { session, nameSession }) => {
      nameSession(`thread-${task}`);
      return `${session?.id} ${session?.agentSession ?? 'new'}`;
    });
    const first = (await pair.here.invoke(address, '1').result()).text;
    const second = (await pair.here.invoke(address, '2', { session: 'continue' }).result()).text;
    const third = (await pair.here.invoke(address, '3', { session: { id: 'thread-2' } }).result()).text;
    const id = first.split(' ')[0];
    expect([first, second, third]).toEqual([`${id} new`, `${id} thread-1`, `${id} thread-2`]);
  });

  test('what it throws fails the flight with its words, and is told to who serves', async () => {
    const told: unknown[] = [];
    const { address } = await pair.serve(() => Promise.reject(new Error('no such branch')), { onError: (error, { flightId }) => told.push([(error as Error).message, flightId]) });
    const { state, error, exitCode, flightId } = await pair.here.invoke(address).result();
    expect({ state, message: error?.message, exitCode }).toEqual({ state: 'failed', message: 'no such branch', exitCode: 1 });
    expect(told).toEqual([['no such branch', flightId]]);
    const shown = await pair.nodes.laptop.cli('invoke', address, 'x');
    expect([shown.code, shown.stderr]).toEqual([1, expect.stringContaining('the agent failed: no such branch')]);
  });

  test('what no node would take fails that run alone, with what is wrong with it; a prompt that is too long is cut', async () => {
    const says: Record<string, (context: RunContext) => unknown> = {
      fraction: ({ ask }) => ask({ prompt: '?', timeoutMs: 0.5 }),
      nameless: ({ nameSession }) => nameSession(''),
      steps: ({ progress }) => progress({ kind: 'plan', steps: [{ text: 'a', state: 'odd' as 'done' }] }),
      words: () => Promise.reject(new BrokerError('conflict', 'w'.repeat(1_000_000))),
      long: ({ ask }) => ask({ prompt: 'p'.repeat(1_000_000), choices: Array<string>(1000).fill('c'), timeoutMs: 1 }),
    };
    const { address } = await pair.serve(async (task, context) => JSON.stringify((await says[task]?.(context)) ?? 'served'));
    for (const [task, message] of [['fraction', 'timeout_ms'], ['nameless', 'session.name'], ['steps', 'state of a step'], ['words', 'www']] as const) {
      expect(await pair.here.invoke(address, task).result()).toMatchObject({ state: 'failed', error: { message: expect.stringContaining(message) } });
    }
    expect((await pair.here.invoke(address, 'long').result()).text).toBe('{"kind":"timeout"}');
    expect((await pair.here.invoke(address, 'and now').result()).text).toBe('"served"');
  });

  test('it asks, and whoever called answers', async () => {
    const { address } = await pair.serve(async (_task, { ask }) => {
      const approval = await ask({ reason: 'approval', prompt: 'may I?', choices: ['once'] });
      const text = await ask('which one?');
      return `${approval.kind}, ${text.kind === 'text' ? text.text : text.kind}`;
    });
    const call = pair.here.invoke(address);
    for await (const update of call) {
      if (update.type !== 'waiting') continue;
      if (update.reason === 'approval') await call.approve(update.request);
      else await call.reply('the second');
    }
    expect((await call.result()).text).toBe('approved, the second');
  });

  test('what it invokes is a child of its flight', async () => {
    const inner = await pair.serve(() => 'inner');
    const outer = await pair.serve(async (_task, { invoke }) => {
      const child = await invoke(inner.address).result();
      return `${child.flightId} ${child.text}`;
    });
    const { text, invocationId } = await pair.here.invoke(outer.address).result();
    const [child = '', said] = text.split(' ');
    expect(said).toBe('inner');
    expect((await pair.there.getFlight(child)).invocation).toMatchObject({ caller: `agent:${outer.address}`, ancestry: { parentId: invocationId, rootId: invocationId, depth: 1 } });
  });
});

describe('an end from outside', () => {
  test('an abort of the caller cancels the flight and reaches the function', async () => {
    const seen: string[] = [];
    const { address } = await pair.serve(async (_task, { signal }) => {
      await aborted(signal);
      seen.push((signal.reason as Error).message);
    });
    const abort = new AbortController();
    const call = pair.here.invoke(address, '', { signal: abort.signal });
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
    const { address } = await pair.serve(() => gate.promise.then(() => 'done'));
    await expect(pair.here.invoke(address, '', { signal: AbortSignal.abort() }).result()).rejects.toMatchObject({ code: 'cancelled' });
    const abort = new AbortController();
    const call = pair.here.invoke(address, '', { signal: abort.signal, detach: true });
    const { flightId } = await call.accepted;
    abort.abort();
    await expect(call.result()).rejects.toMatchObject({ code: 'cancelled', message: expect.stringContaining('goes on') });
    gate.resolve();
    expect(await pair.here.flight(flightId).result()).toMatchObject({ state: 'completed', text: 'done' });
  });

  test('a loop that is left lets the flight go on, and its end can be had afterwards', async () => {
    const gate = Promise.withResolvers<void>();
    const { address } = await pair.serve(() => gate.promise.then(() => 'done'));
    const call = pair.here.invoke(address);
    for await (const update of call) if (update.type === 'started') break;
    gate.resolve();
    expect(await call.result()).toMatchObject({ state: 'completed', text: 'done' });
    await expect(updatesOf(call)).rejects.toMatchObject({ code: 'invalid' });
  });

  test('a cancel of the parent ends what it invoked', async () => {
    const inner = await pair.serve((_task, { signal }) => aborted(signal));
    const children: RunContext['flightId'][] = [];
    const outer = await pair.serve(async (_task, { invoke }) => {
      const child = invoke(inner.address);
      children.push((await child.accepted).flightId);
      await child.result();
    });
    const call = pair.here.invoke(outer.address);
    await waitFor('the child', () => children.length > 0);
    await call.cancel();
    expect(await call.result()).toMatchObject({ state: 'cancelled' });
    await pair.nodes.desktop.becomes(children[0] as RunContext['flightId'], 'cancelled');
  });

  test('a function that does not listen is not called cancelled', async () => {
    const gate = Promise.withResolvers<void>();
    const { address } = await pair.serve(() => gate.promise);
    const call = pair.here.invoke(address);
    for await (const update of call) if (update.type === 'started') break;
    expect(await call.cancel()).toEqual({ state: 'indeterminate', confirmed: true });
    expect(await call.result()).toMatchObject({ state: 'indeterminate', error: { message: expect.stringContaining('may still be at work') } });
    gate.resolve();
  });
});
