import { describe, expect, test } from 'vitest';
import type { MeshId, NodeId } from '../../src/domain/ids.ts';
import { openReading } from '../../src/store/connection.ts';
import { mostFalls, mostStrangers } from '../../src/domain/revocation.ts';
import type { StoredRevocation } from '../../src/domain/revocation.ts';
import type { Member, Membership } from '../../src/domain/store-port.ts';
import { desktop, me, server, storePerTest } from '../support/store-per-test.ts';
import { nodeIdFor, textTask } from '../support/temp-store.ts';

const at = storePerTest();
/** As SQLite gives it back. */
const utf8 = (text: string): Buffer => Buffer.from(text);
const attic = nodeIdFor(4);

const chain = (text: string) => ({ leaf: utf8(text), issuer: utf8(`${text} issuer`) });
const member = (nodeId: NodeId, changes: Partial<Member> = {}): Member => ({ nodeId, name: `n-${nodeId.slice(-4)}`, owner: 'ada', chain: chain(nodeId), notBeforeMs: 10, addresses: ['10.0.0.2:7423'], ...changes });
const membership: Membership = { meshId: 'mesh1' as MeshId, meshName: 'home', name: 'laptop', owner: 'ada', rootDer: utf8('root'), chain: chain('me'), isIssuer: true };
const word = (nodeId: NodeId, changes: Partial<StoredRevocation['revocation']> = {}, text = 'word'): StoredRevocation => ({
  revocation: { nodeId, name: 'lost', by: 'ada on laptop', revokedAtMs: 500, ...changes },
  record: { payload: utf8(`${text} of ${nodeId}`), signature: utf8('signed') },
});
const save = (revocation: StoredRevocation, others: readonly NodeId[] = []) => at.store.write.saveRevocations({ stamp: at.story.stamp(), revocations: [{ ...revocation, with: others }] });
const enter = (...members: Member[]) => at.store.write.saveMembership({ stamp: at.story.stamp(), membership, members, what: 'mesh.created' });
const snapshotOf = (nodeId: NodeId, version = 1) => ({
  head: { nodeId, epoch: 1, version, count: 1, rootHash: 'ab', addresses: [], gossipAddresses: [] }, signedHead: { payload: utf8('h'), signature: utf8('s') },
  records: [{ registration: { address: '@fabric@desktop#main', nodeId, harness: 'command', capabilities: [], labels: {}, visibility: 'mesh', description: '', isDefault: true, available: true } as const, record: { payload: utf8('r'), signature: utf8('s') }, hash: 'cd' }],
  atMs: 1, base: undefined, gone: [],
});

