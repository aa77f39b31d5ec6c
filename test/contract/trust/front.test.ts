import { Client, credentials, Server, ServerCredentials } from '@grpc/grpc-js';
import { connect as connectHttp2 } from 'node:http2';
import { connect as connectTcp, createServer } from 'node:net';
import { connect as connectTls, type ConnectionOptions, type TLSSocket } from 'node:tls';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { MeshIdentity, PeerIdentity } from '../../../src/domain/trust.ts';
import { clientTls } from '../../../src/trust/client-tls.ts';
import { Front } from '../../../src/trust/front.ts';
import { dayMs, refusalsOf, testFront, testMesh, type TestFront, type TestMesh } from './mesh-fixture.ts';

let mesh: TestMesh;
let foreign: TestMesh;
beforeAll(async () => {
  [mesh, foreign] = await Promise.all([testMesh(), testMesh()]);
});
afterAll(async () => {
  await mesh[Symbol.asyncDispose]();
  await foreign[Symbol.asyncDispose]();
});

/** A raw TLS client that checks nothing. Resolves when the other side closed. */
function dial({ address }: TestFront, options: ConnectionOptions): { socket: TLSSocket; closed: Promise<void> } {
  const socket = connectTls({ ...address, rejectUnauthorized: false, ...options });
  const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
  socket.on('error', () => undefined);
  socket.resume();
  return { socket, closed };
}

const as = (identity: MeshIdentity): ConnectionOptions => ({
  key: identity.keyPem,
  cert: identity.chainPem,
  ALPNProtocols: ['h2'],
});

describe('members', () => {
  test('a member is handed on with the identity of its certificate', async () => {
    await using front = await testFront(mesh);
    const member = await mesh.member('desktop');
    const { socket } = dial(front, as(member));
    await expect.poll(() => front.members.length).toBe(1);
    expect(front.members[0]?.peer).toMatchObject({
      meshId: mesh.certificates.meshId,
      nodeId: member.nodeId,
      name: 'desktop',
      owner: 'ann@example.com',
    });
    expect(front.refusals).toEqual([]);
    socket.destroy();
  });

  test('a gRPC call of a member carries its certificate, and the client knows which node it reached', async () => {
    const server = new Server();
    let seen: { readonly san: string | undefined; readonly name: unknown; readonly peer: string } | undefined;
    const raw = (bytes: Buffer): Buffer => bytes;
    server.addService(
      {
        echo: {
          path: '/t.Echo/echo',
          requestStream: false,
          responseStream: false,
          requestSerialize: raw,
          requestDeserialize: raw,
          responseSerialize: raw,
          responseDeserialize: raw,
        },
      },
      {
        echo: (call: Parameters<Parameters<Server['register']>[1]>[0], answer: (error: null, value: Buffer) => void) => {
          const certificate = call.getAuthContext().sslPeerCertificate;
          seen = { san: certificate?.subjectaltname, name: certificate?.subject.CN, peer: call.getPeer() };
          answer(null, Buffer.from('pong'));
        },
      },
    );
    const injector = server.createConnectionInjector(ServerCredentials.createInsecure());
    await using front = await testFront(mesh, { onMember: (socket) => injector.injectConnection(socket) });
    const member = await mesh.member('desktop');
    const servers: PeerIdentity[] = [];
    const { secureContext, checkServerIdentity } = clientTls(member, {
      nodeId: mesh.identity.nodeId,
      onServer: (peer) => servers.push(peer),
    });
    const client = new Client(
      `127.0.0.1:${front.address.port}`,
      credentials.createFromSecureContext(secureContext, { checkServerIdentity }),
      // A name that is no address: an address as TLS server name is deprecated, and warned of.
      { 'grpc.ssl_target_name_override': 'beckon' },
    );
    const answer = await new Promise<Buffer | undefined>((resolve, reject) => {
      client.makeUnaryRequest('/t.Echo/echo', raw, raw, Buffer.from('ping'), (error, value) =>
        error === null ? resolve(value) : reject(error),
      );
    });
    expect(answer?.toString()).toBe('pong');
    expect(seen?.san).toBe(`URI:beckon://${mesh.certificates.meshId}/${member.nodeId}`);
    expect(seen?.name).toBe('desktop');
    expect(seen?.peer).toMatch(/^127\.0\.0\.1:\d+$/);
    expect(servers[0]).toMatchObject({ nodeId: mesh.identity.nodeId, name: 'laptop' });
    client.close();
    server.forceShutdown();
  });

  test.each([
    ['a node of another mesh', () => foreign, undefined, 'UNABLE_TO_VERIFY_LEAF_SIGNATURE|SELF_SIGNED|issuer|signature'],
    ['another node than the one meant', () => mesh, 'someone-else', 'another node answers there'],
  ] as const)('the side that dials refuses %s', async (_what, answering, meant, why) => {
    await using front = await testFront(answering());
    const member = await mesh.member('desktop');
    const other = await mesh.member('other');
    const tls = clientTls(member, meant === undefined ? {} : { nodeId: other.nodeId });
    const error = await new Promise<Error>((resolve) => {
      const socket = connectTls({ ...front.address, ...tls, ALPNProtocols: ['h2'] });
      socket.once('error', resolve);
      socket.once('secureConnect', () => resolve(new Error('it was let through')));
    });
    expect(`${error.message} ${'code' in error ? String(error.code) : ''}`).toMatch(new RegExp(why, 'i'));
  });

  test('the side that dials refuses whom its judge refuses', async () => {
    await using front = await testFront(mesh);
    const tls = clientTls(await mesh.member('desktop'), { judge: () => 'removed' });
    const error = await new Promise<Error>((resolve) => {
      connectTls({ ...front.address, ...tls, ALPNProtocols: ['h2'] }).once('error', resolve);
    });
    expect(error.message).toMatch(/laptop .* is refused: removed/);
  });

  test('a rotated identity is used from the next connection on', async () => {
    await using front = await testFront(mesh);
    const key = mesh.founder;
    const renewed = await mesh.issuer.issue({ publicKey: key.publicKey, name: 'renamed', owner: 'ann@example.com' }, Date.now());
    const { meshIdentityOf } = await import('../../../src/trust/mesh-authority.ts');
    front.front.setIdentity(meshIdentityOf(key, { name: 'home', root: mesh.certificates.root, chain: renewed }));
    const servers: string[] = [];
    const tls = clientTls(await mesh.member('desktop'), { onServer: ({ name }) => servers.push(name) });
    const socket = connectTls({ ...front.address, ...tls, ALPNProtocols: ['h2'] });
    await new Promise((resolve, reject) => socket.once('secureConnect', resolve).once('error', reject));
    expect(servers).toEqual(['renamed']);
    socket.destroy();
  });
});

