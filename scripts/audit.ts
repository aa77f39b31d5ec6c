// `npm run audit`: what the registry knows against the dependencies that Beckon is published with, and whether they carry its signatures.
// A high or critical advisory fails, unless scripts/audit/accepted.ts accepts it with a reason and an end. Where the registry does not
// answer such questions it says so, in words that can't be taken for a clean bill, and does not fail: `--strict` makes that a failure too.
import { spawn } from 'node:child_process';
import { accepted } from './audit/accepted.ts';
import { judge, judgeSignatures, readAudit } from './audit/verdict.ts';
import { environment, root } from './run.ts';

const isStrict = process.argv.includes('--strict');
/** The registry has all of it at once; whoever retries for a minute holds up every build on a closed network. */
const once = ['--fetch-retries=0', '--fetch-timeout=20000'];
const longestMs = 45_000;

function npm(...args: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn('npm', [...args, '--json', ...once], { cwd: root, env: environment, stdio: ['ignore', 'pipe', 'ignore'], timeout: longestMs });
    let output = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text));
    child.once('error', reject);
    child.once('close', () => resolve(output));
  });
}

const [advisories, signatures] = await Promise.all([npm('audit', '--omit=dev', '--package-lock-only'), npm('audit', 'signatures', '--omit=dev')]);
const audited = readAudit(advisories);
const verdicts = [judge(audited, accepted, new Date().toISOString().slice(0, 10)), judgeSignatures(signatures)];
for (const note of verdicts.flatMap(({ notes }) => notes)) console.log(`audit: ${note}`);
const failures = verdicts.flatMap(({ failures: each }) => each);
for (const failure of failures) console.error(`audit: ${failure}`);
if (failures.length > 0 || (isStrict && audited.kind === 'unanswered')) process.exitCode = 1;
