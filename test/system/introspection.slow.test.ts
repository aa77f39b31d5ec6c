/** Health and reflection of real nodes: on the control socket for their user, on the network port for members alone. */
import { credentials, status } from '@grpc/grpc-js';
import { renameSync } from 'node:fs';
import { join } from 'node:path';
import { connect as connectTls } from 'node:tls';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { MeshIdentity } from '../../src/domain/trust.ts';
import { clientTls } from '../../src/trust/client-tls.ts';
import { meshIdentityOf } from '../../src/trust/mesh-authority.ts';
import { loadOrCreateNodeKey } from '../../src/trust/node-key.ts';
import { testMesh } from '../contract/trust/mesh-fixture.ts';
import { Cluster } from '../support/cluster.ts';
import { rows } from '../support/database.ts';
import { GenericClient } from '../support/generic-client.ts';
import type { TestNode } from '../support/node-process.ts';
import { waitFor } from '../support/wait-for.ts';

let cluster: Cluster;
let laptop: TestNode;
let desktop: TestNode;
let server: TestNode;
beforeAll(async () => {
  ({ cluster, laptop, desktop, server } = await Cluster.meshed('laptop', 'desktop', 'server'));
});
afterAll(() => cluster?.[Symbol.asyncDispose]());

const health = 'grpc.health.v1.Health';
const reflections = ['grpc.reflection.v1.ServerReflection', 'grpc.reflection.v1alpha.ServerReflection'];

const local = (node: TestNode): GenericClient => new GenericClient(`unix:${node.socketPath}`, credentials.createInsecure());

/** What a node shows to prove itself, from its own files. */
async function identityOf(node: TestNode): Promise<MeshIdentity> {
  const [mesh] = rows(node.databasePath, 'SELECT root, leaf, issuer FROM mesh') as { root: Uint8Array; leaf: Uint8Array; issuer: Uint8Array }[];
  if (mesh === undefined) throw new Error(`${node.name} is in no mesh`);
  return meshIdentityOf(await loadOrCreateNodeKey(join(node.home, 'trust', 'node.key')), { name: 'home', root: mesh.root, chain: mesh });
}

/** Whoever shows this at the laptop's port; it does not mind who answers. */
function visitor(identity?: MeshIdentity): GenericClient {
  const lenient = { checkServerIdentity: () => undefined, rejectUnauthorized: false };
  const proof = identity === undefined ? credentials.createSsl(null, null, null, lenient) : credentials.createFromSecureContext(clientTls(identity).secureContext, lenient);
  return new GenericClient(laptop.place.listen, proof);
}

/** All that a generic client can ask: what it got, which should be nothing. */
async function gets(client: GenericClient): Promise<readonly unknown[]> {
  using asking = client;
  const got: unknown[] = [];
  const refused = [status.UNAVAILABLE, status.UNAUTHENTICATED];
  const attempts = [() => asking.services(), () => asking.ask({ $case: 'fileContainingSymbol', value: 'beckon.v1.MeshService' })];
  for (const attempt of attempts) {
    try {
      got.push(await attempt());
    } catch (error) {
      expect(refused).toContain((error as { code: number }).code);
      expect(String(error)).not.toMatch(/beckon\.v1|grpc\.health/);
    }
  }
  return got;
}

test('on the control socket a client that knows only reflection lists what there is, asks, and has an agent work', async () => {
  await laptop.addAgent('echo', ['/bin/cat']);
  using client = local(laptop);
  expect(await client.services()).toEqual(['beckon.v1.ControlService', health, ...reflections]);
  expect(await client.unary('beckon.v1.ControlService/GetStatus')).toMatchObject({ name: 'laptop' });
  const request = { selector: { address: 'echo@laptop', cwd: '/' }, task: { text: Buffer.from('by reflection').toString('base64') }, session: { mode: 'SESSION_MODE_NEW' } };
  let last: unknown;
  for await (const update of await client.serverStream('beckon.v1.ControlService/Invoke', request)) last = update;
  expect(last).toMatchObject({ update: { finished: expect.anything() } });
  expect(JSON.stringify(last)).toContain(Buffer.from('by reflection').toString('base64'));
});

