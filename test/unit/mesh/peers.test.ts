import { expect, test } from 'vitest';
import type { NodeId } from '../../../src/domain/ids.ts';
import { PeerTable } from '../../../src/mesh/peers.ts';
import { FakeClock } from '../../support/fake-clock.ts';

const nodeId = 'desktop' as NodeId;

function table() {
  const clock = new FakeClock();
  const moves: string[] = [];
  const peers = new PeerTable(clock, ({ state }, from) => void moves.push(`${from} > ${state}`));
  peers.discovered({ nodeId, name: 'desktop' }, 'member');
  return { clock, moves, peers };
}

test('suspicion comes before unreachable, and each change is told with its reason and time', async () => {
  const { clock, moves, peers } = table();
  peers.move(nodeId, 'alive', 'connected');
  await clock.advance(5000);
  peers.move(nodeId, 'unreachable', 'it said goodbye');
  expect(moves).toEqual(['discovered > alive', 'alive > suspect', 'suspect > unreachable']);
  expect(peers.views()).toEqual([{ nodeId, name: 'desktop', state: 'unreachable', why: 'it said goodbye', sinceMs: clock.now(), source: 'member' }]);
});

test('the same state again changes the reason and not the time', async () => {
  const { clock, moves, peers } = table();
  peers.move(nodeId, 'unreachable', 'refused');
  const sinceMs = clock.now();
  await clock.advance(5000);
  peers.move(nodeId, 'unreachable', 'no answer');
  expect(peers.views()[0]).toMatchObject({ why: 'no answer', sinceMs });
  expect(moves).toHaveLength(1);
});

test('a suspect without a link is unreachable after 10 s, one with a link stays a suspect', async () => {
  const { clock, peers } = table();
  peers.move(nodeId, 'alive', 'connected');
  peers.move(nodeId, 'suspect', 'reset');
  await clock.advance(9_999);
  peers.expire(() => false);
  expect(peers.state(nodeId)).toBe('suspect');
  await clock.advance(1);
  peers.expire(() => true);
  expect(peers.state(nodeId)).toBe('suspect');
  peers.expire(() => false);
  expect(peers.state(nodeId)).toBe('unreachable');
});

test('one that was removed is not revived but through discovery', () => {
  const { moves, peers } = table();
  peers.move(nodeId, 'removed', 'removed by its owner');
  peers.move(nodeId, 'suspect', 'reset');
  expect(peers.state(nodeId)).toBe('removed');
  peers.move(nodeId, 'alive', 'connected');
  expect(moves.slice(1)).toEqual(['removed > discovered', 'discovered > alive']);
});