describe('a removed node', () => {
  test('is a member no longer, by the word that says so, also after a restart', async () => {
    await enter(member(desktop), member(server));
    await at.store.write.saveRegistry(snapshotOf(desktop));
    await at.store.write.recordApplicant({ stamp: at.story.stamp(), applicant: { nodeId: desktop, name: 'desktop', address: '100.64.0.5:7423', login: 'bob', tags: [], why: 'no rule' } });
    const revocation = word(desktop);
    expect(await save(revocation)).toEqual([desktop]);
    expect(await save(revocation)).toEqual([]);
    await at.reopen();
    expect(at.store.read.member(desktop)).toMatchObject({ removed: { atMs: 500, by: 'ada on laptop', record: revocation.record }, addresses: [] });
    expect(at.store.read.members().filter(({ removed }) => removed !== undefined).map(({ nodeId }) => nodeId)).toEqual([desktop]);
    expect(at.store.read.revocation(desktop)).toEqual(revocation);
    expect(at.store.read.revocations()).toEqual([revocation]);
    expect(at.store.read.revokedNodes()).toEqual([desktop]);
    expect([at.store.read.registrations(desktop), at.store.read.registryHead(desktop), at.store.read.applicants()]).toEqual([[], undefined, []]);
    expect(at.store.read.member(server)?.removed).toBeUndefined();
  });

  test('comes back by nothing: no certificate, registration, invitation, rule or name of it is taken', async () => {
    await enter(member(desktop, { name: 'desktop' }), member(server));
    await at.store.write.addInvite({ stamp: at.story.stamp(), invite: { secretHash: 'aa', owner: 'ada', expiresAtMs: 2e15 } });
    await save(word(desktop));
    const later = member(desktop, { name: 'desktop', notBeforeMs: 9_000 });
    expect(await at.store.write.saveMembers({ stamp: at.story.stamp(), members: [later] })).toEqual([]);
    expect(await at.store.write.saveRegistry(snapshotOf(desktop, 2))).toBe(false);
    const denied = { code: 'denied', message: expect.stringContaining('removed from the mesh by ada on laptop') };
    await expect(at.store.write.redeemInvite({ stamp: at.story.stamp(), secretHash: 'aa', member: later })).rejects.toMatchObject(denied);
    await expect(at.store.write.admitMember({ stamp: at.story.stamp(), member: later })).rejects.toMatchObject(denied);
    await expect(at.store.write.renameMember({ stamp: at.story.stamp(), member: later })).rejects.toMatchObject(denied);
    expect(await at.store.write.saveDepartures({ stamp: at.story.stamp(), departures: [{ departure: { nodeId: desktop, certifiedAtMs: 9_000, leftAtMs: 1 }, record: { payload: utf8('d'), signature: utf8('s') } }] })).toEqual({ heard: [], gone: [] });
    expect(at.store.read.member(desktop)).toMatchObject({ notBeforeMs: 10, removed: { atMs: 500 } });
    // The invitation is still good, and the name is free.
    await at.store.write.redeemInvite({ stamp: at.story.stamp(), secretHash: 'aa', member: member(attic) });
    await at.store.write.renameMember({ stamp: at.story.stamp(), member: member(server, { name: 'desktop', notBeforeMs: 20 }) });
  });

  test('may be removed before anybody here has heard of it', async () => {
    await enter();
    expect(await save(word(attic))).toEqual([attic]);
    expect(await at.store.write.saveMembers({ stamp: at.story.stamp(), members: [member(attic)] })).toEqual([]);
    expect([at.store.read.member(attic), at.store.read.revocation(attic)?.revocation.name]).toEqual([undefined, 'lost']);
  });

  test('hands over no work and gets none, and its word on what is under way does not count', async () => {
    await enter(member(desktop));
    const sent = at.story.invocation({ origin: me, owner: desktop });
    await at.store.write.accept(at.story.accept(sent, { kind: 'send', attemptId: at.story.attemptId() }));
    await save(word(desktop));
    const denied = { code: 'denied' };
    const given = at.story.invocation({ origin: desktop, owner: me });
    await expect(at.store.write.receive({ stamp: at.story.stamp(), invocation: given, task: textTask(''), queueLimit: 9 })).rejects.toMatchObject(denied);
    await expect(at.store.write.receipt({ stamp: at.story.stamp(), invocationId: sent.id, fromNodeId: desktop, receivedAtMs: 5 })).rejects.toMatchObject(denied);
    const events = [{ seq: 1, ...at.story.stamp(), body: { kind: 'started', run: 1 } }] as const;
    await expect(at.store.write.applyEvents({ stamp: at.story.stamp(), invocationId: sent.id, fromNodeId: desktop, receivedAtMs: 5, events })).rejects.toMatchObject(denied);
    await expect(at.store.write.reject({ stamp: at.story.stamp(), invocationId: sent.id, fromNodeId: desktop, reason: 'denied', error: { code: 'denied', message: 'no' } })).rejects.toMatchObject(denied);
    await expect(at.store.write.accept(at.story.accept(at.story.invocation({ origin: me, owner: desktop }), { kind: 'defer', reason: 'peer_unreachable', detail: '' }))).rejects.toMatchObject({ code: 'unavailable' });
  });
});

test('what it asked for and is not over is found, and nothing else', async () => {
  await enter(member(desktop), member(server));
  const [queued, over, other] = [desktop, desktop, server].map((origin) => at.story.invocation({ origin, owner: me }));
  if (queued === undefined || over === undefined || other === undefined) throw new Error('three were made');
  for (const invocation of [queued, over, other]) await at.store.write.receive({ stamp: at.story.stamp(), invocation, task: textTask(''), queueLimit: 9 });
  await at.store.write.accept(at.story.accept(at.story.invocation({ origin: me, owner: me })));
  await at.store.write.finish({ stamp: at.story.stamp(), flightId: `flt_${over.id.slice(4)}` as never, outcome: { state: 'cancelled' } });
  expect(at.store.read.openFor(desktop, undefined, 10)).toEqual([queued.id]);
  expect(at.store.read.openFor(desktop, queued.id, 10)).toEqual([]);
});

