import { describe, expect, test } from 'vitest';
import type { FlightEvent, FlightEventBody } from '../../src/domain/flight-event.ts';
import { flightOfInvocation } from '../../src/domain/ids.ts';
import type { InvocationId } from '../../src/domain/ids.ts';
import type { Invocation } from '../../src/domain/invocation.ts';
import type { AcceptPlan } from '../../src/domain/store-port.ts';
import { desktop, me, server, storePerTest } from '../support/store-per-test.ts';
import { textTask, utf8 } from '../support/temp-store.ts';

const at = storePerTest();

const toDesktop = (changes: Partial<Invocation> = {}): Invocation =>
  at.story.invocation({ origin: me, owner: desktop }, { target: '@fabric@desktop#main', ...changes });
const send = (): AcceptPlan => ({ kind: 'send', attemptId: at.story.attemptId() });
const hold: AcceptPlan = { kind: 'defer', reason: 'peer_unreachable', detail: 'no link' };
const whatOf = async (id: InvocationId): Promise<string[]> => (await at.store.inspect.facts(id)).map((fact) => fact.what);

async function accepted(plan: AcceptPlan): Promise<Invocation> {
  const invocation = toDesktop();
  await at.store.write.accept(at.story.accept(invocation, plan));
  return invocation;
}

function events(...bodies: FlightEventBody[]): FlightEvent[] {
  return bodies.map((body, index) => ({ seq: index + 1, ...at.story.stamp(), body }));
}

const output = (text: string): FlightEventBody => ({ kind: 'output', stream: 'stdout', bytes: utf8(text) });
const textOf = (id: InvocationId): string =>
  at.store.read.events(flightOfInvocation(id), 0, 1e9)
    .flatMap(({ body }) => (body.kind === 'output' ? [Buffer.from(body.bytes).toString()] : []))
    .join('');

