/** `npm run test:chaos -- [--seed N] [--minutes M] [--callers N] [--keep]`: one campaign, and its verdict. */
import { parseArgs } from 'node:util';
import { campaign } from './campaign.ts';

const { values } = parseArgs({
  options: {
    seed: { type: 'string' },
    minutes: { type: 'string', default: '2' },
    callers: { type: 'string', default: '3' },
    keep: { type: 'boolean', default: false },
  },
});
const seed = values.seed === undefined ? Math.floor(Math.random() * 2 ** 31) : Number(values.seed);
const minutes = Number(values.minutes);
const callersPerNode = Number(values.callers);
if (!Number.isSafeInteger(seed) || !(minutes > 0) || !Number.isSafeInteger(callersPerNode) || callersPerNode < 1) {
  console.error('usage: npm run test:chaos -- [--seed N] [--minutes M] [--callers N] [--keep]');
  process.exit(2);
}
console.log(`seed ${seed}: replay with npm run test:chaos -- --seed ${seed} --minutes ${minutes}${values.callers === '3' ? '' : ` --callers ${callersPerNode}`}`);
const interrupted = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => interrupted.abort());
try {
  const verdict = await campaign({ seed, durationMs: minutes * 60_000, callersPerNode, keep: values.keep, signal: interrupted.signal, tell: (text) => console.log(text) });
  for (const line of verdict.report()) console.log(line);
  console.log(`${verdict.passed} passed, ${verdict.failed} failed`);
  process.exit(verdict.failed > 0 ? 1 : 0);
} catch (error) {
  console.error(error);
  console.log('0 passed, 1 failed: the campaign itself broke');
  process.exit(1);
}
