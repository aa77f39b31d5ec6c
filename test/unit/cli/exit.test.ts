import { expect, test } from 'vitest';
import { exitOfError, exitOfFlight } from '../../../src/cli/exit.ts';

test('each error code has the exit code of the table', () => {
  const codes = ['deadline', 'invalid', 'not_found', 'ambiguous', 'unavailable', 'denied', 'unauthenticated', 'conflict', 'cancelled', 'overload', 'internal', 'incompatible'] as const;
  expect(codes.map(exitOfError)).toEqual([1, 2, 3, 3, 4, 5, 5, 6, 7, 11, 70, 70]);
});

test('a flight that failed exits by its error, and by 1 when the agent is the cause', () => {
  expect(exitOfFlight({ state: 'failed' })).toBe(1);
  const error = { code: 'denied', message: 'no' } as const;
  expect(exitOfFlight({ state: 'failed', error })).toBe(5);
  expect(exitOfFlight({ state: 'failed', error, exitCode: 1 })).toBe(1);
  expect(exitOfFlight({ state: 'failed', error, exitCode: 0 })).toBe(5);
  expect(['completed', 'cancelled', 'expired', 'indeterminate', 'running', 'queued'].map((state) => exitOfFlight({ state: state as 'running' }))).toEqual([0, 7, 8, 9, 10, 10]);
});
