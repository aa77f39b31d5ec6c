/** What a run's end makes of its flight. */
import { BrokerError, toBrokerError } from '../domain/errors.ts';
import type { ErrorInfo } from '../domain/errors.ts';
import type { Outcome } from '../domain/flight-event.ts';
import type { RunEnd } from '../domain/harness-port.ts';
import { mayHaveRun } from '../domain/reconciliation.ts';

/** Why a run was ended from outside; the first cause makes the verdict. */
export type StopCause = 'cancel' | 'not allowed' | 'rolled back' | 'run limit' | 'idle limit' | 'total deadline' | 'node stopped' | 'caller removed';

export const lostSight: ErrorInfo = {
  code: 'internal',
  message: 'its node lost sight of it after it was started: it may or may not have done its work',
  hint: 'the log of that node says why; see what it did before you invoke it again',
};

const notAllowed: ErrorInfo = {
  code: 'denied',
  message: 'what allowed it was taken back before it had started',
  hint: 'its owner can allow it again: beckon agent share',
};

export const outputLost: ErrorInfo = {
  code: 'unavailable',
  message: 'its node could not store all of its output',
  hint: 'make room on the disk of that node; what was stored is in flight output',
};

/** @returns the agent's own end as the flight's outcome. A failure of the agent itself has an exit code or a signal, in words or without. */
function outcomeOf(end: RunEnd): Outcome {
  const { exitCode, signal, error } = end;
  if (error !== undefined) return { state: 'failed', error, ...(exitCode === undefined ? {} : { exitCode }), ...(signal === undefined ? {} : { signal }) };
  if (signal !== undefined) return { state: 'failed', signal };
  return { state: exitCode === 0 ? 'completed' : 'failed', exitCode: exitCode ?? -1 };
}

/** A stop has its own verdict, but for a cancel that nobody confirms: what goes on at its agent is not called cancelled. */
export function verdictFrom(cause: StopCause | undefined, end: RunEnd, ended: number): Outcome {
  if (end.isUnknown === true && (cause === undefined || cause === 'cancel' || cause === 'caller removed')) return { state: 'indeterminate', error: end.error ?? lostSight };
  return cause === undefined ? outcomeOf(end) : verdictOn(cause, ended);
}

/** On a flight that can't start, or is not to. Undefined when its node stops: it stays queued. */
export function verdictBeforeStart(cause: StopCause | undefined, why: unknown): Outcome | undefined {
  if (cause === undefined) return { state: 'failed', error: toBrokerError(why).toInfo() };
  if (cause === 'total deadline') return { state: 'expired', error: expiredError() };
  if (cause === 'caller removed') return { state: 'failed', error: callerRemoved('before it could start') };
  return cause === 'node stopped' ? undefined : verdictOn(cause, 0);
}

export function verdictOn(cause: StopCause, ended: number): Outcome {
  switch (cause) {
    case 'cancel':
      return { state: 'cancelled', ended };
    case 'caller removed':
      return { state: 'cancelled', ended, error: callerRemoved('while it ran') };
    case 'not allowed':
      return { state: 'failed', ended, error: notAllowed };
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

function callerRemoved(when: string): ErrorInfo {
  return { code: 'denied', message: `the node that asked for it was removed from the mesh ${when}` };
}

/** @param why as far as it is known */
export function agentGone(address: string, why?: string): BrokerError {
  return new BrokerError('unavailable', `${address} is no longer registered on its node${why === undefined ? '' : `: ${why}`}`, {
    hint: 'see what is: beckon agents',
    detail: { reason: 'agent_offline' },
  });
}

export function expiredError(): { code: 'cancelled'; message: string } {
  return { code: 'cancelled', message: 'its queue deadline passed before it could start' };
}
