/** What was true once, said again; and members that lie about what they count, order and time. */
import { createPublicKey } from 'node:crypto';
import { afterAll, beforeAll, expect } from 'vitest';
import { invocationOfFlight } from '../../src/domain/ids.ts';
import type { Forward } from '../../src/gen/beckon/v1/mesh.ts';
import type { RegistryEntry } from '../../src/gen/beckon/v1/registry.ts';
import { FlightState, OutputStream, ReplyKind } from '../../src/gen/beckon/v1/record.ts';
import type { FlightEvent, SignedRecord } from '../../src/gen/beckon/v1/record.ts';
import { decodeErrorInfo } from '../../src/rpc/error-info.ts';
import { lifeOf, rootSet } from '../../src/trust/certificate.ts';
import { makeLeaf } from '../../src/trust/issue.ts';
import { meshIdentityOf } from '../../src/trust/mesh-authority.ts';
import type { Issuer } from '../../src/trust/mesh-authority.ts';
import { generateNodeKey, rawPublicKey } from '../../src/trust/node-key.ts';
import { signRevocation } from '../../src/trust/revocation.ts';
import { acpAgentFile } from '../support/acp-endpoint.ts';
import { attack } from '../support/attack.ts';
import type { Told } from '../support/attack.ts';
import { AttackedMesh } from '../support/attacked-mesh.ts';
import type { Entered } from '../support/attacked-mesh.ts';
import { rows } from '../support/database.ts';
import { FalseMember, FalseSession, hlcAt, newInvocation } from '../support/false-member.ts';
import { waitFor } from '../support/wait-for.ts';

const yearMs = 365 * 86_400_000;
let mesh: AttackedMesh;
let asks: string;

beforeAll(async () => {
  mesh = await AttackedMesh.start();
  asks = await mesh.victim.addAgent('asks', [process.execPath, acpAgentFile, '--always', 'yes-or-no'], ['--harness', 'acp']);
}, 60_000);
afterAll(() => mesh?.[Symbol.asyncDispose]());

const usual = { victim: () => mesh.attacked(), arrange: () => mesh.enter() } as const;
const now = (): string => hlcAt(Date.now());

/** Hands work over and sees it end, as an honest node does. */
async function finished({ mallory, session }: Entered, address = mesh.echo): Promise<Forward> {
  const forward = mallory.forward({ nodeId: mesh.victimId, address });
  session.say({ $case: 'forward', value: forward });
  const id = forward.invocation?.id ?? '';
  await waitFor('its end', () => session.eventsOf(id).some(({ body }) => body?.$case === 'finished'), { timeoutMs: 10_000 });
  session.say({ $case: 'eventAck', value: { invocationId: id, seq: session.eventsOf(id).at(-1)?.seq ?? 0, unknown: false } });
  await waitFor('that to be stored', () => rows(mesh.victim.databasePath, 'SELECT 1 FROM flights WHERE invocation_id = ? AND acked_seq = last_seq', id).length > 0, { timeoutMs: 10_000 });
  return forward;
}

attack('a forward that was carried out is sent again, also with another task', {
  victim: () => mesh.attacked(),
  arrange: async () => {
    const ready = await mesh.enter();
    return { ...ready, forward: await finished(ready) };
  },
  act: async ({ session, forward }): Promise<readonly Told[]> => {
    const id = forward.invocation?.id ?? '';
    session.say({ $case: 'forward', value: { ...forward, attempt: 2 } }, { $case: 'forward', value: { ...forward, attempt: 3, task: { text: Buffer.from('something else'), files: [] } } });
    await waitFor('both to be answered', () => session.framesOf('receipt').filter(({ invocationId }) => invocationId === id).length >= 2);
    expect(new Set(session.framesOf('receipt').filter(({ invocationId }) => invocationId === id).map(({ receivedAtMs }) => receivedAtMs)).size).toBe(1);
    return [{ code: 'repeated' }, { code: 'repeated' }];
  },
  refused: { code: 'repeated' },
  logged: { counter: 'beckon_forwards_received_total{outcome="known"}', by: 2 },
  holds: async ({ forward }) => expect((await (await mesh.client(mesh.victim)).getFlight(forward.invocation?.id ?? '')).flight).toMatchObject({ state: 'completed', run: 1 }),
  shows: 'the receipt of the first time is told again, nothing runs a second time, and no other task takes its place',
});

