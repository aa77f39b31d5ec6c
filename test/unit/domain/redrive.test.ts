import { describe, expect, test } from 'vitest';
import { deliveryStates } from '../../../src/domain/delivery.ts';
import { flightStates, isTerminal } from '../../../src/domain/flight.ts';
import { mayRedrive } from '../../../src/domain/redrive.ts';
import type { RedriveVerdict } from '../../../src/domain/redrive.ts';

type Row = readonly [what: string, flight: Parameters<typeof mayRedrive>[0], delivery: Parameters<typeof mayRedrive>[1], verdict: RedriveVerdict];

const rows: readonly Row[] = [
  ['expired here, never sent', { state: 'expired', verdictBy: 'origin' }, { status: 'dead', attempts: 0 }, 'yes'],
  ['expired at its owner', { state: 'expired', verdictBy: 'owner' }, { status: 'received', attempts: 1 }, 'yes'],
  ['refused by its owner', { state: 'failed', verdictBy: 'owner' }, { status: 'rejected', attempts: 2 }, 'yes'],
  ['its agent was gone before the start', { state: 'failed', verdictBy: 'owner' }, { status: 'received', attempts: 1 }, 'yes'],
  ['cancelled before it was sent', { state: 'cancelled', verdictBy: 'origin' }, { status: 'cancelled', attempts: 0 }, 'yes'],
  ['cancelled, and its owner never had it', { state: 'cancelled', verdictBy: 'origin' }, { status: 'cancelled', attempts: 3 }, 'yes'],
  ['cancelled in the queue of its owner', { state: 'cancelled', verdictBy: 'owner' }, { status: 'received', attempts: 1 }, 'yes'],
  ['sent without hold, the link lost before the receipt', { state: 'failed', verdictBy: 'origin' }, { status: 'dead', attempts: 1 }, 'confirm'],
  ['cancelled in the middle of its work', { state: 'cancelled', verdictBy: 'owner', startedAtMs: 1 }, { status: 'received', attempts: 1 }, 'confirm'],
  ['failed by its agent', { state: 'failed', verdictBy: 'owner', startedAtMs: 1 }, { status: 'received', attempts: 1 }, 'confirm'],
  ['indeterminate', { state: 'indeterminate', verdictBy: 'owner' }, { status: 'received', attempts: 1 }, 'confirm'],
  ['indeterminate by the origin, never seen to start', { state: 'indeterminate', verdictBy: 'origin' }, { status: 'dead', attempts: 1 }, 'confirm'],
  ['completed', { state: 'completed', verdictBy: 'owner', startedAtMs: 1 }, { status: 'received', attempts: 1 }, 'done'],
];

describe('an invocation may be made anew', () => {
  test.each(rows)('%s', (_what, flight, delivery, verdict) => {
    expect(mayRedrive(flight, delivery)).toBe(verdict);
  });

  test('never while it is open, and never without asking once it has started', () => {
    for (const state of flightStates) {
      for (const status of deliveryStates) {
        for (const attempts of [0, 1]) {
          if (!isTerminal(state)) expect(mayRedrive({ state }, { status, attempts })).toBe('open');
          else expect(mayRedrive({ state, verdictBy: 'owner', startedAtMs: 1 }, { status, attempts })).not.toBe('yes');
        }
      }
    }
  });
});
