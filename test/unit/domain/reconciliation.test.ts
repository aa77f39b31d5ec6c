import { describe, expect, it } from 'vitest';
import { flightStates, isTerminal } from '../../../src/domain/flight.ts';
import { afterRestart, reconcile } from '../../../src/domain/reconciliation.ts';
import type { OriginStep } from '../../../src/domain/reconciliation.ts';

describe('reconcile', () => {
  const rows: readonly [string, Parameters<typeof reconcile>[0]['state'], { receipted: boolean; cancelRequested: boolean }, OriginStep][] = [
    ['the owner knows nothing and never said received: send', 'unknown', { receipted: false, cancelRequested: false }, 'send'],
    ['the owner knows nothing and said received once: indeterminate, never sent again', 'unknown', { receipted: true, cancelRequested: false }, 'indeterminate'],
    ['the same with a cancel: still indeterminate, it may have run', 'unknown', { receipted: true, cancelRequested: true }, 'indeterminate'],
    ['cancelled before the owner had it: the cancel goes instead of the work', 'unknown', { receipted: false, cancelRequested: true }, 'cancel'],
    ['queued at the owner: goes on', 'queued', { receipted: true, cancelRequested: false }, 'continue'],
    ['queued at the owner, receipt lost: goes on, it is not sent again', 'queued', { receipted: false, cancelRequested: false }, 'continue'],
    ['running at the owner, cancel not confirmed: said again', 'running', { receipted: true, cancelRequested: true }, 'cancel'],
    ['terminal at the owner wins over a cancel', 'completed', { receipted: true, cancelRequested: true }, 'continue'],
    ['terminal at the owner: its events follow', 'failed', { receipted: true, cancelRequested: false }, 'continue'],
  ];
  it.each(rows)('%s', (_name, state, origin, step) => {
    expect(reconcile({ state }, origin)).toBe(step);
  });

  it('sends only what the owner does not know and never acknowledged', () => {
    for (const state of ['unknown', ...flightStates] as const) {
      for (const receipted of [true, false]) {
        for (const cancelRequested of [true, false]) {
          const sends = reconcile({ state }, { receipted, cancelRequested }) === 'send';
          expect(sends).toBe(state === 'unknown' && !receipted && !cancelRequested);
        }
      }
    }
  });
});

describe('afterRestart', () => {
  it('keeps what had not started and what had ended', () => {
    for (const state of flightStates) {
      if (state !== 'queued' && !isTerminal(state)) continue;
      expect(afterRestart(state, true)).toBe('keep');
      expect(afterRestart(state, false)).toBe('keep');
    }
  });

  it('runs again by itself only what the caller called rerunnable', () => {
    expect(afterRestart('running', false)).toBe('indeterminate');
    expect(afterRestart('waiting', false)).toBe('indeterminate');
    expect(afterRestart('running', true)).toBe('requeue');
    expect(afterRestart('waiting', true)).toBe('requeue');
  });
});
