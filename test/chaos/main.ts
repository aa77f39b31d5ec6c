/** `npm run test:chaos -- [--seed N] [--minutes M] [--callers N] [--keep]`: one campaign, and its verdict. */
import { parseArgs } from 'node:util';
import { byHand, misused, seedOf } from './by-hand.ts';
import { campaign } from './campaign.ts';

const { values } = parseArgs({
  options: {
    seed: { type: 'string' },
    minutes: { type: 'string', default: '2' },
    callers: { type: 'string', default: '3' },
    keep: { type: 'boolean', default: false },
  },
});
const seed = seedOf(values.seed);
const minutes = Number(values.minutes);
const callersPerNode = Number(values.callers);
if (!Number.isSafeInteger(seed) || !(minutes > 0) || !Number.isSafeInteger(callersPerNode) || callersPerNode < 1) misused('test:chaos -- [--seed N] [--minutes M] [--callers N] [--keep]');
console.log(`seed ${seed}: replay with npm run test:chaos -- --seed ${seed} --minutes ${minutes}${values.callers === '3' ? '' : ` --callers ${callersPerNode}`}`);
await byHand((parts) => campaign({ ...parts, seed, durationMs: minutes * 60_000, callersPerNode, keep: values.keep }));
