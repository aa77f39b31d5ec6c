/** Ending all flights of a group. */
import { BrokerError } from '../domain/errors.ts';
import { isTerminal } from '../domain/flight.ts';
import type { Flight } from '../domain/records.ts';
import type { NodeClient } from '../client/types.ts';

export interface CancelledMember {
  readonly flight: Flight;
  /** Its owner said so, or it was over before. */
  readonly confirmed: boolean;
}

/** What has ended by itself is left as it is. @throws BrokerError other than that */
export async function cancelGroup(client: Pick<NodeClient, 'cancelFlight' | 'getFlight'>, flights: readonly Flight[], waitMs: number): Promise<readonly CancelledMember[]> {
  return Promise.all(
    flights.map(async (flight): Promise<CancelledMember> => {
      if (isTerminal(flight.state)) return { flight, confirmed: true };
      try {
        return await client.cancelFlight(flight.id, waitMs);
      } catch (thrown) {
        if (!(thrown instanceof BrokerError) || thrown.code !== 'conflict') throw thrown;
        return { flight: (await client.getFlight(flight.id)).flight, confirmed: true };
      }
    }),
  );
}
