/** Waiting for a flight to come to something, with an end. */
import type { FlightId } from '../domain/ids.ts';
import type { Clock } from '../domain/ports.ts';
import type { Feed } from './feed.ts';

/** Looks now and at each change of the flight. @returns what `look` found, or undefined after `waitMs` */
export async function until<Found>(
  { feed, clock }: { readonly feed: Feed; readonly clock: Clock },
  flightId: FlightId,
  waitMs: number,
  look: () => Found | undefined,
): Promise<Found | undefined> {
  const over = new AbortController();
  const cancelTimer = clock.setTimer(waitMs, () => over.abort());
  try {
    for (;;) {
      const found = look();
      if (found !== undefined || over.signal.aborted) return found;
      await feed.next(flightId, over.signal);
    }
  } finally {
    cancelTimer();
  }
}