describe('refused, told once with the address, and closed', () => {
  test.each<[string, () => Promise<ConnectionOptions>, RegExp]>([
    ["another mesh's certificate", async () => as(await foreign.member('desktop')), /not (signed by|of) this mesh|another mesh/],
    [
      'an expired certificate',
      async () => as(await mesh.member('desktop', { madeAtMs: Date.now() - 91 * dayMs })),
      /has expired/,
    ],
    [
      'a certificate that is not valid yet',
      async () => as(await mesh.member('desktop', { madeAtMs: Date.now() + 2 * dayMs })),
      /not valid yet/,
    ],
    ["this node's own certificate", () => Promise.resolve(as(mesh.identity)), /own certificate/],
    ['a member that does not speak HTTP/2', async () => ({ ...as(await mesh.member('desktop')), ALPNProtocols: ['http/1.1'] }), /HTTP\/2/],
    ['gRPC without a certificate', () => Promise.resolve({ ALPNProtocols: ['h2'] }), /^no certificate$/],
    ['TLS 1.2', async () => ({ ...as(await mesh.member('desktop')), maxVersion: 'TLSv1.2' }), /TLS older than 1.3/],
  ])('%s', async (_what, options, why) => {
    await using front = await testFront(mesh);
    const { closed } = dial(front, await options());
    await closed;
    expect((await refusalsOf(front))[0]).toMatch(why);
    expect(front.members).toEqual([]);
    expect(front.requests).toEqual([]);
  });

  test("a certificate that says it is of this mesh, signed by another mesh's issuer", async () => {
    await using front = await testFront(mesh);
    const forged = await foreign.member('desktop', { inTheNameOf: mesh });
    await dial(front, as(forged)).closed;
    expect((await refusalsOf(front))[0]).toMatch(/not (signed by|of) this mesh|another mesh/);
    expect(front.members).toEqual([]);
  });

  test("an issuer's certificate, which is no node's", async () => {
    await using front = await testFront(mesh);
    const { readKeyFile } = await import('../../../src/trust/key-file.ts');
    const { issuerKeyPath } = await import('../../../src/trust/mesh-authority.ts');
    const { toPem } = await import('../../../src/trust/certificate.ts');
    const key = await readKeyFile(issuerKeyPath(mesh.directory, mesh.certificates.meshId));
    const keyPem = key?.export({ type: 'pkcs8', format: 'pem' }).toString() ?? '';
    const { closed } = dial(front, { key: keyPem, cert: toPem(mesh.certificates.chain.issuer), ALPNProtocols: ['h2'] });
    await closed;
    expect((await refusalsOf(front))[0]).toMatch(/names no node|not made for this|does not verify/);
    expect(front.members).toEqual([]);
  });

  test.each([
    ['plain HTTP/1.1', 'GET / HTTP/1.1\r\n\r\n', /plain HTTP|not TLS/],
    ['random bytes', Buffer.from(Array.from({ length: 500 }, (_, index) => (index * 7919 + 13) % 256)), /./],
    ['nothing at all, then gone', '', /closed before the TLS handshake ended/],
  ])('%s', async (_what, bytes, why) => {
    await using front = await testFront(mesh);
    const socket = connectTcp(front.address);
    const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
    socket.on('error', () => undefined);
    if (bytes.length === 0) socket.once('connect', () => setImmediate(() => socket.destroy()));
    else socket.write(bytes);
    await closed;
    expect((await refusalsOf(front))[0]).toMatch(why);
  });

  test('plain HTTP/2', async () => {
    await using front = await testFront(mesh);
    const session = connectHttp2(`http://127.0.0.1:${front.address.port}`);
    session.on('error', () => undefined);
    await new Promise<void>((resolve) => session.once('close', () => resolve()));
    expect((await refusalsOf(front))[0]).toMatch(/not TLS|plain HTTP/);
  });

  test('a handshake that never goes on', async () => {
    await using front = await testFront(mesh, { handshakeTimeoutMs: 100 });
    const socket = connectTcp(front.address);
    socket.on('error', () => undefined);
    await new Promise<void>((resolve) => socket.once('close', () => resolve()));
    expect((await refusalsOf(front))[0]).toMatch(/took too long/);
  });

  test('more handshakes at once than are allowed', async () => {
    await using front = await testFront(mesh, { handshakes: { atOnce: 2 } });
    const sockets = Array.from({ length: 5 }, () => connectTcp(front.address).on('error', () => undefined));
    expect(await refusalsOf(front, 3)).toEqual(Array.from({ length: 3 }, () => 'too many handshakes at once'));
    for (const socket of sockets) socket.destroy();
  });

  test('whom the judge refuses, however good the certificate', async () => {
    await using front = await testFront(mesh, { judge: ({ name }) => (name === 'desktop' ? 'removed on Monday' : undefined) });
    await dial(front, as(await mesh.member('desktop'))).closed;
    expect((await refusalsOf(front))[0]).toMatch(/desktop .* is refused: removed on Monday/);
  });

  test('everybody, while this node is in no mesh', async () => {
    await using front = await testFront(mesh);
    front.front.setIdentity(undefined);
    await dial(front, as(await mesh.member('desktop'))).closed;
    expect(await refusalsOf(front)).toEqual(['this node is in no mesh']);
    front.front.setIdentity(mesh.identity);
    dial(front, as(await mesh.member('desktop')));
    await expect.poll(() => front.members.length).toBe(1);
  });
});

