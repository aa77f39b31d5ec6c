/** Strangers, and members, where machines are let in: at the entrance of an issuer, and in between. */
import { randomBytes } from 'node:crypto';
import { connect, createServer } from 'node:tls';
import type { Server } from 'node:tls';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, expect } from 'vitest';
import { createSystemClock } from '../../src/app/system-clock.ts';
import { parseHostPort } from '../../src/domain/host-port.ts';
import type { HostPort } from '../../src/domain/host-port.ts';
import { encodeMessage, enrolmentPaths } from '../../src/trust/enrolment-messages.ts';
import { issuerStatement, proofForRenewal, proofOfKey } from '../../src/trust/enrolment-proofs.ts';
import { exchange } from '../../src/trust/https-call.ts';
import { askToJoin, meetIssuer, problemOf } from '../../src/trust/issuer-call.ts';
import type { KnownIssuer } from '../../src/trust/issuer-call.ts';
import { generateNodeKey } from '../../src/trust/node-key.ts';
import { askToRenew } from '../../src/trust/renewal.ts';
import { decodeToken, encodeToken, newSecret } from '../../src/trust/token.ts';
import { testMesh } from '../contract/trust/mesh-fixture.ts';
import type { TestMesh } from '../contract/trust/mesh-fixture.ts';
import { attack, toldBy } from '../support/attack.ts';
import type { Told } from '../support/attack.ts';
import { AttackedMesh } from '../support/attacked-mesh.ts';
import { otherMachine } from '../support/false-member.ts';
import type { FalseMember } from '../support/false-member.ts';
import { toldByIssuer } from '../support/knocking.ts';
import type { TestNode } from '../support/node-process.ts';

const clock = createSystemClock();
const yearMs = 365 * 86_400_000;
let mesh: AttackedMesh;
/** In no mesh yet: it is about to join the victim's. */
let newcomer: TestNode;
let foreign: TestMesh;
let mallory: FalseMember;
const relays: Server[] = [];

beforeAll(async () => {
  mesh = await AttackedMesh.start();
  newcomer = await mesh.cluster.node('newcomer');
  await newcomer.up();
  await newcomer.addAgent('echo', ['cat']);
  foreign = await testMesh();
  mallory = await mesh.member('mallory');
}, 60_000);
afterAll(async () => {
  for (const relay of relays) relay.close();
  await foreign?.[Symbol.asyncDispose]();
  await mesh?.[Symbol.asyncDispose]();
});

const victim = () => mesh.attacked();
const joiner = () => ({ node: newcomer, serves: () => mesh.call(newcomer, '@echo@newcomer#main') });
const issuerAt = (): HostPort => parseHostPort(mesh.victim.place.listen);
const meet = (): Promise<KnownIssuer> => meetIssuer(issuerAt(), { clock, ...otherMachine() });
const invite = async (ttlMs?: number): Promise<string> => (await (await mesh.client(mesh.victim)).createInvite(ttlMs === undefined ? {} : { ttlMs })).token;

async function joins(name: string, secret: Uint8Array, key = generateNodeKey(), from = otherMachine()): Promise<Told> {
  return toldByIssuer(askToJoin(await meet(), { nodeKey: key, name, secret }, { clock, ...from }));
}

/** One request with a body of its own making. */
async function posts(path: string, body: string): Promise<Told> {
  const { status, body: said } = await exchange({ address: issuerAt(), tls: { rejectUnauthorized: false, checkServerIdentity: () => undefined }, method: 'POST', path, body: () => body, mostBytes: 1 << 20, timeoutMs: 10_000, clock, ...otherMachine() });
  return toldByIssuer(Promise.reject(problemOf(status, said)));
}

