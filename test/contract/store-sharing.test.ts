/** Whom an agent is shared with, and invocations that are accepted together, in a real store. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { flightOfInvocation, groupIdOf } from '../../src/domain/ids.ts';
import type { FlightId, GroupId } from '../../src/domain/ids.ts';
import type { Endpoint, Invocation } from '../../src/domain/invocation.ts';
import type { Flight } from '../../src/domain/records.ts';
import type { Registration } from '../../src/domain/registration.ts';
import type { QueuedCaller } from '../../src/domain/store-port.ts';
import { nodeIdFor, openTempStore, Story, textTask } from '../support/temp-store.ts';
import type { TempStore } from '../support/temp-store.ts';

const [me, peer] = [nodeIdFor(1), nodeIdFor(2)];
const address = '@deploy@laptop#main';
const bob = { with: 'person', name: 'bob' } as const;
const studio = { with: 'node', nodeId: peer } as const;

let temp: TempStore;
const story = new Story();
beforeEach(async () => {
  temp = await openTempStore(me);
});
afterEach(() => temp[Symbol.asyncDispose]());

async function addAgent(at = address): Promise<void> {
  const registration: Registration = { address: at, nodeId: me, harness: 'command', capabilities: [], labels: {}, visibility: 'mesh', description: '', isDefault: false, available: true };
  const endpoint: Endpoint = { agentId: `agt_${story.ulid()}` as never, address: at, harness: 'command', cwd: '/', argv: ['cat'], env: [], path: '/bin', permissions: 'ask', isolate: false };
  await temp.store.write.addAgent({ stamp: story.stamp(), registration, endpoint });
}

const share = (...shares: Parameters<typeof temp.store.write.shareAgent>[0]['shares'][number][]) => temp.store.write.shareAgent({ stamp: story.stamp(), address, shares, by: 'uid:501' });
const unshare = (...shares: Parameters<typeof share>) => temp.store.write.unshareAgent({ stamp: story.stamp(), address, by: 'uid:501', ...(shares.length === 0 ? {} : { shares }) });

describe('shares', () => {
  beforeEach(() => addAgent());

  test('are kept once each, and taken back one by one or all at once', async () => {
    expect(await share({ with: 'all' }, bob, studio)).toHaveLength(3);
    expect(await share(bob)).toEqual([]);
    expect(temp.store.read.shares(address)).toEqual([{ with: 'all' }, studio, bob]);
    expect(await unshare(bob)).toEqual([bob]);
    expect(await unshare()).toEqual([{ with: 'all' }, studio]);
    expect([await unshare(), temp.store.read.shares(address)]).toEqual([[], []]);
  });

  test('that are not there are not taken back, nor those beside them', async () => {
    await share(studio);
    await expect(unshare(studio, bob)).rejects.toMatchObject({ code: 'not_found' });
    expect(temp.store.read.shares(address)).toEqual([studio]);
  });

  test('outlive a new name of the node, and go with the agent', async () => {
    await share(bob);
    await temp.store.write.renameNode({ stamp: story.stamp(), name: 'tower', chain: undefined });
    expect([temp.store.read.shares('@deploy@tower#main'), temp.store.read.shares(address)]).toEqual([[bob], []]);
    await temp.store.write.removeAgent({ stamp: story.stamp(), address: '@deploy@tower#main' });
    await addAgent('@deploy@tower#main');
    expect(temp.store.read.shares('@deploy@tower#main')).toEqual([]);
  });

  test('are with members of this mesh: they go when it is left', async () => {
    const chain = { leaf: new Uint8Array([1]), issuer: new Uint8Array([2]) };
    await temp.store.write.saveMembership({ stamp: story.stamp(), membership: { meshId: 'mesh1' as never, meshName: 'home', name: 'laptop', owner: 'ada', rootDer: new Uint8Array(), chain, isIssuer: true }, members: [], what: 'mesh.created' });
    await share({ with: 'all' });
    await temp.store.write.leaveMesh({ stamp: story.stamp() });
    expect(temp.store.read.shares(address)).toEqual([]);
  });

  test('of an agent that is not there are an error', async () => {
    await expect(temp.store.write.shareAgent({ stamp: story.stamp(), address: '@none@laptop#main', shares: [bob], by: 'x' })).rejects.toMatchObject({ code: 'not_found' });
  });
});

test('work of others keeps the owner identity that it came with, and is found in its queue', async () => {
  const [theirs, own] = [story.invocation({ origin: peer, owner: me }, { target: address }), story.invocation({ origin: me, owner: me }, { target: address })];
  const { flight } = (await temp.store.write.receive({ stamp: story.stamp(), invocation: theirs, task: textTask(''), queueLimit: 9, originOwner: 'bob' })) as { flight: Flight };
  await temp.store.write.accept(story.accept(own));
  expect(flight.originOwner).toBe('bob');
  const caller = { originNodeId: peer, originOwner: 'bob' };
  expect(temp.store.read.queued(address, 10, { caller })).toEqual([flight.id]);
  expect(temp.store.read.queued(address, 10, { caller, after: flight.id })).toEqual([]);
});

test('whose work waits for an agent is told once each, and what one of them has there is found by itself, oldest first', async () => {
  const callers: readonly QueuedCaller[] = [{ originNodeId: me }, { originNodeId: peer, originOwner: 'bob' }, { originNodeId: peer, originOwner: 'carol' }, { originNodeId: nodeIdFor(3) }];
  const ids = callers.map((): FlightId[] => []);
  for (let count = 0; count < 3; count += 1) {
    for (const [index, { originNodeId, originOwner }] of callers.entries()) {
      const invocation = story.invocation({ origin: originNodeId, owner: me }, { target: address });
      await (originNodeId === me
        ? temp.store.write.accept(story.accept(invocation))
        : temp.store.write.receive({ stamp: story.stamp(), invocation, task: textTask(''), queueLimit: 99, ...(originOwner === undefined ? {} : { originOwner }) }));
      ids[index]?.push(flightOfInvocation(invocation.id));
    }
  }
  const { read, write } = temp.store;
  expect(read.queuedCallers(address)).toHaveLength(4);
  expect(read.queuedCallers(address)).toEqual(expect.arrayContaining([...callers]));
  expect(callers.map((caller) => read.queued(address, 9, { caller }))).toEqual(ids);
  expect(callers.map((caller, index) => read.queued(address, 1, { caller, after: ids[index]?.[0] }))).toEqual(ids.map((each) => each.slice(1, 2)));
  expect(read.queued(address, 3, { after: ids[3]?.[0] })).toEqual([ids[0]?.[1], ids[1]?.[1], ids[2]?.[1]]);
  expect([read.queuedCount(address), read.queuedCount(address, 5)]).toEqual([12, 5]);
  for (const flightId of ids[2] ?? []) await write.start({ stamp: story.stamp(), flightId });
  expect(read.queuedCallers(address)).not.toContainEqual(callers[2]);
  expect(read.queued(address, 9, { caller: { originNodeId: nodeIdFor(4), originOwner: 'bob' } })).toEqual([]);
});

describe('accepted together', () => {
  const wait = { kind: 'defer', reason: 'peer_unreachable', detail: 'away' } as const;
  const local = { kind: 'local', queueLimit: 2 } as const;

  function two(groupId: GroupId, changes: Partial<Invocation> = {}) {
    const members = [
      { invocation: story.invocation({ origin: me, owner: me }, { groupId, ...changes }), plan: local },
      { invocation: story.invocation({ origin: me, owner: peer }, { groupId }), plan: wait },
    ];
    return { stamp: story.stamp(), task: textTask('x'), payloadHash: 'hash', key: 'k', members };
  }

  test('each is a flight of its own, and the key stands for all', async () => {
    const groupId = groupIdOf(story.ulid());
    const first = two(groupId);
    const answer = await temp.store.write.acceptAll(first);
    const ids = first.members.map(({ invocation }) => invocation.id);
    expect('flights' in answer && answer.flights.map((each) => [each.invocationId, each.groupId])).toEqual(ids.map((id) => [id, groupId]));
    expect(temp.store.read.group(groupId).map((each) => each.invocationId)).toEqual(ids);
    expect(ids.map((id) => temp.store.read.invocation(id)?.groupId)).toEqual([groupId, groupId]);
    expect(await temp.store.write.acceptAll(two(groupIdOf(story.ulid())))).toEqual({ known: groupId });
    expect((await temp.store.inspect.flights({}, { limit: 10 })).items).toHaveLength(2);
    await expect(temp.store.write.acceptAll({ ...two(groupIdOf(story.ulid())), payloadHash: 'other' })).rejects.toMatchObject({ code: 'conflict' });
  });

  test('is all or nothing: one queue that is full keeps the rest back, and the key free', async () => {
    for (let count = 0; count < 2; count += 1) await temp.store.write.accept(story.accept(story.invocation({ origin: me, owner: me })));
    const { members, ...rest } = two(groupIdOf(story.ulid()));
    await expect(temp.store.write.acceptAll({ ...rest, members: members.toReversed() })).rejects.toMatchObject({ code: 'overload' });
    expect((await temp.store.inspect.flights({}, { limit: 10 })).items).toHaveLength(2);
    expect([temp.store.read.keyed('uid:501', 'k'), temp.store.read.queuedCount('@fabric@laptop#main')]).toEqual([undefined, 2]);
  });

  test('a group is found by the end of its id, and two alike are told apart', async () => {
    const [one, other] = ['01J9Z6M3T4V8Q2X7K5B1AAABCD', '01J9Z6M3T4V8Q2X7K5B1BBABCD'].map(groupIdOf);
    for (const [index, groupId] of [one, other].entries()) if (groupId !== undefined) await temp.store.write.acceptAll({ ...two(groupId), key: `k${index}` });
    expect(temp.store.read.groupsBySuffix('ABCD')).toEqual([one, other]);
    expect(temp.store.read.groupsBySuffix('BBABCD')).toEqual([other]);
    expect([temp.store.read.groupsBySuffix('ZZZZ'), temp.store.read.groupsBySuffix("A'%_")]).toEqual([[], []]);
  });
});
