import { describe, expect, test } from 'vitest';
import { agentIdOf } from '../../src/domain/ids.ts';
import type { MeshId, NodeId } from '../../src/domain/ids.ts';
import type { Endpoint } from '../../src/domain/invocation.ts';
import type { Registration, SignedRecord } from '../../src/domain/registration.ts';
import type { Member, Membership, StoredRegistration } from '../../src/domain/store-port.ts';
import { desktop, me, storePerTest } from '../support/store-per-test.ts';
import { nodeIdFor, utf8 } from '../support/temp-store.ts';

const address = '@fabric@laptop#main';

const at = storePerTest();

const endpoint = (changes: Partial<Endpoint> = {}): Endpoint => ({
  agentId: agentIdOf(at.story.ulid()), address, harness: 'command', cwd: '/src/fabric', argv: ['cat', '-'], env: ['A=b', 'HOME'],
  path: '/bin', permissions: 'ask', isolate: false, ...changes,
});
const registration = (changes: Partial<Registration> = {}): Registration => ({
  address, nodeId: me, harness: 'command', capabilities: ['go'], labels: { team: 'a', os: 'linux' }, visibility: 'mesh',
  description: 'd', isDefault: true, available: true, ...changes,
});
const signed = (text: string): SignedRecord => ({ payload: utf8(text), signature: utf8(`${text}!`) });

describe('agents', () => {
  test('are read back as they were added, also after a restart', async () => {
    const [one, other] = [endpoint(), endpoint({ address: '@other@laptop#main', isolate: true })];
    await at.store.write.addAgent({ stamp: at.story.stamp(), endpoint: one, registration: registration() });
    const away = registration({ address: other.address, available: false, unavailableWhy: 'no such command', isDefault: false });
    await at.store.write.addAgent({ stamp: at.story.stamp(), endpoint: other, registration: away });
    await at.reopen();
    expect(at.store.read.endpoint(address)).toEqual(one);
    expect(at.store.read.endpoints()).toEqual([one, other]);
    expect(at.store.read.ownRegistrations()).toEqual([registration(), away]);
    expect(at.store.read.ownRegistration(other.address)).toEqual(away);
    expect(at.store.read.endpoint('@none@laptop#main')).toBeUndefined();
    expect(at.store.read.ownRegistration('@none@laptop#main')).toBeUndefined();
  });

  test('the same again is no change; what was asked differently is a conflict', async () => {
    await at.store.write.addAgent({ stamp: at.story.stamp(), endpoint: endpoint(), registration: registration() });
    const again = { endpoint: endpoint({ path: '/usr/bin' }), registration: registration({ labels: { os: 'linux', team: 'a' }, available: false }) };
    expect(await at.store.write.addAgent({ stamp: at.story.stamp(), ...again })).toEqual({ added: false });
    expect(at.store.read.ownRegistrations()).toEqual([registration()]);
    const changes: [Partial<Endpoint>, Partial<Registration>][] = [
      [{ argv: ['cat'] }, {}], [{ env: [] }, {}], [{ cwd: '/' }, {}], [{ permissions: 'full' }, {}], [{ isolate: true }, {}],
      [{}, { capabilities: [] }], [{}, { labels: {} }], [{}, { visibility: 'node' }], [{}, { description: '' }], [{}, { isDefault: false }],
    ];
    for (const [ofEndpoint, ofRegistration] of changes) {
      const write = at.store.write.addAgent({ stamp: at.story.stamp(), endpoint: endpoint(ofEndpoint), registration: registration(ofRegistration) });
      await expect(write).rejects.toMatchObject({ code: 'conflict' });
    }
  });

  test('a removal names what it held and is refused for the unknown', async () => {
    await at.store.write.addAgent({ stamp: at.story.stamp(), endpoint: endpoint(), registration: registration() });
    const held = await at.store.write.accept(at.story.accept(at.story.invocation({ origin: me, owner: me })));
    const ran = await at.store.write.accept(at.story.accept(at.story.invocation({ origin: me, owner: me })));
    await at.store.write.start({ stamp: at.story.stamp(), flightId: ran.flight.id });
    expect(await at.store.write.removeAgent({ stamp: at.story.stamp(), address })).toEqual({ held: [held.flight.id] });
    expect(at.store.read.endpoints()).toEqual([]);
    expect(at.store.read.ownRegistrations()).toEqual([]);
    await expect(at.store.write.removeAgent({ stamp: at.story.stamp(), address })).rejects.toMatchObject({ code: 'not_found' });
  });

  test('availability comes and goes with its reason', async () => {
    await at.store.write.addAgent({ stamp: at.story.stamp(), endpoint: endpoint(), registration: registration() });
    await at.store.write.setAvailability({ address, available: false, why: 'gone' });
    expect(at.store.read.ownRegistrations()).toEqual([registration({ available: false, unavailableWhy: 'gone' })]);
    await at.store.write.setAvailability({ address, available: true });
    expect(at.store.read.ownRegistrations()).toEqual([registration()]);
  });
});

