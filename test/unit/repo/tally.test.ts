import { describe, expect, test } from 'vitest';
import { tally } from '../../../scripts/tally.ts';

const file = (name: string, status: string, ...tests: string[]) => ({
  name,
  status,
  assertionResults: tests.map((outcome) => ({ status: outcome })),
});

describe('the count that CI ends with', () => {
  test('is the plain sum of what passed, failed and was skipped', () => {
    const report = { testResults: [file('a', 'passed', 'passed', 'passed'), file('b', 'failed', 'failed', 'skipped')] };
    expect(tally(report, ['a', 'b'])).toEqual({ line: '2 passed, 1 failed, 1 skipped', problems: ['1 failed'] });
  });

  test('is good only when everything ran and passed', () => {
    expect(tally({ testResults: [file('a', 'passed', 'passed')] }, ['a'])).toEqual({ line: '1 passed, 0 failed', problems: [] });
  });

  test('takes a run without any test for a failure', () => {
    expect(tally({ testResults: [] }, []).problems).toEqual(['no test passed']);
    expect(tally({ testResults: [file('a', 'passed', 'skipped')] }, ['a']).problems).toEqual(['no test passed']);
  });

  test('misses a file that did not run', () => {
    expect(tally({ testResults: [file('a', 'passed', 'passed')] }, ['a', 'b']).problems).toEqual(['b did not run']);
  });

  test('counts a file that broke before its first test', () => {
    const report = { testResults: [file('a', 'passed', 'passed'), file('b', 'failed')] };
    expect(tally(report, ['a', 'b'])).toEqual({ line: '1 passed, 1 failed', problems: ['1 failed'] });
  });
});
