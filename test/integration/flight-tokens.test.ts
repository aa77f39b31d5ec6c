/** What the token of a flight opens at a real node: the calls of its own node, of its own family, for as long as it runs, and nothing else. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Client, credentials, Metadata } from '@grpc/grpc-js';
import type { ClientDuplexStream } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { encodeInvoke } from '../../src/client/requests.ts';
import type { NodeClient } from '../../src/client/types.ts';
import type { FlightId } from '../../src/domain/ids.ts';
import { ControlServiceClient, ControlServiceService } from '../../src/gen/beckon/v1/control.ts';
import { flightTokenHeader } from '../../src/rpc/flight-token.ts';
import { introspectionPaths } from '../../src/rpc/introspection.ts';
import { fromCall } from '../../src/rpc/status.ts';
import { accepted, requestOf } from '../support/asking.ts';
import { waitsFor } from '../support/cluster.ts';
import { LocalPair } from '../support/local-node.ts';
import type { LocalNode } from '../support/local-node.ts';
import { waitFor } from '../support/wait-for.ts';

let pair: LocalPair;
const clients: { close(): void }[] = [];
let count = 0;

beforeAll(async () => {
  pair = await new LocalPair().start();
}, 60_000);
afterAll(async () => {
  for (const each of clients) each.close();
  await pair[Symbol.asyncDispose]();
});

interface Working {
  readonly node: LocalNode;
  readonly address: string;
  readonly flightId: FlightId;
  readonly token: string;
  /** A client that shows the token. */
  readonly client: NodeClient;
  /** Lets it end, and resolves when it has. */
  readonly end: () => Promise<void>;
}

/** An agent that tells its token and works on. @param by who invokes it */
async function working(node: LocalNode, by?: NodeClient): Promise<Working> {
  const name = `worker${(count += 1)}`;
  const gate = join(pair.root, `${name}.gate`);
  const address = await node.addAgent(name, { argv: ['sh', '-c', `printf '%s' "$BECKON_TOKEN"; ${waitsFor(gate)}`] });
  const flightId = by === undefined ? (await node.invoke(address)).flightId : await childOf(by, address);
  const token = await waitFor('its token', async () => (await node.outputOf(flightId)) || undefined);
  const client = await node.connectAs(token);
  clients.push(client);
  const end = async (): Promise<void> => {
    writeFileSync(gate, '');
    await node.becomes(flightId, 'completed');
  };
  return { node, address, flightId, token, client, end };
}

async function childOf(client: NodeClient, address: string): Promise<FlightId> {
  return (await accepted(client, requestOf(address))).flightId;
}

/** A stream that is open goes on until then. */
const answersWithinMs = 2_000;

const introspection = introspectionPaths.map((path) => ({ path, requestStream: path.endsWith('ServerReflectionInfo') }));
const everyCall: readonly { readonly path: string; readonly requestStream: boolean }[] = [...Object.values(ControlServiceService), ...introspection];

/** The code that each call of the node's socket ends with, when it is opened with that token and empty. */
async function answersTo(node: LocalNode, token: string, calls = everyCall): Promise<Record<string, string>> {
  const client = new Client(`unix:${node.socketPath}`, credentials.createInsecure());
  clients.push(client);
  const metadata = new Metadata();
  metadata.set(flightTokenHeader, token);
  const same = (bytes: Buffer): Buffer => bytes;
  const ended = calls.map(async ({ path }): Promise<[string, string]> => {
    // On the wire a call with one message is a stream of one.
    const call = client.makeBidiStreamRequest(path, same, same, metadata, { deadline: Date.now() + answersWithinMs });
    const over = new Promise<string>((resolve) => {
      call.on('error', (error) => resolve(fromCall(error).code));
      call.on('data', () => resolve('answered'));
      call.on('end', () => resolve('answered'));
    });
    call.write(Buffer.alloc(0));
    call.end();
    return [path, await over];
  });
  return Object.fromEntries(await Promise.all(ended));
}

describe('opens nothing at all, health and reflection included,', () => {
  test('once its flight has ended', async () => {
    const { node, token, end } = await working(pair.laptop);
    await end();
    await expectNothing(node, token);
  });

  test('at another node, of the same person too', async () => {
    const { token, end } = await working(pair.desktop);
    await expectNothing(pair.laptop, token);
    await end();
  });

  test('when it is guessed, or made from another one', async () => {
    const [one, other] = [await working(pair.laptop), await working(pair.laptop)];
    const [id = '', mac = ''] = one.token.split('.');
    const flipped = `${mac.startsWith('A') ? 'B' : 'A'}${mac.slice(1)}`;
    const guesses = [`${id}.${flipped}`, `${other.flightId}.${mac}`, id, `${id}.`, `${id}.${mac}=`, `${id}.${mac}.${mac}`, `${one.flightId.toLowerCase()}.${mac}`, '', 'last', '0'];
    const status = [ControlServiceService.getStatus];
    const codes = await Promise.all(guesses.map(async (guess) => [guess, ...Object.values(await answersTo(pair.laptop, guess, status))]));
    expect(codes).toEqual(guesses.map((guess) => [guess, 'unauthenticated']));
    await expectNothing(pair.laptop, `${id}.${flipped}`);
    // As a header these would not arrive at all, and a call without one is the user's.
    for (const damaged of [` ${one.token}`, `${one.token} `, `${one.token}\n`, `${one.token}\u0000`, `${one.token}é`, ' ']) {
      await expect(pair.laptop.connectAs(damaged)).rejects.toMatchObject({ code: 'unauthenticated' });
    }
    await Promise.all([one.end(), other.end()]);
  });
});

