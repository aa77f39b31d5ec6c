/** Certificates that are none, or none any more: on sessions, where members are asked for things, at renewal, at enrolment and in gossip. */
import { createPublicKey, randomBytes } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { afterAll, beforeAll, expect } from 'vitest';
import { createSystemClock } from '../../src/app/system-clock.ts';
import { parseHostPort } from '../../src/domain/host-port.ts';
import type { HostPort } from '../../src/domain/host-port.ts';
import type { Clock } from '../../src/domain/ports.ts';
import type { CertificateChain } from '../../src/domain/trust.ts';
import { GoodbyeReason } from '../../src/gen/beckon/v1/mesh.ts';
import { encodeGossip } from '../../src/rpc/registry.ts';
import { authorityName, lifeOf, toPem } from '../../src/trust/certificate.ts';
import { encodeMessage, enrolmentPaths } from '../../src/trust/enrolment-messages.ts';
import { backdatedMs, leafLifeMs, makeIssuer, makeLeaf } from '../../src/trust/issue.ts';
import type { Authority } from '../../src/trust/issue.ts';
import { askToJoin, meetIssuer } from '../../src/trust/issuer-call.ts';
import type { IssuerCall } from '../../src/trust/issuer-call.ts';
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
import { callsUncertified, cut, knocks, knocksPlainly, resumes, toldByIssuer } from '../support/knocking.ts';
import type { Shown } from '../support/knocking.ts';
import { waitFor } from '../support/wait-for.ts';
import swappedLeaf from '../unit/trust/swapped-leaf.ts';

const clock = createSystemClock();
const dayMs = 86_400_000;
const yearMs = 365 * dayMs;
let mesh: AttackedMesh;
let foreign: TestMesh;
let authority: Authority & { readonly root: Uint8Array };
/** A member until it was removed. */
let removed: FalseMember;
/** Members of this mesh once, who have not been seen since: so long ago ended their certificates. */
let tenDaysLate: Holder;
let monthsLate: Holder;

beforeAll(async () => {
  mesh = await AttackedMesh.start({ agedMs: yearMs });
  foreign = await testMesh();
  authority = mesh.authority();
  [tenDaysLate, monthsLate] = [await endedFor(10), await endedFor(110)];
  removed = await mesh.member('gone');
  await (await mesh.client(mesh.victim)).removeMember('gone');
}, 60_000);
afterAll(async () => {
  await foreign?.[Symbol.asyncDispose]();
  await mesh?.[Symbol.asyncDispose]();
});

/** A key, and what was certified of it. */
interface Holder {
  readonly key: NodeKey;
  readonly chain: CertificateChain;
}

const falseAgent = '@false@friend#main';
const victim = () => mesh.attacked();
const front = (): HostPort => parseHostPort(mesh.victim.place.listen);
const call = (): IssuerCall & { readonly clock: Clock } => ({ clock, ...otherMachine() });
const refusedWith = (why: RegExp): { readonly line: RegExp } => ({ line: new RegExp(`${why.source}.*a connection was refused`) });

/** As an identity has it, of a leaf that nobody honest would make. */
function shows(key: NodeKey, ...chain: readonly Uint8Array[]): Shown {
  return { keyPem: key.toPem(), chainPem: toPem(...chain) };
}

function forged(name: string, why: RegExp, promise: string, make: () => Promise<Shown>): void {
  attack(name, { victim, arrange: make, act: (identity) => knocks(front(), identity), refused: cut, logged: refusedWith(why), audit: ['session.refused'], shows: promise });
}

const leafFor = (key: NodeKey, nowMs: number, lifeMs = leafLifeMs, signer: Authority = authority): Promise<Uint8Array> =>
  makeLeaf({ publicKey: key.publicKey, name: 'stranger', owner: 'ann' }, signer, authority.root, nowMs, lifeMs);

async function endedFor(days: number): Promise<Holder> {
  const key = generateNodeKey();
  return { key, chain: { leaf: await leafFor(key, Date.now() - leafLifeMs - days * dayMs), issuer: authority.certificate } };
}

forged('a certificate that has expired', /the certificate has expired/, 'after its end a certificate opens no session', () => Promise.resolve(shows(tenDaysLate.key, tenDaysLate.chain.leaf, authority.certificate)));

