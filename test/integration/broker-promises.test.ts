/** Two real cores and stores, with the session between them in the test's hand. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { expect, test } from 'vitest';
import type { FlightUpdate, InvokeInput } from '../../src/broker/api.ts';
import { Chronicler } from '../../src/broker/chronicler.ts';
import { unavailable } from '../../src/domain/errors.ts';
import { flightOfInvocation } from '../../src/domain/ids.ts';
import type { InvocationId } from '../../src/domain/ids.ts';
import type { Flight } from '../../src/domain/records.ts';
import { inputOf } from '../support/asking.ts';
import { agentName, UnreliablePair } from '../support/unreliable-pair.ts';
import type { Machine } from '../support/unreliable-pair.ts';
import { waitFor } from '../support/wait-for.ts';

const forwardWindow = 256;

function input(owner: Machine, more: Partial<InvokeInput> = {}): InvokeInput {
  return inputOf(`@${agentName}@${owner.name}#main`, 'go', more);
}

async function linkedPair(): Promise<UnreliablePair> {
  const pair = await new UnreliablePair().start();
  pair.connect();
  await waitFor('left to know the agent of right', async () => {
    await pair.peace();
    return (await pair.left.broker.listAgents({}, { limit: 10 })).items.length === 2;
  });
  return pair;
}

function flightAt(machine: Machine, id: InvocationId): Flight | undefined {
  return machine.store.read.flight(flightOfInvocation(id));
}

async function untilEnded(pair: UnreliablePair, machine: Machine, id: InvocationId): Promise<Flight> {
  return await waitFor(`${id} to end`, async () => {
    await pair.peace();
    await pair.clock.advance(1000);
    const flight = flightAt(machine, id);
    return flight?.finishedAtMs === undefined ? undefined : flight;
  });
}

test('G7: what finds no room on its way stays here until its sending is written down, and a cancel of it is the truth', async () => {
  await using pair = await linkedPair();
  const { left, right } = pair;
  for (let each = 0; each < forwardWindow; each += 1) await left.broker.invoke(input(right));
  const { flight: last } = await left.broker.invoke(input(right));
  expect(left.store.read.delivery(last.invocationId)).toMatchObject({ status: 'deferred', failureReason: 'overload' });
  const isOut = left.link?.out.some((each) => each.type === 'forward' && each.invocation.id === last.invocationId);
  expect(isOut, 'nothing leaves that the store does not call sent').toBe(false);
  expect(await left.broker.cancelFlight(last.id, 0)).toMatchObject({ confirmed: true, flight: { state: 'cancelled' } });
  await pair.peace();
  expect(flightAt(right, last.invocationId)).toBeUndefined();
});

test('what found no room goes out when there is some', async () => {
  await using pair = await linkedPair();
  const { left, right } = pair;
  for (let each = 0; each < forwardWindow; each += 1) await left.broker.invoke(input(right));
  const { flight } = await left.broker.invoke(input(right));
  expect(await untilEnded(pair, left, flight.invocationId)).toMatchObject({ state: 'completed' });
});

test('G5: an owner whose disk is full for a while gets what it could not take, over the same link', async () => {
  await using pair = await linkedPair();
  const { left, right } = pair;
  const receive = right.store.write.receive.bind(right.store.write);
  let isFull = true;
  Object.assign(right.store.write, { receive: (each: Parameters<typeof receive>[0]) => (isFull ? Promise.reject(unavailable('the disk is full')) : receive(each)) });
  const { flight } = await left.broker.invoke(input(right));
  for (let second = 0; second < 60; second += 1) {
    await pair.peace();
    await pair.clock.advance(1000);
  }
  expect(flightAt(left, flight.invocationId)?.state).toBe('queued');
  isFull = false;
  expect(await untilEnded(pair, left, flight.invocationId)).toMatchObject({ state: 'completed', verdictBy: 'owner' });
});

test('G5: a reader that was slow to take the receipt still sees how the flight ended', async () => {
  await using pair = await linkedPair();
  const { left, right } = pair;
  const { flight } = await left.broker.invoke(input(right));
  await waitFor('the receipt', async () => {
    await pair.deliver(left, 100);
    await pair.deliver(right, 1);
    return flightAt(left, flight.invocationId)?.receivedAtMs;
  });
  pair.cut();
  const letGo = new AbortController();
  const reader = left.broker.follow(flight.id, { afterSeq: Number.MAX_SAFE_INTEGER, deduplicated: false, signal: letGo.signal })[Symbol.asyncIterator]();
  await reader.next();
  expect((await reader.next()).value).toMatchObject({ type: 'received' });
  pair.clock.jump(8 * 24 * 3_600_000);
  await waitFor('the origin’s own verdict', async () => {
    await pair.clock.advance(30_000);
    return flightAt(left, flight.invocationId)?.state === 'indeterminate';
  });
  const next: { update?: FlightUpdate } = {};
  void reader.next().then(({ value }) => Object.assign(next, { update: value as FlightUpdate }));
  await nextTurn();
  await waitFor('the end', () => next.update).finally(() => letGo.abort());
  expect(next.update).toMatchObject({ type: 'finished', flight: { state: 'indeterminate' } });
});

test('G7: a cancel of work that its owner acknowledged and has lost is not called confirmed: it may have run', async () => {
  await using pair = await linkedPair();
  const { left, right } = pair;
  const { flight } = await left.broker.invoke(input(right));
  await waitFor('the receipt', async () => {
    await pair.deliver(left, 100);
    await pair.deliver(right, 1);
    return flightAt(left, flight.invocationId)?.receivedAtMs;
  });
  const cancelled = left.broker.cancelFlight(flight.id, 30_000);
  await waitFor('the wish to be stored', () => left.link?.out.some((each) => each.type === 'cancel'));
  if (left.link === undefined) throw new Error('no link');
  await left.broker.links.onMessage(left.link, { type: 'cancelled_unknown', invocationId: flight.invocationId, hlc: flightHlc(right) });
  expect(await cancelled).toMatchObject({ confirmed: false, flight: { state: 'indeterminate' } });
});

function flightHlc(machine: Machine) {
  const hlc = machine.store.read.lastHlc();
  if (hlc === undefined) throw new Error('nothing happened there');
  return hlc;
}

test('G11: what --no-hold gave up on does not run later', async () => {
  await using pair = await linkedPair();
  const { left, right } = pair;
  // Four others keep the agent busy, so that this one waits at its owner.
  for (let each = 0; each < 4; each += 1) await right.broker.invoke(input(right));
  const { flight } = await left.broker.invoke(input(right, { noHold: true }));
  await pair.deliver(left, 100);
  await waitFor('right to have it', () => flightAt(right, flight.invocationId));
  pair.notice(left);
  await waitFor('left to give up', () => flightAt(left, flight.invocationId)?.state === 'failed');
  pair.connect();
  await waitFor('it to end at its owner', async () => {
    await pair.deliver(left, 100);
    await pair.deliver(right, 100);
    await pair.clock.advance(1000);
    return flightAt(right, flight.invocationId)?.finishedAtMs;
  });
  expect(right.effects.filter((each) => each.invocationId === flight.invocationId)).toEqual([]);
});

test('G6: output that the origin could not store once reaches it while the agent goes on, however slowly it prints', async () => {
  await using pair = await linkedPair();
  const { left, right } = pair;
  const { flight } = await left.broker.invoke(input(right));
  const passOn = async (): Promise<void> => {
    for (let turn = 0; turn < 5; turn += 1) {
      await pair.deliver(left, 100);
      await pair.deliver(right, 100);
    }
  };
  await waitFor('the agent to run', async () => {
    await passOn();
    return right.runs.length === 1 && flightAt(left, flight.invocationId)?.state === 'running';
  });
  const applyEvents = left.store.write.applyEvents.bind(left.store.write);
  let failures = 0;
  Object.assign(left.store.write, {
    applyEvents: (each: Parameters<typeof applyEvents>[0]) => {
      failures += 1;
      return failures === 1 ? Promise.reject(unavailable('the disk is full')) : applyEvents(each);
    },
  });
  const printed = 12;
  for (let line = 0; line < printed; line += 1) {
    await right.runs[0]?.print(`line ${line}\n`);
    await waitFor('the line to be sent, and what came of it to be back', async () => {
      await passOn();
      return failures > line;
    });
    await pair.clock.advance(5000);
  }
  await waitFor('the origin to have what was printed', async () => {
    await passOn();
    return flightAt(left, flight.invocationId)?.lastSeq === right.store.read.flight(flight.id)?.lastSeq;
  });
  expect(right.runs).toHaveLength(1);
  expect(failures).toBeGreaterThan(1);
});

test('G5: what waits for an agent starts although its queue could not be read when a place came free', async () => {
  await using pair = await linkedPair();
  const { right } = pair;
  const ids: InvocationId[] = [];
  for (let each = 0; each < 5; each += 1) ids.push((await right.broker.invoke(input(right))).flight.invocationId);
  await waitFor('four to run', () => right.runs.length === 4);
  const queued = right.store.read.queued.bind(right.store.read);
  let isBroken = true;
  const broken = (...args: Parameters<typeof queued>): ReturnType<typeof queued> => {
    if (isBroken) throw unavailable('the disk can not be read');
    return queued(...args);
  };
  Object.assign(right.store.read, { queued: broken });
  for (const run of right.runs) run.end();
  await waitFor('the four to end', () => ids.slice(0, 4).every((id) => flightAt(right, id)?.state === 'completed'));
  await nextTurn();
  isBroken = false;
  await waitFor('the fifth to run', async () => {
    await pair.clock.advance(1000);
    return right.runs.length === 1;
  });
});

test('G5: a run that breaks after its start was written down ends all the same', async () => {
  await using pair = await linkedPair();
  const { right } = pair;
  Object.assign(right.store.read, { task: () => { throw unavailable('the disk can not be read'); } });
  const { flight } = await right.broker.invoke(input(right));
  await waitFor('its end', () => flightAt(right, flight.invocationId)?.state === 'indeterminate');
});

test('G4: a cancel of what was started, and whose end nobody saw, is not called cancelled', async () => {
  await using pair = await linkedPair();
  const { left } = pair;
  for (let each = 0; each < 4; each += 1) await left.broker.invoke(input(left));
  await waitFor('all places to be taken', () => left.runs.length === 4);
  const { flight } = await left.broker.invoke(input(left));
  await left.store.write.start({ stamp: new Chronicler(pair.clock, left.store.read.lastHlc()).stamp(), flightId: flight.id });
  const cancelled = left.broker.cancelFlight(flight.id, 1000);
  await waitFor('its end', () => flightAt(left, flight.invocationId)?.finishedAtMs);
  expect(await cancelled).toMatchObject({ flight: { state: 'indeterminate', verdictBy: 'owner' } });
});
