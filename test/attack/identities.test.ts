/** Certificates that are none, or none any more: on sessions, where members are asked for things, at renewal, at enrolment and in gossip. */
import { createPublicKey, randomBytes } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import http2 from 'node:http2';
import { connect as connectPlain } from 'node:net';
import { connect } from 'node:tls';
import type { ConnectionOptions, TLSSocket } from 'node:tls';
import { afterAll, beforeAll, expect } from 'vitest';
import { createSystemClock } from '../../src/app/system-clock.ts';
import { parseHostPort } from '../../src/domain/host-port.ts';
import type { MeshIdentity } from '../../src/domain/trust.ts';
import { GoodbyeReason } from '../../src/gen/beckon/v1/mesh.ts';
import { toPem } from '../../src/trust/certificate.ts';
import { backdatedMs, leafLifeMs, makeIssuer, makeLeaf } from '../../src/trust/issue.ts';
import type { Authority } from '../../src/trust/issue.ts';
import { askToJoin, meetIssuer } from '../../src/trust/issuer-call.ts';
import { generateNodeKey, rawPublicKey } from '../../src/trust/node-key.ts';
import type { NodeKey } from '../../src/trust/node-key.ts';
import { signRevocation } from '../../src/trust/revocation.ts';
import { readKeyFile } from '../../src/trust/key-file.ts';
import { issuerKeyPath } from '../../src/trust/mesh-authority.ts';
import type { Issuer } from '../../src/trust/mesh-authority.ts';
import { askToRenew } from '../../src/trust/renewal.ts';
import { decodeToken } from '../../src/trust/token.ts';
import { testMesh } from '../contract/trust/mesh-fixture.ts';
import type { TestMesh } from '../contract/trust/mesh-fixture.ts';
import { attack } from '../support/attack.ts';
import type { Told } from '../support/attack.ts';
import { AttackedMesh } from '../support/attacked-mesh.ts';
import { FalseSession, otherMachine } from '../support/false-member.ts';
import type { FalseMember } from '../support/false-member.ts';
import { FalseNeighbour } from '../support/false-neighbour.ts';
import swappedLeaf from '../unit/trust/swapped-leaf.ts';

const clock = createSystemClock();
const yearMs = 365 * 86_400_000;
let mesh: AttackedMesh;
let foreign: TestMesh;
let authority: Authority & { readonly root: Uint8Array };
/** A member until it was removed. */
let removed: FalseMember;

beforeAll(async () => {
  mesh = await AttackedMesh.start();
  foreign = await testMesh();
  authority = mesh.authority();
  removed = await mesh.member('gone');
  await (await mesh.client(mesh.victim)).removeMember('gone');
}, 60_000);
afterAll(async () => {
  await foreign?.[Symbol.asyncDispose]();
  await mesh?.[Symbol.asyncDispose]();
});

const victim = () => mesh.attacked();
const cut = { code: 'cut' } as const;
const refusedWith = (why: RegExp): { readonly line: RegExp } => ({ line: new RegExp(`${why.source}.*a connection was refused`) });

/** A connection with that certificate, to speak gRPC on. @returns how it ended, which it has to */
function knocks(identity: { readonly keyPem: string; readonly chainPem: string } | undefined, options: ConnectionOptions = {}): Promise<Told> {
  return new Promise((resolve, reject) => {
    const { host, port } = parseHostPort(mesh.victim.place.listen);
    const shown = identity === undefined ? {} : { key: identity.keyPem, cert: identity.chainPem };
    const socket: TLSSocket = connect({ host, port, rejectUnauthorized: false, ALPNProtocols: ['h2'], ...shown, ...otherMachine(), ...options });
    const heard: Buffer[] = [];
    const late = setTimeout(() => (socket.destroy(), reject(new Error('it was let in'))), 8_000);
    socket.once('secureConnect', () => socket.write('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0'));
    socket.on('data', (bytes: Buffer) => heard.push(bytes));
    socket.on('error', () => undefined);
    socket.once('close', () => {
      clearTimeout(late);
      resolve(heard.length === 0 ? cut : { code: 'repeated', words: `it answered ${Buffer.concat(heard).toString('latin1').slice(0, 200)}` });
    });
  });
}

