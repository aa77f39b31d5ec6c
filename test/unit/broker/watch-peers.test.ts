import { expect, test } from 'vitest';
import type { PeersUpdate } from '../../../src/broker/api.ts';
import { watchPeers } from '../../../src/broker/watch-peers.ts';
import type { NodeId } from '../../../src/domain/ids.ts';
import type { Mesh, PeerView } from '../../../src/domain/mesh-port.ts';
import type { PeerState } from '../../../src/domain/peer.ts';
import { FakeClock } from '../../support/fake-clock.ts';

const view = (state: PeerState): PeerView => ({ nodeId: 'desktop' as NodeId, name: 'desktop', state, why: '', sinceMs: 0 });

function scene() {
  const clock = new FakeClock();
  const letGo = new AbortController();
  let tell: ((peer: PeerView, from: PeerState | undefined) => void) | undefined;
  const mesh = {
    peers: () => [view('alive')],
    onPeer: (listen: typeof tell) => {
      tell = listen;
      return () => (tell = undefined);
    },
  } as unknown as Mesh;
  const updates = watchPeers({ mesh, clock }, letGo.signal);
  const next = async (): Promise<PeersUpdate | undefined> => (await updates.next()).value as PeersUpdate | undefined;
  return { clock, letGo, next, updates, tell: (state: PeerState, from: PeerState) => tell?.(view(state), from), isListening: () => tell !== undefined };
}

test('all peers come first, then each change in order, and all again after 2 s', async () => {
  const { clock, next, tell } = scene();
  expect(await next()).toMatchObject({ type: 'all', peers: [{ state: 'alive' }] });
  tell('suspect', 'alive');
  tell('alive', 'suspect');
  expect(await next()).toMatchObject({ type: 'changed', peer: { state: 'suspect' }, from: 'alive' });
  expect(await next()).toMatchObject({ type: 'changed', peer: { state: 'alive' }, from: 'suspect' });
  const waiting = next();
  await clock.advance(2000);
  expect(await waiting).toMatchObject({ type: 'all' });
});

test('a change is told as it comes', async () => {
  const { next, tell } = scene();
  await next();
  const waiting = next();
  await Promise.resolve();
  tell('suspect', 'alive');
  expect(await waiting).toMatchObject({ type: 'changed' });
});

test('a reader that falls far behind gets all again, not everything', async () => {
  const { next, tell } = scene();
  await next();
  for (let each = 0; each < 5_000; each += 1) tell('suspect', 'alive');
  let changes = 0;
  for (let update = await next(); update?.type === 'changed'; update = await next()) changes += 1;
  expect(changes).toBeLessThanOrEqual(1_000);
});

test('who lets go is forgotten, with every timer', async () => {
  const { clock, letGo, next, isListening } = scene();
  await next();
  const waiting = next();
  await Promise.resolve();
  letGo.abort();
  expect(await waiting).toBeUndefined();
  expect([isListening(), clock.pending]).toEqual([false, 0]);
});