describe('health', () => {
  test('turns bad when the store is taken away, and good when it is back, for those who ask and those who watch', async () => {
    using client = local(desktop);
    const seen: unknown[] = [];
    (await client.serverStream(`${health}/Watch`)).on('data', (each) => seen.push(each)).on('error', () => undefined);
    await waitFor('the first word', () => seen.length === 1);
    renameSync(desktop.databasePath, `${desktop.databasePath}.aside`);
    await waitFor('it to be unwell', () => seen.length === 2, { timeoutMs: 10_000 });
    expect(await client.unary(`${health}/List`)).toEqual({ statuses: Object.fromEntries(['', 'beckon.v1.ControlService', 'beckon.v1.MeshService'].map((name) => [name, { status: 'NOT_SERVING' }])) });
    renameSync(`${desktop.databasePath}.aside`, desktop.databasePath);
    await waitFor('it to be well', () => seen.length === 3, { timeoutMs: 10_000 });
    expect(seen).toEqual([{ status: 'SERVING' }, { status: 'NOT_SERVING' }, { status: 'SERVING' }]);
    expect(await client.unary(`${health}/Check`, { service: 'beckon.v1.MeshService' })).toEqual({ status: 'SERVING' });
  });

  test('is bad while a node drains, and of its network when it is in no mesh', async () => {
    const alone = await cluster.node('alone');
    await alone.up();
    using client = local(alone);
    expect(await client.unary(`${health}/List`)).toEqual({ statuses: { '': { status: 'SERVING' }, 'beckon.v1.ControlService': { status: 'SERVING' }, 'beckon.v1.MeshService': { status: 'NOT_SERVING' } } });
    const gate = cluster.program('wait', `while [ ! -e ${cluster.path('gate')} ]; do sleep 0.05; done`);
    await alone.addAgent('slow', [gate]);
    await alone.beckon(['invoke', 'slow@alone', 'go', '--detach']);
    const seen: unknown[] = [];
    (await client.serverStream(`${health}/Watch`)).on('data', (each) => seen.push(each)).on('error', () => undefined);
    await waitFor('the first word', () => seen.length === 1);
    const down = alone.down();
    await waitFor('it to say that it goes down', () => seen.length === 2);
    expect(seen).toEqual([{ status: 'SERVING' }, { status: 'NOT_SERVING' }]);
    expect(await client.unary(`${health}/Check`)).toEqual({ status: 'NOT_SERVING' });
    cluster.open('gate');
    await down;
  });
});

describe('on the network port', () => {
  test('a member lists, asks and watches, of what is served there', async () => {
    using client = visitor(await identityOf(desktop));
    expect(await client.services()).toEqual(['beckon.v1.MeshService', health, ...reflections]);
    expect(await client.unary(`${health}/Check`)).toEqual({ status: 'SERVING' });
    for await (const each of await client.serverStream(`${health}/Watch`, { service: 'beckon.v1.MeshService' })) {
      expect(each).toEqual({ status: 'SERVING' });
      break;
    }
    await expect(client.unary(`${health}/Check`, { service: 'beckon.v1.ControlService' })).rejects.toMatchObject({ code: status.NOT_FOUND });
    const [control] = await client.ask({ $case: 'fileContainingSymbol', value: 'beckon.v1.ControlService' });
    expect(control).toMatchObject({ $case: 'errorResponse' });
    // Its session is another connection, and stands.
    expect((await desktop.beckon(['ping', 'laptop', '-c', '1'])).code).toBe(0);
  });

  test('a member that watches on many connections is told that it is too much, and keeps its session', async () => {
    const identity = await identityOf(desktop);
    using watchers = new DisposableStack();
    const firstOf = async (): Promise<unknown> => {
      const watching = await watchers.use(visitor(identity)).serverStream(`${health}/Watch`);
      return new Promise((resolve) => void watching.once('data', resolve).once('error', resolve).on('error', () => undefined));
    };
    // Reflection, which the client asks before, is over by then.
    for (let at = 0; at < 4; at += 1) expect(await firstOf()).toEqual({ status: 'SERVING' });
    await expect(firstOf()).rejects.toMatchObject({ code: status.RESOURCE_EXHAUSTED });
    expect((await desktop.beckon(['ping', 'laptop', '-c', '1'])).code).toBe(0);
  });

  test('without a certificate there is nothing, in gRPC or at the entrance for newcomers', async () => {
    expect(await gets(visitor())).toEqual([]);
    const [host = '', port = ''] = laptop.place.listen.split(':');
    const socket = connectTls({ host, port: Number(port), rejectUnauthorized: false, ALPNProtocols: ['http/1.1'] });
    socket.end(`POST /${health}/Check HTTP/1.1\r\nHost: x\r\nContent-Type: application/grpc\r\nContent-Length: 5\r\nConnection: close\r\n\r\n\0\0\0\0\0`);
    expect(await text(socket)).toMatch(/^HTTP\/1\.1 4/);
  });

  test('with a certificate of another mesh there is nothing', async () => {
    await using other = await testMesh();
    expect(await gets(visitor(await other.member('guest')))).toEqual([]);
  });

  test('a member that is removed is cut off while it watches, and gets nothing any more', async () => {
    const identity = await identityOf(server);
    using client = visitor(identity);
    const over = Promise.withResolvers<number>();
    let words = 0;
    (await client.serverStream(`${health}/Watch`)).on('data', () => (words += 1)).on('error', (error) => over.resolve((error as unknown as { code: number }).code));
    await waitFor('it to watch', () => words === 1);
    expect((await laptop.beckon(['mesh', 'remove', 'server', '--yes'])).code).toBe(0);
    expect(await over.promise).toBe(status.UNAVAILABLE);
    // On a connection that it has still, on one that it is let in by to be told, and later.
    for (let attempt = 0; attempt < 3; attempt += 1) expect(await gets(visitor(identity))).toEqual([]);
  });
});
