import { createServer, type Server, type Socket } from 'node:net';
import { connect as connectTls, createServer as createTlsServer, type TLSSocket } from 'node:tls';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { HostPort } from '../../../src/domain/host-port.ts';
import type { NodeId } from '../../../src/domain/ids.ts';
import type { MeshIdentity } from '../../../src/domain/trust.ts';
import { enrol } from '../../../src/trust/enrol.ts';
import { encodeMessage } from '../../../src/trust/enrolment-messages.ts';
import { issuerStatement } from '../../../src/trust/enrolment-proofs.ts';
import type { Issuer } from '../../../src/trust/mesh-authority.ts';
import { generateNodeKey } from '../../../src/trust/node-key.ts';
import { decodeToken, encodeToken, type Invitation } from '../../../src/trust/token.ts';
import { TestDesk } from './desk-fixture.ts';
import { refusalsOf, systemClock, testFront, testMesh, type TestFront, type TestMesh } from './mesh-fixture.ts';

let mesh: TestMesh;
let foreign: TestMesh;
beforeAll(async () => {
  [mesh, foreign] = await Promise.all([testMesh(), testMesh()]);
});
afterAll(async () => {
  await mesh[Symbol.asyncDispose]();
  await foreign[Symbol.asyncDispose]();
});

const join = (invitation: Invitation, more: Partial<Parameters<typeof enrol>[0]> = {}) =>
  enrol({ invitation, nodeKey: generateNodeKey(), name: 'desktop', clock: systemClock, timeoutMs: 2000, ...more });

async function listening(server: Server): Promise<HostPort> {
  server.listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  return { host: '127.0.0.1', port: (server.address() as { port: number }).port };
}

describe('joining', () => {
  test('a token, pasted as text, makes a member whose certificate the front accepts', async () => {
    const desk = new TestDesk([{ chain: mesh.certificates.chain, addresses: [{ host: 'laptop', port: 7423 }] }]);
    await using front = await testFront(mesh, { desk });
    const invitation = decodeToken(encodeToken(mesh.invitation(front.address)));
    desk.invite(invitation.secret, 'ben@example.com');
    const nodeKey = generateNodeKey();
    const admission = await join(invitation, { nodeKey, addresses: [{ host: 'desktop', port: 7423 }] });
    expect(admission).toMatchObject({ meshName: 'home', meshId: mesh.certificates.meshId });
    expect(admission.identity).toMatchObject({ nodeId: nodeKey.nodeId, name: 'desktop', owner: 'ben@example.com' });
    expect(admission.members.map(({ identity, addresses }) => [identity.name, addresses])).toEqual([
      ['laptop', [{ host: 'laptop', port: 7423 }]],
      ['desktop', [{ host: 'desktop', port: 7423 }]],
    ]);
    const { meshIdentityOf } = await import('../../../src/trust/mesh-authority.ts');
    const mine = meshIdentityOf(nodeKey, { name: 'home', root: admission.root, chain: admission.chain });
    const socket = connectTls({ ...front.address, key: mine.keyPem, cert: mine.chainPem, rejectUnauthorized: false, ALPNProtocols: ['h2'] });
    await expect.poll(() => front.members.length).toBe(1);
    socket.destroy();
    expect(front.refusals).toEqual([]);
    expect(desk.admitted[0]?.applicant.remoteAddress).toMatch(/^127\.0\.0\.1:\d+$/);
  });

  test('the name that the desk grants is the one in the certificate', async () => {
    const desk = new TestDesk();
    await using front = await testFront(mesh, { desk });
    const [first, second] = [mesh.invitation(front.address), mesh.invitation(front.address)];
    desk.invite(first.secret, 'ann');
    desk.invite(second.secret, 'ann');
    expect((await join(first)).identity.name).toBe('desktop');
    expect((await join(second)).identity.name).toBe('desktop-2');
  });

  test('addresses that are dead or silent do not keep a node from the one that works', async () => {
    const desk = new TestDesk();
    await using front = await testFront(mesh, { desk });
    const held: Socket[] = [];
    const silent = createServer((socket) => void held.push(socket));
    const gone = createServer();
    const goneAt = await listening(gone);
    await new Promise((resolve) => gone.close(resolve));
    const invitation = mesh.invitation(goneAt, await listening(silent), front.address);
    desk.invite(invitation.secret, 'ann');
    expect((await join(invitation, { timeoutMs: 10_000 })).identity.owner).toBe('ann');
    for (const socket of held) socket.destroy();
    silent.close();
  });

  test('when no address works the error names each and why', async () => {
    const gone = createServer();
    const at = await listening(gone);
    await new Promise((resolve) => gone.close(resolve));
    const silent = createServer(() => undefined);
    const silentAt = await listening(silent);
    await expect(join(mesh.invitation(at, silentAt), { timeoutMs: 100 })).rejects.toMatchObject({
      code: 'unavailable',
      message: expect.stringMatching(
        new RegExp(`127.0.0.1:${at.port}: nothing listens there.*127.0.0.1:${silentAt.port}: no answer within 100 ms`),
      ) as string,
    });
    silent.close();
  });

  test('joining can be cancelled', async () => {
    const silent = createServer(() => undefined);
    const abort = new AbortController();
    const joining = join(mesh.invitation(await listening(silent)), { signal: abort.signal });
    abort.abort();
    await expect(joining).rejects.toMatchObject({ code: 'cancelled' });
    silent.close();
  });
});

