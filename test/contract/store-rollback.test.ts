/** What a store makes of the news that it was put back to an older state. */
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { flightOfInvocation } from '../../src/domain/ids.ts';
import type { InvocationId } from '../../src/domain/ids.ts';
import type { Invocation } from '../../src/domain/invocation.ts';
import type { Store } from '../../src/domain/store-port.ts';
import { openStore } from '../../src/store/open.ts';
import { nodeIdFor, openTempStore, silentLog, Story, textTask } from '../support/temp-store.ts';

const me = nodeIdFor(1);
const peer = nodeIdFor(2);
const target = '@fabric@laptop#main';
const open = { lastSeq: 0, terminal: false };

/** Work of every kind that was here before the boot in which the rollback is learnt. */
async function before(store: Store, story: Story) {
  const receive = async (changes: Partial<Invocation> = {}): Promise<InvocationId> => {
    const invocation = story.invocation({ origin: peer, owner: me }, changes);
    await store.write.receive({ stamp: story.stamp(), invocation, task: textTask(''), queueLimit: 99 });
    return invocation.id;
  };
  const accept = async (owner = me, changes: Partial<Invocation> = {}): Promise<InvocationId> => {
    const invocation = story.invocation({ origin: me, owner }, changes);
    const plan = owner === me ? { kind: 'local', queueLimit: 99 } as const : { kind: 'defer', reason: 'peer_unreachable', detail: '' } as const;
    await store.write.accept(story.accept(invocation, plan));
    return invocation.id;
  };
  await store.write.boot({ stamp: story.stamp(), nodeId: me, version: '1' });
  const known = {
    theirs: await receive(), theirsAgain: await receive({ rerunnable: true }), theirsRunning: await receive({ rerunnable: true }),
    ours: await accept(), oursAgain: await accept(me, { rerunnable: true }), unsent: await accept(peer), sent: await accept(peer),
  };
  await store.write.start({ stamp: story.stamp(), flightId: flightOfInvocation(known.theirsRunning) });
  await store.write.beginAttempt({ stamp: story.stamp(), invocationId: known.sent, attemptId: story.attemptId() });
  return { known, receive, accept };
}

const stateOf = (store: Store, id: InvocationId): string | undefined => store.read.flight(flightOfInvocation(id))?.state;

test('at start an epoch older than the one known outside: nothing of before is started, own work ends indeterminate', async () => {
  await using temp = await openTempStore(me);
  const { store } = temp;
  const story = new Story();
  const { known } = await before(store, story);
  const booted = await store.write.boot({ stamp: story.stamp(), nodeId: me, version: '1', newest: { epoch: story.nowMs + 1000, fact: 0 } });
  expect(booted).toMatchObject({ rolledBack: true, epoch: story.nowMs + 1001 });
  const oursRunning = story.invocation({ origin: me, owner: me });
  await store.write.accept(story.accept(oursRunning, { kind: 'local', queueLimit: 10 }));
  await store.write.start({ stamp: story.stamp(), flightId: flightOfInvocation(oursRunning.id) });
  // Nor does anybody's work go on from where this copy is.
  expect((await store.write.recover({ stamp: story.stamp(), nodeId: me, mayReturn: [target] })).open).toEqual([]);
  expect(stateOf(store, oursRunning.id)).toBe('indeterminate');
  expect(Object.fromEntries(Object.entries(known).map(([name, id]) => [name, stateOf(store, id)]))).toEqual({
    theirs: 'queued', theirsAgain: 'queued', theirsRunning: 'indeterminate', ours: 'indeterminate', oursAgain: 'queued', unsent: 'indeterminate', sent: 'queued',
  });
  expect(store.read.queued(target, 10)).toEqual([flightOfInvocation(known.oursAgain)]);
  expect(store.read.quarantined(peer, undefined, 10)).toEqual([known.theirs, known.theirsAgain]);
  expect(await store.write.start({ stamp: story.stamp(), flightId: flightOfInvocation(known.theirs) })).toBeUndefined();
  expect(store.read.flight(flightOfInvocation(known.theirs))?.quarantinedAtMs).toBeGreaterThan(0);
  // It survives a restart that knows of nothing.
  const reopened = await temp.reopen();
  expect((await reopened.write.boot({ stamp: story.stamp(), nodeId: me, version: '1', newest: { epoch: booted.epoch, fact: reopened.read.newestFact() } })).rolledBack).toBe(false);
  expect(reopened.read.quarantined(peer, undefined, 10)).toHaveLength(2);
});

