import { describe, expect, test } from 'vitest';
import { flightOfInvocation } from '../../src/domain/ids.ts';
import type { FlightId } from '../../src/domain/ids.ts';
import type { Invocation } from '../../src/domain/invocation.ts';
import { desktop, me, server, storePerTest } from '../support/store-per-test.ts';
import { textTask, utf8 } from '../support/temp-store.ts';

const target = '@fabric@laptop#main';

const at = storePerTest();

const fromDesktop = (changes: Partial<Invocation> = {}): Invocation => at.story.invocation({ origin: desktop, owner: me }, changes);
const receive = (invocation: Invocation, queueLimit = 100, start = false) =>
  at.store.write.receive({ stamp: at.story.stamp(), invocation, task: textTask('work'), queueLimit, start });
const chunk = (text: string, stream: 'stdout' | 'stderr' = 'stdout') => ({ stream, bytes: utf8(text), stamp: at.story.stamp() });

async function received(changes: Partial<Invocation> = {}): Promise<FlightId> {
  const invocation = fromDesktop(changes);
  await receive(invocation);
  return flightOfInvocation(invocation.id);
}

async function running(changes: Partial<Invocation> = {}): Promise<FlightId> {
  const flightId = await received(changes);
  await at.store.write.start({ stamp: at.story.stamp(), flightId });
  return flightId;
}

describe('receiving', () => {
  test('twice is once, also within one batch', async () => {
    const invocation = fromDesktop();
    const [first, second] = await Promise.all([receive(invocation), receive(invocation)]);
    expect(first).toMatchObject({ fresh: true, flight: { state: 'queued', originNodeId: desktop, ownerNodeId: me } });
    expect(second).toEqual({ ...(first as object), fresh: false });
    expect(await at.store.inspect.countFlights()).toEqual({ queued: 1 });
    expect((await at.store.inspect.facts(invocation.id)).map((fact) => fact.what)).toEqual(['invocation.received']);
    expect(at.store.read.task(invocation.id)?.text.length).toBe(4);
    expect(at.store.read.delivery(invocation.id)).toBeUndefined();
  });

  test('what may start at once is stored as started, as if it had been queued and then started', async () => {
    const [one, two] = [fromDesktop(), fromDesktop({ target: '@other@laptop#main' })];
    const started = await receive(one, 100, true);
    await receive(two);
    const later = await at.store.write.start({ stamp: at.story.stamp(), flightId: flightOfInvocation(two.id) });
    const own = { id: 0, invocationId: 0, target: 0, holdUntilMs: 0, totalUntilMs: 0, acceptedAtMs: 0, receivedAtMs: 0, startedAtMs: 0 };
    expect(started).toMatchObject({ fresh: true, flight: { ...later?.flight, ...own, id: flightOfInvocation(one.id), invocationId: one.id, target: one.target, holdUntilMs: expect.any(Number), totalUntilMs: expect.any(Number), acceptedAtMs: expect.any(Number), receivedAtMs: expect.any(Number), startedAtMs: expect.any(Number) } });
    expect(at.store.read.flight(flightOfInvocation(one.id))).toEqual((started as { flight: object }).flight);
    for (const { id } of [one, two]) {
      expect((await at.store.inspect.facts(id)).map(({ what, detail }) => [what, detail['run']])).toEqual([['invocation.received', undefined], ['flight.started', '1']]);
      expect(at.store.read.events(flightOfInvocation(id), 0, 1000).map(({ seq, body }) => ({ seq, body }))).toEqual([{ seq: 1, body: { kind: 'started', run: 1 } }]);
    }
    expect(await at.store.inspect.countFlights()).toEqual({ running: 2 });
    expect([at.store.read.queuedCount(one.target), at.store.read.queuedTargets()]).toEqual([0, []]);
    expect(at.store.read.due(one.limits.holdMs + at.story.nowMs, 10)).toEqual([]);
    expect(await at.store.write.start({ stamp: at.story.stamp(), flightId: flightOfInvocation(one.id) })).toBeUndefined();
  });

  test('nothing overtakes what waits for its agent', async () => {
    await receive(fromDesktop());
    expect(await receive(fromDesktop(), 100, true)).toMatchObject({ fresh: true, flight: { state: 'queued', run: 0, lastSeq: 0 } });
    expect(await receive(fromDesktop({ target: '@other@laptop#main' }), 100, true)).toMatchObject({ flight: { state: 'running' } });
    expect(await at.store.inspect.countFlights()).toEqual({ queued: 2, running: 1 });
  });

  test('what was taken in before is not started by coming again', async () => {
    const invocation = fromDesktop();
    await receive(invocation);
    expect(await receive(invocation, 100, true)).toMatchObject({ fresh: false, flight: { state: 'queued' } });
    const started = fromDesktop({ target: '@other@laptop#main' });
    await Promise.all([receive(started, 100, true), receive(started, 100, true)]);
    expect(at.store.read.flight(flightOfInvocation(started.id))).toMatchObject({ run: 1, lastSeq: 1 });
  });

  test('an id that another origin has is a conflict', async () => {
    const invocation = fromDesktop();
    await receive(invocation);
    await expect(receive({ ...invocation, originNodeId: server })).rejects.toMatchObject({ code: 'conflict' });
    const own = at.story.invocation({ origin: me, owner: me });
    await at.store.write.accept(at.story.accept(own));
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
    const done = at.store.read.queued('@done@laptop#main', 1)[0];
    if (done === undefined) throw new Error('nothing is queued');
    await at.store.write.finish({ stamp: at.story.stamp(), flightId: done, outcome: { state: 'cancelled', ended: 0 } });
    expect(at.store.read.queuedTargets()).toEqual(['@fabric@laptop#main', '@other@laptop#main']);
  });

  test('a cancel that came first is remembered for that origin', async () => {
    const invocation = fromDesktop();
    const cancel = { invocationId: invocation.id, originNodeId: desktop };
    expect(await at.store.write.receiveCancel({ ...cancel, stamp: at.story.stamp() })).toBe('tombstone');
    expect(await at.store.write.receiveCancel({ ...cancel, stamp: at.story.stamp() })).toBe('tombstone');
    expect(await receive(invocation)).toBe('cancelled');
    expect(at.store.read.invocation(invocation.id)).toBeUndefined();
    expect(await receive({ ...invocation, originNodeId: server })).toMatchObject({ fresh: true });
  });

  test('a cancel of what is here is a wish, from its origin alone', async () => {
    const flightId = await received();
    const { invocationId } = at.store.read.flight(flightId)!;
    await expect(at.store.write.receiveCancel({ stamp: at.story.stamp(), invocationId, originNodeId: server })).rejects.toMatchObject({ code: 'denied' });
    const flight = await at.store.write.receiveCancel({ stamp: at.story.stamp(), invocationId, originNodeId: desktop });
    expect(flight).toMatchObject({ state: 'queued', cancelRequestedAtMs: at.story.nowMs });
  });
});

