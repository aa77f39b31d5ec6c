/** Sessions with agents of this node, as the store gives them to flights. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { flightOfInvocation, sessionOfInvocation } from '../../src/domain/ids.ts';
import type { FlightId, SessionId } from '../../src/domain/ids.ts';
import type { Invocation, SessionChoice } from '../../src/domain/invocation.ts';
import type { Flight } from '../../src/domain/records.ts';
import { nodeIdFor, openTempStore, Story, textTask } from '../support/temp-store.ts';
import type { TempStore } from '../support/temp-store.ts';

const me = nodeIdFor(1);
const desktop = nodeIdFor(2);
const target = '@fabric@laptop#main';

let temp: TempStore;
let story: Story;

beforeEach(async () => {
  temp = await openTempStore(me);
  story = new Story();
});
afterEach(() => temp[Symbol.asyncDispose]());

const invoked = (session: SessionChoice = { mode: 'new' }, changes: Partial<Invocation> = {}): Invocation => story.invocation({ origin: desktop, owner: me }, { session, ...changes });

async function receive(session?: SessionChoice, owner = 'ada', changes: Partial<Invocation> = {}): Promise<Flight> {
  const result = await temp.store.write.receive({ stamp: story.stamp(), invocation: invoked(session, changes), task: textTask(''), queueLimit: 100, sessionOwner: owner });
  if (result === 'cancelled') throw new Error('cancelled');
  return result.flight;
}

async function accept(session: SessionChoice = { mode: 'new' }, owner = 'ada'): Promise<Flight> {
  const invocation = story.invocation({ origin: me, owner: me }, { session });
  return (await temp.store.write.accept(story.accept(invocation, { kind: 'local', queueLimit: 100, sessionOwner: owner }))).flight;
}

const named = (name: string): SessionChoice => ({ mode: 'named', name });
const next: SessionChoice = { mode: 'continue' };
const bind = (flightId: FlightId, agentSession: string) => temp.store.write.bindSession({ flightId, agentSession });
const sessionOf = ({ sessionId }: Flight): SessionId => {
  if (sessionId === undefined) throw new Error('it has no session');
  return sessionId;
};

describe('a flight gets its session as it is taken in', () => {
  test('a new one is named after its invocation, and what the write answers is what is stored', async () => {
    for (const flight of [await accept(), await receive()]) {
      expect(flight.sessionId).toBe(sessionOfInvocation(flight.invocationId));
      expect(temp.store.read.flight(flight.id)).toEqual(flight);
    }
  });

  test('an agent without sessions gives it none', async () => {
    const result = await temp.store.write.receive({ stamp: story.stamp(), invocation: invoked(), task: textTask(''), queueLimit: 100 });
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
    story.nowMs -= 1_000_000;
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
    expect(await temp.store.inspect.countFlights()).toEqual({ queued: 2 });
  });
});

describe('turns of sessions', () => {
  test('what is queued can be asked for without those of busy sessions', async () => {
    const [a, , b, c] = [await receive(), await receive(next), await receive(), await receive(next)];
    expect(temp.store.read.queued(target, 2)).toHaveLength(2);
    expect(temp.store.read.queued(target, 2, [sessionOf(a)])).toEqual([b.id, c.id]);
    expect(temp.store.read.queued(target, 2, [sessionOf(a), sessionOf(b)])).toEqual([]);
  });

  test('the session is in the event that says it started, and the origin learns it from there', async () => {
    const flight = await receive();
    const started = await temp.store.write.start({ stamp: story.stamp(), flightId: flight.id });
    expect(started?.event.body).toEqual({ kind: 'started', run: 1, session: flight.sessionId });
    expect(temp.store.read.events(flight.id, 0, 1000)[0]?.body).toEqual(started?.event.body);
    const sent = story.invocation({ origin: me, owner: desktop });
    await temp.store.write.accept(story.accept(sent, { kind: 'send', attemptId: story.attemptId() }));
    const body = { kind: 'started', run: 1, session: sessionOf(flight) } as const;
    const applied = await temp.store.write.applyEvents({ stamp: story.stamp(), invocationId: sent.id, fromNodeId: desktop, receivedAtMs: 1, events: [{ seq: 1, ...story.stamp(), body }] });
    expect(applied?.flight.sessionId).toBe(flight.sessionId);
    expect(temp.store.read.flight(flightOfInvocation(sent.id))?.sessionId).toBe(flight.sessionId);
  });

  test('what the agent calls it is kept for later turns, over a restart and over a run that is repeated', async () => {
    const flight = await receive(undefined, 'ada', { rerunnable: true });
    await temp.store.write.start({ stamp: story.stamp(), flightId: flight.id });
    await bind(flight.id, 'agent-1');
    await bind(flight.id, 'agent-2');
    const again = await temp.reopen();
    await again.write.recover({ stamp: story.stamp(), nodeId: me });
    expect(again.read.flight(flight.id)).toMatchObject({ state: 'queued', sessionId: flight.sessionId });
    expect(again.read.session(sessionOf(flight))).toEqual({ id: flight.sessionId, agentSession: 'agent-2' });
    await expect(bind(flight.id, '')).rejects.toMatchObject({ code: 'invalid' });
  });

  test('sessions go with their agent, or with it to its new name', async () => {
    const flight = await receive();
    const renamed = target.replace('laptop', 'notebook');
    const endpoint = { agentId: 'agt_x' as never, address: target, harness: 'acp', cwd: '/', argv: [], env: [], path: '/bin', permissions: 'ask', isolate: false } as const;
    const registration = { address: target, nodeId: me, harness: 'acp', capabilities: [], labels: {}, visibility: 'mesh', description: '', isDefault: false, available: true } as const;
    await temp.store.write.addAgent({ stamp: story.stamp(), endpoint, registration });
    expect(await temp.store.write.renameNode({ stamp: story.stamp(), name: 'notebook', chain: undefined })).toEqual([{ from: target, to: renamed }]);
    expect((await receive(next, 'ada', { target: renamed })).sessionId).toBe(flight.sessionId);
    await temp.store.write.removeAgent({ stamp: story.stamp(), address: renamed });
    await expect(receive(named(sessionOf(flight)), 'ada', { target: renamed })).rejects.toMatchObject({ code: 'not_found' });
  });

  test('a session is pruned when it was not used for as long as records are kept, and no turn of it is open', async () => {
    const [idle, open] = [await receive(), await receive()];
    await temp.store.write.finish({ stamp: story.stamp(), flightId: idle.id, outcome: { state: 'cancelled' } });
    const limits = { outputsBeforeMs: 0, mostBytes: Infinity, recordsBeforeMs: story.nowMs + 1 };
    expect(temp.store.read.prunable(limits)).toBe(true);
    await temp.store.write.prune({ ...limits, stamp: story.stamp() });
    expect(temp.store.read.prunable(limits)).toBe(false);
    expect(temp.store.read.session(sessionOf(idle))).toBeUndefined();
    expect(temp.store.read.session(sessionOf(open))).toBeDefined();
  });
});