test('a TLS session is never resumed: who was let in once is judged again', async () => {
  let isRemoved = false;
  await using front = await testFront(mesh, { judge: () => (isRemoved ? 'removed' : undefined) });
  const options = as(await mesh.member('desktop'));
  const first = dial(front, options);
  let session: Buffer | undefined;
  first.socket.on('session', (ticket: Buffer) => (session = ticket));
  await expect.poll(() => front.members.length).toBe(1);
  front.members[0]?.socket.write('a byte, so that tickets have arrived');
  await new Promise((resolve) => first.socket.once('data', resolve));
  // Without a ticket this would show nothing.
  expect(session).toBeInstanceOf(Buffer);
  isRemoved = true;
  let isReused: boolean | undefined;
  const again = dial(front, { ...options, session });
  again.socket.once('secureConnect', () => (isReused = again.socket.isSessionReused()));
  await again.closed;
  expect(isReused).toBe(false);
  expect((await refusalsOf(front))[0]).toMatch(/is refused: removed/);
});

describe('listening', () => {
  const quiet = () =>
    new Front({ judge: () => undefined, onMember: () => undefined, onStranger: () => undefined, onRefused: () => undefined, now: () => 0 });

  test('start and stop may be called twice; the port is free afterwards', async () => {
    const front = quiet();
    const [address] = await front.start([{ host: '127.0.0.1', port: 0 }]);
    expect(await front.start([{ host: '127.0.0.1', port: 0 }])).toEqual([address]);
    expect(address).toEqual({ host: '127.0.0.1', port: expect.any(Number) as number });
    await front.stop();
    await front.stop();
    const again = quiet();
    expect(address && (await again.start([address]))).toEqual([address]);
    await again.stop();
  });

  test('a port that is taken is a conflict with a hint, and the other addresses are let go', async () => {
    const taken = createServer().listen(0, '127.0.0.1');
    await new Promise((resolve) => taken.once('listening', resolve));
    const { port } = taken.address() as { port: number };
    const front = quiet();
    const error = front.start([{ host: '127.0.0.2', port }, { host: '127.0.0.1', port }]);
    await expect(error).rejects.toMatchObject({ code: 'conflict', hint: expect.stringContaining('--listen') as string });
    expect(front.addresses()).toEqual([]);
    const other = createServer().listen(port, '127.0.0.2');
    await new Promise((resolve, reject) => other.once('listening', resolve).once('error', reject));
    other.close();
    taken.close();
  });

  test("an address that is not this machine's is unavailable", async () => {
    await expect(quiet().start([{ host: '192.0.2.1', port: 0 }])).rejects.toMatchObject({ code: 'unavailable' });
  });
});