/** As an identity has it, of a leaf that nobody honest would make. */
function shows(key: NodeKey, ...chain: readonly Uint8Array[]): Pick<MeshIdentity, 'keyPem' | 'chainPem'> {
  return { keyPem: key.toPem(), chainPem: toPem(...chain) };
}

function forged(name: string, why: RegExp, promise: string, make: () => Promise<Pick<MeshIdentity, 'keyPem' | 'chainPem'>>): void {
  attack(name, { victim, arrange: make, act: (identity) => knocks(identity), refused: cut, logged: refusedWith(why), shows: promise });
}

const leafFor = (key: NodeKey, nowMs: number, lifeMs = leafLifeMs, signer: Authority = authority): Promise<Uint8Array> =>
  makeLeaf({ publicKey: key.publicKey, name: 'stranger', owner: 'ann' }, signer, authority.root, nowMs, lifeMs);

forged('a certificate that has expired', /the certificate has expired/, 'after its end a certificate opens no session', async () => {
  const key = generateNodeKey();
  return shows(key, await leafFor(key, Date.now() - 100 * 86_400_000), authority.certificate);
});

forged('a certificate that is not valid yet', /the certificate is not valid yet/, 'nor does it before its beginning', async () => {
  const key = generateNodeKey();
  return shows(key, await leafFor(key, Date.now() + backdatedMs + 3_600_000), authority.certificate);
});

forged('a certificate of another mesh', /the certificate is (not )?of (this|another) mesh/, 'another mesh’s members are nobody here', () => foreign.member('stranger'));

forged('a certificate in the name of this mesh, by another mesh’s issuer', /the certificate is (not )?of (this|another) mesh/, 'the name of a mesh in a certificate counts with its root’s signature', async () => {
  const key = generateNodeKey();
  const theirs = { certificate: foreign.certificates.chain.issuer, key: await keyOf(foreign) };
  return shows(key, await leafFor(key, Date.now(), leafLifeMs, theirs), theirs.certificate);
});

forged('a certificate that is signed by itself', /the certificate is (signed by itself|not of this mesh)/, 'a node does not certify itself', async () => {
  const key = generateNodeKey();
  const own = { certificate: await makeIssuer(key.privateKey, { certificate: authority.root, key: key.privateKey }, Date.now()), key: key.privateKey };
  return shows(key, await leafFor(key, Date.now(), leafLifeMs, own));
});

forged('a leaf that a leaf has signed', /the certificate (is not of this mesh|is not made for this|does not verify)/, 'a member’s certificate is no authority’s: what it signs verifies nowhere', async () => {
  const member = mesh.copyOf(mesh.friend);
  const key = generateNodeKey();
  return shows(key, await leafFor(key, Date.now(), leafLifeMs, { certificate: member.chain.leaf, key: member.key.privateKey }), member.chain.leaf, member.chain.issuer);
});

forged('an issuer that an issuer has signed', /the certificate (does not verify|is not of this mesh|is not made for this)/, 'only the root makes issuers: a chain through another has no end', async () => {
  const key = generateNodeKey();
  const second = { certificate: await makeIssuer(key.privateKey, authority, Date.now()), key: key.privateKey };
  return shows(key, await leafFor(key, Date.now(), leafLifeMs, second), second.certificate, authority.certificate);
});

forged('the certificate of an authority in place of a node’s', /the certificate names no node|not that of a node|not made for/, 'an issuer’s own certificate is that of no node', async () => {
  const keyPem = authority.key.export({ type: 'pkcs8', format: 'pem' }).toString();
  return { keyPem, chainPem: toPem(authority.certificate) };
});

