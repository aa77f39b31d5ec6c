/** Whether an invocation may be made anew, as far as its origin can know that this runs nothing twice. */
import type { Delivery, Flight } from './records.ts';
import { isTerminal } from './flight.ts';

/**
 * - `yes`: it has never started, by the owner's word or because it never left this node.
 * - `confirm`: it may have run, wholly or in part: only a person can know that running it again does no harm.
 * - `done`: it has completed.
 * - `open`: it may still run.
 */
export type RedriveVerdict = 'yes' | 'confirm' | 'done' | 'open';

type Ended = Pick<Flight, 'state' | 'verdictBy' | 'startedAtMs'>;

export function mayRedrive(flight: Ended, delivery: Pick<Delivery, 'status' | 'attempts'>): RedriveVerdict {
  if (!isTerminal(flight.state)) return 'open';
  if (flight.state === 'completed') return 'done';
  if (flight.state === 'indeterminate' || flight.startedAtMs !== undefined) return 'confirm';
  if (flight.verdictBy === 'owner') return 'yes';
  // The origin's own verdict: sure where nothing was sent, or where the owner has promised never to take it.
  return delivery.attempts === 0 || delivery.status === 'cancelled' ? 'yes' : 'confirm';
}
