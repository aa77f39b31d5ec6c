/** How many runs a process takes that serves an agent, and what becomes of them when connections, processes and nodes come and go. */
import { describe, expect, test } from 'vitest';
import { connect } from '../../src/client/index.ts';
import { servedPairForAll, socketOf } from '../support/served-pair.ts';
import { waitFor } from '../support/wait-for.ts';

const pair = servedPairForAll();

describe('how many at once', () => {
  test('as many as the process takes; the rest waits in order', async () => {
    let [now, most] = [0, 0];
    const order: string[] = [];
    const gate = Promise.withResolvers<void>();
    const { address } = await pair.serve(async (task) => {
      order.push(task);
      most = Math.max(most, (now += 1));
      await gate.promise;
      now -= 1;
    }, { concurrency: 2 });
    const calls = [];
    for (let number = 0; number < 12; number += 1) {
      calls.push(pair.here.invoke(address, String(number)));
      await calls.at(-1)?.accepted;
    }
    const states = async (state: 'queued' | 'running'): Promise<number> => (await pair.there.listFlights({ agent: address, state }, { limit: 100 })).items.length;
    await waitFor('all to be there', async () => (await states('queued')) + (await states('running')) === 12);
    expect(await states('running')).toBe(2);
    gate.resolve();
    await Promise.all(calls.map((call) => call.result()));
    expect(most).toBe(2);
    expect(order.map(Number)).toEqual(order.map(Number).toSorted((a, b) => a - b));
  });

  test('more than a node runs of its own, and those do not wait for them', async () => {
    const gate = Promise.withResolvers<void>();
    let now = 0;
    const { address } = await pair.serve(() => {
      now += 1;
      return gate.promise;
    }, { concurrency: 50 });
    const calls = Array.from({ length: 50 }, () => pair.here.invoke(address));
    await waitFor('all to run', () => now === 50, { timeoutMs: 20_000 });
    const echo = await pair.nodes.desktop.addAgent('cat', { argv: ['cat'] });
    await pair.nodes.knows(pair.nodes.laptop, echo);
    expect((await pair.here.invoke(echo, 'side by side').result()).text).toBe('side by side');
    gate.resolve();
    for (const call of calls) expect((await call.result()).state).toBe('completed');
  });

  test('two processes share the work', async () => {
    const gate = Promise.withResolvers<void>();
    const by: string[] = [];
    const first = await pair.serve(() => (by.push('one'), gate.promise), { concurrency: 2 });
    const other = await connect({ socketPath: socketOf(pair.nodes.desktop) });
    const second = await other.serve(first.address, () => (by.push('two'), gate.promise), { concurrency: 2 });
    const calls = Array.from({ length: 4 }, () => pair.here.invoke(first.address));
    await waitFor('all to run', () => by.length === 4);
    expect(by.toSorted()).toEqual(['one', 'one', 'two', 'two']);
    gate.resolve();
    await Promise.all(calls.map((call) => call.result()));
    await second.close();
    other.close();
    expect((await pair.here.invoke(first.address).result()).state).toBe('completed');
  });
});

