import { expect, test } from 'vitest';
import { runsPerAgent } from '../../src/broker/active-runs.ts';
import { Chronicler } from '../../src/broker/chronicler.ts';
import type { FlightId } from '../../src/domain/ids.ts';
import { inputOf } from '../support/asking.ts';
import { agentName, UnreliablePair } from '../support/unreliable-pair.ts';
import { waitFor } from '../support/wait-for.ts';

const address = `@${agentName}@left#main`;

async function invoke(pair: UnreliablePair, rerunnable = false): Promise<FlightId> {
  const { flight } = await pair.left.broker.invoke(inputOf(address, '', { rerunnable }));
  return flight.id;
}

test('a node that dies once an agent is removed, and before what was queued for it is ended, ends it when it starts', async () => {
  await using pair = await new UnreliablePair().start();
  const { left, right } = pair;
  const again = await invoke(pair, true);
  for (let run = 1; run < runsPerAgent; run += 1) await invoke(pair);
  await waitFor('all places to be taken', () => left.runs.length === runsPerAgent);
  const queued = await invoke(pair);
  // What is committed of a removal at the moment of such a death.
  await left.store.write.removeAgent({ stamp: new Chronicler(pair.clock, left.store.read.lastHlc()).stamp(), address });

  await left.die();
  await left.start(right);
  // What was queued before a start waits that long for the first word of a peer.
  await pair.clock.advance(3000);

  const gone = { state: 'failed', error: { code: 'unavailable', message: `${address} is no longer registered on its node` } };
  for (const id of [queued, again]) {
    await waitFor('its end', () => left.store.read.flight(id)?.finishedAtMs);
    expect(left.store.read.flight(id)).toMatchObject(gone);
  }
  expect(left.effects).toHaveLength(runsPerAgent);
  expect(left.store.read.queuedTargets()).toEqual([]);
});
