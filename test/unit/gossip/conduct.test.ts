import { expect, test } from 'vitest';
import { Allowance } from '../../../src/domain/allowance.ts';
import { Conduct, mostFaults, shunnedMs } from '../../../src/gossip/conduct.ts';
import { nodeIdFor } from '../../support/temp-store.ts';

const one = nodeIdFor(1);

test('a neighbour is shunned for its twentieth fault in a minute, and forgiven after five', () => {
  const conduct = new Conduct();
  const faults = Array.from({ length: mostFaults }, (_, index) => conduct.fault(one, index * 1000));
  expect(faults.indexOf(true)).toBe(mostFaults - 1);
  expect(conduct.isShunned(one, 19_000)).toBe(true);
  expect(conduct.fault(one, 20_000)).toBe(false);
  expect([conduct.isShunned(one, 19_000 + shunnedMs - 1), conduct.isShunned(one, 19_000 + shunnedMs)]).toEqual([true, false]);
});

test('a fault now and then is none', () => {
  const conduct = new Conduct();
  const faults = Array.from({ length: 100 }, (_, index) => conduct.fault(one, index * 10_000));
  expect(faults).not.toContain(true);
});

test('nothing is remembered of those that are members no longer', () => {
  const conduct = new Conduct();
  for (let count = 0; count < mostFaults; count += 1) conduct.fault(one, 0);
  conduct.retain(() => false);
  expect(conduct.isShunned(one, 0)).toBe(false);
});

test.each([
  { what: 'nothing while there is some left', costs: [[10, 0]], waits: [0] },
  { what: 'the time until it is paid for', costs: [[10, 0], [5, 0]], waits: [0, 500] },
  { what: 'less when time has passed', costs: [[10, 0], [5, 300]], waits: [0, 200] },
  { what: 'a whole burst again after a rest, and no more', costs: [[10, 0], [10, 60_000], [1, 60_000]], waits: [0, 0, 100] },
  { what: 'the debt of before as well', costs: [[20, 0], [10, 0]], waits: [1000, 2000] },
])('an allowance of 10 a second makes it wait $what', ({ costs, waits }) => {
  const allowance = new Allowance({ perSecond: 10, burst: 10 }, 0);
  expect(costs.map(([cost = 0, nowMs = 0]) => allowance.charge(cost, nowMs))).toEqual(waits);
});
