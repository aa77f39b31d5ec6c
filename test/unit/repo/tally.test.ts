import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { root } from '../../../scripts/run.ts';
import { failuresOf, mostFlaky, tally } from '../../../scripts/tally.ts';

const at = (name: string): string => join(root, name);
const file = (name: string, status: string, ...tests: string[]) => ({
  name: at(name),
  status,
  message: status === 'failed' ? 'a word too many' : '',
  assertionResults: tests.map((outcome, index) => ({ status: outcome, fullName: `test ${index}`, failureMessages: outcome === 'failed' ? ['1 is not 2\n  at line 3'] : [] })),
});
const report = (...testResults: ReturnType<typeof file>[]) => ({ testResults });

describe('the count that CI ends with', () => {
  test('is the plain sum of what passed, failed and was skipped, with what failed and why', () => {
    expect(tally(report(file('a', 'passed', 'passed', 'passed'), file('b', 'failed', 'failed', 'skipped')), [at('a'), at('b')])).toEqual({
      line: '2 passed, 1 failed, 1 skipped',
      problems: ['FAIL b > test 0\n  1 is not 2\n    at line 3'],
      flaky: [],
    });
  });

  test('is good only when everything ran and passed', () => {
    expect(tally(report(file('a', 'passed', 'passed')), [at('a')])).toEqual({ line: '1 passed, 0 failed', problems: [], flaky: [] });
  });

  test('takes a run without any test for a failure', () => {
    expect(tally(report(), []).problems).toEqual(['no test passed']);
    expect(tally(report(file('a', 'passed', 'skipped')), [at('a')]).problems).toEqual(['no test passed']);
  });

  test('misses a file that did not run', () => {
    expect(tally(report(file('a', 'passed', 'passed')), [at('a'), at('b')]).problems).toEqual([`${at('b')} did not run`]);
  });

  test('counts a file that broke before its first test', () => {
    expect(tally(report(file('a', 'passed', 'passed'), file('b', 'failed')), [at('a'), at('b')])).toEqual({
      line: '1 passed, 1 failed',
      problems: ['FAIL b\n  a word too many'],
      flaky: [],
    });
  });
});

describe('what passes when it runs once more, alone', () => {
  const first = report(file('a', 'failed', 'passed', 'failed'), file('b', 'failed'));

  test('is counted as passed and told as flaky', () => {
    const { line, problems, flaky } = tally(first, [], report(file('a', 'passed', 'passed', 'passed'), file('b', 'passed', 'passed')));
    expect({ line, problems }).toEqual({ line: '3 passed, 0 failed, 2 flaky', problems: [] });
    expect(flaky.map((text) => text.split('\n')[0])).toEqual(['FLAKY, passed alone: a > test 1', 'FLAKY, passed alone: b']);
  });

  test.each([
    ['the same test failed again', report(file('a', 'failed', 'passed', 'failed'))],
    ['it was skipped', report(file('a', 'passed', 'passed', 'skipped'))],
    ['one of two with its name failed', report({ ...file('a', 'failed', 'passed', 'passed', 'failed'), assertionResults: ['passed', 'failed'].map((status) => ({ status, fullName: 'test 1', failureMessages: [] })) })],
    ['another file passed', report(file('c', 'passed', 'passed', 'passed'))],
    ['nothing ran', report()],
  ])('is nothing when %s', (_, again) => {
    expect(tally(first, [], again)).toMatchObject({ line: '1 passed, 2 failed', flaky: [] });
  });

  test('is not asked about when more failed than a busy machine explains', () => {
    const many = report(file('a', 'failed', ...Array<string>(mostFlaky + 1).fill('failed')));
    expect(failuresOf(many)).toHaveLength(mostFlaky + 1);
    expect(tally(many, [], report(file('a', 'passed', ...Array<string>(mostFlaky + 1).fill('passed'))))).toMatchObject({ line: `0 passed, ${mostFlaky + 1} failed`, flaky: [] });
  });
});