attack('a forward of one node is sent by another', {
  victim: () => mesh.attacked(),
  arrange: async () => {
    const forward = await finished(await mesh.enter());
    return { ...(await mesh.enter()), forward };
  },
  act: ({ session, forward }) => {
    session.say({ $case: 'forward', value: forward });
    return session.rejection(forward.invocation?.id ?? '');
  },
  refused: { code: 'denied', words: /another node's name/ },
  logged: { line: /an invocation was refused/ },
  audit: ['policy.denied'],
  shows: 'what was overheard of another node’s work is worth nothing on one’s own session',
});

interface Trapped extends Entered {
  readonly invocationId: string;
  readonly events: readonly FlightEvent[];
}

/** The victim has invoked an agent of the attacker, who said that it completed. */
async function trapped(isOver = true): Promise<Trapped> {
  const ready = await mesh.enter();
  const { mallory, session } = ready;
  const { seal } = mallory;
  const address = `@trap@${mallory.identity.name}#main`;
  const record = seal.sealRegistration({ address, nodeId: mallory.nodeId, harness: 'command', capabilities: [], labels: {}, visibility: 'mesh', description: '', isDefault: true, available: true });
  const head = seal.sealHead({ nodeId: mallory.nodeId, epoch: Date.now(), version: 1, count: 1, rootHash: seal.hash(seal.hash(record.payload)), addresses: [], gossipAddresses: [] });
  session.say({ $case: 'registryChange', value: { head: wire(head), records: [wire(record)], gone: Buffer.alloc(0) } });
  await waitFor('the victim to know the agent', async () => (await mesh.agentsAt(mesh.victim)).includes(address));
  const flight = await mesh.begin(mesh.victim, address);
  const invocationId = invocationOfFlight(flight);
  await session.frame('forward', ({ invocation }) => invocation?.id === invocationId);
  const at = { atMs: Date.now(), hlc: now() };
  const events: FlightEvent[] = [
    { ...at, seq: 1, body: { $case: 'started', value: { run: 1, sessionId: '', worktree: undefined } } },
    { ...at, seq: 2, body: { $case: 'output', value: { stream: OutputStream.STDOUT, content: Buffer.from('yes') } } },
    { ...at, seq: 3, body: { $case: 'finished', value: { state: FlightState.COMPLETED, exitCode: 0, error: undefined, signal: '' } } },
  ];
  session.say({ $case: 'receipt', value: { invocationId, receivedAtMs: Date.now(), hlc: now() } });
  const told = isOver ? events : events.slice(0, 2);
  session.sayData({ $case: 'flightEvents', value: { invocationId, receivedAtMs: Date.now(), events: told } });
  await session.frame('eventAck', ({ invocationId: id, seq }) => id === invocationId && seq === told.length);
  return { ...ready, invocationId, events };
}

attack('an owner sends its receipt and events again, and another end after the end', {
  victim: () => mesh.attacked(),
  arrange: () => trapped(),
  act: ({ session, invocationId, events }) => {
    const [last] = events.slice(-1);
    session.say({ $case: 'receipt', value: { invocationId, receivedAtMs: 1, hlc: now() } });
    session.sayData({ $case: 'flightEvents', value: { invocationId, receivedAtMs: 1, events: [...events] } });
    if (last !== undefined) session.sayData({ $case: 'flightEvents', value: { invocationId, receivedAtMs: 1, events: [{ ...last, seq: 4, body: { $case: 'finished', value: { state: FlightState.FAILED, exitCode: 1, error: undefined, signal: '' } } }] } });
    return session.sayToNobody();
  },
  refused: { code: 'silence' },
  logged: { line: /event 4 \(finished\) of inv_\w+ is refused/ },
  holds: async ({ invocationId }) => expect((await (await mesh.client(mesh.victim)).getFlight(invocationId)).flight).toMatchObject({ state: 'completed', lastSeq: 3 }),
  shows: 'the first end counts, what is repeated is known, and nothing follows an end',
});

attack('an owner leaves events out, and counts backwards', {
  victim: () => mesh.attacked(),
  arrange: () => trapped(false),
  act: async ({ session, invocationId, events }) => {
    const [started, output] = events;
    if (started === undefined || output === undefined) throw new Error('no events');
    const say = (...changed: FlightEvent[]): void => session.sayData({ $case: 'flightEvents', value: { invocationId, receivedAtMs: 1, events: changed } });
    say({ ...output, seq: 1_000_000 }, { ...output, seq: Number.MAX_SAFE_INTEGER });
    say({ ...output, seq: 1, body: { $case: 'output', value: { stream: OutputStream.STDOUT, content: Buffer.from('no') } } });
    say({ ...output, seq: 3, body: { $case: 'started', value: { run: 7, sessionId: '', worktree: undefined } } });
    return session.sayToNobody();
  },
  refused: { code: 'silence' },
  logged: { line: /event 3 \(started\) of inv_\w+ is refused/ },
  holds: async ({ invocationId }) => expect((await (await mesh.client(mesh.victim)).getFlight(invocationId)).flight).toMatchObject({ state: 'running', lastSeq: 2, run: 1 }),
  shows: 'events are taken in their order and without gaps, and a run begins once',
});

attack('a negative number where events are counted', {
  ...usual,
  act: ({ session }) => {
    session.sayData({ $case: 'flightEvents', value: { invocationId: newInvocation(), receivedAtMs: -1, events: [] } });
    return session.farewell();
  },
  refused: { code: 'cut', words: /received_at_ms is not a whole number of 0 or more: -1/ },
  logged: { line: /broke the protocol/ },
  shows: 'a number that can not be ends the session that it came on, with the reason',
});

attack('an approval, replayed as its opposite', {
  victim: () => mesh.attacked(),
  arrange: async () => {
    const ready = await mesh.enter();
    const forward = ready.mallory.forward({ nodeId: mesh.victimId, address: asks });
    const invocationId = forward.invocation?.id ?? '';
    ready.session.say({ $case: 'forward', value: forward });
    const asked = await waitFor('the question', () => ready.session.eventsOf(invocationId).find(({ body }) => body?.$case === 'waiting')?.body, { timeoutMs: 15_000 });
    const request = asked.$case === 'waiting' ? asked.value.request : '';
    ready.session.say({ $case: 'reply', value: { invocationId, request, kind: ReplyKind.DENIED, text: '', by: 'mallory', hlc: now() } });
    await ready.session.frame('replyOutcome');
    await waitFor('its end', () => ready.session.eventsOf(invocationId).some(({ body }) => body?.$case === 'finished'), { timeoutMs: 10_000 });
    ready.session.say({ $case: 'eventAck', value: { invocationId, seq: ready.session.eventsOf(invocationId).at(-1)?.seq ?? 0, unknown: false } });
    return { ...ready, invocationId, request };
  },
  act: async ({ session, invocationId, request }) => {
    session.say({ $case: 'reply', value: { invocationId, request, kind: ReplyKind.APPROVED, text: '', by: 'mallory', hlc: now() } });
    const { error } = await session.frame('replyOutcome', (outcome) => outcome.error !== undefined);
    if (error === undefined) throw new Error('it was taken');
    const { code, message } = decodeErrorInfo(error);
    return { code, words: message };
  },
  refused: { code: 'conflict', words: /answered already: denied/ },
  logged: { line: /"frame":"reply","code":"conflict"/ },
  shows: 'a request is answered once: the answer that was taken stays, whatever is said later',
});

attack('a list of agents of yesterday', {
  victim: () => mesh.attacked(),
  arrange: async () => {
    const ready = await mesh.enter();
    const old = listOf(mesh.victim.databasePath, mesh.friendId);
    await mesh.friend.addAgent('newer', ['cat']);
    await waitFor('the victim to know it', async () => (await mesh.agentsAt(mesh.victim)).includes('@newer@friend#main'));
    return { ...ready, old };
  },
  act: async ({ session, old }) => {
    for (let times = 0; times < 5; times += 1) session.say({ $case: 'registryChange', value: old }, { $case: 'registryEntry', value: { chain: undefined, head: old.head, departure: undefined, revocation: undefined } });
    return session.sayToNobody();
  },
  refused: { code: 'silence' },
  logged: { counter: 'beckon_registry_news_total{outcome="stale"}', by: 10 },
  holds: async () => expect(await mesh.agentsAt(mesh.victim)).toContain('@newer@friend#main'),
  shows: 'a head and records that were true once are older than what is known, and take nothing back',
});

/** Said of a node by who has kept it, over a session: the word itself, and an old list of that node with it. */
type Word = Pick<RegistryEntry, 'departure'> | Pick<RegistryEntry, 'revocation'>;
const entry = (word: Word, head: SignedRecord): Parameters<Entered['session']['say']>[0] => ({ $case: 'registryEntry', value: { chain: undefined, departure: undefined, revocation: undefined, ...word, head } });

/** It has an agent from now on, as far as the victim knows. @returns its list as it was before */
async function tellsOfAgents({ mallory, session }: Entered): Promise<SignedRecord> {
  const listed = (version: number, records: readonly SignedRecord[]): SignedRecord => {
    const rootHash = mallory.seal.hash(records.map(({ payload }) => mallory.seal.hash(payload)).join(''));
    return wire(mallory.seal.sealHead({ nodeId: mallory.nodeId, epoch: 1, version, count: records.length, rootHash, addresses: [], gossipAddresses: [] }));
  };
  const address = agentOf(mallory);
  const record = wire(mallory.seal.sealRegistration({ address, nodeId: mallory.nodeId, harness: 'command', capabilities: [], labels: {}, visibility: 'mesh', description: '', isDefault: true, available: true }));
  session.say({ $case: 'registryChange', value: { head: listed(2, [record]), records: [record], gone: Buffer.alloc(0) } });
  await waitFor('the victim to know its agent', async () => (await mesh.agentsAt(mesh.victim)).includes(address));
  return listed(1, []);
}

const entered = async (mallory: FalseMember): Promise<Entered> => ({ mallory, session: await mesh.session(mallory) });
const agentOf = ({ identity }: FalseMember): string => `@own@${identity.name}#main`;

/** It is a member, served and found, whatever was said of it. */
async function belongsStill({ mallory, session }: Entered): Promise<void> {
  await session.isServed();
  const { members: all } = await mesh.victim.json(['mesh', 'members']);
  expect((all as { readonly nodeId: string }[]).map(({ nodeId }) => nodeId)).toContain(mallory.nodeId);
  expect(await mesh.agentsAt(mesh.victim)).toContain(agentOf(mallory));
}

attack('a removal, said again when its node has come back by another key and under the same name', {
  victim: () => mesh.attacked(),
  arrange: async () => {
    const before = await mesh.enter();
    const { name } = before.mallory.identity;
    await (await mesh.client(mesh.victim)).removeMember(name);
    const revocation = wordIn(mesh.victim.databasePath, 'SELECT payload, signature FROM revocations WHERE node = (SELECT number FROM nodes WHERE id = ?)', before.mallory.nodeId);
    const back = await entered(await mesh.member(name));
    await tellsOfAgents(back);
    const head = wire(before.mallory.seal.sealHead({ nodeId: before.mallory.nodeId, epoch: 9, version: 9, count: 0, rootHash: before.mallory.seal.hash(''), addresses: [], gossipAddresses: [] }));
    return { ...(await mesh.enter()), back, revocation, head };
  },
  act: async ({ session, revocation, head }) => {
    session.say(entry({ revocation }, head), entry({ revocation }, head));
    const { error } = await session.ask({ $case: 'revoked', value: { revocation } });
    expect(error).toBeUndefined();
    return session.sayToNobody();
  },
  refused: { code: 'silence' },
  logged: { counter: 'beckon_registry_news_total{outcome="unknown"}', by: 2 },
  holds: ({ back }) => belongsStill(back),
  shows: 'a removal is of a key: said again it is known, and says nothing of who has that name since',
});

attack('a removed issuer’s key takes back what its removal took from it, dated before it', {
  victim: () => mesh.attacked(),
  arrange: async () => {
    const [honest, lost, key] = [await mesh.issuer(), generateNodeKey(), generateNodeKey()];
    const certificate = await honest.certifyIssuer(rawPublicKey(createPublicKey(key.privateKey)), Date.now());
    if (certificate === undefined) throw new Error('the victim has no key of the mesh');
    const thief: Issuer = { ...honest, certificate, sign: (statement) => key.sign(statement) };
    const { session } = await mesh.enter();
    const word = { nodeId: lost.nodeId, name: 'lost', by: 'ann on friend', revokedAtMs: Date.now() };
    const { error } = await session.ask(told(signRevocation(honest, { ...word, fallen: { issuer: certificate, kept: [] } })));
    expect(error).toBeUndefined();
    return { session, word, thief, key: key.privateKey };
  },
  act: ({ session, word, thief }) => session.askToBeRefused(told(signRevocation(thief, { ...word, revokedAtMs: word.revokedAtMs - 12 * 3_600_000 }))),
  refused: { code: 'unauthenticated', words: /signed with the key that was taken from it/ },
  logged: { line: /"frame":"revoked","code":"unauthenticated"/ },
  audit: ['record.refused'],
  holds: async ({ word, thief: { certificate: issuer, roots }, key }) => {
    expect(rows(mesh.victim.databasePath, 'SELECT fallen_issuer IS NOT NULL AS fell, revoked_at_ms AS atMs FROM revocations JOIN nodes ON number = node WHERE id = ?', word.nodeId)).toEqual([{ fell: 1, atMs: word.revokedAtMs }]);
    const newcomer = generateNodeKey();
    const { first: root } = rootSet(roots);
    const chain = { leaf: await makeLeaf({ publicKey: newcomer.publicKey, name: 'innocent', owner: 'ann' }, { certificate: issuer, key }, roots, Date.now()), issuer };
    const identity = meshIdentityOf(newcomer, { name: 'home', root: roots, chain });
    using session = new FalseSession(new FalseMember({ key: newcomer, chain, root, identity }), mesh.victim);
    expect((await session.frame('goodbye')).detail).toContain('let in by lost, which was removed');
  },
  shows: 'a removal is taken back by nothing, and whom the key certifies is let in to be told so and no more',
});

const told = ({ payload, signature }: ReturnType<typeof signRevocation>) => ({ $case: 'revoked' as const, value: { revocation: wire({ payload, signature }) } });

attack('a departure, said again when its node has been let in again', {
  victim: () => mesh.attacked(),
  arrange: async () => {
    const before = await mesh.enter();
    const { mallory, session } = before;
    const departure = wire(mallory.seal.sealDeparture({ nodeId: mallory.nodeId, certifiedAtMs: lifeOf(mallory.chain.leaf).notBeforeMs, leftAtMs: Date.now() }));
    await session.ask({ $case: 'leave', value: { departure } });
    session[Symbol.dispose]();
    const { token } = await (await mesh.client(mesh.victim)).createInvite({});
    const back = await entered(await FalseMember.enter(token, mallory.identity.name, mallory.key));
    const head = await tellsOfAgents(back);
    return { ...(await mesh.enter()), back, departure, head };
  },
  act: async ({ session, back, departure, head }) => {
    // By itself, and by another.
    await back.session.sayToNobody(entry({ departure }, head));
    return session.sayToNobody(entry({ departure }, head));
  },
  refused: { code: 'silence' },
  logged: { counter: 'beckon_registry_news_total{outcome="stale"}', by: 2 },
  holds: ({ back }) => belongsStill(back),
  shows: 'a departure ends the membership that there was: a certificate that was made later begins another',
});

attack('a record of the same node for another mesh', {
  ...usual,
  act: ({ session }) => {
    const { seal } = mesh.copyOf(mesh.friend).forMesh('a'.repeat(26));
    const head = seal.sealHead({ nodeId: mesh.friendId, epoch: Date.now() + 1_000_000, version: 1, count: 0, rootHash: seal.hash(''), addresses: [], gossipAddresses: [] });
    return session.sayToNobody({ $case: 'registryChange', value: { head: wire(head), records: [], gone: Buffer.alloc(0) } });
  },
  refused: { code: 'silence' },
  logged: { line: /the signature of a head is not its owner's/ },
  holds: async () => expect(await mesh.agentsAt(mesh.victim)).toContain('@newer@friend#main'),
  shows: 'what a node signs in one mesh says nothing in another: the signature covers the mesh',
});

attack('a list that counts other than it says', {
  ...usual,
  act: ({ mallory, session }) => {
    const { seal } = mallory;
    const records = Array.from({ length: 6 }, (_, index) => seal.sealRegistration({ address: `@many${index}@${mallory.identity.name}#main`, nodeId: mallory.nodeId, harness: 'command', capabilities: [], labels: {}, visibility: 'mesh', description: '', isDefault: true, available: true }));
    const head = seal.sealHead({ nodeId: mallory.nodeId, epoch: Date.now(), version: 1, count: 4_000_000_000, rootHash: seal.hash(''), addresses: [], gossipAddresses: [] });
    return session.sayToNobody({ $case: 'registryChange', value: { head: wire(head), records: records.map(wire), gone: Buffer.alloc(0) } });
  },
  refused: { code: 'silence' },
  logged: { line: /a set of more than 5000 records/ },
  shows: 'a set that is larger than any may be is refused by its head, before anything is fetched',
});

attack('a clock ten years ahead, and one of 1970', {
  ...usual,
  act: async ({ mallory, session }) => {
    const to = { nodeId: mesh.victimId, address: '@none@victim#main' };
    const [ahead, behind] = [mallory.forward(to, { acceptedAtMs: Date.now() + 10 * yearMs }, { hlc: hlcAt(Date.now() + 10 * yearMs) }), mallory.forward(to, { acceptedAtMs: 0 }, { hlc: hlcAt(0) })];
    session.say({ $case: 'forward', value: ahead }, { $case: 'forward', value: behind });
    return Promise.all([ahead, behind].map((each) => session.rejection(each.invocation?.id ?? '')));
  },
  refused: { code: ['not_found', 'unavailable'] },
  logged: { line: /the clock of a peer is far ahead of this node’s: it is not followed/ },
  besides: /an invocation was refused/,
  holds: async () => {
    const flight = await mesh.begin(mesh.victim, mesh.echo);
    await mesh.becomes(mesh.victim, flight, 'completed');
    const last = newestClock(mesh.victim.databasePath);
    expect(Math.abs(last - Date.now())).toBeLessThan(5 * 60_000);
  },
  shows: 'a clock that is far ahead is not followed: what this node writes down keeps its own time',
});

function wire({ payload, signature }: { readonly payload: Uint8Array; readonly signature: Uint8Array }): SignedRecord {
  return { payload: Buffer.from(payload), signature: Buffer.from(signature) };
}

/** As that node has signed it. */
function listOf(path: string, nodeId: string): { head: SignedRecord; records: SignedRecord[]; gone: Buffer } {
  const of = (table: string) => rows(path, `SELECT payload, signature FROM ${table} WHERE node = (SELECT number FROM nodes WHERE id = ?)`, nodeId) as unknown as readonly SignedRecord[];
  const [head] = of('registry_heads');
  if (head === undefined) throw new Error('it has no list');
  return { head, records: [...of('registrations')], gone: Buffer.alloc(0) };
}

function wordIn(path: string, sql: string, nodeId: string): SignedRecord {
  const [word] = rows(path, sql, nodeId) as unknown as readonly SignedRecord[];
  if (word === undefined) throw new Error('nobody has said so');
  return word;
}

/** Of what a node wrote down last, ms. */
function newestClock(path: string): number {
  const [row] = rows(path, 'SELECT max(hlc) AS hlc FROM events') as unknown as readonly { readonly hlc: string | null }[];
  return Number.parseInt(row?.hlc?.slice(0, 12) ?? '0', 16);
}
