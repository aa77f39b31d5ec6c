/** `npm run test:saturation -- [--minutes M] [--seed N] [--output-mb N] [--keep] [--profile DIR]`: everything at once and too much of it, and what became of it. */
import { parseArgs } from 'node:util';
import { saturation } from './saturation.ts';

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '20' },
    seed: { type: 'string' },
    'output-mb': { type: 'string', default: '2048' },
    keep: { type: 'boolean', default: false },
    profile: { type: 'string' },
  },
});
const minutes = Number(values.minutes);
const outputMb = Number(values['output-mb']);
const seed = values.seed === undefined ? Math.floor(Math.random() * 2 ** 31) : Number(values.seed);
if (!(minutes > 0) || !Number.isSafeInteger(outputMb) || outputMb < 1 || !Number.isSafeInteger(seed)) {
  console.error('usage: npm run test:saturation -- [--minutes M] [--seed N] [--output-mb N] [--keep] [--profile DIR]');
  process.exit(2);
}
console.log(`seed ${seed}, ${minutes} minutes, outputs of ${outputMb} MB`);
const interrupted = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => interrupted.abort());
try {
  const verdict = await saturation({ seed, durationMs: minutes * 60_000, outputBytes: outputMb * 1024 * 1024, judgesMemory: true, keep: values.keep, ...(values.profile === undefined ? {} : { profile: values.profile }), signal: interrupted.signal, tell: (text) => console.log(text) });
  for (const line of verdict.report()) console.log(line);
  console.log(`${verdict.passed} passed, ${verdict.failed} failed`);
  process.exit(verdict.failed > 0 ? 1 : 0);
} catch (error) {
  console.error(error);
  console.log('0 passed, 1 failed: the campaign itself broke');
  process.exit(1);
}
