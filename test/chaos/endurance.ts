/** `npm run test:endurance -- --invocations N [--seed N] [--partition SECONDS] [--keep]`: one run, its table, its verdict. */
import { parseArgs } from 'node:util';
import { byHand, misused, seedOf } from './by-hand.ts';
import { endurance } from './endurance-run.ts';

const { values } = parseArgs({
  options: {
    invocations: { type: 'string', default: '2000' },
    seed: { type: 'string' },
    partition: { type: 'string', default: '30' },
    keep: { type: 'boolean', default: false },
  },
});
const invocations = Number(values.invocations);
const seed = seedOf(values.seed);
const partitionMs = Number(values.partition) * 1000;
if (!Number.isSafeInteger(invocations) || invocations < 1 || !Number.isSafeInteger(seed) || !(partitionMs >= 0)) misused('test:endurance -- [--invocations N] [--seed N] [--partition SECONDS] [--keep]');
console.log(`seed ${seed}: replay with npm run test:endurance -- --invocations ${invocations} --seed ${seed} --partition ${values.partition}`);
await byHand((parts) => endurance({ ...parts, seed, invocations, partitionMs, judgesMemory: true, keep: values.keep }));