describe('a token', () => {
  test.each([
    ['that nobody made', () => undefined],
    ['that is late', (desk: TestDesk, { secret }: Invitation) => desk.invite(secret, 'ann', Date.now() - 1)],
  ] as const)('%s is denied, with an answer that says no more, and admits nobody', async (_what, prepare) => {
    const desk = new TestDesk();
    await using front = await testFront(mesh, { desk });
    const invitation = mesh.invitation(front.address);
    prepare(desk, invitation);
    await expect(join(invitation)).rejects.toMatchObject({
      code: 'denied',
      message: 'the token is not valid here: wrong, used or out of date',
    });
    expect(desk.admitted).toEqual([]);
    expect((await refusalsOf(front))[0]).toMatch(/"POST" "\/v1\/enrol": the token is not valid here/);
  });

  test('admits one node, however many try at once', async () => {
    const desk = new TestDesk();
    await using front = await testFront(mesh, { desk });
    const invitation = mesh.invitation(front.address);
    desk.invite(invitation.secret, 'ann');
    const outcomes = await Promise.allSettled(Array.from({ length: 5 }, () => join(invitation)));
    const codes = outcomes.map((each) => (each.status === 'fulfilled' ? 'in' : (each.reason as { code: string }).code));
    expect(codes.toSorted()).toEqual(['denied', 'denied', 'denied', 'denied', 'in']);
    expect(desk.admitted).toHaveLength(1);
  });
});