test('of two words on one node the one that comes first stays, in whatever order they are learned', async () => {
  await enter(member(desktop));
  const [early, late] = [word(desktop, { revokedAtMs: 100, by: 'bob on attic' }, 'early'), word(desktop, { revokedAtMs: 200 }, 'late')];
  expect(await save(late)).toEqual([desktop]);
  expect(await save(early)).toEqual([desktop]);
  expect(await save(late)).toEqual([]);
  expect(at.store.read.member(desktop)?.removed).toMatchObject({ by: 'bob on attic', atMs: 100 });
});

test('with an issuer those go that it let in and that do not stay, until another certifies them', async () => {
  await enter(member(desktop), member(server), member(attic));
  const fallen = { issuer: utf8('issuer'), kept: [attic] };
  const revocation = word(desktop, { fallen });
  await save(revocation, [server]);
  expect(at.store.read.fallenIssuers()).toEqual([revocation]);
  expect(at.store.read.member(server)?.removed?.record).toEqual(revocation.record);
  expect(at.store.read.member(attic)?.removed).toBeUndefined();
  expect(await at.store.write.saveMembers({ stamp: at.story.stamp(), members: [member(server, { notBeforeMs: 11 })] })).toEqual([server]);
  expect(at.store.read.member(server)?.removed).toBeUndefined();
});

test('a node that was removed itself is in no mesh, and forgets all of it only when it leaves', async () => {
  await enter(member(desktop));
  await save(word(me));
  await at.reopen();
  expect(at.store.read.membership()).toBeUndefined();
  expect(at.store.read.removedFrom()).toEqual({ meshId: 'mesh1', meshName: 'home', name: 'laptop', owner: 'ada', by: 'ada on laptop', atMs: 500 });
  await expect(enter()).rejects.toMatchObject({ code: 'conflict' });
  await at.store.write.leaveMesh({ stamp: at.story.stamp() });
  expect([at.store.read.removedFrom(), at.store.read.revocations(), at.store.read.members()]).toEqual([undefined, [], []]);
});

test('what took the trust from an issuer is undone by no other word on it, however early that says it was signed', async () => {
  await enter(member(desktop), member(server));
  const fell = word(desktop, { revokedAtMs: 500, fallen: { issuer: utf8('issuer'), kept: [] } }, 'fell');
  await save(fell, [server]);
  expect(await save(word(desktop, { revokedAtMs: 100 }, 'without'))).toEqual([]);
  expect(await save(word(desktop, { revokedAtMs: 200, fallen: { issuer: utf8('another'), kept: [] } }, 'of another'))).toEqual([desktop]);
  expect(at.store.read.fallenIssuers()).toContainEqual(fell);
  expect(at.store.read.revocations()).toContainEqual(fell);
  expect(at.store.read.member(server)?.removed).toBeDefined();
  // And one that does so counts although one that does not was known.
  await save(word(server, { revokedAtMs: 100 }, 'without'));
  const later = word(server, { revokedAtMs: 900, fallen: { issuer: utf8('its own'), kept: [] } }, 'fell');
  expect(await save(later)).toEqual([server]);
  expect([at.store.read.revocation(server), at.store.read.revocationsOf(server)]).toEqual([later, [later]]);
});

test('one key names so many nodes that nobody here knows, and no more; members it goes on naming', async () => {
  await enter(member(desktop));
  const stranger = (index: number): NodeId => nodeIdFor(1000 + index);
  const by = (revocation: StoredRevocation, signer: string) => ({ ...revocation, with: [], signer });
  const saveAll = (revocations: readonly ReturnType<typeof by>[]) => at.store.write.saveRevocations({ stamp: at.story.stamp(), revocations });
  await saveAll(Array.from({ length: mostStrangers }, (_, index) => by(word(stranger(index)), 'thief')));
  const overload = { code: 'overload', message: expect.stringContaining('nobody here knows') };
  await expect(saveAll([by(word(stranger(mostStrangers)), 'thief')])).rejects.toMatchObject(overload);
  expect(at.store.read.revocation(stranger(mostStrangers))).toBeUndefined();
  expect(await saveAll([by(word(stranger(mostStrangers)), 'honest')])).toHaveLength(1);
  expect(await saveAll([by(word(desktop), 'thief')])).toEqual([desktop]);
  // What is known already takes no more place.
  expect(await saveAll([by(word(stranger(0), { revokedAtMs: 100 }, 'earlier'), 'thief')])).toHaveLength(1);
  const falls = (node: NodeId, text: string) => by(word(node, { fallen: { issuer: utf8(text), kept: [] } }, text), 'thief');
  for (let count = 0; count < mostFalls.ofOneNode; count += 1) await saveAll([falls(desktop, `issuer ${count}`)]);
  await expect(saveAll([falls(desktop, 'one more')])).rejects.toMatchObject({ code: 'overload' });
  expect(at.store.read.fallenIssuers()).toHaveLength(mostFalls.ofOneNode);
});