forged('a certificate that ended 110 days ago, of a mesh that is older', /the certificate has expired/, 'nor does it later', () => Promise.resolve(shows(monthsLate.key, monthsLate.chain.leaf, authority.certificate)));

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

forged('a certificate whose issuer writes its own name in capitals', /does not name its issuer as issuers are called/, 'OpenSSL takes it for the same name, and removals go by the letter: it enters nowhere', async () => {
  const key = generateNodeKey();
  const capitals = authorityName(authority.certificate).slice('CN='.length).toUpperCase();
  return shows(key, await swappedLeaf(authority, authority.root, key.publicKey, key.nodeId, Date.now(), { issuerName: capitals }), authority.certificate);
});

attack('a removed node on a session', {
  victim,
  act: async () => {
    const first = await toldGoodbye(removed);
    return [first, await knocks(front(), removed.identity)];
  },
  refused: { code: ['unauthenticated', 'cut'] },
  logged: refusedWith(/gone \(k51\w+\) is refused: it was removed/),
  audit: ['session.refused'],
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
  arrange: () => invite(),
  act: async (secret) => {
    const verdict = await askToRenew(await meetIssuer(front(), call()), { nodeKey: removed.key, chain: removed.chain }, call());
    if (!('revocation' in verdict)) throw new Error('it was renewed');
    return joins(removed.key, 'gone', secret);
  },
  refused: { code: 'unauthenticated', words: /which was removed from the mesh by .*: it can’t come back with it/ },
  logged: refusedWith(/v1\/enrol.*the key of this node is that of gone/),
  audit: ['invite.refused'],
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
  audit: ['record.refused'],
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
  audit: ['record.refused'],
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
  audit: ['session.refused'],
  stores: [{ table: 'events', what: 'added', row: /peer\.cloned/, why: 'that two use one key is what its owner has to know' }],
  shows: 'the machine that is there stays, the second is refused, whatever epoch it claims, and both are told of',
});

const everyCall = ['/beckon.v1.MeshService/Control', '/beckon.v1.MeshService/Data', '/grpc.health.v1.Health/Check', '/grpc.health.v1.Health/Watch', '/grpc.reflection.v1.ServerReflection/ServerReflectionInfo', '/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo'];

attack('no certificate, on every call that there is', {
  victim,
  act: () => Promise.all(everyCall.map((path) => callsUncertified(front(), path))),
  refused: cut,
  logged: { ...refusedWith(/"why":"no certificate"/), each: true },
  audit: ['session.refused'],
  shows: 'without a certificate no call is reached, of the mesh, of health or of reflection: the connection ends before HTTP/2 is spoken',
});

const renews = async ({ key, chain }: Holder): Promise<Told> => toldByIssuer(askToRenew(await meetIssuer(front(), call()), { nodeKey: key, chain }, call()));
const invite = async (): Promise<Uint8Array> => decodeToken((await (await mesh.client(mesh.victim)).createInvite({})).token).secret;
const joins = async (key: NodeKey, name: string, secret: Uint8Array): Promise<Told> => toldByIssuer(askToJoin(await meetIssuer(front(), call()), { nodeKey: key, name, secret }, call()));