describe('running', () => {
  test('a flight starts once, takes output, ends once, with seq from 1 and no gap', async () => {
    const flightId = await received();
    const started = await at.store.write.start({ stamp: at.story.stamp(), flightId });
    expect(started).toMatchObject({ flight: { state: 'running', run: 1 }, event: { seq: 1, body: { kind: 'started', run: 1 } } });
    expect(await at.store.write.start({ stamp: at.story.stamp(), flightId })).toBeUndefined();
    const chunks = [chunk('a'), chunk('b', 'stderr')];
    const [first, second] = await Promise.all([
      at.store.write.appendOutput({ flightId, chunks }),
      at.store.write.appendOutput({ flightId, chunks: [chunk('c')] }),
    ]);
    expect([...first, ...second].map((event) => event.seq)).toEqual([2, 3, 4]);
    const finished = await at.store.write.finish({ stamp: at.story.stamp(), flightId, outcome: { state: 'completed', exitCode: 0 } });
    expect(finished).toMatchObject({ flight: { state: 'completed', verdictBy: 'owner', stdoutBytes: 2, stderrBytes: 1 }, event: { seq: 5 } });
    expect(await at.store.write.finish({ stamp: at.story.stamp(), flightId, outcome: { state: 'failed' } })).toBeUndefined();
    await expect(at.store.write.appendOutput({ flightId, chunks: [chunk('late')] })).rejects.toMatchObject({ code: 'conflict' });
    const events = at.store.read.events(flightId, 0, 1e9);
    expect(events.map((event) => event.seq)).toEqual([1, 2, 3, 4, 5]);
    expect(events.slice(1, 4).map((event) => ({ ...event, body: { ...event.body, bytes: undefined } })))
      .toEqual([...first, ...second].map((event) => ({ ...event, body: { ...event.body, bytes: undefined } })));
    expect(await at.store.inspect.countFlights()).toEqual({ completed: 1 });
  });

  test('what is queued may end, what never started is expired, and no run follows', async () => {
    const flightId = await received();
    expect(await at.store.write.finish({ stamp: at.story.stamp(), flightId, outcome: { state: 'expired' } })).toMatchObject({ event: { seq: 1 } });
    expect(await at.store.write.start({ stamp: at.story.stamp(), flightId })).toBeUndefined();
    const other = await running();
    await expect(at.store.write.finish({ stamp: at.story.stamp(), flightId: other, outcome: { state: 'expired' } })).rejects.toMatchObject({ code: 'internal' });
    expect(at.store.read.flight(other)?.state).toBe('running');
  });

  test('events are read in pieces of about the size asked for, at least one', async () => {
    const flightId = await running();
    await at.store.write.appendOutput({ flightId, chunks: Array.from({ length: 10 }, () => chunk('x'.repeat(1000))) });
    expect(at.store.read.events(flightId, 1, 3500).map((event) => event.seq)).toEqual([2, 3, 4]);
    expect(at.store.read.events(flightId, 4, 1).map((event) => event.seq)).toEqual([5]);
    expect(at.store.read.events(flightId, 11, 1)).toEqual([]);
  });

  test('output is read a stream at a time, byte for byte', async () => {
    const flightId = await running();
    const bytes = new Uint8Array(32 * 1024).map((_, index) => (index * 7) % 256);
    await at.store.write.appendOutput({ flightId, chunks: [{ stream: 'stdout', bytes, stamp: at.story.stamp() }, chunk('err', 'stderr'), { stream: 'stdout', bytes, stamp: at.story.stamp() }] });
    const first = await at.store.inspect.output(flightId, 'stdout', 0, 40_000);
    expect(first).toMatchObject({ lastSeq: 2, done: false });
    const second = await at.store.inspect.output(flightId, 'stdout', first.lastSeq, 40_000);
    expect(second).toMatchObject({ lastSeq: 4, done: true });
    expect(Buffer.concat([first.bytes, second.bytes]).equals(Buffer.concat([bytes, bytes]))).toBe(true);
    expect(bytes.length).toBe(32 * 1024);
    const err = await at.store.inspect.output(flightId, 'stderr', 0, 40_000);
    expect(Buffer.from(err.bytes).toString()).toBe('err');
  });

  test('a view into a larger buffer is stored as the bytes it shows', async () => {
    const flightId = await running();
    const slab = Buffer.from('......middle......');
    await at.store.write.appendOutput({ flightId, chunks: [{ stream: 'stdout', bytes: slab.subarray(6, 12), stamp: at.story.stamp() }] });
    const { bytes } = await at.store.inspect.output(flightId, 'stdout', 0, 100);
    expect(Buffer.from(bytes).toString()).toBe('middle');
  });
});