forged('a certificate that names another node than its key makes', /names another node than its key makes|not made for nodes/, 'a node is its key: not even an issuer gives one node’s id to another', async () => {
  const key = generateNodeKey();
  return shows(key, await swappedLeaf(authority, authority.root, key.publicKey, mesh.friendId, Date.now()), authority.certificate);
});

attack('a removed node on a session', {
  victim,
  act: async () => {
    const first = await toldGoodbye(removed);
    return [first, await knocks(removed.identity)];
  },
  refused: { code: ['unauthenticated', 'cut'] },
  logged: refusedWith(/gone \(k51\w+\) is refused: it was removed/),
  shows: 'it is told once that it was removed, with the proof, and from then on not heard',
});

/** Let in to be told. */
async function toldGoodbye(member: FalseMember): Promise<Told> {
  using session = new FalseSession(member, mesh.victim);
  const { reason, detail, revocation } = await session.frame('goodbye');
  expect(reason).toBe(GoodbyeReason.REMOVED);
  expect(revocation?.payload.length).toBeGreaterThan(0);
  expect(session.framesOf('hello')).toEqual([]);
  return { code: 'unauthenticated', words: detail };
}

attack('a removed node asks for another certificate, and to enter again', {
  victim,
  arrange: async () => decodeToken((await (await mesh.client(mesh.victim)).createInvite({})).token).secret,
  act: async (secret) => {
    const known = await meetIssuer(parseHostPort(mesh.victim.place.listen), { clock, ...otherMachine() });
    const verdict = await askToRenew(known, { nodeKey: removed.key, chain: removed.chain }, { clock, ...otherMachine() });
    if (!('revocation' in verdict)) throw new Error('it was renewed');
    const again = await askToJoin(known, { nodeKey: removed.key, name: 'gone', secret }, { clock, ...otherMachine() }).then(
      () => Promise.reject(new Error('it was let in')),
      (thrown: { readonly error?: { readonly code: Told['code']; readonly message: string } }) => thrown.error,
    );
    if (again === undefined) throw new Error('it was not told why');
    return { code: again.code, words: again.message };
  },
  refused: { code: 'unauthenticated', words: /which was removed from the mesh by .*: it can’t come back with it/ },
  logged: refusedWith(/v1\/enrol.*the key of this node is that of gone/),
  shows: 'renewal answers with the proof of the removal; with a good token its key is refused all the same',
});

attack('a removal signed by a node that is no issuer', {
  victim,
  arrange: async () => {
    const mallory = await mesh.member('mallory');
    return { mallory, session: await mesh.session(mallory) };
  },
  act: ({ mallory, session }) => {
    const own = { certificate: mallory.chain.leaf, roots: mallory.root, sign: (statement: Uint8Array) => mallory.key.sign(statement) } as unknown as Issuer;
    const honest = { ...own, certificate: mallory.chain.issuer };
    const revocations = [own, honest].map((issuer) => signRevocation(issuer, { nodeId: mesh.friendId, name: 'friend', by: 'ann', revokedAtMs: Date.now() }));
    const frames = revocations.map(({ payload, signature }) => ({ $case: 'registryEntry' as const, value: { chain: undefined, head: undefined, departure: undefined, revocation: { payload: Buffer.from(payload), signature: Buffer.from(signature) } } }));
    return session.sayToNobody(...frames);
  },
  refused: { code: 'silence' },
  logged: { line: /a revocation that a peer told of was not believed/ },
  holds: async () => {
    const { members } = await mesh.victim.json(['mesh', 'members']);
    expect((members as { name: string }[]).map(({ name }) => name)).toContain('friend');
  },
  shows: 'a removal counts with the signature of an issuer that the root made, and with no other',
});

