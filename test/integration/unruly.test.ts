/** Agents that are silent, and agents that never end, on a clock that the test moves: two real cores and stores. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { InvokeInput } from '../../src/broker/api.ts';
import type { FlightId } from '../../src/domain/ids.ts';
import type { Flight } from '../../src/domain/records.ts';
import { inputOf } from '../support/asking.ts';
import { agentName, UnreliablePair } from '../support/unreliable-pair.ts';
import { waitFor } from '../support/wait-for.ts';

const minuteMs = 60_000;
const hourMs = 60 * minuteMs;

let pair: UnreliablePair;
beforeEach(async () => {
  pair = await new UnreliablePair().start();
  pair.connect();
  await waitFor('left to know the agent of right', async () => {
    await pass();
    return (await pair.left.broker.listAgents({}, { limit: 10 })).items.length === 2;
  });
});
afterEach(() => pair[Symbol.asyncDispose]());

/** What is said gets through; agents go on. */
async function pass(): Promise<void> {
  for (let turn = 0; turn < 5; turn += 1) {
    await pair.deliver(pair.left, 100);
    await pair.deliver(pair.right, 100);
    await nextTurn();
  }
}

/** Time goes by, and what the nodes say to each other gets through meanwhile. */
async function after(ms: number): Promise<void> {
  for (let passed = 0; passed < ms; passed += minuteMs) {
    await pair.clock.advance(Math.min(minuteMs, ms - passed));
    await pass();
  }
}

/** Asked for on the left, at work on the right. */
async function running(limits: Pick<InvokeInput, 'runLimitMs' | 'idleLimitMs'>): Promise<FlightId> {
  const { flight } = await pair.left.broker.invoke(inputOf(`@${agentName}@right#main`, '', limits));
  await waitFor('the agent to be at work', async () => {
    await pass();
    return pair.right.runs.length === 1 && stateOn('left', flight.id)?.state === 'running';
  });
  return flight.id;
}

function stateOn(side: 'left' | 'right', id: FlightId): Flight | undefined {
  return pair[side].store.read.flight(id);
}

async function ended(id: FlightId): Promise<Flight> {
  return await waitFor('its end on both sides', async () => {
    await pass();
    return stateOn('right', id)?.finishedAtMs === undefined ? undefined : stateOn('left', id)?.finishedAtMs === undefined ? undefined : stateOn('left', id);
  });
}

const overran = (which: string) => ({ state: 'failed', ended: 1, verdictBy: 'owner', error: { code: 'deadline', message: `the agent was ended: it overran its ${which}` } });

test('one that prints nothing for an hour is left to work, and its answer arrives', async () => {
  const id = await running({});
  await after(hourMs);
  expect([stateOn('left', id)?.state, stateOn('right', id)?.state, pair.right.runs.length]).toEqual(['running', 'running', 1]);
  await pair.right.runs[0]?.print('at last');
  pair.right.runs[0]?.end();
  expect(await ended(id)).toMatchObject({ state: 'completed', exitCode: 0 });
  expect(pair.right.effects).toHaveLength(1);
});

test('one that prints nothing for longer than its idle limit is ended, an hour after it printed last', async () => {
  const id = await running({ idleLimitMs: hourMs });
  await after(59 * minuteMs);
  await pair.right.runs[0]?.print('still here');
  await after(59 * minuteMs);
  expect(stateOn('left', id)?.state).toBe('running');
  await after(minuteMs);
  expect(await ended(id)).toMatchObject(overran('idle limit'));
  expect(stateOn('right', id)).toMatchObject(overran('idle limit'));
  expect(pair.right.runs).toEqual([]);
});

test('one that never ends is ended at its run limit, however much it prints', async () => {
  const id = await running({ runLimitMs: hourMs, idleLimitMs: 2 * minuteMs });
  for (let minute = 1; minute < 60; minute += 1) {
    await after(minuteMs);
    await pair.right.runs[0]?.print('still here\n');
  }
  expect(stateOn('left', id)?.state).toBe('running');
  await after(minuteMs);
  expect(await ended(id)).toMatchObject(overran('run limit'));
});

test('one that never ends and has no limit is ended after seven days', async () => {
  const id = await running({});
  pair.clock.jump(7 * 24 * hourMs);
  // The origin would end it by itself, were it not told within half a minute.
  await waitFor('its node to look', async () => {
    await pair.clock.advance(1000);
    await pass();
    return stateOn('right', id)?.finishedAtMs;
  });
  expect(await ended(id)).toMatchObject(overran('total deadline'));
  expect(pair.right.runs).toEqual([]);
});