describe('accepting', () => {
  test('what was accepted is read back whole, files and limits included', async () => {
    const invocation = toDesktop({
      session: { mode: 'named', name: 'review' },
      limits: { holdMs: 1000, totalMs: 5000, runMs: 400, idleMs: 300 },
      rerunnable: true,
      ancestry: { parentId: at.story.invocationId(), rootId: at.story.invocationId(), depth: 2, path: ['@a@laptop#main', '@b@desktop#feature/x'] },
      redriveOf: at.story.invocationId(),
    });
    const task = { text: new Uint8Array([0, 255, 1]), files: [{ name: 'a', bytes: utf8('A') }, { name: 'b', bytes: new Uint8Array(40_000).fill(7) }] };
    const input = at.story.accept(invocation, hold, { task });
    const { flight, deduplicated } = await at.store.write.accept(input);
    expect(deduplicated).toBe(false);
    expect(at.store.read.invocation(invocation.id)).toEqual(invocation);
    const stored = at.store.read.task(invocation.id);
    expect(stored?.files.map((file) => [file.name, file.bytes.length])).toEqual([['a', 1], ['b', 40_000]]);
    expect([...(stored?.text ?? [])]).toEqual([0, 255, 1]);
    expect(task.files[1]?.bytes.length).toBe(40_000);
    expect(at.store.read.flight(flight.id)).toEqual(flight);
    expect(flight).toMatchObject({
      state: 'queued', run: 0, lastSeq: 0, rerunnable: true, limits: invocation.limits,
      holdUntilMs: input.stamp.atMs + 1000, totalUntilMs: input.stamp.atMs + 5000,
    });
    expect(flight.receivedAtMs).toBeUndefined();
  });

  test('an empty task is a task', async () => {
    const invocation = toDesktop();
    await at.store.write.accept(at.story.accept(invocation, hold, { task: textTask('') }));
    expect(at.store.read.task(invocation.id)?.text.length).toBe(0);
  });

  test('the same key again returns the first, and stores nothing of the second', async () => {
    const [first, second] = [toDesktop(), toDesktop()];
    await at.store.write.accept(at.story.accept(first, hold, { key: 'k' }));
    const again = await at.store.write.accept(at.story.accept(second, hold, { key: 'k' }));
    expect(again).toMatchObject({ deduplicated: true, flight: { invocationId: first.id } });
    expect(at.store.read.invocation(second.id)).toBeUndefined();
    expect(await whatOf(second.id)).toEqual([]);
    expect(at.store.read.keyed('uid:501', 'k')).toEqual({ invocationId: first.id, payloadHash: 'hash' });
  });

  test('a burst of one key in one batch is one invocation', async () => {
    const all = await Promise.all(
      Array.from({ length: 50 }, () => at.store.write.accept(at.story.accept(toDesktop(), hold, { key: 'k' }))),
    );
    expect(new Set(all.map((each) => each.flight.id)).size).toBe(1);
    expect(all.filter((each) => !each.deduplicated)).toHaveLength(1);
    expect(await at.store.inspect.countFlights()).toEqual({ queued: 1 });
  });

  test('the same key with another payload is a conflict; another caller has keys of its own', async () => {
    await at.store.write.accept(at.story.accept(toDesktop(), hold, { key: 'k' }));
    await expect(at.store.write.accept(at.story.accept(toDesktop(), hold, { key: 'k', payloadHash: 'other' }))).rejects.toMatchObject({ code: 'conflict' });
    const other = await at.store.write.accept(at.story.accept(toDesktop({ caller: 'uid:502' }), hold, { key: 'k', payloadHash: 'other' }));
    expect(other.deduplicated).toBe(false);
  });

  test('a local queue that is full refuses, and stores nothing, until there is room', async () => {
    const local = () => at.story.invocation({ origin: me, owner: me });
    const plan: AcceptPlan = { kind: 'local', queueLimit: 2 };
    const first = await at.store.write.accept(at.story.accept(local(), plan));
    await at.store.write.accept(at.story.accept(local(), plan));
    const refused = local();
    await expect(at.store.write.accept(at.story.accept(refused, plan, { key: 'k' }))).rejects.toMatchObject({ code: 'overload' });
    expect(at.store.read.invocation(refused.id)).toBeUndefined();
    expect(at.store.read.keyed('uid:501', 'k')).toBeUndefined();
    await at.store.write.start({ stamp: at.story.stamp(), flightId: first.flight.id });
    await at.store.write.accept(at.story.accept(local(), plan));
    expect(at.store.read.queuedCount('@fabric@laptop#main')).toBe(2);
    await at.reopen();
    await expect(at.store.write.accept(at.story.accept(local(), plan))).rejects.toMatchObject({ code: 'overload' });
  });

  test('each plan is a first move of the delivery, with its facts', async () => {
    const local = at.story.invocation({ origin: me, owner: me });
    await at.store.write.accept(at.story.accept(local));
    const [sent, held] = [await accepted(send()), await accepted(hold)];
    expect(at.store.read.delivery(local.id)).toMatchObject({ status: 'received', attempts: 0 });
    expect(at.store.read.delivery(sent.id)).toMatchObject({ status: 'sent', attempts: 1, toNodeId: desktop, target: '@fabric@desktop#main' });
    expect(at.store.read.delivery(held.id)).toMatchObject({ status: 'deferred', attempts: 0, failureReason: 'peer_unreachable', failureDetail: 'no link' });
    expect(await whatOf(local.id)).toEqual(['invocation.accepted', 'invocation.received']);
    expect(await whatOf(sent.id)).toEqual(['invocation.accepted', 'delivery.sent']);
    expect(await whatOf(held.id)).toEqual(['invocation.accepted', 'delivery.deferred']);
  });
});

