/** The network port, by those who have no business there. */
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect as connectHttp2 } from 'node:http2';
import { connect as connectTcp } from 'node:net';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect as connectTls } from 'node:tls';
import type { ConnectionOptions } from 'node:tls';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { meshIdOf, readCertificate, toPem } from '../../src/trust/certificate.ts';
import { makeLeaf } from '../../src/trust/issue.ts';
import { readKeyFile } from '../../src/trust/key-file.ts';
import { createMesh, issuerKeyPath } from '../../src/trust/mesh-authority.ts';
import { generateNodeKey } from '../../src/trust/node-key.ts';
import { decodeToken, encodeToken, newSecret } from '../../src/trust/token.ts';
import { Cluster } from '../support/cluster.ts';
import { rowCounts, rows, settledRowCounts } from '../support/database.ts';
import type { TestNode } from '../support/node-process.ts';
import { waitFor } from '../support/wait-for.ts';

const dayMs = 86_400_000;

let cluster: Cluster;
let laptop: TestNode;
let desktop: TestNode;
beforeAll(async () => {
  ({ cluster, laptop, desktop } = await Cluster.meshed('laptop', 'desktop'));
  await laptop.addAgent('echo', ['/bin/cat']);
  await waitFor('the agent at the desktop', async () => (await desktop.beckon(['resolve', '@echo@laptop#main'])).code === 0);
});
afterAll(() => cluster?.[Symbol.asyncDispose]());

const target = (): { readonly host: string; readonly port: number } => ({ host: '127.0.0.1', port: Number(laptop.place.listen.split(':')[1]) });

/** The visitor's own end, once it is connected. */
interface Local {
  port?: number | undefined;
}

/** Resolves with what came back, when the connection is over. */
function conversation(socket: Socket, local: Local): Promise<string> {
  return new Promise((resolve) => {
    const heard: Buffer[] = [];
    socket.on('data', (chunk: Buffer) => heard.push(chunk));
    socket.once('connect', () => (local.port = socket.localPort));
    // Being cut off is what is expected here; what was heard before is what counts.
    socket.on('error', (error) => heard.push(Buffer.from(`(${error.message})`)));
    socket.once('close', () => resolve(Buffer.concat(heard).toString('latin1')));
  });
}

type Visit = (local: Local) => Promise<string>;

const overTls = (options: ConnectionOptions, words: string): Visit => (local) => {
  const socket = connectTls({ ...target(), rejectUnauthorized: false, ...options });
  const over = conversation(socket, local);
  if (words !== '') socket.write(words);
  return over;
};
const raw = (bytes: Uint8Array): Visit => (local) => {
  const socket = connectTcp(target());
  const over = conversation(socket, local);
  socket.end(bytes);
  return over;
};

const http2Preface = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0';

/** A leaf of this very mesh, made with its issuer's key, on the day given. */
async function leafOfThisMesh(madeAtMs: number): Promise<ConnectionOptions> {
  const [mesh] = rows(laptop.databasePath, 'SELECT root, issuer, owner FROM mesh') as { root: Uint8Array; issuer: Uint8Array; owner: string }[];
  if (mesh === undefined) throw new Error('the laptop is in no mesh');
  const key = await readKeyFile(issuerKeyPath(join(laptop.home, 'trust'), meshIdOf(readCertificate(mesh.root))));
  if (key === undefined) throw new Error('the laptop has no issuer key');
  const node = generateNodeKey();
  const leaf = await makeLeaf({ publicKey: node.publicKey, name: 'late', owner: mesh.owner }, { certificate: mesh.issuer, key }, mesh.root, madeAtMs);
  return { key: node.toPem(), cert: toPem(leaf, mesh.issuer), ALPNProtocols: ['h2'] };
}

async function leafOfAnotherMesh(): Promise<ConnectionOptions> {
  const directory = await mkdtemp(join(tmpdir(), 'bkn-other-'));
  try {
    const node = generateNodeKey();
    const { chain } = await createMesh({ directory, nodeKey: node, nodeName: 'desktop', owner: 'root', nowMs: Date.now() });
    return { key: node.toPem(), cert: toPem(chain.leaf, chain.issuer), ALPNProtocols: ['h2'] };
  } finally {
    await rm(directory, { recursive: true });
  }
}

const plainHttp2: Visit = (local) =>
  new Promise((resolve) => {
    const session = connectHttp2(`http://127.0.0.1:${target().port}`);
    let answered = '';
    session.once('connect', () => (local.port = session.socket.localPort));
    session.once('error', (error) => (answered += `(${error.message})`));
    session.once('close', () => resolve(answered));
    const request = session.request({ ':path': '/beckon.v1.MeshService/Control', ':method': 'POST' });
    request.on('response', () => (answered += 'a response'));
    request.on('error', (error) => (answered += `(${error.message})`));
    request.end();
  });

const random = Uint8Array.from({ length: 4096 }, (_, at) => (at * 167 + 13) % 251);

