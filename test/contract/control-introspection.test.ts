/** Health and server reflection on the control socket, asked by a client that knows nothing else of it. */
import { credentials, status } from '@grpc/grpc-js';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { flightIdOf, invocationIdOf } from '../../src/domain/ids.ts';
import { FakeNode } from '../support/fake-node.ts';
import { GenericClient } from '../support/generic-client.ts';
import type { Answer, GenericOptions } from '../support/generic-client.ts';
import { waitFor } from '../support/wait-for.ts';

let node: FakeNode;
beforeEach(async () => {
  node = await new FakeNode().start();
});
afterEach(() => node.stop());

const connect = (options?: GenericOptions): GenericClient => new GenericClient(`unix:${node.socketPath}`, credentials.createInsecure(), options);
const health = 'grpc.health.v1.Health';

describe('reflection', () => {
  test.each(['v1', 'v1alpha'] as const)('%s lists what is served, and what it tells is enough to call all of it', async (version) => {
    using client = connect({ version });
    expect(await client.services()).toEqual(['beckon.v1.ControlService', 'grpc.health.v1.Health', 'grpc.reflection.v1.ServerReflection', 'grpc.reflection.v1alpha.ServerReflection']);
    expect(await client.unary('beckon.v1.ControlService/GetStatus')).toMatchObject({ name: 'laptop' });
    const asked = { selector: { address: 'fabric', cwd: '/' }, task: { text: Buffer.from('say hello').toString('base64') }, session: { mode: 'SESSION_MODE_NEW' } };
    const said: unknown[] = [];
    for await (const update of await client.serverStream('beckon.v1.ControlService/Invoke', asked)) said.push(update);
    expect(said).toEqual(expect.arrayContaining([expect.objectContaining({ update: expect.objectContaining({ accepted: expect.anything() }) })]));
  });

  test('answers for files, symbols and extensions, and says what is not there', async () => {
    using client = connect();
    const fileNames = (answer: Answer | undefined): string => (answer?.$case === 'fileDescriptorResponse' ? answer.value.fileDescriptorProto.map((each) => each.subarray(2, 2 + (each[1] ?? 0)).toString()).join(' ') : String(answer?.$case));
    const answers = await client.ask(
      { $case: 'fileByFilename', value: 'grpc/health/v1/health.proto' },
      { $case: 'fileContainingSymbol', value: 'grpc.health.v1.HealthCheckResponse.SERVING' },
      { $case: 'fileContainingSymbol', value: 'beckon.v1.ControlService.GetStatus' },
      { $case: 'fileContainingSymbol', value: 'beckon.v1.ControlService' },
      { $case: 'allExtensionNumbersOfType', value: 'beckon.v1.Flight' },
      { $case: 'allExtensionNumbersOfType', value: 'beckon.v1.Nothing' },
      { $case: 'fileContainingSymbol', value: 'beckon.v1.Nothing' },
      { $case: 'fileByFilename', value: '../../etc/passwd' },
      { $case: 'fileContainingExtension', value: { containingType: 'beckon.v1.Flight', extensionNumber: 1 } },
    );
    expect(answers.slice(0, 2).map(fileNames)).toEqual(['grpc/health/v1/health.proto', 'grpc/health/v1/health.proto']);
    // What it imports comes with the first, and is not told twice.
    expect(fileNames(answers[2])).toMatch(/^beckon\/v1\/control\.proto .*beckon\/v1\/record\.proto/);
    expect(fileNames(answers[3])).toBe('beckon/v1/control.proto');
    expect(answers[4]).toEqual({ $case: 'allExtensionNumbersResponse', value: { baseTypeName: 'beckon.v1.Flight', extensionNumber: [] } });
    for (const answer of answers.slice(5)) expect(answer).toMatchObject({ $case: 'errorResponse', value: { errorCode: status.NOT_FOUND } });
  });

  test('tells nothing of what is not served here', async () => {
    using client = connect();
    const [answer] = await client.ask({ $case: 'fileContainingSymbol', value: 'beckon.v1.MeshService' });
    expect(answer).toMatchObject({ $case: 'errorResponse' });
  });
});

describe('health', () => {
  test('of the node and of each service is what it is', async () => {
    using client = connect();
    expect(await client.unary(`${health}/Check`)).toEqual({ status: 'SERVING' });
    node.health.set({ network: 'in no mesh' });
    expect(await client.unary(`${health}/List`)).toEqual({ statuses: { '': { status: 'SERVING' }, 'beckon.v1.ControlService': { status: 'SERVING' }, 'beckon.v1.MeshService': { status: 'NOT_SERVING' } } });
    node.health.set({ work: 'the store takes nothing', network: 'the store takes nothing' });
    for (const service of ['', 'beckon.v1.ControlService', 'beckon.v1.MeshService']) expect(await client.unary(`${health}/Check`, { service })).toEqual({ status: 'NOT_SERVING' });
    for (const service of ['nothing', 'toString']) await expect(client.unary(`${health}/Check`, { service })).rejects.toMatchObject({ code: status.NOT_FOUND });
  });

  test('is watched as it changes, until the watcher leaves or the node stops', async () => {
    using client = connect();
    const seen: unknown[] = [];
    const ended = Promise.withResolvers<void>();
    const watching = (await client.serverStream(`${health}/Watch`, { service: 'beckon.v1.MeshService' })).on('data', (each) => seen.push(each)).on('end', ended.resolve).on('error', ended.reject);
    const leaving = (await client.serverStream(`${health}/Watch`)).on('data', () => undefined).on('error', () => undefined);
    await waitFor('both to watch', () => node.health.watching === 2 && seen.length === 1);
    leaving.cancel();
    await waitFor('one to be gone', () => node.health.watching === 1);
    node.health.set({ network: 'it goes down' });
    await waitFor('the change to be told', () => seen.length === 2);
    expect([seen, watching.destroyed]).toEqual([[{ status: 'SERVING' }, { status: 'NOT_SERVING' }], false]);
    await node.server.stop();
    await ended.promise;
    expect(node.health.watching).toBe(0);
  });

  test('of an unknown service is watched too, as what it is', async () => {
    using client = connect();
    const watching = await client.serverStream(`${health}/Watch`, { service: 'nothing' });
    for await (const each of watching) {
      expect(each).toEqual({ status: 'SERVICE_UNKNOWN' });
      break;
    }
  });
});

describe('a process of a flight', () => {
  const token = 'good';
  const headers = { 'beckon-flight-token': token };
  beforeEach(() => {
    const id = '01J9Z6M3T4V8Q2X7K5B1C0D9EF';
    const invocationId = invocationIdOf(id);
    node.broker.callers.set(token, { id: 'agent:@fabric@laptop#main', flight: { flightId: flightIdOf(id), invocationId, target: '@fabric@laptop#main', ancestry: { rootId: invocationId, depth: 0, path: [] } } });
  });

  test('may ask for both, and what is told there opens nothing that is closed to it', async () => {
    using client = connect({ headers });
    expect(await client.services()).toContain('beckon.v1.ControlService');
    expect(await client.unary(`${health}/Check`)).toEqual({ status: 'SERVING' });
    expect(await client.unary('beckon.v1.ControlService/GetStatus')).toMatchObject({ name: 'laptop' });
    await expect(client.unary('beckon.v1.ControlService/Shutdown')).rejects.toMatchObject({ code: status.PERMISSION_DENIED });
  });

  test('is nobody with a token that is not known', async () => {
    using client = connect({ headers: { 'beckon-flight-token': 'bad' } });
    await expect(client.services()).rejects.toMatchObject({ code: status.UNAUTHENTICATED });
  });
});
