import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { flightOfInvocation } from '../../src/domain/ids.ts';
import type { FlightId } from '../../src/domain/ids.ts';
import type { Invocation } from '../../src/domain/invocation.ts';
import type { Store } from '../../src/domain/store-port.ts';
import { nodeIdFor, openTempStore, Story, textTask, utf8 } from '../support/temp-store.ts';
import type { TempStore } from '../support/temp-store.ts';

const me = nodeIdFor(1);
const desktop = nodeIdFor(2);
const server = nodeIdFor(3);
const target = '@fabric@laptop#main';

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

const fromDesktop = (changes: Partial<Invocation> = {}): Invocation => story.invocation({ origin: desktop, owner: me }, changes);
const receive = (invocation: Invocation, queueLimit = 100) =>
  store.write.receive({ stamp: story.stamp(), invocation, task: textTask('work'), queueLimit });
const chunk = (text: string, stream: 'stdout' | 'stderr' = 'stdout') => ({ stream, bytes: utf8(text), stamp: story.stamp() });

async function received(changes: Partial<Invocation> = {}): Promise<FlightId> {
  const invocation = fromDesktop(changes);
  await receive(invocation);
  return flightOfInvocation(invocation.id);
}

async function running(changes: Partial<Invocation> = {}): Promise<FlightId> {
  const flightId = await received(changes);
  await store.write.start({ stamp: story.stamp(), flightId });
  return flightId;
}

describe('receiving', () => {
  test('twice is once, also within one batch', async () => {
    const invocation = fromDesktop();
    const [first, second] = await Promise.all([receive(invocation), receive(invocation)]);
    expect(first).toMatchObject({ fresh: true, flight: { state: 'queued', originNodeId: desktop, ownerNodeId: me } });
    expect(second).toEqual({ ...(first as object), fresh: false });
    expect(await store.inspect.countFlights()).toEqual({ queued: 1 });
    expect((await store.inspect.facts(invocation.id)).map((fact) => fact.what)).toEqual(['invocation.received']);
    expect(store.read.task(invocation.id)?.text.length).toBe(4);
    expect(store.read.delivery(invocation.id)).toBeUndefined();
  });

  test('an id that another origin has is a conflict', async () => {
    const invocation = fromDesktop();
    await receive(invocation);
    await expect(receive({ ...invocation, originNodeId: server })).rejects.toMatchObject({ code: 'conflict' });
    const own = story.invocation({ origin: me, owner: me });
    await store.write.accept(story.accept(own));
    await expect(receive({ ...own, originNodeId: desktop })).rejects.toMatchObject({ code: 'conflict' });
  });

  test('a full queue refuses the new, and still knows the old', async () => {
    const invocation = fromDesktop();
    await receive(invocation, 1);
    await expect(receive(fromDesktop(), 1)).rejects.toMatchObject({ code: 'overload' });
    expect(await receive(invocation, 1)).toMatchObject({ fresh: false });
    await expect(receive(fromDesktop({ target: '@other@laptop#main' }), 1)).resolves.toMatchObject({ fresh: true });
  });

  test('the agents that something is queued for are named once each, by address', async () => {
    for (const agent of ['other', 'fabric', 'other', 'done']) await received({ target: `@${agent}@laptop#main` });
    await running({ target: '@busy@laptop#main' });
    const done = store.read.queued('@done@laptop#main', 1)[0];
    if (done === undefined) throw new Error('nothing is queued');
    await store.write.finish({ stamp: story.stamp(), flightId: done, outcome: { state: 'cancelled', ended: 0 } });
    expect(store.read.queuedTargets()).toEqual(['@fabric@laptop#main', '@other@laptop#main']);
  });

  test('a cancel that came first is remembered for that origin', async () => {
    const invocation = fromDesktop();
    const cancel = { invocationId: invocation.id, originNodeId: desktop };
    expect(await store.write.receiveCancel({ ...cancel, stamp: story.stamp() })).toBe('tombstone');
    expect(await store.write.receiveCancel({ ...cancel, stamp: story.stamp() })).toBe('tombstone');
    expect(await receive(invocation)).toBe('cancelled');
    expect(store.read.invocation(invocation.id)).toBeUndefined();
    expect(await receive({ ...invocation, originNodeId: server })).toMatchObject({ fresh: true });
  });

  test('a cancel of what is here is a wish, from its origin alone', async () => {
    const flightId = await received();
    const { invocationId } = store.read.flight(flightId)!;
    await expect(store.write.receiveCancel({ stamp: story.stamp(), invocationId, originNodeId: server })).rejects.toMatchObject({ code: 'denied' });
    const flight = await store.write.receiveCancel({ stamp: story.stamp(), invocationId, originNodeId: desktop });
    expect(flight).toMatchObject({ state: 'queued', cancelRequestedAtMs: story.nowMs });
  });
});

