/** A call of the SDK on a real socket that breaks at the worst moments. */
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { connect } from '../../src/client/index.ts';
import type { Beckon, Call } from '../../src/client/index.ts';
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

async function typesOf(call: Call): Promise<string[]> {
  const types: string[] = [];
  for await (const update of call) types.push(update.type);
  return types;
}

/** The node takes the invocation, and the connection is gone before it can say so. */
function cutAtAcceptance(): void {
  const { broker } = node;
  const invoke = broker.invoke.bind(broker);
  broker.invoke = async (input) => {
    broker.invoke = invoke;
    const taken = await invoke(input);
    relay.cut();
    return taken;
  };
}

describe('a connection that is lost before the invocation is known to be accepted', () => {
  test('is an error that says so, since asking again could be a second one', async () => {
    cutAtAcceptance();
    await expect(beckon.invoke('fabric', 'echo hi').result()).rejects.toMatchObject({ code: 'unavailable', message: expect.stringContaining('before it said'), hint: expect.stringContaining('key') });
    expect(node.broker.invoked).toHaveLength(1);
  });

  test('is mended with a key: asked again, and accepted once', async () => {
    cutAtAcceptance();
    const call = beckon.invoke('fabric', 'echo hi', { key: 'once' });
    expect(await call.result()).toMatchObject({ state: 'completed', text: 'hi\n' });
    expect(await call.accepted).toMatchObject({ deduplicated: true });
    expect(node.broker.invoked).toHaveLength(1);
  });
});

describe('a connection that is lost later', () => {
  test('is mended: each update comes once', async () => {
    const call = beckon.invoke('fabric', 'ask approval may I?');
    const types: string[] = [];
    for await (const update of call) {
      types.push(update.type);
      if (update.type !== 'waiting') continue;
      relay.cut();
      await waitFor('the node to see it', () => node.broker.following === 0);
      await call.approve();
    }
    expect(new Set(types).size).toBe(types.length);
    expect(types).toEqual(expect.arrayContaining(['accepted', 'waiting', 'resumed', 'finished']));
  });

  test('is mended while the whole answer is fetched, too', async () => {
    const { broker } = node;
    const output = broker.output.bind(broker);
    broker.output = async function* () {
      broker.output = output;
      yield new TextEncoder().encode('half of it');
      relay.cut();
    };
    const { text } = await beckon.invoke('fabric', 'big 100000').result();
    expect(text).toHaveLength(100_000);
  });
});

test('what the node refuses is told as it is, to whoever waits for it', async () => {
  const { BrokerError } = await import('../../src/client/index.ts');
  const refuse = (): void => void (node.broker.failure = new BrokerError('not_found', 'no such agent', { hint: 'list them' }));
  const refused = { code: 'not_found', message: 'no such agent', hint: 'list them' };
  for (const ask of [(call: Call) => call.accepted, (call: Call) => call.result(), typesOf, (call: Call) => call.cancel()]) {
    refuse();
    await expect(ask(beckon.invoke('nobody'))).rejects.toMatchObject(refused);
  }
});

test('a cancel that its owner does not confirm ends the reading with that, and stands', async () => {
  node.broker.answersCancel = false;
  const abort = new AbortController();
  const call = beckon.invoke('fabric', 'hang', { signal: abort.signal });
  const { flightId } = await call.accepted;
  abort.abort();
  await expect(call.result()).rejects.toMatchObject({ code: 'cancelled', message: expect.stringContaining('not confirmed') });
  expect(node.broker.cancelled).toEqual([flightId]);
});

test('an abort while the node is away reaches it when it is back', async () => {
  const abort = new AbortController();
  const call = beckon.invoke('fabric', 'hang', { signal: abort.signal });
  await call.accepted;
  await node.server.stop();
  abort.abort();
  const result = call.result();
  await node.server.start();
  expect(await result).toMatchObject({ state: 'cancelled' });
});

test('all that it is told reaches the node', async () => {
  const options = { files: { 'a.txt': 'x' }, session: { id: 'ses' }, holdMs: 5000, noHold: true, runLimitMs: 6000, idleLimitMs: 7000, rerunnable: true, any: true, anyOwner: true, harness: 'attached', capabilities: ['c'], labels: { k: 'v' }, key: 'k', notify: true };
  await beckon.invoke('fabric', new Uint8Array([1]), options).accepted;
  expect(node.broker.invoked[0]).toMatchObject({
    selector: { address: 'fabric', any: true, all: false, anyOwner: true, harness: 'attached', capabilities: ['c'], labels: { k: 'v' }, cwd: process.cwd() },
    task: { text: new Uint8Array([1]), files: [{ name: 'a.txt', bytes: new TextEncoder().encode('x') }] },
    session: { mode: 'named', name: 'ses' }, holdMs: 5000, noHold: true, runLimitMs: 6000, idleLimitMs: 7000, rerunnable: true, key: 'k', notify: true,
  });
});