async function expectNothing(node: LocalNode, token: string): Promise<void> {
  const answers = Object.entries(await answersTo(node, token));
  expect(answers).toHaveLength(everyCall.length);
  expect(answers.filter(([, code]) => code !== 'unauthenticated')).toEqual([]);
}

test('while its flight runs it opens the calls that are named, and of every other it is denied', async () => {
  const { node, token, end } = await working(pair.laptop);
  const closed = Object.entries(await answersTo(node, token)).filter(([, code]) => code === 'denied').map(([path]) => path.replace(/^.*\//, ''));
  // Not of this kind: what is open and needs an argument says so; of a stream that is empty nothing is said.
  for (const name of ['Shutdown', 'AddAgent', 'ShareAgent', 'ReplyToFlight', 'ListWaiting', 'CreateInvite', 'Admit', 'RemoveMember', 'LeaveMesh', 'Export', 'Tail', 'Report', 'ShowConfig', 'Backup', 'Serve', 'RedriveDelivery']) expect(closed).toContain(name);
  for (const name of ['GetStatus', 'Invoke', 'GetFlight', 'ListFlights']) expect(closed).not.toContain(name);
  await end();
});

test('of two flights each sees its own and what came of it: a child neither its parent nor its parent’s other children', async () => {
  const [parent, stranger] = [await working(pair.laptop), await working(pair.laptop)];
  const [child, sibling] = [await working(pair.laptop, parent.client), await working(pair.laptop, parent.client)];
  const seen = async ({ client }: Working): Promise<FlightId[]> => (await client.listFlights({}, { limit: 100 })).items.map((each) => each.id).toSorted();
  const ids = (...all: readonly Working[]): FlightId[] => all.map((each) => each.flightId).toSorted();
  expect(await seen(parent)).toEqual(ids(parent, child, sibling));
  expect(await seen(child)).toEqual(ids(child));
  expect(await seen(stranger)).toEqual(ids(stranger));
  for (const [of, other] of [[child, parent], [child, sibling], [child, stranger], [stranger, parent], [stranger, child], [parent, stranger]] as const) {
    const asked = [() => of.client.getFlight(other.flightId), () => of.client.cancelFlight(other.flightId, 0), () => of.client.trace(other.flightId), async () => { for await (const _ of of.client.output(other.flightId, 'stdout')) return; }];
    for (const ask of asked) await expect(ask()).rejects.toMatchObject({ code: 'denied' });
  }
  // The child's end is not its parent's, and the parent's token outlives the child.
  await child.end();
  await expect(child.client.status()).rejects.toMatchObject({ code: 'unauthenticated' });
  expect((await parent.client.getFlight(child.flightId)).flight.state).toBe('completed');
  await Promise.all([parent, sibling, stranger].map((each) => each.end()));
});

test('a call that was opened in time takes nothing more once its flight has ended', async () => {
  const { node, token, end } = await working(pair.laptop);
  const address = await node.addAgent('quick', { argv: ['true'] });
  const client = new ControlServiceClient(`unix:${node.socketPath}`, credentials.createInsecure());
  clients.push(client);
  const metadata = new Metadata();
  metadata.set(flightTokenHeader, token);
  const invoke = encodeInvoke(requestOf(address, '', { detach: true }));
  const [submit, calls] = [client.submit(metadata), client.calls(metadata)];
  const answers = [firstOf(submit), firstOf(calls)];
  submit.write({ submissions: [{ number: 1, invoke }] });
  calls.write({ begin: [{ number: 1, what: { $case: 'invoke', value: invoke } }], read: [], leave: [] });
  for (const answer of await Promise.all(answers)) expect(answer).toMatch(/accepted/);
  await end();
  const before = (await node.client.listFlights({}, { limit: 100 })).items.length;
  const later = [firstOf(submit), firstOf(calls)];
  submit.write({ submissions: [{ number: 2, invoke }] });
  calls.write({ begin: [{ number: 2, what: { $case: 'invoke', value: invoke } }], read: [], leave: [] });
  for (const answer of await Promise.all(later)) expect(answer).toMatch(/is of a flight that does not run/);
  expect((await node.client.listFlights({}, { limit: 100 })).items).toHaveLength(before);
  for (const call of [submit, calls]) call.cancel();
});

/** What it says next, or how it ends, as text. */
function firstOf(call: ClientDuplexStream<any, any>): Promise<string> {
  return new Promise((resolve) => {
    call.once('data', (message: unknown) => resolve(JSON.stringify(message)));
    call.once('error', (error) => resolve(error.message));
    call.once('end', () => resolve('it ended'));
  });
}
