/** The peers as a stream: all of them, then each change in order, for one reader. */
import type { Mesh } from '../domain/mesh-port.ts';
import type { Clock } from '../domain/ports.ts';
import type { PeersUpdate } from './api.ts';
import { WakeablePause } from './wakeable-pause.ts';

/** How often round trips and times of last signs are told anew, ms. */
const refreshMs = 2_000;
/** Changes that wait for a slow reader; beyond that it gets all peers again instead. */
const mostWaiting = 1_000;

/** Ends when `signal` aborts. Every change between two lists is told, unless the reader falls far behind. */
export async function* watchPeers({ mesh, clock }: { readonly mesh: Mesh; readonly clock: Clock }, signal: AbortSignal): AsyncGenerator<PeersUpdate> {
  const changes: PeersUpdate[] = [];
  let dueMs = clock.monotonic();
  const pause = new WakeablePause(clock, signal);
  const stop = mesh.onPeer((peer, from) => {
    if (changes.length >= mostWaiting) {
      changes.length = 0;
      dueMs = clock.monotonic();
    }
    changes.push({ type: 'changed', atMs: clock.now(), peer, ...(from === undefined ? {} : { from }) });
    pause.wake();
  });
  try {
    while (!signal.aborted) {
      const leftMs = dueMs - clock.monotonic();
      if (leftMs <= 0) {
        dueMs = clock.monotonic() + refreshMs;
        const all: PeersUpdate = { type: 'all', atMs: clock.now(), peers: mesh.peers() };
        yield* changes.splice(0);
        yield all;
      } else if (changes.length > 0) yield* changes.splice(0);
      else await pause.wait(leftMs);
    }
  } finally {
    stop();
  }
}
