import { expect, test } from 'vitest';
import { flightOfInvocation } from '../../src/domain/ids.ts';
import type { InvocationId } from '../../src/domain/ids.ts';
import { runsPerAgent } from '../../src/broker/active-runs.ts';
import { inputOf } from '../support/asking.ts';
import { agentName, UnreliablePair } from '../support/unreliable-pair.ts';
import type { Machine } from '../support/unreliable-pair.ts';
import { waitFor } from '../support/wait-for.ts';

const holdMs = 5000;

async function invoke(origin: Machine, owner: Machine): Promise<InvocationId> {
  const { flight } = await origin.broker.invoke(inputOf(`@${agentName}@${owner.name}#main`, '', { holdMs }));
  return flight.invocationId;
}

const stateOf = (machine: Machine, id: InvocationId): string | undefined => machine.store.read.flight(flightOfInvocation(id))?.state;

test('work that reaches its owner after its queue deadline expires and does not start', async () => {
  await using pair = await new UnreliablePair().start();
  const { left, right } = pair;
  pair.connect();
  await waitFor('the agent of the other', async () => {
    await pair.peace();
    return (await left.broker.listAgents({}, { limit: 10 })).items.length === 2;
  });
  const id = await invoke(left, right);
  // It was sent and is lost on the way.
  pair.cut();
  pair.loseLate();
  pair.notice(left);
  pair.notice(right);
  await pair.clock.advance(holdMs + 1000);
  expect(stateOf(left, id)).toBe('queued');

  pair.connect();
  await waitFor('the owner’s verdict', async () => {
    await pair.peace();
    return stateOf(left, id) === 'expired';
  });
  expect(right.effects).toEqual([]);
  expect(stateOf(right, id)).toBe('expired');
});

test('work whose queue deadline passed while its node was down does not start with the node', async () => {
  await using pair = await new UnreliablePair().start();
  const { left, right } = pair;
  const running = await Promise.all(Array.from({ length: runsPerAgent }, () => invoke(left, left)));
  await waitFor('all places to be taken', () => left.runs.length === runsPerAgent);
  const waiting = await invoke(left, left);

  await left.die();
  pair.clock.jump(holdMs + 1000);
  await left.start(right);

  await waitFor('the verdict', () => stateOf(left, waiting) === 'expired');
  expect(running.map((id) => stateOf(left, id))).toEqual(running.map(() => 'indeterminate'));
  expect(left.effects.map((each) => each.invocationId).toSorted()).toEqual(running.toSorted());
});