describe('transport', () => {
  test('attempts are counted and end as they ended', async () => {
    const { id } = await accepted(hold);
    expect(at.store.read.unsent(desktop, undefined, 10)).toEqual([id]);
    expect(await at.store.write.beginAttempt({ stamp: at.story.stamp(), invocationId: id, attemptId: at.story.attemptId() })).toBe(true);
    expect(at.store.read.unsent(desktop, undefined, 10)).toEqual([]);
    expect(await at.store.write.beginAttempt({ stamp: at.story.stamp(), invocationId: id, attemptId: at.story.attemptId() })).toBe(false);
    expect(await at.store.write.loseAttempts({ stamp: at.story.stamp(), toNodeId: desktop, reason: 'peer_unreachable', detail: 'reset' })).toBe(1);
    expect(await at.store.write.loseAttempts({ stamp: at.story.stamp(), toNodeId: server, reason: 'peer_unreachable', detail: 'reset' })).toBe(0);
    expect(at.store.read.unsent(desktop, undefined, 10)).toEqual([id]);
    expect(await at.store.write.beginAttempt({ stamp: at.story.stamp(), invocationId: id, attemptId: at.story.attemptId() })).toBe(true);
    const flight = await at.store.write.receipt({ stamp: at.story.stamp(), invocationId: id, fromNodeId: desktop, receivedAtMs: 4711 });
    expect(flight).toMatchObject({ state: 'queued', receivedAtMs: 4711 });
    expect(at.store.read.delivery(id)).toMatchObject({ status: 'received', attempts: 2, receivedAtMs: 4711 });
    const attempts = await at.store.inspect.attempts(id);
    expect(attempts.map((each) => [each.number, each.outcome])).toEqual([[1, 'lost'], [2, 'received']]);
    expect(await whatOf(id)).toEqual([
      'invocation.accepted', 'delivery.deferred', 'delivery.sent', 'delivery.deferred', 'delivery.sent', 'delivery.received',
    ]);
  });

  test('only the owner gives a receipt, and a second one changes nothing', async () => {
    const { id } = await accepted(send());
    const receipt = { invocationId: id, receivedAtMs: 1 };
    await expect(at.store.write.receipt({ ...receipt, stamp: at.story.stamp(), fromNodeId: server })).rejects.toMatchObject({ code: 'denied' });
    await at.store.write.receipt({ ...receipt, stamp: at.story.stamp(), fromNodeId: desktop });
    await at.store.write.receipt({ ...receipt, stamp: at.story.stamp(), fromNodeId: desktop, receivedAtMs: 2 });
    expect(at.store.read.delivery(id)?.receivedAtMs).toBe(1);
    expect((await whatOf(id)).filter((what) => what === 'delivery.received')).toHaveLength(1);
    const unknown = { invocationId: at.story.invocationId(), receivedAtMs: 1, stamp: at.story.stamp(), fromNodeId: desktop };
    expect(await at.store.write.receipt(unknown)).toBeUndefined();
  });

  test('a refusal of the owner ends the flight with its error', async () => {
    const { id } = await accepted(send());
    const error = { code: 'denied' as const, message: 'not for you' };
    const flight = await at.store.write.reject({ stamp: at.story.stamp(), invocationId: id, fromNodeId: desktop, reason: 'denied', error });
    expect(flight).toMatchObject({ state: 'failed', error, verdictBy: 'owner' });
    expect(at.store.read.delivery(id)).toMatchObject({ status: 'rejected', failureReason: 'denied' });
    expect(at.store.read.nextDeadlineMs()).toBeUndefined();
  });

  test('an owner that is going down defers the attempt that is open, and no other', async () => {
    const { id } = await accepted(send());
    const word = { invocationId: id, fromNodeId: desktop, attempt: 1, reason: 'agent_offline' as const, detail: 'desktop is draining' };
    const defer = (changes: Partial<typeof word> = {}) => at.store.write.defer({ ...word, ...changes, stamp: at.story.stamp() });
    await expect(defer({ fromNodeId: server })).rejects.toMatchObject({ code: 'denied' });
    expect(await defer({ attempt: 2 })).toBeUndefined();
    expect(at.store.read.delivery(id)?.status).toBe('sent');
    expect(await defer()).toMatchObject({ state: 'queued' });
    expect(await defer()).toBeUndefined();
    expect(at.store.read.delivery(id)).toMatchObject({ status: 'deferred', attempts: 1, failureReason: 'agent_offline', failureDetail: 'desktop is draining' });
    expect((await at.store.inspect.attempts(id)).map((each) => [each.outcome, each.why])).toEqual([['lost', 'desktop is draining']]);
    // It was sent once: only its owner's word says that it may be sent again.
    expect(at.store.read.openAt(desktop, undefined, 9).map((each) => each.invocationId)).toEqual([id]);

    await at.store.write.beginAttempt({ stamp: at.story.stamp(), invocationId: id, attemptId: at.story.attemptId() });
    expect(await defer()).toBeUndefined();
    await at.store.write.receipt({ stamp: at.story.stamp(), invocationId: id, fromNodeId: desktop, receivedAtMs: 1 });
    expect(await defer({ attempt: 2 })).toBeUndefined();
    expect(at.store.read.delivery(id)?.status).toBe('received');
    expect((await whatOf(id)).filter((what) => what === 'delivery.deferred')).toHaveLength(1);
  });

  test('what was sent and has not ended is open at its owner, page by page', async () => {
    const ids: InvocationId[] = [];
    for (let count = 0; count < 5; count += 1) ids.push((await accepted(send())).id);
    await accepted(hold);
    await at.store.write.receipt({ stamp: at.story.stamp(), invocationId: ids[0]!, fromNodeId: desktop, receivedAtMs: 1 });
    await at.store.write.requestCancel({ stamp: at.story.stamp(), flightId: flightOfInvocation(ids[1]!), by: 'uid:501' });
    const first = at.store.read.openAt(desktop, undefined, 3);
    const rest = at.store.read.openAt(desktop, first.at(-1)?.invocationId, 3);
    expect([...first, ...rest]).toEqual(ids.map((invocationId, index) => ({
      invocationId, receipted: index === 0, lastSeq: 0, cancelRequested: index === 1,
    })));
  });

  test('a cancel of what was never sent is its end, in the same commit, and it is never sent', async () => {
    const { id } = await accepted(hold);
    const ended = await at.store.write.requestCancel({ stamp: at.story.stamp(), flightId: flightOfInvocation(id), by: 'uid:501' });
    expect(ended).toMatchObject({ state: 'cancelled', verdictBy: 'origin', ended: 0 });
    expect(at.store.read.delivery(id)?.status).toBe('cancelled');
    expect(await whatOf(id)).toEqual(expect.arrayContaining(['flight.cancel_requested', 'delivery.cancelled', 'flight.finished']));
    expect(await at.store.write.beginAttempt({ stamp: at.story.stamp(), invocationId: id, attemptId: at.story.attemptId() })).toBe(false);
  });
});

