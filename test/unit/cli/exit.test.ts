import { expect, test } from 'vitest';
import { exitOfError, exitOfFlight } from '../../../src/cli/exit.ts';

test('each error code has the exit code of the table', () => {
  const codes = ['deadline', 'invalid', 'not_found', 'ambiguous', 'unavailable', 'denied', 'unauthenticated', 'conflict', 'cancelled', 'overload', 'internal', 'incompatible'] as const;
  expect(codes.map(exitOfError)).toEqual([1, 2, 3, 3, 4, 5, 5, 6, 7, 11, 70, 70]);
});

test('a flight that failed exits by its error, and by 1 when the agent is the cause', () => {
  expect(exitOfFlight({ state: 'failed' })).toBe(1);
  expect(exitOfFlight({ state: 'failed', error: { code: 'denied', message: 'no' } })).toBe(5);
  expect(exitOfFlight({ state: 'failed', exitCode: 1, error: { code: 'denied', message: 'it refused to go on' } })).toBe(1);
  expect(exitOfFlight({ state: 'failed', signal: 'SIGKILL', error: { code: 'unavailable', message: 'it died' } })).toBe(1);
  expect(exitOfFlight({ state: 'failed', exitCode: 0, error: { code: 'unavailable', message: 'its output was lost' } })).toBe(4);
  expect(['completed', 'cancelled', 'expired', 'indeterminate', 'running', 'queued'].map((state) => exitOfFlight({ state: state as 'running' }))).toEqual([0, 7, 8, 9, 10, 10]);
});