describe('what the origin has got', () => {
  test('is remembered until all is acknowledged, never backwards', async () => {
    const flightId = await running();
    const { invocationId } = at.store.read.flight(flightId)!;
    await received();
    const acknowledge = (seq: number, originNodeId = desktop) => at.store.write.acknowledged({ flightId, originNodeId, seq });
    await at.store.write.appendOutput({ flightId, chunks: [chunk('a'), chunk('b')] });
    expect(at.store.read.unacknowledged(desktop, undefined, 10)).toEqual([{ invocationId, ackedSeq: 0, lastSeq: 3 }]);
    await acknowledge(2);
    await acknowledge(1);
    await expect(acknowledge(3, server)).rejects.toMatchObject({ code: 'denied' });
    expect(at.store.read.unacknowledged(desktop, undefined, 10)).toEqual([{ invocationId, ackedSeq: 2, lastSeq: 3 }]);
    await acknowledge(1000);
    expect(at.store.read.unacknowledged(desktop, undefined, 10)).toEqual([]);
    await at.store.write.appendOutput({ flightId, chunks: [chunk('c')] });
    expect(at.store.read.unacknowledged(desktop, undefined, 10)).toEqual([{ invocationId, ackedSeq: 3, lastSeq: 4 }]);
    expect(at.store.read.unacknowledged(desktop, invocationId, 10)).toEqual([]);
    expect(at.store.read.unacknowledged(server, undefined, 10)).toEqual([]);
  });

  test('does not concern work of this node’s own', async () => {
    const own = at.story.invocation({ origin: me, owner: me });
    const { flight } = await at.store.write.accept(at.story.accept(own));
    await at.store.write.start({ stamp: at.story.stamp(), flightId: flight.id });
    expect(at.store.read.unacknowledged(me, undefined, 10)).toEqual([]);
  });
});

