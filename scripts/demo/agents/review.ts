// An agent that reads: fetches, and tells what a branch has that main has not.
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

function git(...args: string[]): string {
  return execFileSync('git', args, { encoding: 'utf8' }).trimEnd();
}

const branch = /^review ([\w./-]+)$/.exec(readFileSync(0, 'utf8').trim())?.[1];
if (branch === undefined || branch.startsWith('-')) {
  console.error('review: I can do one thing: "review BRANCH"');
  process.exit(2);
}
git('fetch', '-q', 'origin');
const range = `origin/main..origin/${branch}`;
console.log(git('log', '--format=%h %s', range));
console.log(git('diff', '--stat', range));
console.log(git('diff', '--unified=0', '--no-prefix', range, '--', '*.ts').split('\n').filter((line) => /^[+-](?![+-])./.test(line)).join('\n'));
