/** How a flight that runs here has ended: by its agent, or by what ended it. */
import { BrokerError, toBrokerError } from '../domain/errors.ts';
import type { ErrorInfo } from '../domain/errors.ts';
import type { Outcome } from '../domain/flight-event.ts';
import type { RunEnd } from '../domain/harness-port.ts';
import { mayHaveRun } from '../domain/reconciliation.ts';

/** What ends a run before its agent does. */
export type StopCause = 'cancel' | 'rolled back' | 'run limit' | 'idle limit' | 'total deadline' | 'node stopped';

export const lostSight: ErrorInfo = {
  code: 'internal',
  message: 'its node lost sight of it after it was started: it may or may not have done its work',
  hint: 'the log of that node says why; see what it did before you invoke it again',
};

export const outputLost: ErrorInfo = {
  code: 'unavailable',
  message: 'its node could not store all of its output',
  hint: 'make room on the disk of that node; what was stored is in flight output',
};

/** @returns the agent's own end as the flight's outcome. A failure of the agent itself carries no error code. */
export function outcomeOf(end: RunEnd): Outcome {
  if (end.error !== undefined) return { state: 'failed', error: toBrokerError(new BrokerError(end.error.code, end.error.message, end.error)).toInfo() };
  if (end.signal !== undefined) return { state: 'failed', signal: end.signal };
  return { state: end.exitCode === 0 ? 'completed' : 'failed', exitCode: end.exitCode ?? -1 };
}

/** On a flight that has not started. A node that stops leaves it queued. */
export function verdictBeforeStart(cause: StopCause | undefined): Outcome | undefined {
  if (cause === 'total deadline') return { state: 'expired', error: expiredError() };
  return cause === undefined || cause === 'node stopped' ? undefined : verdictOn(cause, 0);
}

export function verdictOn(cause: StopCause, ended: number): Outcome {
  switch (cause) {
    case 'cancel':
      return { state: 'cancelled', ended };
    case 'rolled back':
      return { state: 'indeterminate', ended, error: mayHaveRun };
    case 'node stopped':
      return {
        state: 'indeterminate',
        ended,
        error: { code: 'cancelled', message: 'its node was stopped by force while it ran', hint: 'see what it did, then invoke it again' },
      };
    case 'run limit':
    case 'idle limit':
    case 'total deadline':
      return { state: 'failed', ended, error: { code: 'deadline', message: `the agent was ended: it overran its ${cause}` } };
  }
}

export function expiredError(): { code: 'cancelled'; message: string } {
  return { code: 'cancelled', message: 'its queue deadline passed before it could start' };
}
