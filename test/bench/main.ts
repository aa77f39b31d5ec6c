/** `npm run bench [-- --only NAME] [--compare] [--json | --markdown]`: measures, and says what the figures are worth. */
import { parseArgs } from 'node:util';
import { localAcceptAt1MBench, localAcceptBench } from './accept/bench.ts';
import type { Bench, BenchResult } from './bench.ts';
import { installed, outcome, round } from './compare/compare.ts';
import { crossNodeBench } from './cross-node/bench.ts';
import { idleBench } from './idle/bench.ts';
import { inspectionBench } from './inspection/bench.ts';
import { markdown } from './markdown.ts';
import type { Measured } from './markdown.ts';
import { registryBench } from './registry/bench.ts';
import { restartBench } from './restart/bench.ts';

const benches: readonly Bench[] = [localAcceptBench, localAcceptAt1MBench, crossNodeBench, restartBench, inspectionBench, registryBench, idleBench];

const usage = `usage: npm run bench -- [--only NAME] [--compare] [--json | --markdown] [--OPTION N]

  --markdown  the table of the README, with the machine that it is of, instead of text
  --compare   also what is installed of others, beside the bench that it is compared with: nats-server, localAccept

${benches.map(({ name, summary, options }) => `  ${name.padEnd(16)} ${summary}\n${Object.entries(options).map(([option, value]) => `                   --${option} ${value}`).join('\n')}`).join('\n')}`;

function asked(): { readonly chosen: readonly Bench[]; readonly json: boolean; readonly markdown: boolean; readonly compare: boolean; readonly options: Readonly<Record<string, number>> } {
  const names = benches.flatMap(({ options }) => Object.keys(options));
  const { values } = parseArgs({
    options: {
      only: { type: 'string', multiple: true },
      json: { type: 'boolean', default: false },
      markdown: { type: 'boolean', default: false },
      compare: { type: 'boolean', default: false },
      ...Object.fromEntries(names.map((name) => [name, { type: 'string' as const }])),
    },
  });
  const given = Object.entries(values as Readonly<Record<string, unknown>>).filter(([name]) => names.includes(name)).map(([name, value]) => [name, Number(value)] as const);
  const wrong = given.find(([, value]) => !Number.isSafeInteger(value) || value < 1);
  if (wrong !== undefined) throw new TypeError(`--${wrong[0]} is a whole number above 0`);
  const unknown = values.only?.find((name) => !benches.some((bench) => bench.name === name));
  if (unknown !== undefined) throw new TypeError(`there is no bench ${unknown}`);
  return { chosen: benches.filter(({ name }) => values.only?.includes(name) ?? true), json: values.json, markdown: values.markdown, compare: values.compare, options: Object.fromEntries(given) };
}

function print({ name, summary }: Bench, { rows, goals, notes }: BenchResult): void {
  const width = Math.max(...rows.map(({ what }) => what.length));
  console.log(`\n${name}: ${summary}\n`);
  for (const { what, figure } of rows) console.log(`  ${what.padEnd(width)}  ${figure}`);
  console.log('');
  for (const { kind, what, isMet } of goals) console.log(`  ${isMet ? 'met    ' : 'NOT MET'}  ${kind}: ${what}`);
  for (const note of notes) console.log(`  note     ${note}`);
}

let plan: ReturnType<typeof asked>;
try {
  plan = asked();
} catch (error) {
  console.error(`${error instanceof Error ? error.message : String(error)}\n\n${usage}`);
  process.exit(2);
}
const interrupted = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => interrupted.abort(new Error(`${signal}: the bench was interrupted`)));
const figures: Record<string, unknown> = {};
const measured: Measured[] = [];
const isText = !plan.json && !plan.markdown;

async function measure(bench: Bench): Promise<void> {
  const startMs = performance.now();
  const tell = (text: string): void => console.error(`${((performance.now() - startMs) / 1000).toFixed(1).padStart(7)} s  ${bench.name}: ${text}`);
  const beside = plan.compare ? installed(bench.name, tell) : [];
  await round(beside, tell, interrupted.signal);
  const result = await bench.run({ tell, options: { ...bench.options, ...plan.options }, signal: interrupted.signal });
  figures[bench.name] = result.figures;
  if (isText) print(bench, result);
  await round(beside, tell, interrupted.signal);
  const outcomes = beside.map((each) => ({ program: each.comparison.program, ...outcome(each, result.figures) }));
  for (const { program, json } of outcomes) figures[program] = json;
  const compared = outcomes.flatMap(({ lines }) => lines);
  if (isText) for (const line of compared) console.log(`  compared ${line}`);
  measured.push({ bench, result, compared });
}

let hasFailed = false;
for (const bench of plan.chosen) {
  try {
    interrupted.signal.throwIfAborted();
    await measure(bench);
  } catch (error) {
    // The figures of the others are worth having.
    console.error(`${bench.name} failed, and is not among the figures:`, error);
    hasFailed = true;
  }
}
if (plan.json) console.log(JSON.stringify(figures));
if (plan.markdown) console.log(markdown(measured, Date.now()));
process.exit(hasFailed ? 1 : 0);
