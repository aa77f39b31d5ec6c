/** `npm run test:endurance -- --invocations N [--seed N] [--partition SECONDS] [--keep]`: one run, its table, its verdict. */
import { parseArgs } from 'node:util';
import { endurance } from './endurance-run.ts';

const usage = 'usage: npm run test:endurance -- [--invocations N] [--seed N] [--partition SECONDS] [--keep]';
const { values } = parseArgs({
  options: {
    invocations: { type: 'string', default: '2000' },
    seed: { type: 'string' },
    partition: { type: 'string', default: '30' },
    keep: { type: 'boolean', default: false },
  },
});
const invocations = Number(values.invocations);
const seed = values.seed === undefined ? Math.floor(Math.random() * 2 ** 31) : Number(values.seed);
const partitionMs = Number(values.partition) * 1000;
if (!Number.isSafeInteger(invocations) || invocations < 1 || !Number.isSafeInteger(seed) || !(partitionMs >= 0)) {
  console.error(usage);
  process.exit(2);
}
console.log(`seed ${seed}: replay with npm run test:endurance -- --invocations ${invocations} --seed ${seed} --partition ${values.partition}`);
const interrupted = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => interrupted.abort());
try {
  const verdict = await endurance({ seed, invocations, partitionMs, judgesMemory: true, keep: values.keep, signal: interrupted.signal, tell: (text) => console.log(text) });
  for (const line of verdict.report()) console.log(line);
  console.log(`${verdict.passed} passed, ${verdict.failed} failed`);
  process.exit(verdict.failed > 0 ? 1 : 0);
} catch (error) {
  console.error(error);
  console.log('0 passed, 1 failed: the run itself broke');
  process.exit(1);
}