describe('a man in the middle', () => {
  /** Everything that reaches it in clear after TLS, and one answer to whatever is asked. */
  async function middle(as: MeshIdentity, answer: string): Promise<{ at: HostPort; seen: () => string; close: () => void }> {
    const chunks: Buffer[] = [];
    const server = createTlsServer({ key: as.keyPem, cert: as.chainPem, ALPNProtocols: ['http/1.1'] }, (socket) => {
      socket.on('error', () => undefined);
      socket.on('data', (chunk) => {
        chunks.push(chunk);
        socket.end(`HTTP/1.1 200 OK\r\ncontent-length: ${answer.length}\r\nconnection: close\r\n\r\n${answer}`);
      });
    });
    server.on('tlsClientError', () => undefined);
    return { at: await listening(server), seen: () => Buffer.concat(chunks).toString('latin1'), close: () => server.close() };
  }

  /** What an issuer of that mesh answers, spoken by somebody else or about somebody else. */
  function introduction({ issuer }: TestMesh, about: NodeId, signedBy: Issuer = issuer): string {
    const attestation = signedBy.sign(issuerStatement(issuer.meshId, about));
    return encodeMessage({ root: issuer.root, issuer: issuer.certificate, nodeId: about, attestation });
  }

  test.each<[string, () => Promise<[MeshIdentity, string]>]>([
    [
      'with its own root is told from the mesh by the fingerprint',
      () => Promise.resolve([foreign.identity, introduction(foreign, foreign.identity.nodeId)]),
    ],
    [
      "that repeats what the mesh's issuer says can't speak for it",
      () => Promise.resolve([foreign.identity, introduction(mesh, mesh.identity.nodeId)]),
    ],
    [
      "that is a member and repeats what the issuer says can't speak for it",
      async () => [await mesh.member('mallory'), introduction(mesh, mesh.identity.nodeId)],
    ],
    [
      'that is a member and says it is an issuer is not believed',
      async () => {
        const mallory = await mesh.member('mallory');
        return [mallory, introduction(mesh, mallory.nodeId, foreign.issuer)];
      },
    ],
  ])('%s, and never sees the secret', async (_what, prepare) => {
    const man = await middle(...(await prepare()));
    const invitation = mesh.invitation(man.at);
    await expect(join(invitation)).rejects.toMatchObject({ code: 'unauthenticated' });
    expect(man.seen()).toMatch(/^GET \/v1\/root HTTP\/1\.1\r\n/);
    expect(man.seen()).not.toContain('POST');
    expect(man.seen()).not.toContain(Buffer.from(invitation.secret).toString('base64url'));
    man.close();
  });

  test("does not end a join that the mesh's own node can still grant", async () => {
    const desk = new TestDesk();
    await using front = await testFront(mesh, { desk });
    const man = await middle(foreign.identity, introduction(foreign, foreign.identity.nodeId));
    const invitation = mesh.invitation(man.at, front.address);
    desk.invite(invitation.secret, 'ann');
    expect((await join(invitation)).identity.name).toBe('desktop');
    expect(man.seen()).not.toContain('POST');
    man.close();
  });

  test('cannot pass on a request that was made for another connection', async () => {
    const desk = new TestDesk();
    await using front = await testFront(mesh, { desk });
    const invitation = mesh.invitation(front.address);
    desk.invite(invitation.secret, 'ann');
    const key = generateNodeKey();
    const proof = key.sign(Buffer.from('made elsewhere'));
    const body = encodeMessage({ secret: invitation.secret, publicKey: key.publicKey, name: 'desktop', proof });
    const answer = await ask(front, `POST /v1/enrol HTTP/1.1\r\nhost: x\r\ncontent-length: ${body.length}\r\n\r\n${body}`);
    expect(answer).toMatch(/^HTTP\/1\.1 401 .*"unauthenticated"/s);
    expect(desk.admitted).toEqual([]);
  });
});

/** Sends bytes as a stranger; resolves with all that came back once the connection is closed. */
function ask(front: TestFront, bytes: string | Buffer, onSocket?: (socket: TLSSocket) => void): Promise<string> {
  return new Promise((resolve) => {
    const socket = connectTls({ ...front.address, rejectUnauthorized: false, ALPNProtocols: ['http/1.1'] });
    let text = '';
    socket.on('data', (chunk) => (text += chunk.toString('latin1')));
    socket.on('error', () => undefined);
    socket.once('close', () => resolve(text));
    socket.once('secureConnect', () => {
      socket.write(bytes);
      onSocket?.(socket);
    });
  });
}

const post = (body: string, length: number = body.length): string =>
  `POST /v1/enrol HTTP/1.1\r\nhost: x\r\ncontent-length: ${length}\r\n\r\n${body}`;