describe('a restart', () => {
  test('makes what was running indeterminate, or queues it again if that is allowed', async () => {
    const [queued, ran, again, cancelled] = [await received(), await running(), await running({ rerunnable: true }), await running({ rerunnable: true })];
    await at.store.write.requestCancel({ stamp: at.story.stamp(), flightId: cancelled, by: 'uid:501' });
    await at.reopen();
    const found = await at.store.write.recover({ stamp: at.story.stamp(), nodeId: me });
    expect(found).toEqual({ indeterminate: [ran, cancelled], requeued: [again], open: [] });
    expect(await at.store.write.recover({ stamp: at.story.stamp(), nodeId: me })).toEqual({ indeterminate: [], requeued: [], open: [] });
    expect(at.store.read.flight(queued)?.state).toBe('queued');
    expect(at.store.read.flight(ran)).toMatchObject({ state: 'indeterminate', verdictBy: 'owner', lastSeq: 2, error: { code: 'unavailable' } });
    expect(at.store.read.flight(again)).toMatchObject({ state: 'queued', run: 1, lastSeq: 2 });
    expect(at.store.read.queued(target, 10)).toEqual([queued, again]);
    const second = await at.store.write.start({ stamp: at.story.stamp(), flightId: again });
    expect(second).toMatchObject({ flight: { run: 2 }, event: { seq: 3, body: { kind: 'started', run: 2 } } });
  });

  test('leaves open what may go on by itself, as it was, until that is given up', async () => {
    const [ran, again] = [await running(), await running({ rerunnable: true })];
    const other = await running({ target: '@other@laptop#main' });
    await at.store.write.ask({ stamp: at.story.stamp(), flightId: ran, request: `req_${at.story.ulid()}`, ask: { reason: 'approval', prompt: 'may I?', choices: [] }, untilMs: 2e15 });
    await at.reopen();
    const found = await at.store.write.recover({ stamp: at.story.stamp(), nodeId: me, mayReturn: [target] });
    expect(found).toEqual({ indeterminate: [other], requeued: [], open: [again, ran] });
    expect(at.store.read.flight(ran)).toMatchObject({ state: 'waiting', run: 1, lastSeq: 2, waiting: { prompt: 'may I?' } });
    const error = { code: 'unavailable', message: 'nobody came back' } as const;
    const given = await Promise.all([ran, again].map((flightId) => at.store.write.giveUp({ stamp: at.story.stamp(), flightId, error })));
    expect(given).toMatchObject([{ flight: { state: 'indeterminate', error } }, { flight: { state: 'queued' }, event: { body: { kind: 'requeued', run: 2 } } }]);
    expect(await at.store.write.giveUp({ stamp: at.story.stamp(), flightId: ran, error })).toBeUndefined();
  });

  test('finds the last pieces of a run with its end, or neither', async () => {
    const flightId = await running();
    await at.store.write.appendOutput({ flightId, chunks: [chunk('a')] });
    const last = [chunk('b'), { progress: { kind: 'thought', text: 'hm' }, stamp: at.story.stamp() } as const];
    const finished = await at.store.write.finish({ stamp: at.story.stamp(), flightId, outcome: { state: 'completed', exitCode: 0 }, last });
    expect(finished).toMatchObject({ flight: { state: 'completed', lastSeq: 5, stdoutBytes: 2 }, event: { seq: 5 } });
    expect(at.store.read.events(flightId, 1, 1000).map(({ body }) => body.kind)).toEqual(['output', 'output', 'thought', 'finished']);
    expect(await at.store.write.finish({ stamp: at.story.stamp(), flightId, outcome: { state: 'failed' }, last })).toBeUndefined();
    expect(at.store.read.flight(flightId)).toMatchObject({ lastSeq: 5 });
  });

  test('counts the pieces that a run handed over, of its last run alone', async () => {
    const flightId = await running({ rerunnable: true });
    const progress = { progress: { kind: 'thought', text: 'hm' }, stamp: at.story.stamp() } as const;
    await at.store.write.appendOutput({ flightId, chunks: [chunk('a'), progress, chunk('b')] });
    await at.store.write.ask({ stamp: at.story.stamp(), flightId, request: `req_${at.story.ulid()}`, ask: { reason: 'input', prompt: '?', choices: [] }, untilMs: 2e15 });
    expect(await at.store.inspect.pieces(flightId)).toBe(3);
    await at.store.write.recover({ stamp: at.story.stamp(), nodeId: me });
    await at.store.write.start({ stamp: at.story.stamp(), flightId });
    expect(await at.store.inspect.pieces(flightId)).toBe(0);
    await at.store.write.appendOutput({ flightId, chunks: [chunk('c')] });
    expect(await at.store.inspect.pieces(flightId)).toBe(1);
  });

  test('finds no attempt open', async () => {
    const sent = at.story.invocation({ origin: me, owner: desktop }, { target: '@fabric@desktop#main' });
    await at.store.write.accept(at.story.accept(sent, { kind: 'send', attemptId: at.story.attemptId() }));
    await at.store.write.recover({ stamp: at.story.stamp(), nodeId: me });
    expect(at.store.read.delivery(sent.id)).toMatchObject({ status: 'deferred', attempts: 1 });
    expect(at.store.read.unsent(desktop, undefined, 10)).toEqual([sent.id]);
  });

  test('begins an epoch that is later than every one before', async () => {
    const boot = async (atMs: number) => at.store.write.boot({ stamp: { ...at.story.stamp(), atMs }, nodeId: me, version: '1' });
    expect(await boot(5000)).toEqual({ epoch: 5000, previousEpoch: 0, rolledBack: false });
    expect(await boot(4000)).toEqual({ epoch: 5001, previousEpoch: 5000, rolledBack: false });
    await at.reopen();
    expect(await boot(5000)).toEqual({ epoch: 5002, previousEpoch: 5001, rolledBack: false });
  });

  test('knows the greatest clock value that was written', async () => {
    expect(at.store.read.lastHlc()).toBeUndefined();
    await running();
    const last = at.story.stamp();
    await at.store.write.note({ stamp: last, what: 'node.stopped' });
    await at.reopen();
    expect(at.store.read.lastHlc()).toBe(last.hlc);
    // Output is written without a fact: what was running when the node died may have the last word.
    const flightId = await running();
    const printed = at.story.stamp();
    await at.store.write.appendOutput({ flightId, chunks: [{ stream: 'stdout', bytes: utf8('late'), stamp: printed }] });
    await at.reopen();
    expect(at.store.read.lastHlc()).toBe(printed.hlc);
  });
});

