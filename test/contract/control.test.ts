import { afterEach, beforeEach, expect, test } from 'vitest';
import { connect } from '../../src/client/connect.ts';
import type { InvokeRequest, NodeClient } from '../../src/client/types.ts';
import { BrokerError } from '../../src/domain/errors.ts';
import { flightIdOf, ulidOf } from '../../src/domain/ids.ts';
import { FakeNode } from '../support/fake-node.ts';
import { waitFor } from '../support/wait-for.ts';

let node: FakeNode;
let client: NodeClient;
beforeEach(async () => {
  node = await new FakeNode().start();
  client = await connect({ socketPath: node.socketPath });
});
afterEach(async () => {
  client.close();
  await node.stop();
});

const request = (script: string, more: Partial<InvokeRequest> = {}): InvokeRequest => ({
  selector: { address: 'fabric', any: false, all: false, anyOwner: false, capabilities: [], labels: {}, cwd: '/src' },
  task: { text: new TextEncoder().encode(script), files: [] },
  session: { mode: 'new' },
  noHold: false,
  rerunnable: false,
  ...more,
});

const page = { limit: 100 };
const spec = {
  name: 'fabric', workspace: 'main', harness: 'command', cwd: '/src', permissions: 'edit', isolate: true, isDefault: true, env: ['A=b'], labels: { k: 'v' },
  capabilities: ['c'], visibility: 'node', argv: ['sh', '-c', ''], path: '/bin', description: 'd',
} as const;

async function all<Item>(items: AsyncIterable<Item>): Promise<Item[]> {
  const found: Item[] = [];
  for await (const item of items) found.push(item);
  return found;
}

test('what a client reads is what the node said, field by field', async () => {
  const { broker } = node;
  await all(client.invoke(request('exit 7')));
  await all(client.invoke(request('error denied', { detach: true })));
  await client.addAgent(spec);
  expect(broker.specs[0]).toEqual(spec);
  expect(await client.status()).toEqual(await broker.status());
  expect(await client.getAgent('fabric')).toEqual(await broker.getAgent('fabric'));
  expect(await client.listAgents({}, page)).toEqual(await broker.listAgents({}, page));
  expect(await client.resolve(request('').selector)).toEqual(await broker.resolve(request('').selector));
  expect(await client.listFlights({}, page)).toEqual(await broker.listFlights({}, page));
  expect(await client.getFlight('last')).toEqual(await broker.getFlight('last'));
  expect(await client.listDeliveries({}, page)).toEqual(await broker.listDeliveries({}, page));
  expect(await client.getDelivery('last')).toMatchObject({ delivery: (await broker.getDelivery('last')).delivery, attempts: [{ number: 1, outcome: 'received' }] });
  expect(await client.trace('last')).toEqual(await broker.trace('last'));
  expect(await client.peers()).toEqual(await broker.peers());
  expect(await client.members()).toEqual(await broker.members());
  expect(await client.ping('desktop')).toEqual(await broker.ping('desktop'));
  expect(await client.createInvite({ ttlMs: 5 })).toEqual(await broker.createInvite({ ttlMs: 5 }));
});

test('a call is made in the name of the user of the socket', async () => {
  await all(client.invoke(request('echo')));
  expect(node.broker.invoked[0]?.caller).toEqual({ id: `uid:${process.getuid?.() ?? 0}` });
});

test('a stream gives every update in order, the same again on follow, and the rest after a seq', async () => {
  const updates = await all(client.invoke(request('bytes 61 62 63')));
  expect(updates.map(({ type }) => type)).toEqual(['accepted', 'received', 'event', 'event', 'event', 'event', 'event', 'finished']);
  expect(await all(client.follow('last'))).toEqual(updates);
  const rest = await all(client.follow('last', { afterSeq: 3 }));
  expect(rest.flatMap((update) => (update.type === 'event' ? [update.event.seq] : []))).toEqual([4, 5]);
});

test('an error keeps its code, hint, candidates and detail on the way', async () => {
  const failure = new BrokerError('ambiguous', 'several', { hint: 'say which', candidates: [{ address: '@a@b#c', lastSeenMs: 5 }], detail: { column: '3' }, cause: new Error('secret') });
  node.broker.failure = failure;
  const thrown = await client.status().catch((error: unknown) => error);
  expect(thrown).toBeInstanceOf(BrokerError);
  expect((thrown as BrokerError).toInfo()).toEqual(failure.toInfo());
  expect((thrown as BrokerError).cause).toBeUndefined();
});

test('an error that is no BrokerError tells nothing of itself', async () => {
  node.broker.failure = new TypeError('secret path /etc') as BrokerError;
  await expect(client.status()).rejects.toMatchObject({ code: 'internal', message: expect.not.stringContaining('secret') });
});

test('leaving a stream ends its reading at the node, and never the flight', async () => {
  const leave = new AbortController();
  for await (const update of client.invoke(request('hang'), { signal: leave.signal })) if (update.type === 'event') leave.abort();
  await waitFor('the node to stop reading', () => node.broker.following === 0);
  expect((await client.getFlight('last')).flight.state).toBe('running');
  expect(node.broker.cancelled).toEqual([]);
});

test('a reader that does not read stops the node from reading ahead', async () => {
  const stream = client.invoke(request('big 50000000'))[Symbol.asyncIterator]();
  await stream.next();
  await waitFor('the pipe to fill', () => node.broker.pulled > 10);
  const before = await settled(() => node.broker.pulled);
  expect(before).toBeLessThan(500);
  let bytes = 0;
  for (let next = await stream.next(); next.done !== true; next = await stream.next()) {
    if (next.value.type === 'event' && next.value.event.body.kind === 'output') bytes += next.value.event.body.bytes.length;
  }
  expect(bytes).toBe(50_000_000);
});

/** The value once ten looks in a row have seen the same. */
async function settled(look: () => number): Promise<number> {
  let last = look();
  let same = 0;
  await waitFor('it to settle', () => {
    const now = look();
    same = now === last ? same + 1 : 0;
    last = now;
    return same >= 10;
  });
  return last;
}

test.each([
  ['a flight', () => client.getFlight(flightIdOf(ulidOf(flightIdOf('01J9Z6M3T4V8Q2X7K5B1C0D9EF')))), 'not_found'],
  ['a bad id', () => client.getFlight('x'), 'invalid'],
  ['too long a page', () => client.listFlights({}, { limit: 1001 }), 'invalid'],
  ['a session without a name', () => all(client.invoke(request('', { session: { mode: 'named', name: '' } }))), 'invalid'],
  ['a task that is too large', () => all(client.invoke(request('a'.repeat(16 * 1024 * 1024 + 1)))), 'invalid'],
  ['a request larger than a message', () => all(client.invoke(request('a'.repeat(21 * 1024 * 1024)))), 'invalid'],
])('%s is refused with a clear code', async (_what, ask, code) => {
  await expect(ask()).rejects.toMatchObject({ name: 'BrokerError', code });
});

test('a node that is gone is unavailable', async () => {
  await client.status();
  await node.server.stop();
  await expect(client.status()).rejects.toMatchObject({ code: 'unavailable' });
  await expect(connect({ socketPath: node.socketPath })).rejects.toMatchObject({ code: 'unavailable', message: 'no node is running here' });
});

test('a node that does not answer in time is unavailable', async () => {
  const impatient = await connect({ socketPath: node.socketPath, now: () => 0 });
  await expect(impatient.status()).rejects.toMatchObject({ code: 'unavailable', message: 'the node here does not answer' });
  impatient.close();
});
