/** Strangers at the network port: a real listener, and more than it takes. Those who flood come from one address of loopback, the honest from another. */
import { connect as connectTcp } from 'node:net';
import type { Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import type { ConnectionOptions, TLSSocket } from 'node:tls';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { testFront, testMesh } from './mesh-fixture.ts';
import type { TestFront, TestMesh } from './mesh-fixture.ts';

const hostile = '127.0.0.2';

let mesh: TestMesh;
beforeAll(async () => {
  mesh = await testMesh();
});
afterAll(() => mesh[Symbol.asyncDispose]());

const quiet = <S extends Socket>(socket: S): S => socket.on('error', () => undefined).resume();
const halfOpen = ({ address }: TestFront, localAddress = hostile): Socket => quiet(connectTcp({ ...address, localAddress }));

function stranger({ address }: TestFront, localAddress: string): Promise<TLSSocket | undefined> {
  return new Promise((resolve) => {
    const options: ConnectionOptions & { readonly localAddress: string } = { ...address, localAddress, rejectUnauthorized: false, ALPNProtocols: ['http/1.1'] };
    const socket = quiet(connectTls(options));
    socket.once('secureConnect', () => resolve(socket)).once('close', () => resolve(undefined));
  });
}

/** What it is answered, or '' when it is cut. */
async function ask(front: TestFront, request: string | Uint8Array, localAddress = '127.0.0.1'): Promise<string> {
  const socket = await stranger(front, localAddress);
  if (socket === undefined) return '';
  let answer = '';
  socket.on('data', (bytes: Buffer) => (answer += bytes.toString()));
  socket.write(request);
  await new Promise((resolve) => socket.once('close', resolve));
  return answer;
}

const getRoot = 'GET /v1/root HTTP/1.1\r\nhost: x\r\n\r\n';
const limitsOf = ({ refusals }: TestFront): Readonly<Record<string, number>> => {
  const counts: Record<string, number> = {};
  for (const { limit = 'none' } of refusals) counts[limit] = (counts[limit] ?? 0) + 1;
  return counts;
};

async function memberIsServed(front: TestFront): Promise<void> {
  const { keyPem: key, chainPem: cert } = await mesh.member('desktop');
  const before = front.members.length;
  const socket = quiet(connectTls({ ...front.address, key, cert, rejectUnauthorized: false, ALPNProtocols: ['h2'] }));
  await expect.poll(() => front.members.length, { timeout: 2000, interval: 5 }).toBe(before + 1);
  socket.destroy();
}

describe('a stranger with', () => {
  test('1,000 half-open connections holds 64, for the time of a handshake; members and strangers of other addresses get in meanwhile', async () => {
    await using front = await testFront(mesh, { handshakeTimeoutMs: 1500 });
    const before = process.memoryUsage().rss;
    const sockets = Array.from({ length: 1000 }, () => halfOpen(front));
    await expect.poll(() => front.refusals.length, { timeout: 5000 }).toBe(936);
    expect(limitsOf(front)).toEqual({ handshakes_address: 936 });
    await memberIsServed(front);
    expect(await ask(front, getRoot)).toMatch(/^HTTP\/1\.1 200/);
    await expect.poll(() => front.refusals.length, { timeout: 5000 }).toBe(1000);
    expect(limitsOf(front)).toEqual({ handshakes_address: 936, handshake_time: 64 });
    expect(process.memoryUsage().rss - before).toBeLessThan(64 * 1024 * 1024);
    for (const socket of sockets) socket.destroy();
  });

  test('half-open connections from a hundred addresses holds as many as there may be, and all who come then are told so', async () => {
    await using front = await testFront(mesh, { handshakeTimeoutMs: 60_000 });
    const sockets = Array.from({ length: 300 }, (_, index) => halfOpen(front, `127.0.1.${1 + (index % 100)}`));
    await expect.poll(() => front.refusals.length, { timeout: 5000 }).toBe(44);
    expect(limitsOf(front)).toEqual({ handshakes: 44 });
    for (const socket of sockets) socket.destroy();
    await expect.poll(() => front.refusals.length, { timeout: 5000 }).toBe(300);
    await memberIsServed(front);
  });

  test('connections by the second that close at once is refused by its rate, which is nobody else’s', async () => {
    const plenty = { burst: 1000, perMinute: 1000 };
    await using front = await testFront(mesh, { handshakes: { rates: { overall: plenty, perAddress: { burst: 30, perMinute: 1 } } } });
    for (let each = 0; each < 50; each += 1) {
      const socket = halfOpen(front);
      socket.end();
      await new Promise((resolve) => socket.once('close', resolve));
    }
    await expect.poll(() => limitsOf(front)['handshake_rate_address']).toBe(20);
    await memberIsServed(front);
  });

  test('requests that never end holds eight connections for the time of a request, and whoever wants to join gets in meanwhile', async () => {
    await using front = await testFront(mesh, { limits: { requestTimeoutMs: 1500 } });
    const sockets = (await Promise.all(Array.from({ length: 60 }, () => stranger(front, hostile)))).filter((each) => each !== undefined);
    for (const socket of sockets) socket.write('POST /v1/enrol HTTP/1.1\r\nhost: x\r\n');
    const dripping = setInterval(() => {
      for (const socket of sockets) if (!socket.destroyed) socket.write('x-slow: 1\r\n');
    }, 100);
    await expect.poll(() => limitsOf(front)['strangers_address'], { timeout: 5000 }).toBe(52);
    expect(await ask(front, getRoot)).toMatch(/^HTTP\/1\.1 200/);
    await expect.poll(() => limitsOf(front), { timeout: 5000 }).toEqual({ strangers_address: 52, stranger_time: 8 });
    clearInterval(dripping);
  });

  test('headers without end, or a body without end, is cut after the first 8 and 16 KiB', async () => {
    await using front = await testFront(mesh);
    const headers = `GET /v1/root HTTP/1.1\r\n${'x-more: and more of it\r\n'.repeat(1000)}`;
    expect(await ask(front, headers)).toBe('');
    const chunk = `1000\r\n${'a'.repeat(4096)}\r\n`;
    expect(await ask(front, `POST /v1/enrol HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n${chunk.repeat(200)}`)).toMatch(/"invalid"|^$/);
    expect(await ask(front, 'POST /v1/enrol HTTP/1.1\r\nhost: x\r\ncontent-length: 4294967296\r\n\r\n')).toContain('a request has at most 16384 bytes');
    expect(limitsOf(front)).toEqual({ stranger_size: 3 });
    expect(front.requests).toEqual([]);
  });

  test('requests one after the other is told when to come again, with one of another address served', async () => {
    await using front = await testFront(mesh);
    const answers: string[] = [];
    for (let each = 0; each < 25; each += 1) answers.push(await ask(front, getRoot, hostile));
    expect(answers.filter((each) => each.startsWith('HTTP/1.1 200'))).toHaveLength(20);
    expect(answers.at(-1)).toMatch(/^HTTP\/1\.1 429[^]*"overload"/);
    expect(limitsOf(front)).toEqual({ stranger_rate_address: 5 });
    expect(await ask(front, getRoot)).toMatch(/^HTTP\/1\.1 200/);
  });
});