describe('coming and going', () => {
  test('close takes nothing more, ends what runs, and then the agent is not available', async () => {
    const gate = Promise.withResolvers<void>();
    const server = await pair.serve(() => gate.promise.then(() => 'drained'), { concurrency: 1 });
    const call = pair.here.invoke(server.address);
    for await (const update of call) if (update.type === 'started') break;
    const closing = server.close();
    await pair.available(server.address, false);
    await expect(pair.here.invoke(server.address).result()).rejects.toMatchObject({ code: 'unavailable', message: expect.stringContaining('no process serves it now') });
    gate.resolve();
    await closing;
    expect(await call.result()).toMatchObject({ state: 'completed', text: 'drained' });
  });

  test('what waited when the process left is run by the next one', async () => {
    const gate = Promise.withResolvers<void>();
    const server = await pair.serve(() => gate.promise.then(() => 'one'), { concurrency: 1 });
    const calls = [pair.here.invoke(server.address), pair.here.invoke(server.address)];
    await waitFor('the second to be there', async () => (await pair.there.listFlights({ agent: server.address, state: 'queued' }, { limit: 10 })).items.length === 1);
    gate.resolve();
    await server.close();
    pair.willClose(await pair.there.serve(server.address, () => 'two'));
    expect((await Promise.all(calls.map((call) => call.result()))).map(({ text }) => text).toSorted()).toEqual(['one', 'two']);
  });

  test('an agent that is removed ends its server, after what runs', async () => {
    const gate = Promise.withResolvers<void>();
    const server = await pair.serve(() => gate.promise.then(() => 'last'));
    const call = pair.here.invoke(server.address);
    for await (const update of call) if (update.type === 'started') break;
    await pair.there.removeAgent(server.address);
    gate.resolve();
    await expect(server.closed).rejects.toMatchObject({ code: 'not_found', message: expect.stringContaining('not registered') });
    expect((await call.result()).text).toBe('last');
  });

  test('serving again is the same agent; of another kind, or otherwise registered, is a conflict', async () => {
    const server = await pair.serve(() => 'one', { labels: { tier: 'gold' }, cwd: '/' });
    await server.close();
    const again = await pair.there.serve(server.address.replace('@desktop', ''), () => 'two');
    pair.willClose(again);
    expect(again.address).toBe(server.address);
    await expect(pair.there.serve(server.address, () => '', { labels: { tier: 'tin' } })).rejects.toMatchObject({ code: 'conflict', message: expect.stringContaining('labels') });
    await pair.nodes.desktop.addAgent('program', { argv: ['cat'] });
    await expect(pair.there.serve('program/main', () => '')).rejects.toMatchObject({ code: 'conflict', message: expect.stringContaining('its harness is command') });
    await expect(pair.there.serve('agent@laptop/main', () => '')).rejects.toMatchObject({ code: 'conflict', message: expect.stringContaining('desktop, not laptop') });
    await expect(pair.there.serve('agent/main', () => '', { concurrency: 0 })).rejects.toMatchObject({ code: 'invalid' });
  });

  test('an agent that is added by hand waits for its process', async () => {
    const added = await pair.nodes.desktop.cli('agent', 'add', 'byhand', '--harness', 'attached', '--workspace', 'main', '--json');
    expect([added.code, added.json['agent'] ?? added.json]).toEqual([0, expect.objectContaining({ available: false })]);
    const refused = await pair.nodes.desktop.cli('agent', 'add', 'other', '--harness', 'attached', '--workspace', 'main', '--json', '--', 'cat');
    expect(refused.code).toBe(2);
    pair.willClose(await pair.there.serve('byhand/main', () => 'here'));
    await pair.available('@byhand@desktop#main', true);
    expect((await pair.here.invoke('byhand').result()).text).toBe('here');
  });

  test('a connection that is cut again and again loses nothing and doubles nothing', async () => {
    const lines = 2000;
    const { address } = await pair.serve(async function* () {
      for (let line = 0; line < lines; line += 1) {
        if (line % 250 === 100) pair.relay.cut();
        yield `${line} ${'x'.repeat(line % 97)}\n`;
        if (line % 50 === 0) await new Promise((resolve) => setImmediate(resolve));
      }
    });
    const before = pair.relay.count;
    const { state, text } = await pair.here.invoke(address).result();
    expect(state).toBe('completed');
    expect(text.split('\n').slice(0, -1).map((line) => Number(line.split(' ')[0]))).toEqual(Array.from({ length: lines }, (_each, line) => line));
    expect(pair.relay.count).toBeGreaterThan(before);
  });

  test('a question outlives a cut connection', async () => {
    const { address } = await pair.serve(async (_task, { ask }) => (await ask({ reason: 'approval', prompt: 'may I?' })).kind);
    const call = pair.here.invoke(address);
    for await (const update of call) {
      if (update.type !== 'waiting') continue;
      pair.relay.cut();
      await call.approve();
    }
    expect((await call.result()).text).toBe('approved');
    const { entries } = await pair.here.trace((await call.accepted).flightId);
    expect(entries.filter(({ fact, nodeName }) => fact.what === 'flight.waiting' && nodeName === 'desktop')).toHaveLength(1);
  });

  test('a call goes on over a restart of its own node', async () => {
    const gate = Promise.withResolvers<void>();
    const { address } = await pair.serve(async function* () {
      yield 'before ';
      await gate.promise;
      yield 'after';
    });
    const call = pair.here.invoke(address);
    const texts: string[] = [];
    const kinds: string[] = [];
    for await (const update of call) {
      kinds.push(update.type);
      if (update.type !== 'output') continue;
      texts.push(update.text);
      if (texts.length > 1) continue;
      await pair.nodes.laptop[Symbol.asyncDispose]();
      await pair.nodes.laptop.start();
      await pair.nodes.laptop.sees(pair.nodes.desktop, 'alive');
      gate.resolve();
    }
    expect(texts).toEqual(['before ', 'after']);
    expect(kinds).toEqual(['accepted', 'received', 'started', 'output', 'output', 'finished']);
    expect((await call.result()).text).toBe('before after');
  });
});