describe('a visitor of the network port is refused, logged once with its address, and nothing of it is stored:', () => {
  test.each<[string, () => Visit | Promise<Visit>, RegExp]>([
    ['one that speaks the node protocol without a certificate', () => overTls({ ALPNProtocols: ['h2'] }, http2Preface), /certificate/],
    ['one without a certificate that asks for anything but enrolment', () => overTls({}, 'GET /v1/agents HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n'), /not_found|nothing here|404/],
    ['one with the certificate of another mesh', async () => overTls(await leafOfAnotherMesh(), http2Preface), /signed|issuer|mesh|trust|verif/i],
    ['one with an expired certificate of this mesh', async () => overTls(await leafOfThisMesh(Date.now() - 91 * dayMs), http2Preface), /expired/],
    ['one with a certificate of this mesh that is not yet valid', async () => overTls(await leafOfThisMesh(Date.now() + 3 * dayMs), http2Preface), /not (yet )?valid/],
    ['plain HTTP/2', () => plainHttp2, /TLS|HTTP/],
    ['plain HTTP/1', () => raw(Buffer.from('GET / HTTP/1.1\r\nHost: x\r\n\r\n')), /TLS|HTTP/],
    ['random bytes', () => raw(random), /TLS/],
    ['TLS 1.2', () => overTls({ maxVersion: 'TLSv1.2' }, ''), /TLS|version|protocol/i],
    ['a connection that says nothing and leaves', () => raw(new Uint8Array()), /closed/],
  ])('%s', async (_who, visitor, why) => {
    const visit = await visitor();
    const databases = [laptop.databasePath, desktop.databasePath];
    const before = await settledRowCounts(...databases);
    const local: Local = {};
    const heard = await visit(local);
    // Neither a frame of HTTP/2 nor a 200.
    expect(heard).not.toMatch(/HTTP\/1\.1 2|a response/);
    expect(heard.includes('\0\0') && heard.includes('grpc')).toBe(false);
    const address = `127.0.0.1:${local.port}`;
    const lines = await waitFor(`a line about ${address} in the log`, () => {
      const found = laptop.log.split('\n').filter((line) => line.includes(`"${address}"`));
      return found.length === 0 ? undefined : found;
    });
    expect(lines, 'once').toHaveLength(1);
    expect(lines[0]).toMatch(why);
    expect(databases.map(rowCounts)).toEqual(before);
    // And those who belong there still get in.
    expect((await desktop.invoke(['echo@laptop', 'still here'])).last).toMatchObject({ state: 'completed', output: 'still here' });
  });

  test('as many strangers as come at once, and members get in meanwhile', async () => {
    const [before] = await settledRowCounts(laptop.databasePath);
    const visits = Array.from({ length: 100 }, (_, at) => (at % 2 === 0 ? raw(random) : overTls({ ALPNProtocols: ['h2'] }, http2Preface))({}));
    const pinged = desktop.beckon(['ping', 'laptop', '-c', '1']);
    await Promise.all(visits);
    expect((await pinged).code).toBe(0);
    expect(rowCounts(laptop.databasePath)).toEqual(before);
  });
});

describe('a token', () => {
  /** A node that tries to enter with that token. */
  async function attempt(token: string): Promise<{ readonly code: number | null; readonly document: unknown; readonly node: TestNode }> {
    const node = await cluster.node(`guest-${(guests += 1)}`);
    const { code, json } = await node.beckon(['up', '--json', '--name', node.name, '--listen', node.place.listen, '--tailscale', 'off', '--join', '-'], { stdin: token });
    return { code, document: json, node };
  }
  let guests = 0;

  test('that was used by one node lets no other in', async () => {
    const { token } = await laptop.json(['mesh', 'invite']);
    const first = await cluster.node('first-guest');
    await first.up({ flags: ['--join', '-'], stdin: String(token) });
    await first.down();
    const members = rows(laptop.databasePath, 'SELECT count(*) AS n FROM members');
    const { code, document } = await attempt(String(token));
    expect(code).toBe(5);
    expect(document).toMatchObject({ error: { code: 'denied' } });
    expect(rows(laptop.databasePath, 'SELECT count(*) AS n FROM members')).toEqual(members);
  });

  test('that is late lets nobody in', async () => {
    const { token, expiresAt } = await laptop.json(['mesh', 'invite', '--ttl', '1s']);
    await waitFor('the token to be late', () => Date.now() > Date.parse(String(expiresAt)));
    const { code, document } = await attempt(String(token));
    expect(code).toBe(5);
    expect(document).toMatchObject({ error: { code: 'denied' } });
  });

  test('with another secret lets nobody in', async () => {
    const { token } = await laptop.json(['mesh', 'invite']);
    const { code, document } = await attempt(encodeToken({ ...decodeToken(String(token)), secret: newSecret() }));
    expect(code).toBe(5);
    expect(document).toMatchObject({ error: { code: 'denied' } });
  });

  test('of another mesh is not shown to this one', async () => {
    const { token } = await laptop.json(['mesh', 'invite']);
    const { code, document } = await attempt(encodeToken({ ...decodeToken(String(token)), rootFingerprint: newSecret() }));
    expect([4, 5]).toContain(code);
    expect(document).toMatchObject({ error: { message: expect.any(String) } });
    expect(rows(laptop.databasePath, 'SELECT count(*) AS n FROM invites WHERE used_at_ms IS NULL')).not.toEqual([{ n: 0 }]);
  });

  test.each([
    ['that is none is denied', 'garbage', 5, 'denied'],
    ['that is cut short is denied', 'bkn1.AAAA', 5, 'denied'],
    ['that was left out is a bad argument', '', 2, 'invalid'],
  ])('%s', async (_name, text, exit, error) => {
    const { code, document, node } = await attempt(text);
    expect(code).toBe(exit);
    expect(document).toMatchObject({ error: { code: error } });
    expect(existsSync(join(node.home, 'run', 'control.sock'))).toBe(false);
  });
});
