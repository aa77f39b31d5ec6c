/** Requests of agents and replies to them, as the store keeps them. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { attemptIdOf, flightOfInvocation, invocationOfFlight } from '../../src/domain/ids.ts';
import type { FlightId, NodeId } from '../../src/domain/ids.ts';
import type { Reply } from '../../src/domain/request.ts';
import type { Store } from '../../src/domain/store-port.ts';
import { nodeIdFor, openTempStore, Story, textTask } from '../support/temp-store.ts';
import type { TempStore } from '../support/temp-store.ts';

const me = nodeIdFor(1);
const desktop = nodeIdFor(2);
const server = nodeIdFor(3);
const yes: Reply = { kind: 'approved' };
const no: Reply = { kind: 'denied' };
const request = 'req_01J9Z6M3T4V8Q2X7K5B1C0D9EF';

let temp: TempStore;
let store: Store;
let story: Story;

beforeEach(async () => {
  temp = await openTempStore(me);
  store = temp.store;
  story = new Story();
});

afterEach(async () => {
  await temp[Symbol.asyncDispose]();
});

const ask = (flightId: FlightId, name = request) =>
  store.write.ask({ stamp: story.stamp(), flightId, request: name, ask: { reason: 'approval', prompt: 'may I?', choices: ['once'] }, untilMs: story.nowMs + 1000 });
const give = (flightId: FlightId, reply: Reply, by = 'uid:1') => store.write.giveReply({ stamp: story.stamp(), flightId, request, reply, by });
const receive = (flightId: FlightId, reply: Reply, originNodeId: NodeId = desktop) =>
  store.write.receiveReply({ stamp: story.stamp(), invocationId: invocationOfFlight(flightId), originNodeId, request, reply, by: 'uid:2 on desktop' });
const factsOf = async (flightId: FlightId) => (await store.inspect.facts(invocationOfFlight(flightId))).map(({ what, detail }) => ({ what, detail }));

/** Owned here, running, of another origin. */
async function running(): Promise<FlightId> {
  const invocation = story.invocation({ origin: desktop, owner: me });
  await store.write.receive({ stamp: story.stamp(), invocation, task: textTask('work'), queueLimit: 9 });
  const flightId = flightOfInvocation(invocation.id);
  await store.write.start({ stamp: story.stamp(), flightId });
  return flightId;
}

/** Originated here, at work on the desktop, waiting as far as this node knows. */
async function waitingThere(): Promise<FlightId> {
  const invocation = story.invocation({ origin: me, owner: desktop });
  await store.write.accept(story.accept(invocation, { kind: 'send', attemptId: attemptIdOf(story.ulid()) }));
  const waiting = { kind: 'waiting', reason: 'approval', request, prompt: 'may I?', choices: [] } as const;
  const events = [{ seq: 1, ...story.stamp(), body: { kind: 'started', run: 1 } as const }, { seq: 2, ...story.stamp(), body: waiting }];
  await store.write.applyEvents({ stamp: story.stamp(), invocationId: invocation.id, fromNodeId: desktop, receivedAtMs: story.nowMs, events });
  return flightOfInvocation(invocation.id);
}

