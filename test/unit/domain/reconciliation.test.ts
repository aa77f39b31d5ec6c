import { describe, expect, it } from 'vitest';
import { flightStates, isTerminal } from '../../../src/domain/flight.ts';
import { afterRestart, afterRollback, provesRollback, reconcile } from '../../../src/domain/reconciliation.ts';
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
    expect(reconcile({ state, lastSeq: 3 }, { lastSeq: state === 'unknown' ? 0 : 3, ...origin })).toBe(step);
  });

  it('sends only what the owner does not know and never acknowledged', () => {
    for (const state of ['unknown', ...flightStates] as const) {
      for (const receipted of [true, false]) {
        for (const cancelRequested of [true, false]) {
          const sends = reconcile({ state, lastSeq: 0 }, { receipted, cancelRequested, lastSeq: 0 }) === 'send';
          expect(sends).toBe(state === 'unknown' && !receipted && !cancelRequested);
        }
      }
    }
  });
});

describe('reconcile, of an owner that knows less than it reported', () => {
  it.each(flightStates)('%s there: indeterminate, its store was rolled back', (state) => {
    for (const cancelRequested of [true, false]) {
      expect(reconcile({ state, lastSeq: 2 }, { receipted: true, cancelRequested, lastSeq: 3 })).toBe('indeterminate');
      expect(reconcile({ state, lastSeq: 3 }, { receipted: true, cancelRequested, lastSeq: 3 })).not.toBe('indeterminate');
      expect(reconcile({ state, lastSeq: 4 }, { receipted: true, cancelRequested, lastSeq: 3 })).not.toBe('indeterminate');
    }
  });
});

describe('afterRollback', () => {
  const queued = { state: 'queued', lastSeq: 2, mayRerun: true } as const;
  const rows: readonly [string, Parameters<typeof afterRollback>[0], Parameters<typeof afterRollback>[1], ReturnType<typeof afterRollback>][] = [
    ['the origin knows nothing of it: indeterminate', queued, 'unknown', 'indeterminate'],
    ['the origin has seen it end: indeterminate', queued, { lastSeq: 2, terminal: true }, 'indeterminate'],
    ['the origin has more of it: it ran further than this copy knows', queued, { lastSeq: 3, terminal: false }, 'indeterminate'],
    ['the origin has no more, and it may run twice: released', queued, { lastSeq: 2, terminal: false }, 'release'],
    ['the origin has less, and it may run twice: released', queued, { lastSeq: 0, terminal: false }, 'release'],
    ['the origin has no more, which proves nothing: indeterminate', { ...queued, mayRerun: false }, { lastSeq: 2, terminal: false }, 'indeterminate'],
    ['it was running in this copy: indeterminate', { ...queued, state: 'running' }, { lastSeq: 2, terminal: false }, 'indeterminate'],
  ];
  it.each(rows)('%s', (_name, owner, origin, step) => {
    expect(afterRollback(owner, origin)).toBe(step);
  });

  it('never starts again by itself what its caller did not allow to run twice', () => {
    for (const state of flightStates) {
      for (const lastSeq of [0, 1, 2]) {
        for (const terminal of [true, false]) expect(afterRollback({ state, lastSeq: 1, mayRerun: false }, { lastSeq, terminal })).toBe('indeterminate');
      }
    }
  });
});

describe('provesRollback', () => {
  const boot = { previousEpoch: 10, epoch: 20 };
  it.each([
    ['nothing was seen', [], false],
    ['this boot was seen, and the one before', [20, 10], false],
    ['older boots were seen', [9, 3], false],
    ['a boot between the two that this store knows was seen', [15, 10], true],
    ['the same, when this boot was seen since', [20, 15], true],
  ])('%s', (_name, seen, proves) => {
    expect(provesRollback(seen, boot)).toBe(proves);
  });
});

describe('afterRestart', () => {
  const both = [true, false];
  const ways = both.flatMap((mayRerun) => both.map((mayReturn) => ({ mayRerun, mayReturn })));

  it('keeps what had not started and what had ended', () => {
    for (const state of flightStates) {
      if (state !== 'queued' && !isTerminal(state)) continue;
      for (const way of ways) expect(afterRestart(state, way)).toBe('keep');
    }
  });

  it.each([
    ['started or waiting: indeterminate', { mayRerun: false, mayReturn: false }, 'indeterminate'],
    ['and its caller allowed a second run: run again', { mayRerun: true, mayReturn: false }, 'requeue'],
    ['and its process may come back: left open', { mayRerun: false, mayReturn: true }, 'await'],
    ['its process may come back, and it may run twice: left open first, since it may run still', { mayRerun: true, mayReturn: true }, 'await'],
  ] as const)('%s', (_name, way, step) => {
    expect(afterRestart('running', way)).toBe(step);
    expect(afterRestart('waiting', way)).toBe(step);
  });

  it('never runs by itself what was not begun for sure', () => {
    for (const way of ways) expect(afterRestart('waking', way)).toBe('indeterminate');
  });
});
