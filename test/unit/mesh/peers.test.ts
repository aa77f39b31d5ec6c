import { expect, test } from 'vitest';
import type { NodeId } from '../../../src/domain/ids.ts';
import { PeerTable } from '../../../src/mesh/peers.ts';
import { FakeClock } from '../../support/fake-clock.ts';

const nodeId = 'desktop' as NodeId;

function table() {
  const clock = new FakeClock();
  const moves: string[] = [];
  const peers = new PeerTable(clock, ({ state }, from) => void moves.push(`${from ?? 'nothing'} > ${state}`));
  peers.discovered({ nodeId, name: 'desktop' }, 'member');
  moves.length = 0;
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

test('a peer that becomes known is told once', () => {
  const moves: (string | undefined)[] = [];
  const peers = new PeerTable(new FakeClock(), (_peer, from) => void moves.push(from));
  peers.discovered({ nodeId, name: 'desktop' }, 'member');
  peers.discovered({ nodeId, name: 'renamed' }, 'member');
  expect(moves).toEqual([undefined]);
  expect(peers.nameOf(nodeId)).toBe('renamed');
});

test('one that was removed is not revived but through discovery', () => {
  const { moves, peers } = table();
  peers.move(nodeId, 'removed', 'removed by its owner');
  peers.move(nodeId, 'suspect', 'reset');
  expect(peers.state(nodeId)).toBe('removed');
  peers.move(nodeId, 'alive', 'connected');
  expect(moves.slice(1)).toEqual(['removed > discovered', 'discovered > alive']);
});