describe('at the owner', () => {
  test('a request makes a running flight wait, and an answer lets it go on', async () => {
    const flightId = await running();
    const asked = await ask(flightId);
    expect(asked).toMatchObject({ flight: { state: 'waiting', waiting: { reason: 'approval', request, prompt: 'may I?', choices: ['once'], untilMs: expect.any(Number) } }, event: { seq: 2, body: { kind: 'waiting', request } } });
    expect(await ask(flightId, 'req_other')).toBeUndefined();
    const taken = await receive(flightId, yes);
    expect(taken).toMatchObject({ isTaken: true, flight: { state: 'running', lastSeq: 3 } });
    expect(taken.flight.waiting).toBeUndefined();
    expect(await factsOf(flightId)).toContainEqual({ what: 'flight.resumed', detail: { request, reply: 'approved', by: 'uid:2 on desktop' } });
  });

  test('the same reply again is taken once, another one is a conflict, also from here', async () => {
    const flightId = await running();
    await ask(flightId);
    const both = await Promise.all([receive(flightId, yes), receive(flightId, yes)]);
    expect(both.map((each) => each.isTaken)).toEqual([true, false]);
    await expect(receive(flightId, no)).rejects.toMatchObject({ code: 'conflict', message: expect.stringContaining('answered already: approved') });
    await expect(give(flightId, yes)).rejects.toMatchObject({ code: 'conflict' });
    expect((await factsOf(flightId)).filter(({ what }) => what === 'flight.resumed')).toHaveLength(1);
  });

  test('a reply given here counts at once', async () => {
    const flightId = await running();
    await ask(flightId);
    expect(await give(flightId, no)).toMatchObject({ isSettled: true, isTaken: true, flight: { state: 'running' } });
    expect(await give(flightId, no)).toMatchObject({ isSettled: true, isTaken: false });
    await expect(receive(flightId, yes)).rejects.toMatchObject({ code: 'conflict' });
  });

  test('what was not answered in time is over, and later replies are told so', async () => {
    const flightId = await running();
    await ask(flightId);
    const timeOut = () => store.write.timeOutRequest({ stamp: story.stamp(), flightId, request });
    expect(await timeOut()).toMatchObject({ flight: { state: 'running' }, event: { body: { kind: 'resumed' } } });
    expect(await timeOut()).toBeUndefined();
    await expect(receive(flightId, yes)).rejects.toMatchObject({ code: 'conflict', message: expect.stringContaining('not answered in time') });
    expect(store.read.reply(invocationOfFlight(flightId), request)).toBeUndefined();
  });

  test('only the origin replies from afar', async () => {
    const flightId = await running();
    await ask(flightId);
    await expect(receive(flightId, yes, server)).rejects.toMatchObject({ code: 'denied' });
    const unknown = flightOfInvocation(story.invocationId());
    await expect(receive(unknown, yes)).rejects.toMatchObject({ code: 'not_found' });
  });

  test('no request survives a cancel, an end, or a restart', async () => {
    const [cancelled, ended, left] = [await running(), await running(), await running()];
    for (const flightId of [cancelled, ended, left]) await ask(flightId);
    await store.write.requestCancel({ stamp: story.stamp(), flightId: cancelled, by: 'uid:1' });
    await expect(receive(cancelled, yes)).rejects.toMatchObject({ code: 'conflict', message: expect.stringContaining('cancelled') });
    await store.write.finish({ stamp: story.stamp(), flightId: ended, outcome: { state: 'failed' } });
    await expect(receive(ended, yes)).rejects.toMatchObject({ code: 'conflict', message: expect.stringContaining('failed') });
    await store.write.recover({ stamp: story.stamp(), nodeId: me });
    await expect(receive(left, yes)).rejects.toMatchObject({ code: 'conflict', message: expect.stringContaining('indeterminate') });
  });
});

describe('at the origin', () => {
  test('a reply is kept for the owner until that has said what it made of it, over a restart', async () => {
    const flightId = await waitingThere();
    expect(await give(flightId, yes)).toMatchObject({ isSettled: false, isTaken: false, flight: { state: 'waiting' } });
    expect(await give(flightId, yes)).toMatchObject({ isSettled: false });
    await expect(give(flightId, no)).rejects.toMatchObject({ code: 'conflict' });
    store = await temp.reopen();
    const invocationId = invocationOfFlight(flightId);
    expect(store.read.openReplies(desktop, 10)).toEqual([{ invocationId, request, reply: yes, by: 'uid:1', isSettled: false }]);
    expect(store.read.openReplies(server, 10)).toEqual([]);
    const settle = (fromNodeId: NodeId) => store.write.settleReply({ stamp: story.stamp(), invocationId, fromNodeId, request });
    await expect(settle(server)).rejects.toMatchObject({ code: 'denied' });
    expect([await settle(desktop), await settle(desktop)]).toEqual([true, false]);
    expect(store.read.openReplies(desktop, 10)).toEqual([]);
    expect(await give(flightId, yes)).toMatchObject({ isSettled: true });
    expect((await factsOf(flightId)).filter(({ what }) => what === 'flight.reply_given')).toHaveLength(1);
  });

  test('what the owner did not take is told to whoever says it again', async () => {
    const flightId = await waitingThere();
    await give(flightId, yes);
    const error = { code: 'conflict', message: 'too late' } as const;
    await store.write.settleReply({ stamp: story.stamp(), invocationId: invocationOfFlight(flightId), fromNodeId: desktop, request, error });
    await expect(give(flightId, yes)).rejects.toMatchObject(error);
    expect(await factsOf(flightId)).toContainEqual({ what: 'flight.reply_refused', detail: { request, error: 'conflict', why: 'too late' } });
  });

  test('text is kept whole', async () => {
    const flightId = await running();
    await store.write.ask({ stamp: story.stamp(), flightId, request, ask: { reason: 'input', prompt: 'which?', choices: [] }, untilMs: 1 });
    const reply: Reply = { kind: 'text', text: 'dúo\n2 ✓' };
    await receive(flightId, reply);
    expect(store.read.reply(invocationOfFlight(flightId), request)).toEqual({ invocationId: invocationOfFlight(flightId), request, reply, by: 'uid:2 on desktop', isSettled: true });
  });
});
