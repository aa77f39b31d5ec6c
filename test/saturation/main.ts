/** `npm run test:saturation -- [--minutes M] [--seed N] [--output-mb N] [--keep] [--profile DIR]`: everything at once and too much of it, and what became of it. */
import { parseArgs } from 'node:util';
import { byHand, misused, seedOf } from '../chaos/by-hand.ts';
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
const seed = seedOf(values.seed);
if (!(minutes > 0) || !Number.isSafeInteger(outputMb) || outputMb < 1 || !Number.isSafeInteger(seed)) misused('test:saturation -- [--minutes M] [--seed N] [--output-mb N] [--keep] [--profile DIR]');
console.log(`seed ${seed}, ${minutes} minutes, outputs of ${outputMb} MB`);
await byHand((parts) => saturation({ ...parts, seed, durationMs: minutes * 60_000, outputBytes: outputMb * 1024 * 1024, judgesMemory: true, keep: values.keep, ...(values.profile === undefined ? {} : { profile: values.profile }) }));
