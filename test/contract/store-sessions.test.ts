/** Sessions with agents of this node, as the store gives them to flights. */
import { describe, expect, test } from 'vitest';
import { flightOfInvocation, sessionOfInvocation } from '../../src/domain/ids.ts';
import type { FlightId, SessionId } from '../../src/domain/ids.ts';
import type { Invocation, SessionChoice } from '../../src/domain/invocation.ts';
import type { Flight } from '../../src/domain/records.ts';
import { desktop, me, storePerTest } from '../support/store-per-test.ts';
import { textTask } from '../support/temp-store.ts';

const target = '@fabric@laptop#main';

const at = storePerTest();

const invoked = (session: SessionChoice = { mode: 'new' }, changes: Partial<Invocation> = {}): Invocation => at.story.invocation({ origin: desktop, owner: me }, { session, ...changes });

async function receive(session?: SessionChoice, owner = 'ada', changes: Partial<Invocation> = {}): Promise<Flight> {
  const result = await at.store.write.receive({ stamp: at.story.stamp(), invocation: invoked(session, changes), task: textTask(''), queueLimit: 100, sessionOwner: owner });
  if (result === 'cancelled') throw new Error('cancelled');
  return result.flight;
}

async function accept(session: SessionChoice = { mode: 'new' }, owner = 'ada'): Promise<Flight> {
  const invocation = at.story.invocation({ origin: me, owner: me }, { session });
  return (await at.store.write.accept(at.story.accept(invocation, { kind: 'local', queueLimit: 100, sessionOwner: owner }))).flight;
}

const named = (name: string): SessionChoice => ({ mode: 'named', name });
const next: SessionChoice = { mode: 'continue' };
const bind = (flightId: FlightId, agentSession: string) => at.store.write.bindSession({ flightId, agentSession });
const sessionOf = ({ sessionId }: Flight): SessionId => {
  if (sessionId === undefined) throw new Error('it has no session');
  return sessionId;
};

describe('a flight gets its session as it is taken in', () => {
  test('a new one is named after its invocation, and what the write answers is what is stored', async () => {
    for (const flight of [await accept(), await receive()]) {
      expect(flight.sessionId).toBe(sessionOfInvocation(flight.invocationId));
      expect(at.store.read.flight(flight.id)).toEqual(flight);
    }
  });

  test('an agent without sessions gives it none', async () => {
    const result = await at.store.write.receive({ stamp: at.story.stamp(), invocation: invoked(), task: textTask(''), queueLimit: 100 });
    expect(result).toMatchObject({ flight: { state: 'queued' } });
    expect(result).not.toHaveProperty('flight.sessionId');
  });

  test('--continue goes on in the session used last by the same person, whichever node asks, queued turns included', async () => {
    const first = await receive();
    const second = await accept();
    expect((await receive(next)).sessionId).toBe(second.sessionId);
    expect((await receive(named(sessionOf(first)))).sessionId).toBe(first.sessionId);
    expect((await accept(next)).sessionId).toBe(first.sessionId);
  });

  test('--continue begins one where the person has none: another person’s and another agent’s do not count', async () => {
    await receive(undefined, 'bob');
    await receive(undefined, 'ada', { target: '@other@laptop#main' });
    const flight = await receive(next);
    expect(flight.sessionId).toBe(sessionOfInvocation(flight.invocationId));
  });

  test('the clock going back changes nothing of which one is the last', async () => {
    await accept();
    at.story.nowMs -= 1_000_000;
    const second = await accept();
    expect((await accept(next)).sessionId).toBe(second.sessionId);
  });

  test('by its id, a suffix, last, or the agent’s own name', async () => {
    const first = await receive();
    const id = sessionOf(first);
    await bind(first.id, '0198c1de-7f3a');
    await receive();
    for (const name of [id, id.toLowerCase(), '0198c1de-7f3a', 'last', id.slice(-8)]) expect((await receive(named(name))).sessionId).toBe(id);
  });

  test('a suffix that several of the person’s have is ambiguous; the name that the agent gave twice is the one used last', async () => {
    const [first, second] = [await receive(), await receive()];
    for (const flight of [first, second]) await bind(flight.id, 'again');
    expect((await receive(named('again'))).sessionId).toBe(second.sessionId);
    const [one, other] = ['inv_01J9Z6M3T4000000000001AAAA', 'inv_01J9Z6M3T4000000000002AAAA'] as [never, never];
    await receive(undefined, 'ada', { id: one });
    await receive(undefined, 'bob', { id: other });
    expect((await receive(named('AAAA'))).sessionId).toBe(sessionOfInvocation(one));
    await expect(receive(named('2AAAA'))).rejects.toMatchObject({ code: 'denied' });
    await receive(undefined, 'ada', { id: 'inv_01J9Z6M3T4000000000003AAAA' as never });
    await expect(receive(named('AAAA'))).rejects.toMatchObject({ code: 'ambiguous', hint: expect.stringContaining('1AAAA') });
  });

  test('one that is not known is not_found, another person’s denied, and nothing is stored', async () => {
    const theirs = await receive(undefined, 'bob');
    await bind(theirs.id, 'their-own');
    const elsewhere = await receive(undefined, 'ada', { target: '@other@laptop#main' });
    for (const name of ['ses_01J9Z6M3T4V8Q2X7K5B1C0D9EF', 'nope', 'ZZZZ', sessionOf(elsewhere)]) await expect(receive(named(name))).rejects.toMatchObject({ code: 'not_found' });
    for (const name of [sessionOf(theirs), 'their-own']) {
      await expect(receive(named(name))).rejects.toMatchObject({ code: 'denied' });
      await expect(accept(named(name))).rejects.toMatchObject({ code: 'denied' });
    }
    expect(await at.store.inspect.countFlights()).toEqual({ queued: 2 });
  });
});

