/** What one call to a free agent of another node takes: writes at both nodes, and messages between them. More of either is felt in every call. */
import { expect, test } from 'vitest';
import type { InvokeInput } from '../../src/broker/api.ts';
import type { InvocationId } from '../../src/domain/ids.ts';
import type { PeerMessage } from '../../src/domain/messages.ts';
import { inputOf } from '../support/asking.ts';
import { agentName, UnreliablePair } from '../support/unreliable-pair.ts';
import type { Machine } from '../support/unreliable-pair.ts';
import { waitFor } from '../support/wait-for.ts';

/** Names of what the store of that node is asked to write, from now on. */
function writesOf({ store }: Machine): string[] {
  const asked: string[] = [];
  const { write } = store;
  for (const [name, perform] of Object.entries(write) as [string, (input: unknown) => unknown][]) {
    Object.assign(write, {
      [name]: (input: unknown) => {
        asked.push(name);
        return perform(input);
      },
    });
  }
  return asked;
}

/** What that node says to the other, from now on. */
function wordsOf({ link }: Machine): PeerMessage['type'][] {
  if (link === undefined) throw new Error('no link');
  const said: PeerMessage['type'][] = [];
  const send = link.send.bind(link);
  link.send = (message) => {
    said.push(message.type);
    send(message);
  };
  return said;
}

const ofCalls = (names: readonly string[]): string[] => names.filter((name) => !['presence', 'note', 'saw', 'prune'].includes(name));

/** Two nodes with a link, of which left knows the agent of right. */
async function linkedPair(): Promise<UnreliablePair> {
  const pair = await new UnreliablePair().start();
  pair.connect();
  await waitFor('left to know the agent of right', async () => {
    await pair.peace();
    return (await pair.left.broker.listAgents({}, { limit: 10 })).items.length === 2;
  });
  return pair;
}

function input(owner: Machine, text: Uint8Array): InvokeInput {
  return inputOf(`@${agentName}@${owner.name}#main`, text);
}

test('a call to a free agent of another node is two writes at its origin, three at its owner, and three messages: of what it brings back in two parts, one more of each', async () => {
  await using pair = await linkedPair();
  const { left, right } = pair;
  const counted = { left: writesOf(left), right: writesOf(right), there: wordsOf(left), back: wordsOf(right) };
  const { flight } = await left.broker.invoke(input(right, new TextEncoder().encode('go')));
  await waitFor('the call to be over, and its owner to know that its origin does', async () => {
    await pair.peace();
    return left.store.read.flight(flight.id)?.state === 'completed' && counted.right.includes('acknowledged');
  });
  // That it has begun is told alone when the agent takes longer than a moment.
  const parts = counted.back.filter((type) => type === 'flight_events').length;
  const each = <Name extends string>(name: Name): Name[] => Array.from({ length: parts }, () => name);
  expect(parts).toBeLessThanOrEqual(2);
  expect(ofCalls(counted.left)).toEqual(['accept', ...each('applyEvents')]);
  expect(ofCalls(counted.right)).toEqual(['receive', 'finish', 'acknowledged']);
  expect(ofCalls(counted.there)).toEqual(['forward', ...each('event_ack')]);
  expect(ofCalls(counted.back)).toEqual(each('flight_events'));
});

test('a large task that waited, for a link or for its turn, is not read on the thread that sends heartbeats', async () => {
  await using pair = await linkedPair();
  const { left, right } = pair;
  const read: number[] = [];
  for (const { store } of [left, right]) {
    const task = store.read.task.bind(store.read);
    Object.assign(store.read, {
      task: (id: InvocationId) => {
        const found = task(id);
        read.push(found?.text.length ?? 0);
        return found;
      },
    });
  }
  pair.notice(left);
  pair.notice(right);
  const large = new Uint8Array(1024 * 1024).fill(97);
  // More than run at once: some are started later, with what is stored.
  const flights = await Promise.all([large, large, large, large, large, large, new Uint8Array(10)].map((text) => left.broker.invoke(input(right, text))));
  pair.connect();
  await waitFor('all of them to be over', async () => {
    await pair.peace();
    await pair.clock.advance(1000);
    return flights.every(({ flight }) => left.store.read.flight(flight.id)?.state === 'completed');
  });
  expect(right.effects.length).toBe(flights.length);
  expect(read.filter((length) => length > 10)).toEqual([]);
});