describe('running', () => {
  test('a flight starts once, takes output, ends once, with seq from 1 and no gap', async () => {
    const flightId = await received();
    const started = await store.write.start({ stamp: story.stamp(), flightId });
    expect(started).toMatchObject({ flight: { state: 'running', run: 1 }, event: { seq: 1, body: { kind: 'started', run: 1 } } });
    expect(await store.write.start({ stamp: story.stamp(), flightId })).toBeUndefined();
    const chunks = [chunk('a'), chunk('b', 'stderr')];
    const [first, second] = await Promise.all([
      store.write.appendOutput({ flightId, chunks }),
      store.write.appendOutput({ flightId, chunks: [chunk('c')] }),
    ]);
    expect([...first, ...second].map((event) => event.seq)).toEqual([2, 3, 4]);
    const finished = await store.write.finish({ stamp: story.stamp(), flightId, outcome: { state: 'completed', exitCode: 0 } });
    expect(finished).toMatchObject({ flight: { state: 'completed', verdictBy: 'owner', stdoutBytes: 2, stderrBytes: 1 }, event: { seq: 5 } });
    expect(await store.write.finish({ stamp: story.stamp(), flightId, outcome: { state: 'failed' } })).toBeUndefined();
    await expect(store.write.appendOutput({ flightId, chunks: [chunk('late')] })).rejects.toMatchObject({ code: 'conflict' });
    const events = store.read.events(flightId, 0, 1e9);
    expect(events.map((event) => event.seq)).toEqual([1, 2, 3, 4, 5]);
    expect(events.slice(1, 4).map((event) => ({ ...event, body: { ...event.body, bytes: undefined } })))
      .toEqual([...first, ...second].map((event) => ({ ...event, body: { ...event.body, bytes: undefined } })));
    expect(await store.inspect.countFlights()).toEqual({ completed: 1 });
  });

  test('what is queued may end, what never started is expired, and no run follows', async () => {
    const flightId = await received();
    expect(await store.write.finish({ stamp: story.stamp(), flightId, outcome: { state: 'expired' } })).toMatchObject({ event: { seq: 1 } });
    expect(await store.write.start({ stamp: story.stamp(), flightId })).toBeUndefined();
    const other = await running();
    await expect(store.write.finish({ stamp: story.stamp(), flightId: other, outcome: { state: 'expired' } })).rejects.toMatchObject({ code: 'internal' });
    expect(store.read.flight(other)?.state).toBe('running');
  });

  test('events are read in pieces of about the size asked for, at least one', async () => {
    const flightId = await running();
    await store.write.appendOutput({ flightId, chunks: Array.from({ length: 10 }, () => chunk('x'.repeat(1000))) });
    expect(store.read.events(flightId, 1, 3500).map((event) => event.seq)).toEqual([2, 3, 4]);
    expect(store.read.events(flightId, 4, 1).map((event) => event.seq)).toEqual([5]);
    expect(store.read.events(flightId, 11, 1)).toEqual([]);
  });

  test('output is read a stream at a time, byte for byte', async () => {
    const flightId = await running();
    const bytes = new Uint8Array(32 * 1024).map((_, index) => (index * 7) % 256);
    await store.write.appendOutput({ flightId, chunks: [{ stream: 'stdout', bytes, stamp: story.stamp() }, chunk('err', 'stderr'), { stream: 'stdout', bytes, stamp: story.stamp() }] });
    const first = await store.inspect.output(flightId, 'stdout', 0, 40_000);
    expect(first).toMatchObject({ lastSeq: 2, done: false });
    const second = await store.inspect.output(flightId, 'stdout', first.lastSeq, 40_000);
    expect(second).toMatchObject({ lastSeq: 4, done: true });
    expect(Buffer.concat([first.bytes, second.bytes]).equals(Buffer.concat([bytes, bytes]))).toBe(true);
    expect(bytes.length).toBe(32 * 1024);
    const err = await store.inspect.output(flightId, 'stderr', 0, 40_000);
    expect(Buffer.from(err.bytes).toString()).toBe('err');
  });

  test('a view into a larger buffer is stored as the bytes it shows', async () => {
    const flightId = await running();
    const slab = Buffer.from('......middle......');
    await store.write.appendOutput({ flightId, chunks: [{ stream: 'stdout', bytes: slab.subarray(6, 12), stamp: story.stamp() }] });
    const { bytes } = await store.inspect.output(flightId, 'stdout', 0, 100);
    expect(Buffer.from(bytes).toString()).toBe('middle');
  });
});