/** Somebody who stands where the token says, with a certificate and answers of his choice. All that is said to him is kept. */
async function inBetween(identity: { readonly keyPem: string; readonly chainPem: string }, introduction: object): Promise<{ readonly address: HostPort; readonly heard: () => string }> {
  const heard: Buffer[] = [];
  const server = createServer({ key: identity.keyPem, cert: identity.chainPem, minVersion: 'TLSv1.3', ALPNProtocols: ['http/1.1'] }, (socket) => {
    socket.on('error', () => undefined);
    socket.on('data', (bytes: Buffer) => {
      heard.push(bytes);
      const text = encodeMessage(introduction);
      socket.end(`HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: ${Buffer.byteLength(text)}\r\nconnection: close\r\n\r\n${text}`);
    });
  });
  relays.push(server);
  server.on('tlsClientError', () => undefined);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { address: { host: '127.0.0.1', port: (server.address() as AddressInfo).port }, heard: () => Buffer.concat(heard).toString() };
}

async function introductionOf(): Promise<object> {
  const { body } = await exchange({ address: issuerAt(), tls: { rejectUnauthorized: false, checkServerIdentity: () => undefined }, method: 'GET', path: enrolmentPaths.root, mostBytes: 1 << 20, timeoutMs: 5000, clock, ...otherMachine() });
  const { root, issuer, nodeId, attestation } = JSON.parse(Buffer.from(body).toString()) as Record<string, string>;
  const bytes = (text = ''): Uint8Array => new Uint8Array(Buffer.from(text, 'base64url'));
  return { root: bytes(root), issuer: bytes(issuer), nodeId, attestation: bytes(attestation) };
}

/** The same token, but that it leads to somebody else. */
async function ledAstray(address: HostPort, rootFingerprint?: Uint8Array): Promise<{ readonly token: string; readonly secret: string }> {
  const real = decodeToken(await invite());
  return { token: encodeToken({ ...real, ...(rootFingerprint === undefined ? {} : { rootFingerprint }), addresses: [address] }), secret: Buffer.from(real.secret).toString('base64url') };
}

