/**
 * A process that fuzzes one boundary, so that whatever happens to it is known by its end. Its words to the parent are lines of JSON on
 * stdout. With `check`, it tries one input alone.
 */
import { readFileSync } from 'node:fs';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { Dice } from '../../chaos/dice.ts';
import { boundaries } from '../boundaries/index.ts';
import { corpusOf } from '../corpus.ts';
import type { Boundary } from './boundary.ts';
import { coverage, watchModules } from './coverage.ts';
import { fuzz } from './fuzzer.ts';
import { minimised } from './minimise.ts';
import { findOf, tried, warmedUp } from './trial.ts';
import type { Find } from './trial.ts';
import { watchdog } from './watchdog.ts';

export interface ChildOrder {
  readonly boundary: string;
  readonly seed: number;
  readonly inputs: number;
  readonly ms?: number;
  /** File with the input that is tried. */
  readonly scratch: string;
  /** A file to be tried alone. */
  readonly check?: string;
}

export type ChildWord =
  | { readonly type: 'find'; readonly find: Find; readonly input: string }
  | { readonly type: 'progress'; readonly inputs: number }
  | { readonly type: 'done'; readonly inputs: number; readonly accepted: number; readonly kept: number; readonly places: number; readonly reached: number; readonly growth?: string | undefined; readonly refusedGrowth?: string | undefined }
  | { readonly type: 'checked' };

const order = JSON.parse(process.argv[2] ?? '') as ChildOrder;
const root = new URL('../../../', import.meta.url);
const say = (word: ChildWord): void => void process.stdout.write(`${JSON.stringify(word)}\n`);
const mostFinds = 20;

async function boundaryOf(name: string): Promise<Boundary> {
  const found = boundaries[name];
  if (found === undefined) throw new Error(`there is no boundary ${name}`);
  return found();
}

async function check(boundary: Boundary, input: Uint8Array): Promise<void> {
  const watch = watchdog(order.scratch);
  const target = await boundary.open();
  await warmedUp(target, Object.values(await boundary.seeds()));
  watch.begin(input);
  const outcome = await tried(target, input);
  await nextTurn();
  watch.end();
  if ('find' in outcome) say({ type: 'find', find: outcome.find, input: Buffer.from(input).toString('base64') });
  say({ type: 'checked' });
}

async function run(boundary: Boundary): Promise<void> {
  const watch = watchdog(order.scratch);
  const seeds = [...Object.values(await boundary.seeds()), ...corpusOf(boundary.name).map(({ input }) => input)];
  const known = new Set<string>();
  const endMs = order.ms === undefined ? Number.POSITIVE_INFINITY : performance.now() + order.ms;
  let tries = 0;
  const done = await fuzz({
    boundary,
    seeds,
    dice: new Dice(order.seed).fork(boundary.name),
    reach: coverage,
    inputs: order.inputs,
    isLate: () => performance.now() > endMs || known.size >= mostFinds,
    watch: {
      begin: (input) => watch.begin(input),
      end: () => {
        watch.end();
        tries += 1;
        if (tries % 500 === 0) say({ type: 'progress', inputs: tries });
      },
    },
    onFind: async (find, input) => {
      if (known.has(find.signature)) return;
      known.add(find.signature);
      const target = await boundary.open();
      const smallest = await minimised(input, async (candidate) => {
        watch.begin(candidate);
        const outcome = await tried(target, candidate);
        watch.end();
        if ('find' in outcome) await target.renew?.();
        return 'find' in outcome && outcome.find.signature === find.signature;
      }, 3_000);
      await target.close?.();
      say({ type: 'find', find, input: Buffer.from(smallest).toString('base64') });
    },
  });
  say({ type: 'done', ...done, places: coverage.places(), reached: coverage.reached() });
}

watchModules(root.href);
let isFaulty = false;
for (const event of ['uncaughtException', 'unhandledRejection'] as const) {
  process.on(event, (error: unknown) => {
    if (isFaulty) return;
    isFaulty = true;
    say({ type: 'find', find: findOf(error), input: '' });
    process.stdout.write('', () => process.exit(70));
  });
}
// What waits for something that never comes is a hang, and no end.
setInterval(() => undefined, 60_000);
const boundary = await boundaryOf(order.boundary);
await (order.check === undefined ? run(boundary) : check(boundary, readFileSync(order.check)));
process.stdout.write('', () => process.exit(0));