attack('a certificate from before there was the mesh, and a foreign one, are brought to be renewed', {
  victim,
  arrange: async () => {
    const [key, other] = [generateNodeKey(), generateNodeKey()];
    const theirs = { certificate: foreign.certificates.chain.issuer, key: await keyOf(foreign) };
    return [
      { key, chain: { leaf: await leafFor(key, Date.now() - yearMs - leafLifeMs - 10 * dayMs), issuer: authority.certificate } },
      { key: other, chain: { leaf: await leafFor(other, Date.now(), leafLifeMs, theirs), issuer: theirs.certificate } },
    ];
  },
  act: (brought) => Promise.all(brought.map(renews)),
  refused: { code: 'unauthenticated', words: /the root's certificate is not valid before|the root did not sign the issuer/ },
  logged: { ...refusedWith(/v1\/renew/), each: true },
  audit: ['renewal.refused'],
  shows: 'what the issuer’s key is made to sign with a false date is not renewed, nor is another mesh’s',
});

attack('a certificate that ended 110 days ago is brought to be renewed, by who holds its key', {
  victim,
  act: () => renews(monthsLate),
  refused: { code: 'denied', words: /ended 110d.* ago, and it can be renewed for 90d/ },
  logged: refusedWith(/v1\/renew.*it can be renewed for 90d/),
  audit: ['renewal.refused'],
  holds: async () => {
    const { chain } = (await askToRenew(await meetIssuer(front(), call()), { nodeKey: tenDaysLate.key, chain: tenDaysLate.chain }, call())) as { readonly chain: CertificateChain };
    expect(lifeOf(chain.leaf).notAfterMs).toBeGreaterThan(Date.now() + leafLifeMs - dayMs);
  },
  shows: 'for 90 days after its end a certificate is renewed for who proves its key; from then on it takes an invitation, as for anybody',
});

attack('a certificate that has ended, and one of another mesh, shown where machines are let in, with a token that is good', {
  victim,
  arrange: async () => ({ secret: await invite(), theirs: await foreign.member('stranger') }),
  act: async ({ secret, theirs }) => {
    const shown = [shows(monthsLate.key, monthsLate.chain.leaf, authority.certificate), theirs];
    return Promise.all(shown.map((each) => knocks(front(), each, { ALPNProtocols: ['http/1.1'] }, `POST ${enrolmentPaths.enrol} HTTP/1.1\r\nhost: beckon\r\ncontent-length: 60\r\n\r\n${encodeMessage({ secret })}`)));
  },
  refused: cut,
  logged: { ...refusedWith(/(the certificate has expired|the certificate is (not )?of (this|another) mesh)/), each: true },
  audit: ['session.refused'],
  shows: 'who shows a certificate is judged by it: one that counts no more, or elsewhere, does not get as far as its token',
});

attack('the secret of another mesh’s invitation, and a proof of the key that was made for another mesh', {
  victim,
  arrange: async () => ({ theirs: foreign.invitation().secret, own: await invite() }),
  act: async ({ theirs, own }) => {
    const { founder, identity } = foreign;
    const inItsOwn = (statement: Uint8Array): Buffer => Buffer.from(Buffer.from(statement).toString('latin1').replace(removed.identity.meshId, identity.meshId), 'latin1');
    return [await joins(founder, 'stranger', theirs), await joins({ ...founder, sign: (statement) => founder.sign(inItsOwn(statement)) }, 'stranger', own)];
  },
  refused: { code: ['denied', 'unauthenticated'], words: /the token is not valid here|did not prove that it holds its key/ },
  logged: { ...refusedWith(/v1\/enrol/), each: true },
  audit: ['invite.refused'],
  shows: 'what lets a machine into one mesh does so in no other',
});

attack('a copy of a member’s key asks for another certificate, and to enter under another name', {
  victim,
  arrange: async () => ({ copy: mesh.copyOf(mesh.friend), secret: await invite() }),
  act: async ({ copy, secret }) => [await renews(copy), await joins(copy.key, 'victim', secret), await joins(copy.key, 'elsewhere', new Uint8Array(randomBytes(32)))],
  refused: { code: ['conflict', 'denied'], words: /needs no renewal yet|another node of this mesh is called victim|the token is not valid here/ },
  logged: { ...refusedWith(/v1\/(renew|enrol)/), each: true },
  audit: ['invite.refused', 'renewal.refused'],
  shows: 'a key alone makes no second certificate of one that is good, takes no name, and lets nobody in; an issuer can not tell two machines of one key apart, sessions do',
});

attack('TLS 1.2', {
  victim,
  act: () => knocks(front(), mesh.copyOf(mesh.friend).identity, { minVersion: 'TLSv1.2', maxVersion: 'TLSv1.2' }),
  refused: cut,
  logged: refusedWith(/TLS older than 1\.3/),
  audit: ['session.refused'],
  shows: 'an older TLS is refused, with a good certificate too',
});

attack('no TLS', {
  victim,
  act: () => knocksPlainly(front()),
  refused: cut,
  logged: refusedWith(/not TLS|plain HTTP|no TLS 1\.3 handshake/),
  audit: ['session.refused'],
  shows: 'nothing is said without TLS',
});

attack('a session of TLS that is resumed', {
  victim,
  act: async () => resumes(front(), (await mesh.member('resumer')).identity),
  refused: cut,
  logged: refusedWith(/"why":"no certificate"/),
  audit: ['invite.made', 'invite.used', 'member.admitted', 'session.refused'],
  stores: [{ table: 'members', what: 'added', why: 'it entered' }, { table: 'invites', what: 'added', why: 'by an invitation' }, { table: 'events', most: 3, why: 'as it is written down' }, { table: 'nodes', what: 'added', why: 'with its id' }],
  shows: 'no TLS session is resumed: each connection proves its key anew',
});

attack('gossip of keys that are on no roster, were removed, are another mesh’s, and whose certificate has ended', {
  victim,
  arrange: async () => {
    // On the roster it comes by any member.
    const session = await mesh.session(await mesh.member('teller'));
    const { leaf, issuer } = monthsLate.chain;
    await session.sayToNobody({ $case: 'roster', value: { members: [{ chain: { leaf: Buffer.from(leaf), issuer: Buffer.from(issuer) }, addresses: [] }], rules: undefined, authorities: Buffer.alloc(0) } });
    await waitFor('the victim to list it', async () => JSON.stringify(await mesh.victim.json(['mesh', 'members'])).includes(monthsLate.key.nodeId));
  },
  act: () => {
    const own = removed.identity.meshId;
    const keys = [[generateNodeKey(), own], [removed.key, own], [foreign.founder, own], [foreign.founder, foreign.identity.meshId], [monthsLate.key, own]] as const;
    return Promise.all(keys.map(async ([key, meshId]) => {
      await using neighbour = await FalseNeighbour.start(key, meshId);
      await neighbour.dial(mesh.victim, mesh.victimId);
      await neighbour.isCut();
      return cut;
    }));
  },
  refused: cut,
  logged: { line: /a gossip connection was refused: its key is no member’s/ },
  shows: 'gossip is for members whose certificates hold: a key that is none’s is cut as soon as it is proven',
});

attack('a copy of a member’s key in gossip, while the member is there: it says that it has another agent', {
  victim: () => ({ node: mesh.friend, serves: () => mesh.call(mesh.friend, mesh.echo) }),
  arrange: () => Promise.resolve(mesh.copyOf(mesh.friend)),
  act: async ({ key, seal, identity }) => {
    await using neighbour = await FalseNeighbour.start(key, identity.meshId);
    await neighbour.isHeardBy(mesh.victim, mesh.victimId);
    const record = seal.sealRegistration({ address: falseAgent, nodeId: mesh.friendId, harness: 'command', capabilities: [], labels: {}, visibility: 'mesh', description: '', isDefault: true, available: true });
    const head = seal.sealHead({ nodeId: mesh.friendId, epoch: Date.now() + yearMs, version: 1, count: 1, rootHash: seal.hash(seal.hash(record.payload)), addresses: [], gossipAddresses: [] });
    await neighbour.say(encodeGossip({ type: 'registry_change', change: { head, records: [record], gone: [] } }));
    await neighbour.isCut();
    return cut;
  },
  refused: cut,
  logged: { line: /others hold a newer list of this node’s agents than it has told them.*what it has now counts/ },
  stores: [
    { table: 'registry_heads', what: 'gone', why: 'its own list is told anew' },
    { table: 'registry_heads', what: 'added', why: 'above the false one' },
    { table: 'events', what: 'added', row: /registry\.raised/, why: 'that somebody else has signed with its key is what its owner has to know' },
  ],
  holds: async () => {
    await waitFor('the victim to know better', async () => !(await mesh.agentsAt(mesh.victim)).includes(falseAgent));
  },
  shows: 'the member comes back and ends the connection of its copy; what was signed with its key elsewhere it overrules, and says so',
});

/** Of the issuer of another mesh. */
async function keyOf({ directory, certificates }: TestMesh): Promise<KeyObject> {
  const key = await readKeyFile(issuerKeyPath(directory, certificates.meshId));
  if (key === undefined) throw new Error('it has no key');
  expect(rawPublicKey(createPublicKey(key)).length).toBe(32);
  return key;
}