describe('turns of sessions', () => {
  test('what is queued can be asked for without those of busy sessions', async () => {
    const [a, , b, c] = [await receive(), await receive(next), await receive(), await receive(next)];
    expect(at.store.read.queued(target, 2)).toHaveLength(2);
    expect(at.store.read.queued(target, 2, { busy: [sessionOf(a)] })).toEqual([b.id, c.id]);
    expect(at.store.read.queued(target, 2, { busy: [sessionOf(a), sessionOf(b)] })).toEqual([]);
  });

  test('the session is in the event that says it started, and the origin learns it from there', async () => {
    const flight = await receive();
    const started = await at.store.write.start({ stamp: at.story.stamp(), flightId: flight.id });
    expect(started?.event.body).toEqual({ kind: 'started', run: 1, session: flight.sessionId });
    expect(at.store.read.events(flight.id, 0, 1000)[0]?.body).toEqual(started?.event.body);
    const sent = at.story.invocation({ origin: me, owner: desktop });
    await at.store.write.accept(at.story.accept(sent, { kind: 'send', attemptId: at.story.attemptId() }));
    const body = { kind: 'started', run: 1, session: sessionOf(flight) } as const;
    const applied = await at.store.write.applyEvents({ stamp: at.story.stamp(), invocationId: sent.id, fromNodeId: desktop, receivedAtMs: 1, events: [{ seq: 1, ...at.story.stamp(), body }] });
    expect(applied?.flight.sessionId).toBe(flight.sessionId);
    expect(at.store.read.flight(flightOfInvocation(sent.id))?.sessionId).toBe(flight.sessionId);
  });

  test('what the agent calls it is kept for later turns, over a restart and over a run that is repeated', async () => {
    const flight = await receive(undefined, 'ada', { rerunnable: true });
    await at.store.write.start({ stamp: at.story.stamp(), flightId: flight.id });
    await bind(flight.id, 'agent-1');
    await bind(flight.id, 'agent-2');
    const again = await at.reopen();
    await again.write.recover({ stamp: at.story.stamp(), nodeId: me });
    expect(again.read.flight(flight.id)).toMatchObject({ state: 'queued', sessionId: flight.sessionId });
    expect(again.read.session(sessionOf(flight))).toEqual({ id: flight.sessionId, agentSession: 'agent-2' });
    await expect(bind(flight.id, '')).rejects.toMatchObject({ code: 'invalid' });
  });

  test('sessions go with their agent, or with it to its new name', async () => {
    const flight = await receive();
    const renamed = target.replace('laptop', 'notebook');
    const endpoint = { agentId: 'agt_x' as never, address: target, harness: 'acp', cwd: '/', argv: [], env: [], path: '/bin', permissions: 'ask', isolate: false } as const;
    const registration = { address: target, nodeId: me, harness: 'acp', capabilities: [], labels: {}, visibility: 'mesh', description: '', isDefault: false, available: true } as const;
    await at.store.write.addAgent({ stamp: at.story.stamp(), endpoint, registration });
    expect(await at.store.write.renameNode({ stamp: at.story.stamp(), name: 'notebook', chain: undefined })).toEqual([{ from: target, to: renamed }]);
    expect((await receive(next, 'ada', { target: renamed })).sessionId).toBe(flight.sessionId);
    await at.store.write.removeAgent({ stamp: at.story.stamp(), address: renamed });
    await expect(receive(named(sessionOf(flight)), 'ada', { target: renamed })).rejects.toMatchObject({ code: 'not_found' });
  });

  test('a session is pruned when it was not used for as long as records are kept, and no turn of it is open', async () => {
    const [idle, open] = [await receive(), await receive()];
    await at.store.write.finish({ stamp: at.story.stamp(), flightId: idle.id, outcome: { state: 'cancelled' } });
    const limits = { outputsBeforeMs: 0, mostBytes: Infinity, recordsBeforeMs: at.story.nowMs + 1 };
    expect(at.store.read.prunable(limits)).toBe(true);
    await at.store.write.prune({ ...limits, stamp: at.story.stamp() });
    expect(at.store.read.prunable(limits)).toBe(false);
    expect(at.store.read.session(sessionOf(idle))).toBeUndefined();
    expect(at.store.read.session(sessionOf(open))).toBeDefined();
  });
});