attack('a removal that another mesh’s issuer has signed', {
  victim,
  arrange: async () => mesh.session(await mesh.member('mallory-2')),
  act: (session) => {
    const { payload, signature } = signRevocation(foreign.issuer, { nodeId: mesh.friendId, name: 'friend', by: 'ann', revokedAtMs: Date.now() });
    return session.askToBeRefused({ $case: 'revoked', value: { revocation: { payload: Buffer.from(payload), signature: Buffer.from(signature) } } });
  },
  refused: { code: 'unauthenticated', words: /a revocation is not by an issuer of this mesh/ },
  logged: { line: /"frame":"revoked","code":"unauthenticated"/ },
  shows: 'what is true in another mesh removes nobody here',
});

attack('a copy of a member’s key, while the member is there', {
  victim,
  arrange: () => Promise.resolve(mesh.copyOf(mesh.friend)),
  act: async (copy) => {
    using session = new FalseSession(copy, mesh.victim, { epoch: Date.now() + yearMs, bootNonce: randomBytes(16) });
    const { reason, detail } = await session.frame('goodbye');
    expect(reason).toBe(GoodbyeReason.CLONE);
    return { code: 'unauthenticated', words: detail };
  },
  refused: { code: 'unauthenticated', words: /two machines use the key of friend at once/ },
  logged: { line: /"level":"error".*two machines use the key of friend at once/ },
  stores: [{ table: 'events', what: 'added', row: /peer\.cloned/, why: 'that two use one key is what its owner has to know' }],
  shows: 'the machine that is there stays, the second is refused, whatever epoch it claims, and both are told of',
});

const everyCall = ['/beckon.v1.MeshService/Control', '/beckon.v1.MeshService/Data', '/grpc.health.v1.Health/Check', '/grpc.health.v1.Health/Watch', '/grpc.reflection.v1.ServerReflection/ServerReflectionInfo', '/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo'];

attack('no certificate, on every call that there is', {
  victim,
  act: () => Promise.all(everyCall.map((path) => calls(path))),
  refused: cut,
  logged: { ...refusedWith(/"why":"no certificate"/), most: everyCall.length },
  shows: 'without a certificate no call is reached, of the mesh, of health or of reflection: the connection ends before HTTP/2 is spoken',
});

/** One gRPC call of somebody without a certificate. */
function calls(path: string): Promise<Told> {
  return new Promise((resolve, reject) => {
    const session = http2.connect(`https://${mesh.victim.place.listen}`, { rejectUnauthorized: false, ...otherMachine() } as http2.SecureClientSessionOptions);
    session.on('error', () => undefined);
    session.once('close', () => resolve(cut));
    const call = session.request({ ':method': 'POST', ':path': path, 'content-type': 'application/grpc', te: 'trailers' });
    call.on('error', () => undefined);
    call.once('response', (headers) => reject(new Error(`it answered ${JSON.stringify(headers)}`)));
    call.end(Buffer.alloc(5));
  });
}