describe('the registry', () => {
  const records = (...names: string[]): StoredRegistration[] =>
    names.map((name) => ({ registration: registration({ address: `@${name}@desktop#main`, nodeId: desktop }), record: signed(name), hash: `hash of ${name}` }));
  const save = (epoch: number, version: number, changes: { base?: [number, number]; records?: StoredRegistration[]; gone?: string[]; addresses?: string[] }) => at.store.write.saveRegistry({
    head: { nodeId: desktop, epoch, version, count: 1, rootHash: 'ab', addresses: changes.addresses ?? [], gossipAddresses: ['h:2'] }, signedHead: signed(`${epoch}.${version}`),
    base: changes.base === undefined ? undefined : { epoch: changes.base[0], version: changes.base[1] }, records: changes.records ?? [], gone: changes.gone ?? [], atMs: 1,
  });
  const addresses = () => at.store.read.registrations(desktop).map((each) => each.registration.address);

  test('keeps an owner’s set, verbatim, as it is changed', async () => {
    expect(await save(5, 2, { records: records('a', 'b') })).toBe(true);
    expect(addresses()).toEqual(['@a@desktop#main', '@b@desktop#main']);
    expect(await save(6, 0, { base: [5, 2], records: records('c'), gone: ['hash of a', 'hash of nothing'] })).toBe(true);
    expect(addresses()).toEqual(['@b@desktop#main', '@c@desktop#main']);
    const [, only] = at.store.read.registrations();
    expect(only).toMatchObject({ registration: registration({ address: '@c@desktop#main', nodeId: desktop }), hash: 'hash of c' });
    expect(Buffer.from(only!.record.payload).toString()).toBe('c');
    expect(Buffer.from(at.store.read.signedRegistration(desktop, 'hash of c')!.signature).toString()).toBe('c!');
    expect(at.store.read.signedRegistration(desktop, 'hash of a')).toBeUndefined();
    const head = at.store.read.registryHead(desktop);
    expect(head?.head).toEqual({ nodeId: desktop, epoch: 6, version: 0, count: 1, rootHash: 'ab', addresses: [], gossipAddresses: ['h:2'] });
    expect(at.store.read.registryHeads()).toEqual([head]);
    expect(Buffer.from(head!.signedHead.payload).toString()).toBe('6.0');
    expect(at.store.read.registryHead(me)).toBeUndefined();
    expect(at.store.read.registrations(me)).toEqual([]);
  });

  test('a difference to another head than the stored one changes nothing', async () => {
    expect(await save(5, 2, { base: [5, 1], records: records('a') })).toBe(false);
    expect(await save(5, 2, { records: records('a') })).toBe(true);
    for (const base of [[5, 1], [4, 2], undefined] as const) expect(await save(9, 9, { ...(base === undefined ? {} : { base: [...base] }), records: records('b') })).toBe(false);
    expect(addresses()).toEqual(['@a@desktop#main']);
    expect(at.store.read.registryHead(desktop)?.head.epoch).toBe(5);
  });

  test('a set that can not be stored whole leaves the old one', async () => {
    await save(1, 1, { records: records('a') });
    await expect(save(2, 1, { base: [1, 1], records: records('b', 'b') })).rejects.toMatchObject({ code: 'conflict' });
    expect(addresses()).toEqual(['@a@desktop#main']);
    expect(at.store.read.registryHead(desktop)?.head.epoch).toBe(1);
  });

  test('a head moves its member, and one that names no address leaves it where it was', async () => {
    const member: Member = { nodeId: desktop, name: 'desktop', owner: 'ada', chain: { leaf: utf8('leaf'), issuer: utf8('issuer') }, notBeforeMs: 1, addresses: ['old:1'] };
    await at.store.write.saveMembers({ stamp: at.story.stamp(), members: [member] });
    await save(1, 1, { addresses: ['new:1', 'new:2'] });
    expect(at.store.read.member(desktop)?.addresses).toEqual(['new:1', 'new:2']);
    await save(1, 2, { base: [1, 1] });
    expect(at.store.read.member(desktop)?.addresses).toEqual(['new:1', 'new:2']);
  });
});

