// `npm run check`: all that CI runs. Stops at the first step that fails; its last line counts the tests.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { run } from './run.ts';
import { tally, testFiles, type Report } from './tally.ts';

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

function tests(folder: string): void {
  console.log('== tests');
  const reports = ['test', 'test:slow', 'test:attack', 'test:agents'].map((script): { code: number; report: Report } => {
    const file = join(folder, `${script.replace(':', '-')}.json`);
    // The attacks name theirs: they end with a list.
    const reporters = [...(script === 'test:attack' ? [] : ['--reporter=default']), '--reporter=json', `--outputFile.json=${file}`];
    const code = run('npm', 'run', script, '--silent', '--', '--allowOnly=false', ...reporters);
    return { code, report: JSON.parse(readFileSync(file, 'utf8')) as Report };
  });
  const { line, problems } = tally({ testResults: reports.flatMap(({ report }) => report.testResults) }, testFiles());
  const failed = reports.find(({ code }) => code !== 0);
  if (failed !== undefined && problems.length === 0) problems.push(`the test runner ended with ${failed.code}`);
  for (const problem of problems) console.error(problem);
  console.log(line);
  if (problems.length > 0) process.exitCode = 1;
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