test('within one boot it is told by its newest fact, and a backup knows what it is', async () => {
  await using temp = await openTempStore(me);
  const { store } = temp;
  const story = new Story();
  await before(store, story);
  const [{ epoch }] = [await store.write.boot({ stamp: story.stamp(), nodeId: me, version: '1' })];
  const fact = store.read.newestFact();
  const path = join(temp.directory, 'copy.db');
  await store.backup(path);
  const boot = async (of: Store, mark?: { epoch: number; fact: number }) =>
    (await of.write.boot({ stamp: story.stamp(), nodeId: me, version: '1', ...(mark === undefined ? {} : { newest: mark }) })).rolledBack;
  const copy = await openStore({ path, nodeId: me, log: silentLog });
  expect([await boot(copy), await boot(copy)]).toEqual([true, false]);
  await copy.close();
  expect(await boot(store, { epoch, fact })).toBe(false);
  const next = store.read.seenEpochs(me)[0] ?? 0;
  expect(await boot(store, { epoch: next, fact: store.read.newestFact() + 1 })).toBe(true);
});

test('learnt later, it touches what was here before this boot, and nothing that came since', async () => {
  await using temp = await openTempStore(me);
  const { store } = temp;
  const story = new Story();
  const { known, receive, accept } = await before(store, story);
  await store.write.boot({ stamp: story.stamp(), nodeId: me, version: '1' });
  await store.write.recover({ stamp: story.stamp(), nodeId: me });
  // The clock goes back: what is older is not told by it.
  story.nowMs -= 10_000_000;
  const [theirsNew, oursNew, unsentNew] = [await receive(), await accept(), await accept(peer)];
  const found = await store.write.rolledBack({ stamp: story.stamp(), evidence: 'more is known of it', peerNodeId: peer });
  expect(found).toEqual({ fresh: true, ended: [known.ours, known.unsent].map(flightOfInvocation), quarantined: 3 });
  expect([theirsNew, oursNew, unsentNew].map((id) => stateOf(store, id))).toEqual(['queued', 'queued', 'queued']);
  expect(store.read.quarantined(peer, undefined, 10)).not.toContain(theirsNew);
  expect(await store.write.rolledBack({ stamp: story.stamp(), evidence: 'again' })).toEqual({ fresh: false, ended: [], quarantined: 0 });
});

test('the origin’s word settles what is held back; whatever else ends it ends it indeterminate', async () => {
  await using temp = await openTempStore(me);
  const { store } = temp;
  const story = new Story();
  const { known, receive } = await before(store, story);
  const late = await receive();
  await store.write.boot({ stamp: story.stamp(), nodeId: me, version: '1', newest: { epoch: 2e15, fact: 0 } });
  const settle = (id: InvocationId, origin: typeof open | 'unknown') => store.write.settleQuarantined({ stamp: story.stamp(), flightId: flightOfInvocation(id), origin });
  expect(await settle(known.theirs, open)).toMatchObject({ state: 'indeterminate', verdictBy: 'owner', error: { code: 'unavailable' } });
  expect(await settle(known.theirsAgain, open)).toMatchObject({ state: 'queued' });
  expect(await settle(known.theirsAgain, open)).toBeUndefined();
  expect(await settle(known.ours, 'unknown')).toBeUndefined();
  expect(store.read.queued(target, 10)).toContain(flightOfInvocation(known.theirsAgain));
  const expired = await store.write.finish({ stamp: story.stamp(), flightId: flightOfInvocation(late), outcome: { state: 'expired' } });
  expect(expired?.flight).toMatchObject({ state: 'indeterminate' });
  expect(store.read.quarantined(peer, undefined, 10)).toEqual([known.theirsRunning]);
});

test('of a peer the two newest epochs are remembered', async () => {
  await using temp = await openTempStore(me);
  const { store } = temp;
  expect(store.read.seenEpochs(peer)).toEqual([]);
  for (const epoch of [5, 9, 7, 9]) await store.write.saw({ nodeId: peer, atMs: 1, epoch });
  await store.write.saw({ nodeId: peer, atMs: 2 });
  expect(store.read.seenEpochs(peer)).toEqual([9, 5]);
});

test('an invitation of before is void afterwards, since it may have been used; one given after is good', async () => {
  await using temp = await openTempStore(me);
  const { store } = temp;
  const story = new Story();
  await store.write.boot({ stamp: story.stamp(), nodeId: me, version: '1' });
  const expiresAtMs = story.nowMs + 3_600_000;
  for (const secretHash of ['used', 'unused']) await store.write.addInvite({ stamp: story.stamp(), invite: { secretHash, owner: 'ada', expiresAtMs } });
  const { epoch } = await store.write.boot({ stamp: story.stamp(), nodeId: me, version: '1' });
  expect(store.read.invite('unused')).toMatchObject({ expiresAtMs });
  story.nowMs = epoch + 1000;
  await store.write.addInvite({ stamp: story.stamp(), invite: { secretHash: 'after', owner: 'ada', expiresAtMs } });
  const stamp = story.stamp();
  await store.write.rolledBack({ stamp, evidence: 'a peer has more of it', peerNodeId: peer });
  expect(['used', 'unused', 'after'].map((each) => store.read.invite(each)?.expiresAtMs)).toEqual([stamp.atMs, stamp.atMs, expiresAtMs]);
});