describe('trust', () => {
  const chain = (text: string) => ({ leaf: utf8(`${text} leaf`), issuer: utf8('issuer') });
  const membership = (): Membership => ({
    meshId: 'mesh1' as MeshId, meshName: 'home', name: 'laptop', owner: 'ada', rootDer: utf8('root'), chain: chain('laptop'), isIssuer: true,
  });
  const member = (changes: Partial<Member> = {}): Member => ({
    nodeId: desktop, name: 'desktop', owner: 'ada', chain: chain('desktop'), notBeforeMs: 100, addresses: ['10.0.0.2:7423'], ...changes,
  });
  const departureOf = (nodeId: NodeId, certifiedAtMs: number) => ({ departure: { nodeId, certifiedAtMs, leftAtMs: 7 }, record: { payload: utf8('word'), signature: utf8('signed') } });
  const plain = (value: unknown): unknown => JSON.parse(JSON.stringify(value, (_, each: unknown) =>
    typeof each === 'object' && each !== null && 'type' in each && each.type === 'Buffer' ? Object.values(Buffer.from((each as unknown as { data: number[] }).data)) : ArrayBuffer.isView(each) ? Object.values(each) : each));

  test('a node joins one mesh', async () => {
    const self = member({ nodeId: me, name: 'laptop' });
    await at.store.write.saveMembership({ stamp: at.story.stamp(), membership: membership(), members: [self], what: 'mesh.created' });
    expect(plain(at.store.read.membership())).toEqual(plain(membership()));
    expect(at.store.read.mesh()).toEqual({ id: membership().meshId, name: membership().meshName });
    expect(plain(at.store.read.members())).toEqual(plain([self]));
    const again = at.store.write.saveMembership({ stamp: at.story.stamp(), membership: { ...membership(), meshName: 'other' }, members: [member()], what: 'mesh.joined' });
    await expect(again).rejects.toMatchObject({ code: 'conflict', message: expect.stringContaining('home') });
    expect(at.store.read.members()).toHaveLength(1);
    await at.store.write.replaceOwnChain({ stamp: at.story.stamp(), name: 'lap', chain: chain('new') });
    expect(plain(at.store.read.membership())).toEqual(plain({ ...membership(), name: 'lap', chain: chain('new') }));
  });

  test('without a mesh there is no chain to replace', async () => {
    await expect(at.store.write.replaceOwnChain({ stamp: at.story.stamp(), name: 'lap', chain: chain('new') })).rejects.toMatchObject({ code: 'not_found' });
  });

  test('a name belongs to one member at a time', async () => {
    await at.store.write.saveMembership({ stamp: at.story.stamp(), membership: membership(), members: [member()], what: 'mesh.created' });
    const rename = (nodeId: NodeId, name: string) => at.store.write.renameMember({ stamp: at.story.stamp(), member: member({ nodeId, name, notBeforeMs: 200 }) });
    await rename(desktop, 'studio');
    expect(at.store.read.member(desktop)?.name).toBe('studio');
    await rename(desktop, 'studio');
    for (const taken of ['studio', 'laptop']) await expect(rename(nodeIdFor(3), taken)).rejects.toMatchObject({ code: 'conflict' });
    await at.store.write.saveDepartures({ stamp: at.story.stamp(), departures: [departureOf(desktop, 200)] });
    await rename(nodeIdFor(3), 'studio');
  });

  test('one that left is no member until it has a later certificate', async () => {
    await at.store.write.saveMembership({ stamp: at.story.stamp(), membership: membership(), members: [member()], what: 'mesh.created' });
    const leave = (certifiedAtMs: number) => at.store.write.saveDepartures({ stamp: at.story.stamp(), departures: [departureOf(desktop, certifiedAtMs), departureOf(nodeIdFor(4), 1)] });
    // Of a certificate before the one it has now: it has come back since.
    expect(await leave(50)).toEqual({ heard: [], gone: [] });
    expect(at.store.read.member(desktop)?.left).toBeUndefined();
    expect(await leave(100)).toEqual({ heard: [desktop], gone: [desktop] });
    expect(at.store.read.member(desktop)?.left?.atMs).toBe(7);
    expect(await leave(100)).toEqual({ heard: [], gone: [] });
    // It had come back and gone again, and all that is heard of it is that.
    expect(await leave(101)).toEqual({ heard: [desktop], gone: [] });
    expect(await leave(100)).toEqual({ heard: [], gone: [] });
    expect(await at.store.write.saveMembers({ stamp: at.story.stamp(), members: [member()] })).toEqual([]);
    expect(at.store.read.member(desktop)?.left).toBeDefined();
    expect(await at.store.write.saveMembers({ stamp: at.story.stamp(), members: [member({ notBeforeMs: 102 })] })).toEqual([desktop]);
    // One that counts no more gives way to an earlier one, and to itself it does not.
    const earlier = member({ notBeforeMs: 101, chain: { leaf: Uint8Array.of(1), issuer: Uint8Array.of(2) } });
    for (const changed of [[desktop], []]) expect(await at.store.write.saveMembers({ stamp: at.story.stamp(), members: [earlier], instead: [desktop] })).toEqual(changed);
    expect(at.store.read.member(desktop)?.notBeforeMs).toBe(101);
    await at.store.write.saveMembers({ stamp: at.story.stamp(), members: [member({ notBeforeMs: 102 })] });
    expect(at.store.read.member(desktop)?.left).toBeUndefined();
  });

  test('a node that leaves knows nothing of the mesh but that it was there, and learns no more of it', async () => {
    await expect(at.store.write.leaveMesh({ stamp: at.story.stamp() })).rejects.toMatchObject({ code: 'not_found' });
    await at.store.write.saveMembership({ stamp: at.story.stamp(), membership: membership(), members: [member()], what: 'mesh.created' });
    await at.store.write.addInvite({ stamp: at.story.stamp(), invite: { secretHash: 'aa', owner: 'ada', expiresAtMs: 2e15 } });
    await at.store.write.leaveMesh({ stamp: at.story.stamp() });
    const { read } = at.store;
    expect([read.membership(), read.members(), read.invite('aa'), read.hasLeft('mesh1' as MeshId), read.hasLeft('mesh2' as MeshId), read.formerName(desktop)]).toEqual([undefined, [], undefined, true, false, 'desktop']);
    expect(await at.store.write.saveMembers({ stamp: at.story.stamp(), members: [member()], meshId: 'mesh1' as MeshId })).toEqual([]);
    expect(read.members()).toEqual([]);
    await at.store.write.saveMembership({ stamp: at.story.stamp(), membership: membership(), members: [], what: 'mesh.joined' });
  });

  test('an invitation admits one node, in time', async () => {
    const expiresAtMs = at.story.nowMs + 1000;
    await at.store.write.addInvite({ stamp: at.story.stamp(), invite: { secretHash: 's1', owner: 'ada', expiresAtMs } });
    await at.store.write.addInvite({ stamp: at.story.stamp(), invite: { secretHash: 's2', owner: 'ada', expiresAtMs } });
    const redeem = (secretHash: string, nodeId = desktop) =>
      at.store.write.redeemInvite({ stamp: at.story.stamp(), secretHash, member: member({ nodeId }) });
    await expect(redeem('none')).rejects.toMatchObject({ code: 'denied' });
    const both = await Promise.allSettled([redeem('s1'), redeem('s1', nodeIdFor(3))]);
    expect(both.map((each) => each.status)).toEqual(['fulfilled', 'rejected']);
    expect(at.store.read.invite('s1')).toEqual({ secretHash: 's1', owner: 'ada', expiresAtMs, usedBy: desktop });
    await redeem('s1');
    expect(at.store.read.invite('s2')).toEqual({ secretHash: 's2', owner: 'ada', expiresAtMs });
    at.story.nowMs = expiresAtMs;
    await expect(redeem('s2', nodeIdFor(4))).rejects.toMatchObject({ code: 'denied' });
    expect(at.store.read.members().map((each) => each.nodeId)).toEqual([desktop]);
    await expect(redeem('s1')).rejects.toMatchObject({ code: 'denied' });
    expect(at.store.read.member(nodeIdFor(3))).toBeUndefined();
  });

  test('of two certificates of a member the later one is kept', async () => {
    const save = (...members: Member[]) => at.store.write.saveMembers({ stamp: at.story.stamp(), members });
    expect(await save(member())).toEqual([desktop]);
    expect(await save(member())).toEqual([]);
    expect(await save(member({ notBeforeMs: 99, name: 'old' }))).toEqual([]);
    expect(await save(member({ addresses: ['10.0.0.9:1'] }))).toEqual([]);
    expect(at.store.read.member(desktop)).toMatchObject({ name: 'desktop', addresses: ['10.0.0.9:1'] });
    expect(await save(member({ notBeforeMs: 101, name: 'desk' }), member({ nodeId: nodeIdFor(3) }))).toEqual([desktop, nodeIdFor(3)]);
    expect(at.store.read.member(desktop)).toMatchObject({ name: 'desk', notBeforeMs: 101 });
    await at.store.write.saw({ nodeId: desktop, atMs: 50 });
    await at.store.write.saw({ nodeId: desktop, atMs: 40 });
    expect(at.store.read.member(desktop)?.lastSeenMs).toBe(50);
    await save(member({ notBeforeMs: 102 }));
    expect(at.store.read.member(desktop)?.lastSeenMs).toBe(50);
  });
});
