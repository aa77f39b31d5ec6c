/** Watching one flight to its end, or until it is let go. */
import type { FlightId } from '../domain/ids.ts';
import type { Flight } from '../domain/records.ts';
import type { FlightUpdate, NodeClient } from '../client/types.ts';
import type { Context } from './context.ts';
import { exitOfFlight, exitStillGoing } from './exit.ts';
import { FlightView } from './flight-view.ts';
import type { ViewOptions } from './flight-view.ts';
import { cancelWaitMs, Interrupts } from './interrupts.ts';
import type { InterruptOptions, Interruptible } from './interrupts.ts';
import { ReaderGone } from './output.ts';

/**
 * Shows each update that `open` gives and ends as the flight does; 10 when it was let go.
 * @throws BrokerError of the stream
 */
export async function watch(
  context: Context,
  client: NodeClient,
  open: (signal: AbortSignal) => AsyncIterable<FlightUpdate>,
  options: ViewOptions & InterruptOptions,
): Promise<number> {
  const view = new FlightView(context, options);
  const interrupts = new Interrupts(context, options, view);
  let ended: Flight | undefined;
  interrupts.start();
  try {
    for await (const update of open(interrupts.reading)) {
      if (update.type === 'finished') ended = update.flight;
      if (update.type === 'accepted') interrupts.accepted(oneFlight(client, update.flightId));
      else await interrupts.quiet;
      if (update.type === 'finished') await interrupts.cancelTold;
      if (interrupts.reading.aborted) break;
      await view.show(update);
    }
  } catch (thrown) {
    if (!(thrown instanceof ReaderGone)) throw thrown;
  } finally {
    interrupts.stop();
    view.close();
  }
  return ended === undefined ? exitStillGoing : exitOfFlight(ended);
}

function oneFlight(client: NodeClient, flightId: FlightId): Interruptible {
  return {
    cancel: async () => (await client.cancelFlight(flightId, cancelWaitMs)).confirmed,
    again: `beckon flight follow ${flightId.slice(-6)}`,
    fields: { flightId },
  };
}