describe('what the origin has got', () => {
  test('is remembered until all is acknowledged, never backwards', async () => {
    const flightId = await running();
    const { invocationId } = store.read.flight(flightId)!;
    await received();
    const acknowledge = (seq: number, originNodeId = desktop) => store.write.acknowledged({ flightId, originNodeId, seq });
    await store.write.appendOutput({ flightId, chunks: [chunk('a'), chunk('b')] });
    expect(store.read.unacknowledged(desktop, undefined, 10)).toEqual([{ invocationId, ackedSeq: 0, lastSeq: 3 }]);
    await acknowledge(2);
    await acknowledge(1);
    await expect(acknowledge(3, server)).rejects.toMatchObject({ code: 'denied' });
    expect(store.read.unacknowledged(desktop, undefined, 10)).toEqual([{ invocationId, ackedSeq: 2, lastSeq: 3 }]);
    await acknowledge(1000);
    expect(store.read.unacknowledged(desktop, undefined, 10)).toEqual([]);
    await store.write.appendOutput({ flightId, chunks: [chunk('c')] });
    expect(store.read.unacknowledged(desktop, undefined, 10)).toEqual([{ invocationId, ackedSeq: 3, lastSeq: 4 }]);
    expect(store.read.unacknowledged(desktop, invocationId, 10)).toEqual([]);
    expect(store.read.unacknowledged(server, undefined, 10)).toEqual([]);
  });

  test('does not concern work of this node’s own', async () => {
    const own = story.invocation({ origin: me, owner: me });
    const { flight } = await store.write.accept(story.accept(own));
    await store.write.start({ stamp: story.stamp(), flightId: flight.id });
    expect(store.read.unacknowledged(me, undefined, 10)).toEqual([]);
  });
});

