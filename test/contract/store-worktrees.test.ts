/** What a store knows of worktrees: at the owner what becomes of them, at an origin what it was told. */
import { describe, expect, test } from 'vitest';
import { flightOfInvocation, sessionOfInvocation } from '../../src/domain/ids.ts';
import type { FlightId, InvocationId } from '../../src/domain/ids.ts';
import type { PlacedWorktree } from '../../src/domain/worktree.ts';
import { rowCounts } from '../support/database.ts';
import { desktop, me, storePerTest } from '../support/store-per-test.ts';
import { textTask } from '../support/temp-store.ts';

const start = { head: 'a'.repeat(40), branch: 'beckon/one', dirty: 2 };
const place = { name: 'one', prefix: 'sub/', gitDir: '/shop/.git/worktrees/one', searchPath: '/bin' };

const at = storePerTest();

async function queued(session?: 'new' | 'continue'): Promise<{ id: InvocationId; flightId: FlightId }> {
  const invocation = at.story.invocation({ origin: me, owner: me }, session === undefined ? {} : { session: { mode: session } });
  await at.store.write.accept(at.story.accept(invocation, { kind: 'local', queueLimit: 10, ...(session === undefined ? {} : { sessionOwner: 'ada' }) }));
  return { id: invocation.id, flightId: flightOfInvocation(invocation.id) };
}

const begin = (flightId: FlightId, worktree: PlacedWorktree) => at.store.write.start({ stamp: at.story.stamp(), flightId, worktree });
const finish = (flightId: FlightId) => at.store.write.finish({ stamp: at.story.stamp(), flightId, outcome: { state: 'completed', exitCode: 0 } });
const settle = (flightId: FlightId, state: 'fetched' | 'discarded' | 'unchanged' | 'gone') => at.store.write.settleWorktree({ stamp: at.story.stamp(), flightId, state, by: 'uid:501' });

describe('at the owner', () => {
  test('where a flight runs is in the commit and the event of its start, and over a restart', async () => {
    const { id, flightId } = await queued();
    expect(at.store.read.worktree(flightId)).toBeUndefined();
    const started = await begin(flightId, { madeFor: id, ...start, place });
    expect(started?.event.body).toEqual({ kind: 'started', run: 1, worktree: start });
    await at.reopen();
    expect(at.store.read.worktree(flightId)).toEqual({ madeFor: id, ...start, state: 'kept', place });
    expect(at.store.read.worktreeNamed('one')).toEqual(at.store.read.worktree(flightId));
    expect(at.store.read.events(flightId, 0, 1000)[0]?.body).toEqual({ kind: 'started', run: 1, worktree: start });
  });

  test('a worktree is settled once, with a fact; the same again changes nothing', async () => {
    const { id, flightId } = await queued();
    await begin(flightId, { madeFor: id, ...start, place });
    await finish(flightId);
    expect(await settle(flightId, 'fetched')).toMatchObject({ state: 'fetched', place });
    const facts = await at.store.inspect.facts(id);
    expect(facts.at(-1)).toMatchObject({ what: 'flight.worktree', detail: { state: 'fetched', branch: 'beckon/one', by: 'uid:501' } });
    expect(await settle(flightId, 'fetched')).toMatchObject({ state: 'fetched' });
    expect(await at.store.inspect.facts(id)).toHaveLength(facts.length);
    await expect(settle(flightId, 'discarded')).rejects.toMatchObject({ code: 'conflict' });
    await expect(settle((await queued()).flightId, 'discarded')).rejects.toMatchObject({ code: 'not_found' });
  });

  test('one that is gone can still be discarded', async () => {
    const { id, flightId } = await queued();
    await begin(flightId, { madeFor: id, ...start, place });
    await finish(flightId);
    await settle(flightId, 'gone');
    await expect(settle(flightId, 'fetched')).rejects.toMatchObject({ code: 'conflict' });
    expect(await settle(flightId, 'discarded')).toMatchObject({ state: 'discarded' });
  });

  test('nobody settles it while a flight is at work in it; turns of a session share it', async () => {
    const [one, two] = [await queued('new'), await queued('continue')];
    const worktree = { madeFor: one.id, ...start, place };
    await begin(one.flightId, worktree);
    await finish(one.flightId);
    const session = sessionOfInvocation(one.id);
    expect(at.store.read.worktreeOfSession(session)).toMatchObject({ madeFor: one.id });
    await begin(two.flightId, worktree);
    expect(at.store.read.worktree(two.flightId)).toMatchObject({ madeFor: one.id, state: 'kept' });
    await expect(settle(one.flightId, 'discarded')).rejects.toMatchObject({ code: 'conflict', message: expect.stringContaining(two.flightId) });
    await finish(two.flightId);
    await settle(two.flightId, 'discarded');
    expect(at.store.read.worktree(one.flightId)).toMatchObject({ state: 'discarded' });
    expect(at.store.read.worktreeOfSession(session)).toBeUndefined();
  });

  test('a turn can’t begin in one that was settled meanwhile; it stays queued', async () => {
    const [one, two] = [await queued('new'), await queued('continue')];
    await begin(one.flightId, { madeFor: one.id, ...start, place });
    await finish(one.flightId);
    await settle(one.flightId, 'fetched');
    await expect(begin(two.flightId, { madeFor: one.id, ...start, place })).rejects.toMatchObject({ code: 'conflict' });
    expect(at.store.read.flight(two.flightId)).toMatchObject({ state: 'queued' });
    await begin(two.flightId, { madeFor: two.id, ...start, head: 'b'.repeat(40), place });
    expect(at.store.read.worktreeOfSession(sessionOfInvocation(one.id))).toMatchObject({ madeFor: two.id, head: 'b'.repeat(40) });
    expect(at.store.read.worktreeNamed('one')).toMatchObject({ madeFor: two.id });
  });

  test('records of a flight are kept as long as its worktree is, and go with it', async () => {
    const { id, flightId } = await queued();
    await begin(flightId, { madeFor: id, ...start, place });
    await finish(flightId);
    const prune = () => at.store.write.prune({ stamp: at.story.stamp(), outputsBeforeMs: 2e15, mostBytes: 0, recordsBeforeMs: 2e15 });
    expect(await prune()).toMatchObject({ records: 0 });
    expect(at.store.read.worktree(flightId)).toMatchObject({ state: 'kept' });
    expect(at.store.read.prunable({ outputsBeforeMs: 2e15, mostBytes: 0, recordsBeforeMs: 2e15 })).toBe(false);
    await settle(flightId, 'discarded');
    expect(await prune()).toMatchObject({ records: 1 });
    expect(rowCounts(at.temp.path)).toMatchObject({ flights: 0, worktrees: 0, flight_worktrees: 0 });
  });
});