const join = async (token: string): Promise<Told> => toldBy(await newcomer.beckon(['mesh', 'join', '-', '--json'], { stdin: `${token}\n` }));
const notEntered = { line: /"msg":"a mesh was not entered: who answers/ };

attack('a man in the middle at enrolment, with a mesh of his own', {
  victim: joiner,
  arrange: async () => {
    const { certificates, issuer, identity } = foreign;
    const between = await inBetween(identity, { root: certificates.root, issuer: certificates.chain.issuer, nodeId: identity.nodeId, attestation: issuer.sign(issuerStatement(issuer.meshId, identity.nodeId)) });
    return { ...between, ...(await ledAstray(between.address)) };
  },
  act: ({ token }) => join(token),
  refused: { code: 'unauthenticated', words: /not the mesh of this token/ },
  logged: notEntered,
  holds: ({ heard, secret }) => {
    expect(heard()).toContain('GET /v1/root');
    expect(heard()).not.toContain(secret);
  },
  shows: 'the token pins the root: another’s is told nothing but the question who it is, and never the secret',
});

attack('a member in the middle, that passes on what the issuer says', {
  victim: joiner,
  arrange: async () => {
    const between = await inBetween(mallory.identity, await introductionOf());
    return { ...between, ...(await ledAstray(between.address)) };
  },
  act: ({ token }) => join(token),
  refused: { code: ['unauthenticated', 'unavailable'], words: /another node answers there: mallory/ },
  logged: notEntered,
  holds: ({ heard, secret }) => expect(heard()).not.toContain(secret),
  shows: 'a good certificate of the mesh is not enough: the secret is told to the issuer’s own node, on a connection that proves it',
});

attack('a token with the fingerprint of another root', {
  victim: joiner,
  arrange: () => ledAstray(issuerAt(), new Uint8Array(randomBytes(32))),
  act: ({ token }) => join(token),
  refused: { code: 'unauthenticated', words: /not the mesh of this token/ },
  logged: notEntered,
  shows: 'a node enters the mesh that its token names, or none',
});

attack('tokens are guessed', {
  victim,
  act: async () => {
    const from = otherMachine();
    const known = await meet();
    const told: Told[] = [];
    for (let guess = 0; guess < 40; guess += 1) told.push(await toldByIssuer(askToJoin(known, { nodeKey: generateNodeKey(), name: 'guesser', secret: newSecret() }, { clock, ...from })));
    expect(new Set(told.filter(({ code }) => code === 'denied').map(({ words }) => words)).size).toBe(1);
    expect(told.at(-1)?.code).toBe('overload');
    return told;
  },
  refused: { code: ['denied', 'overload'] },
  logged: { line: /"why":"\\"POST\\" \\"\/v1\/enrol\\": (the token is not valid here|too many requests to join)/, most: 40 },
  audit: ['invite.refused'],
  shows: '256 bits, one answer for wrong, used and late, and 20 guesses a minute from one address',
  timeoutMs: 60_000,
});

attack('a token is used by a second machine', {
  victim,
  arrange: async () => {
    const token = await invite();
    const { secret } = decodeToken(token);
    await askToJoin(await meet(), { nodeKey: generateNodeKey(), name: 'first', secret }, { clock, ...otherMachine() });
    return secret;
  },
  act: (secret) => joins('second', secret),
  refused: { code: 'denied', words: /wrong, used or out of date/ },
  logged: { line: /the token is not valid here/ },
  audit: ['invite.refused'],
  shows: 'a token lets one key in',
});

attack('a token of yesterday', {
  victim,
  arrange: async () => {
    const token = await invite(1);
    await new Promise((resolve) => setTimeout(resolve, 20));
    return decodeToken(token).secret;
  },
  act: (secret) => joins('late', secret),
  refused: { code: 'denied', words: /wrong, used or out of date/ },
  logged: { line: /the token is not valid here/ },
  audit: ['invite.refused'],
  shows: 'a token ends when it was said to',
});

attack('a request to join, overheard and sent again', {
  victim,
  arrange: async () => decodeToken(await invite()).secret,
  act: async (secret) => {
    const key = generateNodeKey();
    const { meshId } = await meet();
    // As it was made for a connection that the attacker saw, and is not on.
    const proof = key.sign(proofOfKey({ meshId, name: 'overheard', publicKey: key.publicKey, channel: new Uint8Array(randomBytes(32)) }));
    return posts(enrolmentPaths.enrol, encodeMessage({ secret, publicKey: key.publicKey, name: 'overheard', addresses: [], proof }));
  },
  refused: { code: 'unauthenticated', words: /did not prove that it holds its key/ },
  logged: { line: /did not prove that it holds its key/ },
  audit: ['invite.refused'],
  shows: 'the proof of the key is for one TLS connection, and worth nothing on another',
});

attack('a request to renew, overheard and sent again; and one with another’s certificate', {
  victim,
  act: async () => {
    const { meshId } = await meet();
    const nowMs = Date.now();
    const friends = mesh.copyOf(mesh.friend).chain;
    const ask = (chain: typeof friends, channel: Uint8Array): Promise<Told> =>
      posts(enrolmentPaths.renew, encodeMessage({ chain, nowMs, proof: mallory.key.sign(proofForRenewal({ meshId, leaf: chain.leaf, nowMs, channel })) }));
    return [await ask(mallory.chain, new Uint8Array(randomBytes(32))), await ask(friends, new Uint8Array(randomBytes(32)))];
  },
  refused: { code: 'unauthenticated', words: /did not prove that it holds the key of that certificate/ },
  logged: { line: /did not prove that it holds the key of that certificate/, each: true },
  audit: ['renewal.refused'],
  shows: 'a certificate is renewed for who holds its key, on the connection that it is asked on',
});

attack('a renewal by a clock ten years ahead', {
  victim,
  act: async () => toldByIssuer(askToRenew(await meet(), { nodeKey: mallory.key, chain: mallory.chain }, { clock: { ...clock, now: () => Date.now() + 10 * yearMs }, ...otherMachine() })),
  refused: { code: 'unavailable', words: /clocks of mallory and victim are .* apart/ },
  logged: { line: /clocks of mallory and victim are/ },
  audit: ['renewal.refused'],
  shows: 'no certificate is made for a clock that is wrong',
});

attack('a name that another node has, in whatever case', {
  victim,
  arrange: async () => decodeToken(await invite()).secret,
  act: async (secret) => [await joins('friend', secret), await joins('FRIEND', secret), await joins('Victim', secret)],
  refused: { code: 'conflict', words: /another node of this mesh is called (friend|victim)/ },
  logged: { line: /another node of this mesh is called/, each: true },
  audit: ['invite.refused'],
  shows: 'a name belongs to who has it: a newcomer takes another',
});

/** Cyrillic, full width, no width, a dot at the end, a line break, another mesh's, an id, an address, a path, an escape, too long. */
const lookAlikes = ['fr\u0456end', '\uff46riend', 'friend\u200b', 'friend.', 'friend\n', 'friend@other', 'k51friend', '@friend', '../friend', '\u001b[2Kfriend', 'f'.repeat(41), 'fri\u00ebnd', 'friend ', '-friend'];

attack('names that look like another’s', {
  victim,
  arrange: async () => ({ secret: decodeToken(await invite()).secret, known: await meet() }),
  act: async ({ secret, known }) => Promise.all(lookAlikes.map((name) => toldByIssuer(askToJoin(known, { nodeKey: generateNodeKey(), name, secret }, { clock, ...otherMachine() })))),
  refused: { code: 'invalid' },
  logged: { line: /a connection was refused/, each: true },
  audit: ['invite.refused'],
  holds: () => {
    // What a terminal would do, or not show at all, is shown.
    for (const hidden of ['\u001b', '\u200b']) expect(mesh.victim.log.includes(hidden)).toBe(false);
    expect(mesh.victim.log).toContain('friend<U+200B>');
  },
  shows: `a name is a to z, digits and . _ - inside, 40 at most: ${lookAlikes.length} look-alikes are none`,
});

attack('a member takes another’s name, and one that looks like it', {
  victim,
  arrange: () => mallory.session(mesh.victim),
  act: async (session) => {
    const told = [await session.askToBeRefused({ $case: 'rename', value: { name: 'friend' } }), await session.askToBeRefused({ $case: 'rename', value: { name: 'fr\u0456end' } })];
    session[Symbol.dispose]();
    return told;
  },
  refused: { code: ['conflict', 'invalid'] },
  logged: { line: /"frame":"rename","code":"(conflict|invalid)"/, each: true },
  shows: 'the issuer gives a name once, to members too',
});

attack('4 GB instead of a request', {
  victim,
  act: async () => {
    const { host, port } = issuerAt();
    const socket = connect({ host, port, rejectUnauthorized: false, ALPNProtocols: ['http/1.1'], ...otherMachine() });
    await new Promise<void>((resolve, reject) => socket.once('secureConnect', resolve).once('error', reject));
    const answer: Buffer[] = [];
    socket.on('data', (bytes: Buffer) => answer.push(bytes));
    const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
    let isOver = false;
    void closed.then(() => (isOver = true));
    socket.on('error', () => undefined);
    socket.write(`POST ${enrolmentPaths.enrol} HTTP/1.1\r\nhost: beckon\r\ntransfer-encoding: chunked\r\n\r\n`);
    const chunk = Buffer.concat([Buffer.from('100000\r\n'), Buffer.alloc(1 << 20, 'a'), Buffer.from('\r\n')]);
    let sent = 0;
    for (; sent < 4096 && !isOver; sent += 1) if (!socket.write(chunk)) await Promise.race([closed, new Promise((resolve) => socket.once('drain', resolve))]);
    await closed;
    expect(sent).toBeLessThan(64);
    // Who goes on sending may lose the answer on its way.
    const { error } = JSON.parse(Buffer.concat(answer).toString().split('\r\n\r\n')[1] ?? '{}') as { error?: { code: Told['code']; message: string } };
    return error === undefined ? { code: 'cut' } : { code: error.code, words: error.message };
  },
  refused: { code: ['invalid', 'cut'] },
  logged: { line: /at most 16384 bytes/ },
  audit: ['invite.refused'],
  shows: 'a stranger’s request has 16 KiB: what is more is not read, and the connection ends',
});