describe('verdicts of the origin', () => {
  test('it may end what it never sent, and with unlessSent nothing else', async () => {
    const [held, sent] = [await accepted(hold), await accepted(send())];
    const verdict = (id: InvocationId) => at.store.write.endAtOrigin({
      stamp: at.story.stamp(), flightId: flightOfInvocation(id), outcome: { state: 'expired' },
      delivery: { status: 'dead', reason: 'timeout' }, unlessSent: true,
    });
    expect(await verdict(held.id)).toMatchObject({ state: 'expired', verdictBy: 'origin' });
    expect(await verdict(held.id)).toBeUndefined();
    expect(await verdict(sent.id)).toBeUndefined();
    expect(at.store.read.delivery(held.id)?.status).toBe('dead');
    expect(at.store.read.delivery(sent.id)?.status).toBe('sent');
    await at.store.write.loseAttempts({ stamp: at.story.stamp(), toNodeId: desktop, reason: 'timeout', detail: '' });
    expect(await verdict(sent.id)).toBeUndefined();
  });

  test('a cancel is wished once, and not for what has ended', async () => {
    const { id } = await accepted(send());
    const wish = { flightId: flightOfInvocation(id), by: 'uid:501' };
    const first = await at.store.write.requestCancel({ ...wish, stamp: at.story.stamp() });
    const second = await at.store.write.requestCancel({ ...wish, stamp: at.story.stamp() });
    expect(second).toEqual(first);
    await at.store.write.applyEvents({
      stamp: at.story.stamp(), invocationId: id, fromNodeId: desktop, receivedAtMs: 1, events: events({ kind: 'finished', state: 'cancelled', ended: 3 }),
    });
    await expect(at.store.write.requestCancel({ ...wish, stamp: at.story.stamp() })).rejects.toMatchObject({ code: 'conflict', message: expect.stringContaining('cancelled') });
    await expect(at.store.write.requestCancel({ ...wish, flightId: flightOfInvocation(at.story.invocationId()), stamp: at.story.stamp() })).rejects.toMatchObject({ code: 'not_found' });
  });

  test('an illegal move is refused and changes nothing', async () => {
    const { id } = await accepted(send());
    await at.store.write.applyEvents({ stamp: at.story.stamp(), invocationId: id, fromNodeId: desktop, receivedAtMs: 1, events: events({ kind: 'started', run: 1 }) });
    const before = [at.store.read.flight(flightOfInvocation(id)), at.store.read.delivery(id), await whatOf(id)];
    await expect(at.store.write.endAtOrigin({
      stamp: at.story.stamp(), flightId: flightOfInvocation(id), outcome: { state: 'expired' }, delivery: undefined, unlessSent: false,
    })).rejects.toMatchObject({ code: 'internal' });
    expect([at.store.read.flight(flightOfInvocation(id)), at.store.read.delivery(id), await whatOf(id)]).toEqual(before);
  });
});

