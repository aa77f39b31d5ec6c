/** Members that speak in the name of others. Most are of the victim's own person, so that no policy stands in their way. */
import { join } from 'node:path';
import { afterAll, beforeAll, expect } from 'vitest';
import { invocationOfFlight } from '../../src/domain/ids.ts';
import type { FlightId, InvocationId } from '../../src/domain/ids.ts';
import { GoodbyeReason } from '../../src/gen/beckon/v1/mesh.ts';
import { ErrorCode, FailureReason, FlightState, OutputStream, ReplyKind } from '../../src/gen/beckon/v1/record.ts';
import { decodeErrorInfo } from '../../src/rpc/error-info.ts';
import { rootSet, toPem } from '../../src/trust/certificate.ts';
import { issuerStatement } from '../../src/trust/enrolment-proofs.ts';
import { makeIssuer, makeLeaf } from '../../src/trust/issue.ts';
import { rootKeysHere } from '../../src/trust/mesh-authority.ts';
import type { Issuer } from '../../src/trust/mesh-authority.ts';
import { generateNodeKey, signWith } from '../../src/trust/node-key.ts';
import { signRevocation } from '../../src/trust/revocation.ts';
import { acpAgentFile } from '../support/acp-endpoint.ts';
import { attack } from '../support/attack.ts';
import { AttackedMesh } from '../support/attacked-mesh.ts';
import { hlcAt } from '../support/false-member.ts';
import type { FalseSession } from '../support/false-member.ts';
import { rows } from '../support/database.ts';
import { waitsFor } from '../support/cluster.ts';
import { waitFor } from '../support/wait-for.ts';

let mesh: AttackedMesh;
/** Of the victim, at the friend's agent; and of the friend, at the victim's. Both run until the end. */
let out: FlightId;
let within: FlightId;
/** Of the friend, at an agent of the victim that waits for an approval. */
let asking: FlightId;

beforeAll(async () => {
  mesh = await AttackedMesh.start();
  const { cluster, victim, friend } = mesh;
  const gate = cluster.program('gate', `cat; ${waitsFor(cluster.path('opened'))}`);
  const [there, here] = [await friend.addAgent('gate', [gate]), await victim.addAgent('gate', [gate])];
  const asks = await victim.addAgent('asks', [process.execPath, acpAgentFile, '--always', 'yes-or-no'], ['--harness', 'acp']);
  await waitFor('all to know all', async () => [...(await mesh.agentsAt(victim)), ...(await mesh.agentsAt(friend))].length === 8);
  out = await mesh.begin(victim, there);
  within = await mesh.begin(friend, here);
  asking = await mesh.begin(friend, asks);
  await mesh.becomes(victim, out, 'running');
  await mesh.becomes(friend, within, 'running');
  await mesh.becomes(friend, asking, 'waiting');
}, 60_000);
afterAll(async () => {
  if (mesh !== undefined) mesh.cluster.open('opened');
  await mesh?.[Symbol.asyncDispose]();
});

const usual = { victim: () => mesh.attacked(), arrange: () => mesh.enter() } as const;
const asAnother = { ...usual, arrange: () => mesh.enter('bob') } as const;
const notTaken = (frame: string): { readonly line: RegExp } => ({ line: new RegExp(`"frame":"${frame}","code":"denied".*not for this node.*a message of a peer was not taken`) });
const idOf = (flight: FlightId): InvocationId => invocationOfFlight(flight);
const now = (): string => hlcAt(Date.now());

/** A frame about a flight of others, which nobody answers. */
function forged(name: string, frame: string, shows: string, say: (session: FalseSession) => Parameters<FalseSession['say']>[0]): void {
  attack(name, { ...usual, act: ({ session }) => session.sayToNobody(say(session)), refused: { code: 'silence' }, logged: notTaken(frame), holds: untouched, shows });
}

