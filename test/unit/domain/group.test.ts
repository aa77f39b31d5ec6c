import { expect, test } from 'vitest';
import { exitOfGroup } from '../../../src/cli/exit.ts';
import { countOf, worstOf } from '../../../src/domain/group.ts';
import type { FlightState } from '../../../src/domain/flight.ts';

const flights = (...states: FlightState[]) => states.map((state) => ({ state, ...(state === 'failed' ? { error: { code: 'denied', message: 'no' } as const } : {}) }));

test.each<[readonly FlightState[], FlightState, number]>([
  [['completed', 'completed'], 'completed', 0],
  [['completed', 'failed', 'indeterminate', 'expired', 'cancelled', 'running'], 'indeterminate', 9],
  [['completed', 'running', 'cancelled', 'expired', 'failed'], 'failed', 5],
  [['running', 'cancelled', 'expired'], 'expired', 8],
  [['queued', 'cancelled', 'completed'], 'cancelled', 7],
  [['completed', 'queued'], 'queued', 10],
  [['completed', 'waiting', 'running'], 'waiting', 10],
])('a group of %j is %s, and its command exits %i', (states, state, code) => {
  expect(countOf(flights(...states)).state).toBe(state);
  expect(exitOfGroup(flights(...states))).toBe(code);
  expect(exitOfGroup(flights(...states.toReversed()))).toBe(code);
});

test('only what has completed counts', () => {
  expect(countOf(flights('completed', 'failed', 'completed', 'running'))).toEqual({ state: 'failed', completed: 2, of: 4 });
});

test('of several that failed the first makes the exit', () => {
  const [own, denied] = [{ state: 'failed', exitCode: 3 }, { state: 'failed', error: { code: 'denied', message: 'no' } }] as const;
  expect([exitOfGroup([own, denied]), exitOfGroup([denied, own])]).toEqual([1, 5]);
  expect(worstOf([])).toBeUndefined();
});
