import { globSync } from 'node:fs';
import { join, relative } from 'node:path';
import { root } from './run.ts';

/** What Beckon reads of vitest's JSON report. */
export interface Report {
  testResults: FileReport[];
}

interface FileReport {
  /** Its absolute path. */
  name: string;
  status: string;
  /** What broke it before its first test. */
  message?: string;
  assertionResults: { status: string; fullName?: string; failureMessages?: string[] }[];
}

/** A test that failed; of a file that broke before its first test, the file. */
export interface Failure {
  readonly file: string;
  readonly test: string;
  readonly message: string;
}

export interface Tally {
  /** `N passed, N failed`, and what else there is to count. */
  readonly line: string;
  /** Why the run is not good; empty when it is. */
  readonly problems: readonly string[];
  /** What failed beside the others and passed alone. */
  readonly flaky: readonly string[];
}

/** Failures that may be the machine's fault. More than these are nobody's but the code's. */
export const mostFlaky = 3;

/** Each test file of the suites that CI runs, as an absolute path. */
export function testFiles(): string[] {
  return ['unit', 'contract', 'integration', 'system', 'chaos', 'attack', 'agents', 'fuzz'].flatMap((kind) =>
    globSync(`test/${kind}/**/*.test.ts`, { cwd: root }).map((path) => join(root, path)),
  );
}

export function failuresOf({ testResults }: Report): Failure[] {
  return testResults.flatMap((file) => {
    const failed = file.assertionResults.filter(({ status }) => status === 'failed');
    if (failed.length === 0 && file.status === 'failed') return [{ file: file.name, test: '', message: file.message ?? '' }];
    return failed.map(({ fullName = '', failureMessages = [] }) => ({ file: file.name, test: fullName, message: failureMessages.join('\n') }));
  });
}

/**
 * Counts a run. `problems` is empty only when something passed, nothing failed, and every file in `expected` ran:
 * a suite that silently found no test is a failure. A file that broke before its first test counts as one failure.
 * @param again the run of the files that failed, alone: a test is flaky, and counts as passed, that passed there
 */
export function tally(report: Report, expected: readonly string[], again: Report = { testResults: [] }): Tally {
  const failures = failuresOf(report);
  const isFlaky = (failure: Failure): boolean => failures.length <= mostFlaky && passedIn(again, failure);
  const [flaky, failed] = [failures.filter(isFlaky), failures.filter((failure) => !isFlaky(failure))];
  const tests = report.testResults.flatMap(({ assertionResults }) => assertionResults);
  const count = (...statuses: string[]): number => tests.filter(({ status }) => statuses.includes(status)).length;
  const passed = count('passed') + flaky.length;
  const skipped = tests.length - count('passed', 'failed');

  const ran = new Set(report.testResults.map((file) => file.name));
  const problems = expected.filter((file) => !ran.has(file)).map((file) => `${file} did not run`);
  if (passed === 0) problems.push('no test passed');
  problems.push(...failed.map((failure) => told('FAIL', failure)));
  const others = [[skipped, 'skipped'], [flaky.length, 'flaky']].map(([number, word]) => (number === 0 ? '' : `, ${number} ${word}`));
  return { line: `${passed} passed, ${failed.length} failed${others.join('')}`, problems, flaky: flaky.map((failure) => told('FLAKY, passed alone:', failure)) };
}

function passedIn({ testResults }: Report, { file, test }: Failure): boolean {
  const again = testResults.find(({ name }) => name === file);
  if (again === undefined) return false;
  if (test === '') return again.status === 'passed';
  const named = again.assertionResults.filter(({ fullName }) => fullName === test);
  return named.length > 0 && named.every(({ status }) => status === 'passed');
}

/** Enough of it to know what to look for: a log is often all there is, and often only its end. */
function told(what: string, { file, test, message }: Failure): string {
  const lines = message.split('\n').slice(0, 12).map((line) => `  ${line}`);
  return [`${what} ${relative(root, file)}${test === '' ? '' : ` > ${test}`}`, ...lines].join('\n');
}