describe('of two words on an issuer that keep others, by issuers that did not hear of each other', () => {
  const issuer = utf8('issuer');
  const late = word(desktop, { revokedAtMs: 200, fallen: { issuer, kept: [attic] } }, 'late');
  const early = word(desktop, { revokedAtMs: 100, by: 'bob on attic', fallen: { issuer, kept: [server] } }, 'early');
  const known: unknown[] = [];
  const news = async (): Promise<unknown[]> => {
    const { rows } = await at.store.inspect.auditRows({}, 100);
    const fresh = rows.slice(0, rows.length - known.length).toReversed().map(({ kind, about }) => [kind, about]);
    known.push(...fresh);
    return fresh;
  };
  const facts = (): unknown[] => {
    const db = openReading(at.temp.path);
    try {
      return db.prepare("SELECT what, id FROM events JOIN nodes ON nodes.number = peer WHERE what LIKE 'member.%' ORDER BY events.number").raw().all();
    } finally {
      db.close();
    }
  };

  test('both count: whoever one of them does not keep is out, and each of that is in the audit and a fact', async () => {
    known.length = 0;
    await enter(member(desktop), member(server, { name: 'server' }), member(attic));
    await news();
    await save(late, [server, me]);
    const out = (nodeId: NodeId, by: string) => ['member.removed', { nodeId, by }];
    expect(await news()).toEqual([
      ['member.removed', { nodeId: desktop, name: 'lost', by: 'ada on laptop' }],
      out(server, 'ada on laptop, with lost, which certified it'),
      out(me, 'ada on laptop, with lost, which certified it'),
    ]);
    await save(early, [attic, me]);
    expect(at.store.read.member(attic)?.removed?.record).toEqual(early.record);
    expect(at.store.read.member(server)?.removed).toBeDefined();
    expect(at.store.read.fallenIssuers()).toEqual([early, late]);
    expect(at.store.read.revocationsOf(desktop)).toEqual([early, late]);
    expect(await news()).toEqual([out(attic, 'bob on attic, with lost, which certified it')]);
    expect(facts()).toEqual([['member.removed', desktop], ['member.removed', server], ['member.removed', me], ['member.removed', attic]]);
    // Nothing of it changes again.
    await save(late, [server]);
    expect(await news()).toEqual([]);
  });

  test('it may put out this very node, which then is in its own audit', async () => {
    known.length = 0;
    await enter(member(desktop));
    await save(late);
    await news();
    expect(at.store.read.removedFrom()).toBeUndefined();
    await save(early, [me]);
    expect(at.store.read.removedFrom()).toMatchObject({ by: 'bob on attic' });
    expect(await news()).toEqual([['member.removed', { nodeId: me, by: 'bob on attic, with lost, which certified it' }]]);
  });

  test('who went with it and has a certificate of another since is in again, in the audit too', async () => {
    known.length = 0;
    await enter(member(desktop), member(server, { name: 'server' }));
    await save(late, [server]);
    await news();
    const again = member(server, { name: 'server', notBeforeMs: 11 });
    await at.store.write.saveMembers({ stamp: at.story.stamp(), members: [again] });
    await at.store.write.saveMembers({ stamp: at.story.stamp(), members: [member(server, { name: 'server', notBeforeMs: 12 })] });
    expect(await news()).toEqual([['member.admitted', { nodeId: server, name: 'server', owner: 'ada', why: 'by another node, as its certificate proves' }]]);
  });
});