describe('a restart', () => {
  test('makes what was running indeterminate, or queues it again if that is allowed', async () => {
    const [queued, ran, again, cancelled] = [await received(), await running(), await running({ rerunnable: true }), await running({ rerunnable: true })];
    await store.write.requestCancel({ stamp: story.stamp(), flightId: cancelled, by: 'uid:501' });
    store = await temp.reopen();
    const found = await store.write.recover({ stamp: story.stamp(), nodeId: me });
    expect(found).toEqual({ indeterminate: [ran, cancelled], requeued: [again], open: [] });
    expect(await store.write.recover({ stamp: story.stamp(), nodeId: me })).toEqual({ indeterminate: [], requeued: [], open: [] });
    expect(store.read.flight(queued)?.state).toBe('queued');
    expect(store.read.flight(ran)).toMatchObject({ state: 'indeterminate', verdictBy: 'owner', lastSeq: 2, error: { code: 'unavailable' } });
    expect(store.read.flight(again)).toMatchObject({ state: 'queued', run: 1, lastSeq: 2 });
    expect(store.read.queued(target, 10)).toEqual([queued, again]);
    const second = await store.write.start({ stamp: story.stamp(), flightId: again });
    expect(second).toMatchObject({ flight: { run: 2 }, event: { seq: 3, body: { kind: 'started', run: 2 } } });
  });

  test('leaves open what may go on by itself, as it was, until that is given up', async () => {
    const [ran, again] = [await running(), await running({ rerunnable: true })];
    const other = await running({ target: '@other@laptop#main' });
    await store.write.ask({ stamp: story.stamp(), flightId: ran, request: `req_${story.ulid()}`, ask: { reason: 'approval', prompt: 'may I?', choices: [] }, untilMs: 2e15 });
    store = await temp.reopen();
    const found = await store.write.recover({ stamp: story.stamp(), nodeId: me, mayReturn: [target] });
    expect(found).toEqual({ indeterminate: [other], requeued: [], open: [again, ran] });
    expect(store.read.flight(ran)).toMatchObject({ state: 'waiting', run: 1, lastSeq: 2, waiting: { prompt: 'may I?' } });
    const error = { code: 'unavailable', message: 'nobody came back' } as const;
    const given = await Promise.all([ran, again].map((flightId) => store.write.giveUp({ stamp: story.stamp(), flightId, error })));
    expect(given).toMatchObject([{ flight: { state: 'indeterminate', error } }, { flight: { state: 'queued' }, event: { body: { kind: 'requeued', run: 2 } } }]);
    expect(await store.write.giveUp({ stamp: story.stamp(), flightId: ran, error })).toBeUndefined();
  });

  test('finds the last pieces of a run with its end, or neither', async () => {
    const flightId = await running();
    await store.write.appendOutput({ flightId, chunks: [chunk('a')] });
    const last = [chunk('b'), { progress: { kind: 'thought', text: 'hm' }, stamp: story.stamp() } as const];
    const finished = await store.write.finish({ stamp: story.stamp(), flightId, outcome: { state: 'completed', exitCode: 0 }, last });
    expect(finished).toMatchObject({ flight: { state: 'completed', lastSeq: 5, stdoutBytes: 2 }, event: { seq: 5 } });
    expect(store.read.events(flightId, 1, 1000).map(({ body }) => body.kind)).toEqual(['output', 'output', 'thought', 'finished']);
    expect(await store.write.finish({ stamp: story.stamp(), flightId, outcome: { state: 'failed' }, last })).toBeUndefined();
    expect(store.read.flight(flightId)).toMatchObject({ lastSeq: 5 });
  });

  test('counts the pieces that a run handed over, of its last run alone', async () => {
    const flightId = await running({ rerunnable: true });
    const progress = { progress: { kind: 'thought', text: 'hm' }, stamp: story.stamp() } as const;
    await store.write.appendOutput({ flightId, chunks: [chunk('a'), progress, chunk('b')] });
    await store.write.ask({ stamp: story.stamp(), flightId, request: `req_${story.ulid()}`, ask: { reason: 'input', prompt: '?', choices: [] }, untilMs: 2e15 });
    expect(await store.inspect.pieces(flightId)).toBe(3);
    await store.write.recover({ stamp: story.stamp(), nodeId: me });
    await store.write.start({ stamp: story.stamp(), flightId });
    expect(await store.inspect.pieces(flightId)).toBe(0);
    await store.write.appendOutput({ flightId, chunks: [chunk('c')] });
    expect(await store.inspect.pieces(flightId)).toBe(1);
  });

  test('finds no attempt open', async () => {
    const sent = story.invocation({ origin: me, owner: desktop }, { target: '@fabric@desktop#main' });
    await store.write.accept(story.accept(sent, { kind: 'send', attemptId: story.attemptId() }));
    await store.write.recover({ stamp: story.stamp(), nodeId: me });
    expect(store.read.delivery(sent.id)).toMatchObject({ status: 'deferred', attempts: 1 });
    expect(store.read.unsent(desktop, undefined, 10)).toEqual([sent.id]);
  });

  test('begins an epoch that is later than every one before', async () => {
    const boot = async (atMs: number) => store.write.boot({ stamp: { ...story.stamp(), atMs }, nodeId: me, version: '1' });
    expect(await boot(5000)).toEqual({ epoch: 5000, previousEpoch: 0, rolledBack: false });
    expect(await boot(4000)).toEqual({ epoch: 5001, previousEpoch: 5000, rolledBack: false });
    store = await temp.reopen();
    expect(await boot(5000)).toEqual({ epoch: 5002, previousEpoch: 5001, rolledBack: false });
  });

  test('knows the greatest clock value that was written', async () => {
    expect(store.read.lastHlc()).toBeUndefined();
    await running();
    const last = story.stamp();
    await store.write.note({ stamp: last, what: 'node.stopped' });
    store = await temp.reopen();
    expect(store.read.lastHlc()).toBe(last.hlc);
    // Output is written without a fact: what was running when the node died may have the last word.
    const flightId = await running();
    const printed = story.stamp();
    await store.write.appendOutput({ flightId, chunks: [{ stream: 'stdout', bytes: utf8('late'), stamp: printed }] });
    store = await temp.reopen();
    expect(store.read.lastHlc()).toBe(printed.hlc);
  });
});

