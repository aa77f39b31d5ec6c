// An agent at work: takes a task such as "add a farewell to greet.ts" on stdin, writes the function and its test, runs
// the repository's tests and commits. It tells line by line what it does. A language model would be freer in what it
// understands; to Beckon both are programs.
import { execFileSync, spawnSync } from 'node:child_process';
import { appendFileSync, existsSync, readFileSync } from 'node:fs';

function refuse(why: string): never {
  console.error(`fabric: ${why}`);
  process.exit(2);
}

function git(...args: string[]): string {
  return execFileSync('git', args, { encoding: 'utf8' }).trim();
}

const task = readFileSync(0, 'utf8').trim();
const understood = /^add an? ([a-z]+) to ([a-z-]+)\.ts$/.exec(task);
if (understood === null) refuse(`I can do one thing: "add a WORD to FILE.ts", not ${JSON.stringify(task)}`);
const [, word = '', module = ''] = understood;
const source = `${module}.ts`;
const tests = `${module}.test.ts`;
if (!existsSync(source)) refuse(`there is no ${source} here`);

console.log(`on branch ${git('branch', '--show-current')}: ${task}`);
if (readFileSync(source, 'utf8').includes(`function ${word}(`)) refuse(`${source} has a ${word} already`);

const spoken = `${word.charAt(0).toUpperCase()}${word.slice(1)}`;
appendFileSync(source, `\nexport function ${word}(name: string): string {\n  return \`${spoken}, \${name}!\`;\n}\n`);
console.log(`wrote ${word}() into ${source}`);
appendFileSync(tests, `\ntest('${word}', () => {\n  assert.equal(${module}.${word}('Ada'), '${spoken}, Ada!');\n});\n`);
console.log(`wrote its test into ${tests}`);

console.log('running the tests');
const { NODE_TEST_CONTEXT: _, ...env } = process.env;
const { status, stdout } = spawnSync(process.execPath, ['--test', '--test-reporter=tap'], { encoding: 'utf8', env });
for (const line of stdout.split('\n')) if (/^(not )?ok \d/.test(line)) console.log(`  ${line}`);
if (status !== 0) {
  git('checkout', '-q', '--', source, tests);
  console.error('fabric: the tests fail, so I took my change back');
  process.exit(1);
}

git('commit', '-q', '-m', `Add a ${word}`, '--', source, tests);
console.log(`committed ${git('rev-parse', '--short', 'HEAD')} Add a ${word}`);