describe('the owner’s events', () => {
  const apply = (id: InvocationId, list: readonly FlightEvent[], from = desktop) =>
    at.store.write.applyEvents({ stamp: at.story.stamp(), invocationId: id, fromNodeId: from, receivedAtMs: 9, events: list });

  test('tell the whole life of a flight, and prove its receipt', async () => {
    const { id } = await accepted(send());
    const list = events(
      { kind: 'started', run: 1 },
      output('one '),
      { kind: 'waiting', reason: 'approval', request: 'r1', prompt: 'rm -rf?', choices: ['yes', 'no'], untilMs: 99 },
      { kind: 'resumed' },
      { kind: 'output', stream: 'stderr', bytes: utf8('warn') },
      { kind: 'requeued', run: 2 },
      { kind: 'started', run: 2 },
      output('two'),
      { kind: 'finished', state: 'failed', exitCode: 7, signal: 'SIGTERM', error: { code: 'deadline', message: 'late' }, ended: 2 },
    );
    const waiting = await apply(id, list.slice(0, 3));
    expect(waiting?.flight.waiting).toEqual({
      reason: 'approval', request: 'r1', prompt: 'rm -rf?', choices: ['yes', 'no'], sinceMs: list[2]?.atMs, untilMs: 99,
    });
    const result = await apply(id, list);
    expect(result?.applied).toEqual(list.slice(3));
    expect(result?.flight).toMatchObject({
      state: 'failed', run: 2, lastSeq: 9, receivedAtMs: 9, startedAtMs: list[0]?.atMs, finishedAtMs: list[8]?.atMs,
      verdictBy: 'owner', exitCode: 7, signal: 'SIGTERM', error: { code: 'deadline', message: 'late' }, ended: 2, stdoutBytes: 7, stderrBytes: 4,
    });
    expect(result?.flight.waiting).toBeUndefined();
    expect(at.store.read.flight(flightOfInvocation(id))).toEqual(result?.flight);
    expect(textOf(id)).toBe('one warntwo');
    expect((await at.store.inspect.facts(id)).map((fact) => fact.what)).toEqual([
      'invocation.accepted', 'delivery.sent', 'delivery.received', 'flight.started', 'flight.waiting', 'flight.resumed',
      'flight.requeued', 'flight.started', 'flight.finished',
    ]);
    const facts = JSON.stringify(await at.store.inspect.facts(id));
    for (const secret of ['one', 'rm -rf', 'warn']) expect(facts).not.toContain(secret);
  });

  test('are taken in order: what is known is dropped, a gap stops', async () => {
    const { id } = await accepted(send());
    const list = events({ kind: 'started', run: 1 }, output('a'), output('b'), output('c'));
    expect((await apply(id, [list[0]!, list[2]!, list[3]!]))?.flight.lastSeq).toBe(1);
    expect((await apply(id, list.slice(2)))?.applied).toEqual([]);
    expect((await apply(id, list))?.applied.map((event) => event.seq)).toEqual([2, 3, 4]);
    expect((await apply(id, list))?.applied).toEqual([]);
    expect(textOf(id)).toBe('abc');
  });

  test('come from the owner alone, and for known invocations', async () => {
    const { id } = await accepted(send());
    const list = events({ kind: 'started', run: 1 });
    await expect(apply(id, list, server)).rejects.toMatchObject({ code: 'denied' });
    expect(await apply(at.story.invocationId(), list)).toBeUndefined();
  });

  test('that make no sense are the peer’s fault and change nothing', async () => {
    const { id } = await accepted(send());
    const before = at.store.read.flight(flightOfInvocation(id));
    await expect(apply(id, events({ kind: 'started', run: 1 }, { kind: 'resumed' }))).rejects.toMatchObject({ code: 'invalid' });
    const large: FlightEventBody = { kind: 'output', stream: 'stdout', bytes: new Uint8Array(40_000) };
    await expect(apply(id, events({ kind: 'started', run: 1 }, large))).rejects.toMatchObject({ code: 'invalid' });
    expect(at.store.read.flight(flightOfInvocation(id))).toEqual(before);
    expect(at.store.read.delivery(id)?.status).toBe('sent');
    expect(textOf(id)).toBe('');
  });

  const giveUp = (id: InvocationId, state: 'indeterminate' | 'cancelled') => at.store.write.endAtOrigin({
    stamp: at.story.stamp(), flightId: flightOfInvocation(id), outcome: { state }, delivery: { status: 'dead', reason: 'timeout' }, unlessSent: false,
  });

  test('refine an indeterminate of the origin once', async () => {
    const { id } = await accepted(send());
    expect(await giveUp(id, 'indeterminate')).toMatchObject({ state: 'indeterminate', verdictBy: 'origin' });
    const list = events({ kind: 'started', run: 1 }, output('late'), { kind: 'finished', state: 'completed', exitCode: 0 });
    const result = await apply(id, list);
    expect(result?.flight).toMatchObject({ state: 'completed', verdictBy: 'owner', exitCode: 0, lastSeq: 3, run: 1, stdoutBytes: 4 });
    const more: FlightEvent = { seq: 4, ...at.story.stamp(), body: { kind: 'finished', state: 'failed' } };
    await expect(apply(id, [more])).rejects.toMatchObject({ code: 'invalid', message: expect.stringContaining('its owner has ended it already') });
    expect((await whatOf(id)).filter((what) => what === 'flight.refined')).toHaveLength(1);
    expect(await at.store.inspect.countFlights()).toEqual({ completed: 1 });
  });

  test('do not move another verdict of the origin, but are kept and counted', async () => {
    const { id } = await accepted(send());
    await giveUp(id, 'cancelled');
    const result = await apply(id, events({ kind: 'started', run: 1 }, output('truth'), { kind: 'finished', state: 'completed', exitCode: 0 }));
    expect(result?.flight).toMatchObject({ state: 'cancelled', verdictBy: 'origin', lastSeq: 3, stdoutBytes: 5 });
    expect(textOf(id)).toBe('truth');
  });

  test('are over with the owner’s end: nothing is added afterwards, whoever’s verdict counts', async () => {
    for (const isGivenUp of [false, true]) {
      const { id } = await accepted(send());
      if (isGivenUp) await giveUp(id, 'cancelled');
      const list = events({ kind: 'started', run: 1 }, output('truth'), { kind: 'finished', state: 'completed', exitCode: 0 });
      const later: FlightEvent = { seq: 4, ...at.story.stamp(), body: output('more') };
      await expect(apply(id, [...list, later])).rejects.toMatchObject({ code: 'invalid' });
      await apply(id, list);
      await expect(apply(id, [later])).rejects.toMatchObject({ code: 'invalid', message: expect.stringContaining('event 4 (output)') });
      expect([textOf(id), at.store.read.flight(flightOfInvocation(id))?.lastSeq]).toEqual(['truth', 3]);
      expect((await apply(id, list))?.flight.lastSeq).toBe(3);
    }
  });
});
