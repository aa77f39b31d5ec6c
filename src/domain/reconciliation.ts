/**
 * What follows when the two sides of a flight compare what they hold: on session start, and on the owner's restart.
 * A table, one row a rule; nothing here acts.
 */
import { isTerminal } from './flight.ts';
import type { FlightState } from './flight.ts';

/** The origin's side of a flight that it has sent at least once and not seen end. */
export interface OriginView {
  /** The owner's receipt is stored here. */
  readonly receipted: boolean;
  readonly cancelRequested: boolean;
}

/** The owner's side; `unknown` when it holds nothing of the flight. */
export interface OwnerView {
  readonly state: FlightState | 'unknown';
}

/**
 * - `send`: the owner never got it, or lost it before it could say so: the invocation goes out again.
 * - `cancel`: the user's cancel stands and the owner has not confirmed it: say it (again).
 * - `indeterminate`: the owner once said `received` and now knows nothing: its store was rolled back; never sent again.
 * - `continue`: the owner holds it and reports from where the origin's events end.
 */
export type OriginStep = 'send' | 'cancel' | 'indeterminate' | 'continue';

export function reconcile(owner: OwnerView, origin: OriginView): OriginStep {
  if (owner.state === 'unknown') {
    if (origin.receipted) return 'indeterminate';
    return origin.cancelRequested ? 'cancel' : 'send';
  }
  return origin.cancelRequested && !isTerminal(owner.state) ? 'cancel' : 'continue';
}

/** What an owner that starts again makes of work it finds in this state. Queued and finished work is as it was. */
export function afterRestart(state: FlightState, rerunnable: boolean): 'keep' | 'requeue' | 'indeterminate' {
  switch (state) {
    case 'waking':
    case 'running':
    case 'waiting':
      return rerunnable && state !== 'waking' ? 'requeue' : 'indeterminate';
    case 'queued':
    case 'completed':
    case 'failed':
    case 'cancelled':
    case 'expired':
    case 'indeterminate':
      return 'keep';
  }
}
