/** Sessions with an agent on another node: one turn at a time, several side by side, resumed after a restart. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { invocationOfFlight } from '../../src/domain/ids.ts';
import type { FlightId } from '../../src/domain/ids.ts';
import type { SessionChoice } from '../../src/domain/invocation.ts';
import type { Flight } from '../../src/domain/records.ts';
import { AskingHarness } from '../support/asking-harness.ts';
import { accepted, requestOf, selectorOf } from '../support/asking.ts';
import { LocalPair } from '../support/local-node.ts';
import type { LocalNode } from '../support/local-node.ts';
import { SessionHarness } from '../support/session-harness.ts';
import { waitFor } from '../support/wait-for.ts';

let pair: LocalPair;
let harness: SessionHarness;
let agent: string;
let count = 0;

beforeAll(async () => {
  harness = new SessionHarness();
  pair = await new LocalPair().start([harness, new AskingHarness()]);
}, 60_000);

afterAll(() => pair[Symbol.asyncDispose]());

beforeEach(async () => {
  count += 1;
  agent = await pair.desktop.addAgent(`talker${count}`, { harness: 'talking' });
  await pair.knows(pair.laptop, agent);
  harness.turns.splice(0);
});

afterEach(() => {
  for (const turn of harness.turns) turn.release();
});

const next: SessionChoice = { mode: 'continue' };

async function invoke(task: string, session: SessionChoice = { mode: 'new' }, from: LocalNode = pair.laptop): Promise<FlightId> {
  return (await from.invoke(agent, task, { session })).flightId;
}

async function begins(task: string): Promise<void> {
  await waitFor(`${task} to begin`, () => harness.turn(task) !== undefined);
}

async function completed(id: FlightId, at = pair.laptop): Promise<Flight> {
  return at.becomes(id, 'completed');
}

describe('which session a turn is of', () => {
  test('a new one each, unless it goes on: in the last one, or in the one that is named', async () => {
    const first = await completed(await invoke('one'));
    const second = await completed(await invoke('two'));
    expect([await pair.laptop.outputOf(first.id), await pair.laptop.outputOf(second.id)].map((name) => name.startsWith('agent-'))).toEqual([true, true]);
    expect(first.sessionId).not.toBe(second.sessionId);
    const third = await completed(await invoke('three', next));
    expect(third.sessionId).toBe(second.sessionId);
    expect(await pair.laptop.outputOf(third.id)).toBe(await pair.laptop.outputOf(second.id));
    const fourth = await completed(await invoke('four', { mode: 'named', name: first.sessionId?.slice(-8) ?? '' }));
    expect(await pair.laptop.outputOf(fourth.id)).toBe(await pair.laptop.outputOf(first.id));
    // The same person on the other node goes on in it.
    const fifth = await completed(await invoke('five', next, pair.desktop), pair.desktop);
    expect(fifth.sessionId).toBe(first.sessionId);
  });

  test('both nodes show it', async () => {
    const { id, sessionId } = await completed(await invoke('one'));
    for (const node of [pair.laptop, pair.desktop]) {
      expect((await node.cli('flight', 'show', id, '--json')).json['flight'].session).toBe(sessionId);
      expect((await node.cli('flight', 'show', id)).stdout).toContain(String(sessionId));
    }
    const followed = await pair.laptop.cli('flight', 'follow', id, '--json');
    expect(followed.events.find(({ type }) => type === 'started')).toMatchObject({ session: sessionId });
  });

  test('one that the owner does not know ends the flight with not_found; from the owner itself nothing is accepted', async () => {
    const flight = await pair.laptop.becomes(await invoke('one', { mode: 'named', name: 'nope' }), 'failed');
    expect(flight.error).toMatchObject({ code: 'not_found', message: expect.stringContaining('"nope"') });
    expect((await pair.laptop.cli('invoke', agent, 'x', '--session', 'nope')).code).toBe(3);
    await expect(invoke('one', { mode: 'named', name: 'nope' }, pair.desktop)).rejects.toMatchObject({ code: 'not_found' });
    expect(harness.turns).toEqual([]);
  });

  test('an agent that starts anew each time is asked for no session, on whichever node it is', async () => {
    const plain = await pair.desktop.addAgent(`asker${count}`, { harness: 'asking' });
    await pair.knows(pair.laptop, plain);
    for (const node of [pair.laptop, pair.desktop]) {
      const { code, stderr } = await node.cli('invoke', plain, 'say x', '--continue');
      expect([code, stderr]).toEqual([2, expect.stringContaining('has no session to continue')]);
    }
  });
});

describe('turns', () => {
  test('of one session run one after the other, in order', async () => {
    const ids = [await invoke('hold 1')];
    for (const task of ['hold 2', 'hold 3']) ids.push(await invoke(task, next));
    await begins('hold 1');
    expect((await invoke('other')) && harness.began).not.toContain('hold 2');
    await waitFor('the other session', () => harness.turn('other')?.isOver);
    for (const task of ['hold 1', 'hold 2', 'hold 3']) {
      await begins(task);
      expect(harness.turns.filter(({ isOver }) => !isOver).map((turn) => turn.task)).toEqual([task]);
      harness.release(task);
    }
    const flights = await Promise.all(ids.map((id) => completed(id)));
    expect(new Set(flights.map(({ sessionId }) => sessionId)).size).toBe(1);
  });

  test('of several sessions run side by side, however many turns wait in one of them', async () => {
    await invoke('hold a1');
    for (let turn = 2; turn <= 12; turn += 1) await invoke(`hold a${turn}`, next);
    await invoke('hold b');
    await invoke('hold c');
    await begins('hold b');
    await begins('hold c');
    expect(harness.began.toSorted()).toEqual(['hold a1', 'hold b', 'hold c']);
  });

  test('one that is cancelled, or fails, lets the next begin', async () => {
    const first = await invoke('hold 1');
    await invoke('hold 2', next);
    await begins('hold 1');
    await pair.laptop.client.cancelFlight(first, 5000);
    await begins('hold 2');
    await invoke('three', next);
    harness.release('hold 2', { exitCode: 3 });
    await begins('three');
  });

  test('what a process of the first turn invokes later comes of the turn that runs then', async () => {
    const flight = await completed(await invoke('first'));
    const token = harness.turn('first')?.request.flightEnv['BECKON_TOKEN'] ?? '';
    const kept = await pair.desktop.connectAs(token);
    try {
      await expect(kept.resolve(selectorOf(agent))).rejects.toMatchObject({ code: 'unauthenticated' });
      const second = await invoke('hold second', next);
      await begins('hold second');
      const asker = await pair.desktop.addAgent(`child${count}`, { harness: 'asking' });
      const { invocationId: child } = await accepted(kept, requestOf(asker));
      const { invocation } = await pair.desktop.client.getFlight(child);
      expect(invocation.ancestry).toMatchObject({ parentId: invocationOfFlight(second), depth: 1 });
      expect(invocation.ancestry.parentId).not.toBe(flight.invocationId);
    } finally {
      kept.close();
    }
  });

  test('after a restart of the owner the session goes on under the agent’s own name', async () => {
    const before = await completed(await invoke('one'));
    const name = await pair.laptop.outputOf(before.id);
    const { closed } = harness;
    await pair.desktop[Symbol.asyncDispose]();
    // What is kept warm ends with the node.
    expect(harness.closed).toBe(closed + 1);
    await pair.desktop.start({ harnesses: [harness, new AskingHarness()] });
    await pair.laptop.sees(pair.desktop, 'alive');
    const after = await completed(await invoke('two', next));
    expect(after.sessionId).toBe(before.sessionId);
    expect(harness.turn('two')?.request.session).toEqual({ id: before.sessionId, agentSession: name });
  }, 60_000);
});
