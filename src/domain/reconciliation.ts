/**
 * What follows when the two sides of a flight compare what they hold: on session start, and on the owner's restart.
 * A table, one row a rule; nothing here acts.
 */
import type { ErrorInfo } from './errors.ts';
import { isTerminal } from './flight.ts';
import type { FlightState } from './flight.ts';

/** The origin's side of a flight that it has sent at least once and not seen end. */
export interface OriginView {
  /** The owner's receipt is stored here. */
  readonly receipted: boolean;
  readonly cancelRequested: boolean;
  /** Of the last event stored here. */
  readonly lastSeq: number;
}

/** The owner's side; `unknown` when it holds nothing of the flight. */
export interface OwnerView {
  readonly state: FlightState | 'unknown';
  readonly lastSeq: number;
}

/**
 * - `send`: the owner never got it, or lost it before it could say so: the invocation goes out again.
 * - `cancel`: the user's cancel stands and the owner has not confirmed it: say it (again).
 * - `indeterminate`: the owner once said `received` and now knows nothing, or has reported more than it now knows: its
 *   store was rolled back; never sent again.
 * - `continue`: the owner holds it and reports from where the origin's events end.
 */
export type OriginStep = 'send' | 'cancel' | 'indeterminate' | 'continue';

export function reconcile(owner: OwnerView, origin: OriginView): OriginStep {
  if (owner.state === 'unknown') {
    if (origin.receipted) return 'indeterminate';
    return origin.cancelRequested ? 'cancel' : 'send';
  }
  // Events leave an owner after they are durable, so that it can't be behind unless its store was put back.
  if (owner.lastSeq < origin.lastSeq) return 'indeterminate';
  return origin.cancelRequested && !isTerminal(owner.state) ? 'cancel' : 'continue';
}

/** What an owner knows, when it starts again, of a flight that it was at. */
export interface Interrupted {
  /** Its caller allowed a second run, and does not want it ended. */
  readonly mayRerun: boolean;
  /** Its agent is a process of its own, which may still be at work and come back to say so. */
  readonly mayReturn: boolean;
}

/**
 * What an owner that starts again makes of work it finds in this state. Queued and finished work is as it was. `await`:
 * left open for as long as its process may take to come back; asked again afterwards, with `mayReturn` false.
 */
export function afterRestart(state: FlightState, { mayRerun, mayReturn }: Interrupted): 'keep' | 'await' | 'requeue' | 'indeterminate' {
  switch (state) {
    case 'waking':
      return 'indeterminate';
    case 'running':
    case 'waiting':
      if (mayReturn) return 'await';
      return mayRerun ? 'requeue' : 'indeterminate';
    case 'queued':
    case 'completed':
    case 'failed':
    case 'cancelled':
    case 'expired':
    case 'indeterminate':
      return 'keep';
  }
}

/** What an origin has of a flight, as it tells an owner that asks. */
export interface OriginStanding {
  /** Of the last event stored there. */
  readonly lastSeq: number;
  readonly terminal: boolean;
}

/**
 * What an owner whose store was rolled back makes of work that its copy shows as open, once the origin was asked. That
 * the origin has heard no more of it proves nothing: it may have run while no link was up. So only what may run twice
 * runs, and only where this history can go on.
 */
export function afterRollback(
  owner: { readonly state: FlightState; readonly lastSeq: number; readonly mayRerun: boolean },
  origin: OriginStanding | 'unknown',
): 'release' | 'indeterminate' {
  if (origin === 'unknown' || origin.terminal || origin.lastSeq > owner.lastSeq) return 'indeterminate';
  return owner.state === 'queued' && owner.mayRerun ? 'release' : 'indeterminate';
}

export const mayHaveRun: ErrorInfo = {
  code: 'unavailable',
  message: 'the store of its node was put back to an older state: it may or may not have run since',
  hint: 'see what it did before you invoke it again',
};

/** A peer saw boots of this node that its store does not know: it was put back to an older state. */
export function provesRollback(seenEpochs: readonly number[], boot: { readonly previousEpoch: number; readonly epoch: number }): boolean {
  return seenEpochs.some((each) => each > boot.previousEpoch && each < boot.epoch);
}