describe('deadlines', () => {
  test('the queue deadline binds until the start, the total deadline until the end, in order of time', async () => {
    const start = story.nowMs;
    const soon = await received({ limits: { holdMs: 100, totalMs: 9000 } });
    const late = await received({ limits: { holdMs: 5000, totalMs: 8000 } });
    expect(store.read.nextDeadlineMs()).toBe(store.read.flight(soon)?.holdUntilMs);
    expect(store.read.due(start + 50, 10)).toEqual([]);
    expect(store.read.due(start + 1000, 10)).toEqual([{ flightId: soon, which: 'hold' }]);
    await store.write.start({ stamp: story.stamp(), flightId: soon });
    expect(store.read.due(start + 6000, 10)).toEqual([{ flightId: late, which: 'hold' }]);
    expect(store.read.due(start + 20_000, 10)).toEqual([{ flightId: late, which: 'hold' }, { flightId: soon, which: 'total' }]);
    expect(store.read.nextDeadlineMs(start + 6000)).toBe(store.read.flight(soon)?.totalUntilMs);
    await store.write.finish({ stamp: story.stamp(), flightId: late, outcome: { state: 'expired' } });
    await store.write.finish({ stamp: story.stamp(), flightId: soon, outcome: { state: 'completed' } });
    expect(store.read.nextDeadlineMs()).toBeUndefined();
  });

  test('an origin that has sent the work no longer watches the queue deadline', async () => {
    const sent = story.invocation({ origin: me, owner: desktop }, { limits: { holdMs: 100, totalMs: 9000 }, target: '@fabric@desktop#main' });
    const { flight } = await store.write.accept(story.accept(sent, { kind: 'defer', reason: 'timeout', detail: '' }));
    expect(store.read.nextDeadlineMs()).toBe(flight.holdUntilMs);
    await store.write.beginAttempt({ stamp: story.stamp(), invocationId: sent.id, attemptId: story.attemptId() });
    expect(store.read.nextDeadlineMs()).toBe(flight.totalUntilMs);
  });
});