describe('deadlines', () => {
  test('the queue deadline binds until the start, the total deadline until the end, in order of time', async () => {
    const start = at.story.nowMs;
    const soon = await received({ limits: { holdMs: 100, totalMs: 9000 } });
    const late = await received({ limits: { holdMs: 5000, totalMs: 8000 } });
    expect(at.store.read.nextDeadlineMs()).toBe(at.store.read.flight(soon)?.holdUntilMs);
    expect(at.store.read.due(start + 50, 10)).toEqual([]);
    expect(at.store.read.due(start + 1000, 10)).toEqual([{ flightId: soon, which: 'hold' }]);
    await at.store.write.start({ stamp: at.story.stamp(), flightId: soon });
    expect(at.store.read.due(start + 6000, 10)).toEqual([{ flightId: late, which: 'hold' }]);
    expect(at.store.read.due(start + 20_000, 10)).toEqual([{ flightId: late, which: 'hold' }, { flightId: soon, which: 'total' }]);
    expect(at.store.read.nextDeadlineMs(start + 6000)).toBe(at.store.read.flight(soon)?.totalUntilMs);
    await at.store.write.finish({ stamp: at.story.stamp(), flightId: late, outcome: { state: 'expired' } });
    await at.store.write.finish({ stamp: at.story.stamp(), flightId: soon, outcome: { state: 'completed' } });
    expect(at.store.read.nextDeadlineMs()).toBeUndefined();
  });

  test('an origin that has sent the work no longer watches the queue deadline', async () => {
    const sent = at.story.invocation({ origin: me, owner: desktop }, { limits: { holdMs: 100, totalMs: 9000 }, target: '@fabric@desktop#main' });
    const { flight } = await at.store.write.accept(at.story.accept(sent, { kind: 'defer', reason: 'timeout', detail: '' }));
    expect(at.store.read.nextDeadlineMs()).toBe(flight.holdUntilMs);
    await at.store.write.beginAttempt({ stamp: at.story.stamp(), invocationId: sent.id, attemptId: at.story.attemptId() });
    expect(at.store.read.nextDeadlineMs()).toBe(flight.totalUntilMs);
  });
});
