/** Requests of agents and replies to them, as the store keeps them. */
import { describe, expect, test } from 'vitest';
import { attemptIdOf, flightOfInvocation, invocationOfFlight } from '../../src/domain/ids.ts';
import type { FlightId, NodeId } from '../../src/domain/ids.ts';
import type { Reply } from '../../src/domain/request.ts';
import { desktop, me, server, storePerTest } from '../support/store-per-test.ts';
import { textTask } from '../support/temp-store.ts';

const yes: Reply = { kind: 'approved' };
const no: Reply = { kind: 'denied' };
const request = 'req_01J9Z6M3T4V8Q2X7K5B1C0D9EF';

const at = storePerTest();

const ask = (flightId: FlightId, name = request) =>
  at.store.write.ask({ stamp: at.story.stamp(), flightId, request: name, ask: { reason: 'approval', prompt: 'may I?', choices: ['once'] }, untilMs: at.story.nowMs + 1000 });
const give = (flightId: FlightId, reply: Reply, by = 'uid:1') => at.store.write.giveReply({ stamp: at.story.stamp(), flightId, request, reply, by });
const receive = (flightId: FlightId, reply: Reply, originNodeId: NodeId = desktop) =>
  at.store.write.receiveReply({ stamp: at.story.stamp(), invocationId: invocationOfFlight(flightId), originNodeId, request, reply, by: 'uid:2 on desktop' });
const factsOf = async (flightId: FlightId) => (await at.store.inspect.facts(invocationOfFlight(flightId))).map(({ what, detail }) => ({ what, detail }));

/** Owned here, running, of another origin. */
async function running(): Promise<FlightId> {
  const invocation = at.story.invocation({ origin: desktop, owner: me });
  await at.store.write.receive({ stamp: at.story.stamp(), invocation, task: textTask('work'), queueLimit: 9 });
  const flightId = flightOfInvocation(invocation.id);
  await at.store.write.start({ stamp: at.story.stamp(), flightId });
  return flightId;
}

/** Originated here, at work on the desktop, waiting as far as this node knows. */
async function waitingThere(): Promise<FlightId> {
  const invocation = at.story.invocation({ origin: me, owner: desktop });
  await at.store.write.accept(at.story.accept(invocation, { kind: 'send', attemptId: attemptIdOf(at.story.ulid()) }));
  const waiting = { kind: 'waiting', reason: 'approval', request, prompt: 'may I?', choices: [] } as const;
  const events = [{ seq: 1, ...at.story.stamp(), body: { kind: 'started', run: 1 } as const }, { seq: 2, ...at.story.stamp(), body: waiting }];
  await at.store.write.applyEvents({ stamp: at.story.stamp(), invocationId: invocation.id, fromNodeId: desktop, receivedAtMs: at.story.nowMs, events });
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
    const timeOut = () => at.store.write.timeOutRequest({ stamp: at.story.stamp(), flightId, request });
    expect(await timeOut()).toMatchObject({ flight: { state: 'running' }, event: { body: { kind: 'resumed' } } });
    expect(await timeOut()).toBeUndefined();
    await expect(receive(flightId, yes)).rejects.toMatchObject({ code: 'conflict', message: expect.stringContaining('not answered in time') });
    expect(at.store.read.reply(invocationOfFlight(flightId), request)).toBeUndefined();
  });

  test('only the origin replies from afar', async () => {
    const flightId = await running();
    await ask(flightId);
    await expect(receive(flightId, yes, server)).rejects.toMatchObject({ code: 'denied' });
    const unknown = flightOfInvocation(at.story.invocationId());
    await expect(receive(unknown, yes)).rejects.toMatchObject({ code: 'not_found' });
  });

  test('no request survives a cancel, an end, or a restart', async () => {
    const [cancelled, ended, left] = [await running(), await running(), await running()];
    for (const flightId of [cancelled, ended, left]) await ask(flightId);
    await at.store.write.requestCancel({ stamp: at.story.stamp(), flightId: cancelled, by: 'uid:1' });
    await expect(receive(cancelled, yes)).rejects.toMatchObject({ code: 'conflict', message: expect.stringContaining('cancelled') });
    await at.store.write.finish({ stamp: at.story.stamp(), flightId: ended, outcome: { state: 'failed' } });
    await expect(receive(ended, yes)).rejects.toMatchObject({ code: 'conflict', message: expect.stringContaining('failed') });
    await at.store.write.recover({ stamp: at.story.stamp(), nodeId: me });
    await expect(receive(left, yes)).rejects.toMatchObject({ code: 'conflict', message: expect.stringContaining('indeterminate') });
  });
});

describe('at the origin', () => {
  test('a reply is kept for the owner until that has said what it made of it, over a restart', async () => {
    const flightId = await waitingThere();
    expect(await give(flightId, yes)).toMatchObject({ isSettled: false, isTaken: false, flight: { state: 'waiting' } });
    expect(await give(flightId, yes)).toMatchObject({ isSettled: false });
    await expect(give(flightId, no)).rejects.toMatchObject({ code: 'conflict' });
    await at.reopen();
    const invocationId = invocationOfFlight(flightId);
    expect(at.store.read.openReplies(desktop, 10)).toEqual([{ invocationId, request, reply: yes, by: 'uid:1', isSettled: false }]);
    expect(at.store.read.openReplies(server, 10)).toEqual([]);
    const settle = (fromNodeId: NodeId) => at.store.write.settleReply({ stamp: at.story.stamp(), invocationId, fromNodeId, request });
    await expect(settle(server)).rejects.toMatchObject({ code: 'denied' });
    expect([await settle(desktop), await settle(desktop)]).toEqual([true, false]);
    expect(at.store.read.openReplies(desktop, 10)).toEqual([]);
    expect(await give(flightId, yes)).toMatchObject({ isSettled: true });
    expect((await factsOf(flightId)).filter(({ what }) => what === 'flight.reply_given')).toHaveLength(1);
  });

  test('what the owner did not take is told to whoever says it again', async () => {
    const flightId = await waitingThere();
    await give(flightId, yes);
    const error = { code: 'conflict', message: 'too late' } as const;
    await at.store.write.settleReply({ stamp: at.story.stamp(), invocationId: invocationOfFlight(flightId), fromNodeId: desktop, request, error });
    await expect(give(flightId, yes)).rejects.toMatchObject(error);
    expect(await factsOf(flightId)).toContainEqual({ what: 'flight.reply_refused', detail: { request, error: 'conflict', why: 'too late' } });
  });

  test('text is kept whole', async () => {
    const flightId = await running();
    await at.store.write.ask({ stamp: at.story.stamp(), flightId, request, ask: { reason: 'input', prompt: 'which?', choices: [] }, untilMs: 1 });
    const reply: Reply = { kind: 'text', text: 'dúo\n2 ✓' };
    await receive(flightId, reply);
    expect(at.store.read.reply(invocationOfFlight(flightId), request)).toEqual({ invocationId: invocationOfFlight(flightId), request, reply, by: 'uid:2 on desktop', isSettled: true });
  });
});
