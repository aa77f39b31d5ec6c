import { globSync } from 'node:fs';
import { join } from 'node:path';
import { root } from './run.ts';

/** What Beckon reads of vitest's JSON report. */
export interface Report {
  testResults: { name: string; status: string; assertionResults: { status: string }[] }[];
}

/** Each test file of the suites that CI runs, as an absolute path. */
export function testFiles(): string[] {
  return ['unit', 'contract', 'integration', 'system', 'chaos', 'attack', 'agents', 'fuzz'].flatMap((kind) =>
    globSync(`test/${kind}/**/*.test.ts`, { cwd: root }).map((path) => join(root, path)),
  );
}

/**
 * Counts a run. `problems` is empty only when something passed, nothing failed, and every file in `expected` ran:
 * a suite that silently found no test is a failure. A file that broke before its first test counts as one failure.
 */
export function tally(report: Report, expected: readonly string[]): { line: string; problems: string[] } {
  const count = (status: string): number =>
    report.testResults.flatMap((file) => file.assertionResults).filter((test) => test.status === status).length;
  const broken = report.testResults.filter(
    (file) => file.status === 'failed' && !file.assertionResults.some((test) => test.status === 'failed'),
  );
  const passed = count('passed');
  const failed = count('failed') + broken.length;
  const skipped = report.testResults.flatMap((file) => file.assertionResults).length - passed - count('failed');

  const ran = new Set(report.testResults.map((file) => file.name));
  const problems = expected.filter((file) => !ran.has(file)).map((file) => `${file} did not run`);
  if (passed === 0) problems.push('no test passed');
  if (failed > 0) problems.push(`${failed} failed`);
  const line = `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ""}`;
  return { line, problems };
}
