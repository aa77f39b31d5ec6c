/**
 * `npm run test:fuzz [-- --only BOUNDARY,… --inputs N --minutes N --seed N --workers N]`: what strangers, members, agents and files can
 * give to a node, changed a hundred thousand times a boundary. Finds are minimised and kept under corpus/, where `npm test` replays them.
 */
import { parseArgs } from 'node:util';
import { randomInt } from 'node:crypto';
import { boundaries } from './boundaries/index.ts';
import { keepFind } from './corpus.ts';
import { campaign } from './engine/campaign.ts';
import type { Report } from './engine/campaign.ts';

const { values } = parseArgs({
  options: { only: { type: 'string' }, inputs: { type: 'string', default: '100000' }, minutes: { type: 'string' }, seed: { type: 'string' }, workers: { type: 'string', default: '2' }, list: { type: 'boolean' } },
});
const whole = (text: string, flag: string): number => {
  if (!/^\d{1,10}$/.test(text)) throw new Error(`--${flag}: ${JSON.stringify(text)} is no whole number`);
  return Number(text);
};
const usual = Object.keys(boundaries).filter((name) => !name.startsWith('planted-'));
const chosen = values.only?.split(',') ?? usual;
const unknown = chosen.filter((name) => boundaries[name] === undefined);
if (unknown.length > 0) throw new Error(`no boundary is called ${unknown.join(', ')}; there are: ${usual.join(', ')}`);

if (values.list === true) {
  for (const name of usual) console.log(`${name.padEnd(16)} ${(await boundaries[name]?.())?.what ?? ''}`);
} else {
  const seed = values.seed === undefined ? randomInt(2 ** 31) : whole(values.seed, 'seed');
  const inputs = whole(values.inputs, 'inputs');
  const ms = values.minutes === undefined ? undefined : (Number(values.minutes) * 60_000) / Math.ceil(chosen.length / whole(values.workers, 'workers'));
  const stop = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stop.abort());
  console.log(`seed ${seed}: ${inputs} inputs for each of ${chosen.length} boundaries`);
  const waiting = [...chosen];
  const reports: Report[] = [];
  const work = async (): Promise<void> => {
    for (let name = waiting.shift(); name !== undefined && !stop.signal.aborted; name = waiting.shift()) {
      const report = await campaign({ boundary: name, seed, inputs, signal: stop.signal, ...(ms === undefined ? {} : { ms }) });
      reports.push(report);
      tell(report);
    }
  };
  await Promise.all(Array.from({ length: whole(values.workers, 'workers') }, work));
  const total = reports.reduce((sum, each) => sum + each.inputs, 0);
  const finds = reports.flatMap((each) => each.finds);
  console.log(`${total} inputs in all, ${finds.length} finds; again: npm run test:fuzz -- --seed ${seed} --inputs ${inputs}`);
  const short = ms === undefined && reports.some((each) => each.inputs < inputs);
  if (finds.length > 0 || short || reports.length < chosen.length) process.exitCode = 1;
}

function tell({ boundary, inputs, accepted, kept, reached, places, ms, finds }: Report): void {
  const rate = Math.round(inputs / (ms / 1000));
  console.log(`${boundary.padEnd(16)} ${String(inputs).padStart(8)} inputs  ${String(rate).padStart(6)}/s  ${accepted} accepted, ${kept} kept, ${reached} of ${places} places reached, ${finds.length} finds`);
  for (const find of finds) {
    console.log(`  ${find.kind}: ${find.what}`);
    if (find.kind !== 'growth' && find.isOnce !== true && !boundary.startsWith('planted-')) console.log(`    kept as ${keepFind(boundary, find, find.input)}`);
    else if (find.input.length > 0) console.log(`    by ${JSON.stringify(Buffer.from(find.input).toString('latin1').slice(0, 200))}`);
  }
}