attack('a certificate from before there was the mesh, and a foreign one, are brought to be renewed', {
  victim,
  arrange: async () => {
    const key = generateNodeKey();
    const long = { key, chain: { leaf: await leafFor(key, Date.now() - 200 * 86_400_000), issuer: authority.certificate } };
    const other = generateNodeKey();
    const theirs = { certificate: foreign.certificates.chain.issuer, key: await keyOf(foreign) };
    return [long, { key: other, chain: { leaf: await leafFor(other, Date.now(), leafLifeMs, theirs), issuer: theirs.certificate } }];
  },
  act: async (brought) => {
    const known = await meetIssuer(parseHostPort(mesh.victim.place.listen), { clock, ...otherMachine() });
    return Promise.all(brought.map(async ({ key, chain }): Promise<Told> => {
      const thrown = await askToRenew(known, { nodeKey: key, chain }, { clock, ...otherMachine() }).then(() => undefined, (error: { readonly error?: { readonly code: Told['code']; readonly message: string } }) => error.error);
      if (thrown === undefined) throw new Error('it was renewed, or refused without a word');
      return { code: thrown.code, words: thrown.message };
    }));
  },
  refused: { code: 'unauthenticated', words: /the root's certificate is not valid before|the root did not sign the issuer/ },
  logged: { ...refusedWith(/v1\/renew/), most: 2 },
  shows: 'what the issuer’s key is made to sign with a false date is not renewed, nor is another mesh’s',
});

attack('TLS 1.2', {
  victim,
  act: () => knocks(mesh.copyOf(mesh.friend).identity, { minVersion: 'TLSv1.2', maxVersion: 'TLSv1.2' }),
  refused: cut,
  logged: refusedWith(/TLS older than 1\.3/),
  shows: 'an older TLS is refused, with a good certificate too',
});

attack('no TLS', {
  victim,
  act: () =>
    new Promise<Told>((resolve) => {
      const { host, port } = parseHostPort(mesh.victim.place.listen);
      const socket = connectPlain({ host, port, ...otherMachine() }, () => void socket.write('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'));
      socket.on('error', () => undefined);
      socket.resume().once('close', () => resolve(cut));
    }),
  refused: cut,
  logged: refusedWith(/not TLS|plain HTTP|no TLS 1\.3 handshake/),
  shows: 'nothing is said without TLS',
});

attack('a session of TLS that is resumed', {
  victim,
  act: async () => {
    const { identity } = await mesh.member('resumer');
    const { host, port } = parseHostPort(mesh.victim.place.listen);
    const tickets: Buffer[] = [];
    const shown = { host, port, key: identity.keyPem, cert: identity.chainPem, rejectUnauthorized: false, ALPNProtocols: ['h2'] };
    const first = connect({ ...shown, ...otherMachine() });
    first.on('error', () => undefined);
    first.on('session', (ticket: Buffer) => tickets.push(ticket));
    await new Promise<void>((resolve) => first.once('secureConnect', () => resolve()));
    await new Promise((resolve) => setTimeout(resolve, 100));
    const session = tickets.at(-1) ?? first.getSession();
    first.destroy();
    // With what it was given, and no certificate of its own.
    const told = await new Promise<Told>((resolve) => {
      const second = connect({ host, port, rejectUnauthorized: false, ALPNProtocols: ['h2'], ...(session === undefined ? {} : { session }), ...otherMachine() });
      let isReused = false;
      second.once('secureConnect', () => (isReused = second.isSessionReused()));
      second.on('error', () => undefined);
      second.resume().once('close', () => resolve(isReused ? { code: 'repeated', words: 'the session was resumed' } : cut));
    });
    return told;
  },
  refused: cut,
  logged: refusedWith(/"why":"no certificate"/),
  stores: [{ table: 'members', what: 'added', why: 'it entered' }, { table: 'invites', what: 'added', why: 'by an invitation' }, { table: 'events', most: 3, why: 'as it is written down' }, { table: 'nodes', what: 'added', why: 'with its id' }],
  shows: 'no TLS session is resumed: each connection proves its key anew',
});

attack('gossip of a key that is on no roster, and of one that was removed', {
  victim,
  act: async () => {
    const told: Told[] = [];
    for (const key of [generateNodeKey(), removed.key]) {
      await using neighbour = await FalseNeighbour.start(key, removed.identity.meshId);
      await neighbour.dial(mesh.victim, mesh.victimId);
      await neighbour.isCut();
      told.push(cut);
    }
    return told;
  },
  refused: cut,
  logged: { line: /a gossip connection was refused: its key is no member’s/ },
  shows: 'gossip is for members: a key that is none’s is cut as soon as it is proven',
});

/** Of the issuer of another mesh. */
async function keyOf({ directory, certificates }: TestMesh): Promise<KeyObject> {
  const key = await readKeyFile(issuerKeyPath(directory, certificates.meshId));
  if (key === undefined) throw new Error('it has no key');
  expect(rawPublicKey(createPublicKey(key)).length).toBe(32);
  return key;
}
