/** What is brought to a node that is going down: its origin is told, keeps it, and brings it again. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { FlightUpdate, InvokeInput } from '../../src/broker/api.ts';
import { flightOfInvocation } from '../../src/domain/ids.ts';
import type { InvocationId } from '../../src/domain/ids.ts';
import { inputOf } from '../support/asking.ts';
import { agentName, UnreliablePair } from '../support/unreliable-pair.ts';
import type { Machine } from '../support/unreliable-pair.ts';
import { waitFor } from '../support/wait-for.ts';

let pair: UnreliablePair;
let left: Machine;
let right: Machine;
beforeEach(async () => {
  pair = await new UnreliablePair().start();
  ({ left, right } = pair);
  pair.connect();
  await waitFor('left to know the agent of right', async () => {
    await pair.peace();
    return (await left.broker.listAgents({}, { limit: 10 })).items.length === 2;
  });
});
afterEach(() => pair[Symbol.asyncDispose]());

async function invoke(more: Partial<InvokeInput> = {}): Promise<InvocationId> {
  const { flight } = await left.broker.invoke(inputOf(`@${agentName}@right#main`, '', more));
  return flight.invocationId;
}

/** Messages get through; agents go on. */
async function pass(): Promise<void> {
  for (let turn = 0; turn < 5; turn += 1) {
    await pair.deliver(left, 100);
    await pair.deliver(right, 100);
  }
}

const at = (machine: Machine, id: InvocationId) => machine.store.read.flight(flightOfInvocation(id));
const delivery = (id: InvocationId) => left.store.read.delivery(id);
const forwarded = (): InvocationId[] => (left.link?.out ?? []).flatMap((each) => (each.type === 'forward' ? [each.invocation.id] : []));

/** One run keeps it from being down. */
async function drain(): Promise<void> {
  const id = await invoke();
  await waitFor('a run', async () => {
    await pass();
    return right.runs.length === 1 && delivery(id)?.status === 'received';
  });
  await right.broker.shutdown(false);
}

const words = 'right is draining: it takes no new work until it is back';

test('a node that is draining says so; the origin keeps the work, says why it waits, and it runs once when the node is back', async () => {
  await drain();
  const id = await invoke();
  const told: FlightUpdate[] = [];
  const letGo = new AbortController();
  const reading = (async () => {
    for await (const update of left.broker.follow(flightOfInvocation(id), { afterSeq: 0, deduplicated: false, signal: letGo.signal })) told.push(update);
  })();
  expect(forwarded()).toEqual([id]);
  await waitFor('the word of right', async () => {
    await pass();
    return delivery(id)?.status === 'deferred';
  });
  expect(delivery(id)).toMatchObject({ attempts: 1, failureReason: 'agent_offline', failureDetail: words });
  await waitFor('its reader to be told', () => told.find((each) => each.type === 'held'));
  expect(told.find((each) => each.type === 'held')).toMatchObject({ why: words });
  expect(at(right, id)).toBeUndefined();

  // As long as it drains nothing more goes there, and what never went there can be ended at once.
  const next = await invoke();
  await pair.clock.advance(60_000);
  expect(forwarded()).toEqual([]);
  expect(delivery(next)).toMatchObject({ status: 'deferred', attempts: 0, failureReason: 'agent_offline' });
  await expect(invoke({ noHold: true })).rejects.toMatchObject({ code: 'unavailable', message: words });
  const unsent = await invoke();
  expect(await left.broker.cancelFlight(flightOfInvocation(unsent), 0)).toMatchObject({ confirmed: true, flight: { state: 'cancelled' } });

  await pair.die(right);
  pair.notice(left);
  pair.connect();
  await waitFor('both to end', async () => {
    await pair.peace();
    return [id, next].every((each) => at(left, each)?.finishedAtMs !== undefined);
  });
  letGo.abort();
  await reading;
  for (const each of [id, next]) {
    expect(at(left, each)).toMatchObject({ state: 'completed', verdictBy: 'owner' });
    expect(right.effects.filter(({ invocationId }) => invocationId === each)).toHaveLength(1);
  }
  expect(delivery(id)).toMatchObject({ status: 'received', attempts: 2 });
  expect(right.effects.some(({ invocationId }) => invocationId === unsent)).toBe(false);
});

test('what a draining node has already it does not put off: it says its receipt again', async () => {
  await drain();
  // Received before, and its receipt is lost.
  const [known] = right.runs.map((each) => each.request.invocationId);
  if (known === undefined || right.link === undefined) throw new Error('nothing runs');
  const [invocation, task] = [left.store.read.invocation(known), left.store.read.task(known)];
  const hlc = left.store.read.lastHlc();
  if (invocation === undefined || task === undefined || hlc === undefined) throw new Error('its records are missing');
  await right.broker.links.onMessage(right.link, { type: 'forward', invocation, task, attempt: 1, hlc });
  expect(right.link.out.filter((each) => each.type === 'receipt' || each.type === 'draining')).toMatchObject([{ type: 'receipt', invocationId: known }]);
});

test('what must not be held fails as soon as its node says that it is draining', async () => {
  await drain();
  const id = await invoke({ noHold: true });
  await waitFor('its end', async () => {
    await pass();
    return at(left, id)?.finishedAtMs;
  });
  expect(at(left, id)).toMatchObject({ state: 'failed', error: { code: 'unavailable', message: expect.stringContaining(words) } });
});

test('a word of draining that comes late, over a session that is gone, defers nothing', async () => {
  await drain();
  const id = await invoke();
  const stale = right.link;
  await pair.deliver(left, 100);
  await pair.die(right);
  pair.notice(left);
  pair.connect();
  await waitFor('it to be on its way again', async () => {
    await pair.deliver(right, 100);
    if (delivery(id)?.attempts === 2) return true;
    await pair.deliver(left, 100);
    return false;
  });
  const hlc = left.store.read.lastHlc();
  if (stale === undefined || left.link === undefined || hlc === undefined) throw new Error('no link');
  // Of the attempt before.
  await left.broker.links.onMessage(left.link, { type: 'draining', invocationId: id, attempt: 1, hlc });
  expect(delivery(id)).toMatchObject({ status: 'sent', attempts: 2 });
});