/** The flights of others go on. */
async function untouched(): Promise<void> {
  const [victims, friends] = [await mesh.client(mesh.victim), await mesh.client(mesh.friend)];
  for (const client of [victims, friends]) for (const id of [out, within]) expect((await client.getFlight(id)).flight).toMatchObject({ state: 'running' });
  expect((await friends.getFlight(asking)).flight).toMatchObject({ state: 'waiting' });
}

attack('work in the name of another node', {
  ...usual,
  act: ({ mallory, session }) => {
    const forward = mallory.forward({ nodeId: mesh.victimId, address: mesh.echo }, { originNodeId: mesh.friendId });
    session.say({ $case: 'forward', value: forward });
    return session.rejection(forward.invocation?.id ?? '');
  },
  refused: { code: 'denied', words: /in another node's name/ },
  logged: { line: /"msg":"an invocation was refused"/ },
  audit: ['policy.denied'],
  shows: 'an invocation whose origin is not the node that the certificate names is rejected, and not run',
});

attack('work of another person that says it is of the owner', {
  ...asAnother,
  act: ({ mallory, session }) => {
    // Whatever stands in the fields: the person is the one of the certificate.
    const forward = mallory.forward({ nodeId: mesh.victimId, address: mesh.echo }, { caller: `uid:${process.getuid?.() ?? 0}`, ancestorTargets: ['@gate@victim#main'], depth: 1 });
    session.say({ $case: 'forward', value: forward });
    return session.rejection(forward.invocation?.id ?? '');
  },
  refused: { code: 'denied', words: /bob \(mallory-2\) may not invoke @echo@victim#main/ },
  logged: { line: /"reason":"denied".*an invocation was refused/ },
  audit: ['policy.denied'],
  shows: 'who invokes is read from the certificate; no caller, path or address in the message changes that',
});

forged('a receipt for what another node was given', 'receipt', 'a receipt counts from the owner of the flight alone', () => ({ $case: 'receipt', value: { invocationId: idOf(out), receivedAtMs: Date.now(), hlc: now() } }));

forged('a refusal of what another node was given', 'reject', 'only the owner of a flight ends it by refusing it', () => ({
  $case: 'reject',
  value: { invocationId: idOf(out), reason: FailureReason.DENIED, error: { code: ErrorCode.DENIED, message: 'no', hint: '', candidates: [], detail: {} }, hlc: now() },
}));

attack('output and an end of another node’s run', {
  ...usual,
  act: async ({ session }) => {
    const event = { seq: 2, atMs: Date.now(), hlc: now() };
    session.sayData({ $case: 'flightEvents', value: { invocationId: idOf(out), receivedAtMs: Date.now(), events: [
      { ...event, body: { $case: 'output', value: { stream: OutputStream.STDOUT, content: Buffer.from('not what it said') } } },
      { ...event, seq: 3, body: { $case: 'finished', value: { state: FlightState.COMPLETED, exitCode: 0, error: undefined, signal: '' } } },
    ] } });
    return session.sayToNobody();
  },
  refused: { code: 'silence' },
  logged: notTaken('flight_events'),
  holds: untouched,
  shows: 'output and terminal states count from the owner alone: nothing is stored, acknowledged or shown',
});

forged('what the owner of another’s flight holds of it', 'sync_reply', 'nobody is asked about a flight but its owner, and nobody else’s answer counts', () => ({
  $case: 'syncReply', value: { items: [{ invocationId: idOf(out), state: FlightState.UNSPECIFIED, run: 0, lastSeq: 0 }] },
}));

forged('that another’s flight is not known and its cancel confirmed', 'cancelled_unknown', 'no other node than the owner confirms a cancel', () => ({ $case: 'cancelledUnknown', value: { invocationId: idOf(out), hlc: now() } }));

forged('that the owner of another’s flight is going down', 'draining', 'no other node than the owner gives work back', () => ({ $case: 'draining', value: { invocationId: idOf(out), attempt: 1, hlc: now() } }));

forged('a cancel of another node’s flight', 'cancel', 'a flight is cancelled by its origin, not by a node that knows its id', () => ({ $case: 'cancel', value: { invocationId: idOf(within), hlc: now() } }));

forged('an acknowledgement of events that another node is to get', 'event_ack', 'nobody makes an owner forget what it owes to another origin', () => ({ $case: 'eventAck', value: { invocationId: idOf(within), seq: 1, unknown: true } }));

attack('that this store has lost another’s flight', {
  ...usual,
  act: async ({ session }) => {
    session.say({ $case: 'sync', value: { items: [{ invocationId: idOf(within), receipted: true, lastSeq: 99, cancelRequested: false }] } });
    const { items } = await session.frame('syncReply');
    expect(items.map(({ state }) => state)).toEqual([FlightState.UNSPECIFIED]);
    return session.sayToNobody();
  },
  refused: { code: 'silence' },
  logged: notTaken('sync'),
  holds: untouched,
  shows: 'of another’s flight it is told nothing, and its word that the store was put back holds up nobody’s work',
});

attack('an approval for another node’s flight', {
  ...usual,
  act: async ({ session }) => {
    const { flight } = await (await mesh.client(mesh.victim)).getFlight(asking);
    const request = flight.waiting?.request ?? '';
    session.say({ $case: 'reply', value: { invocationId: idOf(asking), request, kind: ReplyKind.APPROVED, text: '', by: 'ann', hlc: now() } });
    const { error } = await session.frame('replyOutcome');
    if (error === undefined) throw new Error('the approval was taken');
    const { code, message } = decodeErrorInfo(error);
    return { code, words: message };
  },
  refused: { code: 'denied', words: /not for this node to answer for/ },
  logged: notTaken('reply'),
  holds: untouched,
  shows: 'an approval is taken from the origin of the flight',
});

attack('an approval by another person’s node, as a question', {
  ...asAnother,
  act: ({ session }) => session.askToBeRefused({ $case: 'reply', value: { invocationId: idOf(asking), request: '', kind: ReplyKind.APPROVED, text: '', by: 'ann', waitMs: 0 } }),
  refused: { code: 'denied', words: /may not answer for/ },
  logged: { line: /"frame":"reply","code":"denied".*a question of a peer was refused/ },
  audit: ['policy.denied'],
  holds: untouched,
  shows: 'only nodes of the owner’s own person answer for the owner',
});

attack('another node’s list of agents, signed with a key of one’s own', {
  ...usual,
  act: ({ mallory, session }) => {
    const { seal } = mallory;
    const record = seal.sealRegistration({ ...anAgent, address: '@false@friend#main', nodeId: mesh.friendId });
    const head = seal.sealHead({ nodeId: mesh.friendId, epoch: Date.now() + 1_000_000, version: 9, count: 1, rootHash: seal.hash(seal.hash(record.payload)), addresses: [], gossipAddresses: [] });
    return session.sayToNobody({ $case: 'registryChange', value: { head: wire(head), records: [wire(record)], gone: Buffer.alloc(0) } });
  },
  refused: { code: 'silence' },
  logged: { line: /the signature of a head is not its owner's/ },
  holds: async () => expect(await mesh.agentsAt(mesh.victim)).not.toContain('@false@friend#main'),
  shows: 'a list of agents counts with the signature of the node that has them',
});

attack('an agent of another node in one’s own list', {
  ...usual,
  act: ({ mallory, session }) => {
    const { seal } = mallory;
    const record = seal.sealRegistration({ ...anAgent, address: '@false@friend#main', nodeId: mesh.friendId });
    const head = seal.sealHead({ nodeId: mallory.nodeId, epoch: Date.now(), version: 1, count: 1, rootHash: seal.hash(seal.hash(record.payload)), addresses: [], gossipAddresses: [] });
    return session.sayToNobody({ $case: 'registryChange', value: { head: wire(head), records: [wire(record)], gone: Buffer.alloc(0) } });
  },
  refused: { code: 'silence' },
  logged: { line: /a registration of another node/ },
  holds: async () => expect(await mesh.agentsAt(mesh.victim)).not.toContain('@false@friend#main'),
  shows: 'a node lists agents of its own and no others',
});

attack('how busy another node is', {
  ...usual,
  act: ({ mallory, session }) => {
    const presence = mallory.seal.sealPresence({ nodeId: mesh.friendId, epoch: Date.now() + 1_000_000, number: 1, running: 9999, queued: 9999, agents: [] });
    return session.sayToNobody({ $case: 'presence', value: wire(presence) });
  },
  refused: { code: 'silence' },
  logged: { line: /the signature of a presence is not its owner's/ },
  shows: 'how busy a node is, it says itself: the load that work is placed by is signed too',
});

attack('that another node has left', {
  ...usual,
  act: ({ mallory, session }) => {
    const departure = mallory.seal.sealDeparture({ nodeId: mesh.friendId, certifiedAtMs: Date.now(), leftAtMs: Date.now() });
    session.say({ $case: 'registryEntry', value: { chain: undefined, head: undefined, departure: wire(departure), revocation: undefined } });
    return session.askToBeRefused({ $case: 'leave', value: { departure: wire(departure) } });
  },
  refused: { code: 'denied', words: /for itself alone/ },
  logged: { line: /"frame":"leave".*a question of a peer was refused/ },
  audit: ['record.refused'],
  besides: /a departure that a peer told of was not believed/,
  shows: 'a node leaves by its own signed word; another’s is refused as a question and disbelieved as news',
});

attack('a certificate for another node that a leaf has signed', {
  ...usual,
  act: async ({ mallory, session }) => {
    const publicKey = mallory.key.publicKey;
    const leaf = await makeLeaf({ publicKey, name: 'friend', owner: mallory.identity.owner }, { certificate: mallory.chain.leaf, key: mallory.key.privateKey }, mallory.root, Date.now());
    const chain = { leaf: Buffer.from(leaf), issuer: Buffer.from(mallory.chain.leaf) };
    return session.sayToNobody({ $case: 'roster', value: { members: [{ chain, addresses: [] }], rules: undefined, authorities: Buffer.alloc(0) } });
  },
  refused: { code: 'silence' },
  logged: { line: /a member that a peer told of was not believed/ },
  shows: 'a member can certify nobody: its own certificate is no authority’s',
});

attack('certificates of members, of the victim too, in other bytes than their own', {
  ...asAnother,
  act: ({ session }) => {
    const chains = [mesh.copyOf(mesh.victim).chain, mesh.copyOf(mesh.friend).chain];
    const bent = chains.flatMap(({ leaf, issuer }) => [
      ...Array.from({ length: 200 }, (_, length) => ({ leaf: Buffer.concat([leaf, Buffer.alloc(length + 1)]), issuer: Buffer.from(issuer) })),
      { leaf: Buffer.concat([leaf, Buffer.alloc(1_000_000)]), issuer: Buffer.from(issuer) },
      { leaf: Buffer.from(toPem(leaf)), issuer: Buffer.from(issuer) },
    ]);
    return session.sayToNobody({ $case: 'roster', value: { members: bent.map((chain) => ({ chain, addresses: [] })), rules: undefined, authorities: Buffer.alloc(0) } });
  },
  refused: { code: 'silence' },
  logged: { line: /not one certificate in DER and nothing else.*a member that a peer told of was not believed/ },
  shows: 'a certificate is one in its own bytes: with more behind it, or as text, it is no later one, is written down nowhere, and is told of once',
});

attack('rules of admission from a node that is no issuer', {
  ...usual,
  act: ({ mallory, session }) =>
    session.sayToNobody({ $case: 'roster', value: { members: [], rules: { rules: [{ kind: 'user', value: 'eve@example.com' }], issuer: Buffer.from(mallory.chain.issuer), attestation: Buffer.from(mallory.key.sign(Buffer.from('I am an issuer'))) }, authorities: Buffer.alloc(0) } }),
  refused: { code: 'silence' },
  logged: { line: /a node that is no issuer sent rules of admission: not believed/ },
  shows: 'whom to let in is said by issuers, who prove that they are',
});

attack('rules of admission with the key of an issuer that was removed', {
  ...asAnother,
  arrange: async () => {
    const entered = await mesh.enter('bob');
    const [issuer, key] = [await mesh.issuer(), generateNodeKey().privateKey];
    const [root] = await rootKeysHere(join(mesh.victim.home, 'trust'), rootSet(issuer.roots));
    if (root === undefined) throw new Error('the key of the mesh is not there');
    const certificate = await makeIssuer(key, root, Date.now());
    const revocation = signRevocation(issuer, { nodeId: generateNodeKey().nodeId, name: 'tower', by: 'ann', revokedAtMs: Date.now(), fallen: { issuer: certificate, kept: [] } });
    await entered.session.sayToNobody({ $case: 'registryEntry', value: { chain: undefined, head: undefined, departure: undefined, revocation: wire(revocation) } });
    await waitFor('the victim to know of the removal', () => rows(mesh.victim.databasePath, 'SELECT fallen_issuer FROM revocations WHERE fallen_issuer IS NOT NULL').length === 1);
    return { ...entered, certificate, attestation: signWith(key, issuerStatement(issuer.meshId, entered.mallory.nodeId)) };
  },
  act: ({ session, certificate, attestation }) =>
    session.sayToNobody({ $case: 'roster', value: { members: [], rules: { rules: [{ kind: 'user', value: 'eve@example.com' }], issuer: Buffer.from(certificate), attestation: Buffer.from(attestation) }, authorities: Buffer.alloc(0) } }),
  refused: { code: 'silence' },
  logged: { line: /a node that is no issuer sent rules of admission: not believed/ },
  shows: 'whoever has the key of a removed issuer is none: its rules are not taken, and it is told none',
});

attack('that one is an issuer by one’s own word', {
  ...usual,
  act: ({ session }) => session.askToBeRefused({ $case: 'renewIssuer', value: {} }),
  refused: { code: 'denied', words: /does not know mallory-\d+ as one that lets others in/ },
  logged: { line: /"frame":"renew_issuer".*a question of a peer was refused/ },
  shows: 'only the holder of the root’s key makes issuers, by a person’s word',
});

attack('that another person’s node removes a member', {
  ...asAnother,
  act: ({ session }) => session.askToBeRefused({ $case: 'remove', value: { nodeId: mesh.friendId, by: 'ann on victim' } }),
  refused: { code: 'denied', words: /only the nodes of .* may have victim remove a member/ },
  logged: { line: /"frame":"remove".*a question of a peer was refused/ },
  shows: 'a removal is asked for by nodes of the issuer’s own person',
});

attack('that this very node was removed', {
  ...usual,
  act: async ({ mallory, session }) => {
    const own = { certificate: mallory.chain.issuer, roots: mallory.root, sign: (statement: Uint8Array) => mallory.key.sign(statement) } as unknown as Issuer;
    const revocation = signRevocation(own, { nodeId: mesh.victimId, name: 'victim', by: 'ann', revokedAtMs: Date.now() });
    session.say({ $case: 'goodbye', value: { reason: GoodbyeReason.REMOVED, detail: 'you were removed', revocation: wire(revocation) } });
    await waitFor('the session to end', () => session.isOver);
    return { code: 'cut' };
  },
  refused: { code: 'cut' },
  logged: { line: /a peer says that this node was removed, and can not prove it/ },
  audit: ['record.refused'],
  shows: 'nobody talks a node out of its mesh: it takes an issuer’s signature',
});

const anAgent = { harness: 'command', capabilities: [], labels: {}, visibility: 'mesh', description: '', isDefault: true, available: true } as const;

function wire({ payload, signature }: { readonly payload: Uint8Array; readonly signature: Uint8Array }): { payload: Buffer; signature: Buffer } {
  return { payload: Buffer.from(payload), signature: Buffer.from(signature) };
}