describe('strangers', () => {
  test.each([
    ['another path', 'GET /v2/secrets HTTP/1.1\r\nhost: x\r\n\r\n', /^HTTP\/1\.1 404 .*"not_found"/s],
    ['another method', 'DELETE /v1/enrol HTTP/1.1\r\nhost: x\r\n\r\n', /^HTTP\/1\.1 404 /],
    ['what is no JSON', post('hello'), /^HTTP\/1\.1 400 .*not JSON/s],
    ['a field that is missing', post('{"secret":"AAAA"}'), /^HTTP\/1\.1 400 .*malformed: secret: must have 32 bytes/s],
    ['17 KiB', post('x'.repeat(17 * 1024)), /^(HTTP\/1\.1 400 .*at most 16384 bytes.*)?$/s],
    ['17 KiB in chunks', `POST /v1/enrol HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n4400\r\n${'x'.repeat(0x4400)}\r\n0\r\n\r\n`, /^(HTTP\/1\.1 400 .*at most 16384 bytes.*)?$/s],
    ['large headers', `GET /v1/root HTTP/1.1\r\nhost: x\r\na: ${'x'.repeat(9000)}\r\n\r\n`, /^$/],
    ['what is no HTTP', 'SSH-2.0-OpenSSH_9.6\r\n', /^$/],
    ['two requests at once', 'GET /v1/no HTTP/1.1\r\nhost: x\r\n\r\nGET /v1/root HTTP/1.1\r\nhost: x\r\n\r\n', /^$/],
  ])('%s: one refusal, the connection closed, the desk not asked', async (_what, bytes, expected) => {
    await using front = await testFront(mesh);
    expect(await ask(front, bytes)).toMatch(expected);
    await refusalsOf(front);
  });

  test('one that sends a byte now and then is cut when its time is over', async () => {
    await using front = await testFront(mesh, { limits: { requestTimeoutMs: 150 } });
    let drip: NodeJS.Timeout | undefined;
    const started = performance.now();
    await ask(front, 'GET /v1/root HTTP/1.1\r\n', (socket) => {
      drip = setInterval(() => socket.write('a: b\r\n'), 20);
    });
    clearInterval(drip);
    expect(performance.now() - started).toBeLessThan(5000);
    expect(await refusalsOf(front)).toEqual(['its request took too long']);
    expect(front.requests).toEqual([]);
  });

  test('one that never says anything is cut as well', async () => {
    await using front = await testFront(mesh, { limits: { requestTimeoutMs: 100 } });
    await ask(front, '');
    expect(await refusalsOf(front)).toEqual(['its request took too long']);
  });

  test('more at once than there is room for are cut, and there is room again afterwards', async () => {
    await using front = await testFront(mesh, { limits: { mostSockets: 2, requestTimeoutMs: 400 } });
    const waiting = [ask(front, ''), ask(front, ''), ask(front, ''), ask(front, '')];
    expect((await refusalsOf(front, 2))).toEqual(Array.from({ length: 2 }, () => 'too many connections without a certificate'));
    await Promise.all(waiting);
    expect(await ask(front, 'GET /v1/root HTTP/1.1\r\nhost: x\r\n\r\n')).toMatch(/^HTTP\/1\.1 200 OK/);
  });

  test('a flood is answered with overload beyond the rate, and members pass all the while', async () => {
    const rates = { perAddress: { burst: 5, perMinute: 1 }, overall: { burst: 100, perMinute: 1 }, mostAddresses: 10 };
    await using front = await testFront(mesh, { limits: { rates } });
    const answers = await Promise.all(Array.from({ length: 40 }, () => ask(front, 'GET /v1/root HTTP/1.1\r\nhost: x\r\n\r\n')));
    expect(answers.filter((each) => each.startsWith('HTTP/1.1 200 '))).toHaveLength(5);
    expect(answers.filter((each) => /^HTTP\/1\.1 429 .*"overload"/s.test(each))).toHaveLength(35);
    expect(front.requests).toHaveLength(5);
    expect(await refusalsOf(front, 35)).toHaveLength(35);
    const member = await mesh.member('desktop');
    const socket = connectTls({ ...front.address, key: member.keyPem, cert: member.chainPem, rejectUnauthorized: false, ALPNProtocols: ['h2'] });
    await expect.poll(() => front.members.length).toBe(1);
    socket.destroy();
  });
});
