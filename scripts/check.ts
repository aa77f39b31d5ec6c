// `npm run check`: all that CI runs. Stops at the first step that fails; its last line counts the tests.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { root, run } from './run.ts';
import { failuresOf, mostFlaky, tally, testFiles, type Report } from './tally.ts';

const steps: [name: string, ...command: string[]][] = [
  ['generated code is current', 'node', 'scripts/gen.ts', '--check'],
  ['proto lint', 'buf', 'lint'],
  ['proto compatibility', 'node', 'scripts/proto-breaking.ts'],
  ['lint', 'npm', 'run', '--silent', 'lint'],
  ['types', 'npm', 'run', '--silent', 'types'],
  ['build', 'npm', 'run', '--silent', 'build'],
  ['bill of materials', 'npm', 'run', '--silent', 'sbom'],
  ['audit of dependencies', 'npm', 'run', '--silent', 'audit'],
];

function step(name: string, [program, ...args]: string[]): void {
  console.log(`== ${name}`);
  if (program === undefined || run(program, ...args) !== 0) throw new Error(`${name} failed`);
}

interface SuiteRun {
  readonly script: string;
  /** What the test runner ended with. */
  readonly code: number;
  readonly report: Report;
}

function suite(folder: string, script: string, ...files: string[]): SuiteRun {
  const file = join(folder, `${script.replace(':', '-')}.json`);
  // The attacks name theirs: they end with a list.
  const reporters = [...(script === 'test:attack' ? [] : ['--reporter=default']), '--reporter=json', `--outputFile.json=${file}`];
  const code = run('npm', 'run', script, '--silent', '--', '--allowOnly=false', ...reporters, ...files);
  return { script, code, report: JSON.parse(readFileSync(file, 'utf8')) as Report };
}

/** Real processes on a machine that others use miss a deadline now and then. What failed runs once more, with nothing beside it. */
function alone(folder: string, runs: readonly SuiteRun[]): Report {
  if (runs.flatMap(({ report }) => failuresOf(report)).length > mostFlaky) return { testResults: [] };
  const again = runs.flatMap(({ script, report }) =>
    [...new Set(failuresOf(report).map(({ file }) => relative(root, file)))].map((file) => {
      console.log(`== once more, alone: ${file}`);
      return suite(folder, script, file).report;
    }),
  );
  return { testResults: again.flatMap(({ testResults }) => testResults) };
}

function tests(folder: string): void {
  console.log('== tests');
  const runs = ['test', 'test:slow', 'test:attack', 'test:agents'].map((script) => suite(folder, script));
  const report = { testResults: runs.flatMap((each) => each.report.testResults) };
  const { line, problems, flaky } = tally(report, testFiles(), alone(folder, runs));
  // An error outside of every test, say.
  const unexplained = runs.filter(({ code, report: { testResults } }) => code !== 0 && failuresOf({ testResults }).length === 0).map(({ script, code }) => `${script} ended with ${code}`);
  for (const text of [...flaky, ...problems, ...unexplained]) console.error(text);
  console.log(line);
  if (problems.length + unexplained.length > 0) process.exitCode = 1;
}

const folder = mkdtempSync(join(tmpdir(), 'beckon-check-'));
try {
  for (const [name, ...command] of steps) step(name, command);
  tests(folder);
} catch (error) {
  console.error(`check: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
} finally {
  rmSync(folder, { recursive: true, force: true });
}
