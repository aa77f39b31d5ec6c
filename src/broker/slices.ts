/** Long work on the one thread, in slices that heartbeats can live with. */
import { pause } from '../domain/pause.ts';
import type { Clock } from '../domain/ports.ts';

const sliceMs = 3;

/** Does `work` with each, one after the other; after every 3 ms something else gets its turn. @throws what `work` throws */
export async function inSlices<Item>(clock: Clock, items: Iterable<Item>, work: (item: Item) => void): Promise<void> {
  let untilMs = clock.monotonic() + sliceMs;
  for (const item of items) {
    work(item);
    if (clock.monotonic() < untilMs) continue;
    await pause(clock, 0);
    untilMs = clock.monotonic() + sliceMs;
  }
}