describe('at an origin', () => {
  async function told(): Promise<{ id: InvocationId; flightId: FlightId }> {
    const invocation = at.story.invocation({ origin: me, owner: desktop });
    await at.store.write.accept(at.story.accept(invocation, { kind: 'send', attemptId: at.story.attemptId() }));
    await at.store.write.applyEvents({
      stamp: at.story.stamp(), invocationId: invocation.id, fromNodeId: desktop, receivedAtMs: 5,
      events: [{ seq: 1, ...at.story.stamp(), body: { kind: 'started', run: 1, worktree: start } }, { seq: 2, ...at.story.stamp(), body: { kind: 'finished', state: 'completed', exitCode: 0 } }],
    });
    return { id: invocation.id, flightId: flightOfInvocation(invocation.id) };
  }

  test('the owner’s start says that there is one, not where; what the owner says of it counts, whatever it was', async () => {
    const { id, flightId } = await told();
    expect(at.store.read.worktree(flightId)).toEqual({ madeFor: id, ...start, state: 'kept' });
    for (const state of ['fetched', 'discarded'] as const) expect(await settle(flightId, state)).toMatchObject({ state });
    expect(at.store.read.worktree(flightId)).toMatchObject({ state: 'discarded' });
  });

  test('it keeps no record from being pruned: the owner looks after it', async () => {
    await told();
    expect(await at.store.write.prune({ stamp: at.story.stamp(), outputsBeforeMs: 2e15, mostBytes: 0, recordsBeforeMs: 2e15 })).toMatchObject({ records: 1 });
    expect(rowCounts(at.temp.path)).toMatchObject({ flights: 0, worktrees: 0 });
  });

  test('a peer’s word on its flight touches nothing that is kept here', async () => {
    const mine = await queued();
    await begin(mine.flightId, { madeFor: mine.id, ...start, place });
    await settle((await told()).flightId, 'discarded');
    expect(at.store.read.worktree(mine.flightId)).toMatchObject({ state: 'kept', place });
  });
});

test('the linked worktree that an agent was added in is kept with its endpoint, and goes with it', async () => {
  const checkout = { top: '/feature', entry: '/shop/.git/worktrees/feature', repository: '/shop/.git', device: 2 ** 40 };
  const address = '@fabric@laptop#main';
  const registration = { address, nodeId: me, harness: 'command', capabilities: [], labels: {}, visibility: 'mesh', description: '', isDefault: false, available: true } as const;
  const endpoint = { agentId: `agt_${at.story.ulid()}` as never, address, harness: 'command', cwd: '/feature', argv: ['cat'], env: [], path: '/bin', permissions: 'ask', isolate: true, checkout } as const;
  await at.store.write.addAgent({ stamp: at.story.stamp(), endpoint, registration });
  await at.reopen();
  expect(at.store.read.endpoint(address)).toEqual(endpoint);
  expect(at.store.read.endpoints()).toEqual([endpoint]);
  await at.store.write.receive({ stamp: at.story.stamp(), invocation: at.story.invocation({ origin: desktop, owner: me }), task: textTask('x'), queueLimit: 10 });
  await at.store.write.removeAgent({ stamp: at.story.stamp(), address });
  expect(rowCounts(at.temp.path)).toMatchObject({ agent_checkouts: 0 });
});
