/** What work loses while something else is done with its store: windows in turn, without and with it. */
import { rm } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { createSystemClock } from '../../../src/app/system-clock.ts';
import { Chronicler } from '../../../src/broker/chronicler.ts';
import { Pruning } from '../../../src/broker/pruning.ts';
import type { Retention } from '../../../src/broker/pruning.ts';
import type { Store } from '../../../src/domain/store-port.ts';
import { silentLog } from '../../support/temp-store.ts';
import { perSecond } from './load.ts';
import type { Load, Rate } from './load.ts';

export interface Beside {
  /** Of the rate that there is without it. */
  readonly share: number;
  readonly alonePerSecond: number;
  readonly besidePerSecond: number;
  /** What was done meanwhile. */
  readonly done: string;
}

const windowMs = 2500;

async function window(load: Load, ms: number): Promise<Rate> {
  const over = { now: false };
  void delay(ms).then(() => (over.now = true));
  return load.run(() => over.now);
}

/** The middle of the rounds' ratios, of an even number the worse of two: each beside its own neighbours. */
function middle(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.floor((sorted.length - 1) / 2)] ?? Number.NaN;
}

function summed(rates: readonly Rate[]): number {
  return perSecond({ count: rates.reduce((sum, { count }) => sum + count, 0), seconds: rates.reduce((sum, { seconds }) => sum + seconds, 0) });
}

/** A without, B with it, A without: the ratio is of B to its two neighbours. */
async function inTurn(load: Load, rounds: number, beside: () => Promise<Rate>): Promise<Omit<Beside, 'done'>> {
  const alone: Rate[] = [await window(load, windowMs)];
  const withIt: Rate[] = [];
  for (let round = 0; round < rounds; round += 1) {
    withIt.push(await beside());
    alone.push(await window(load, windowMs));
  }
  const shares = withIt.map((rate, round) => perSecond(rate) / summed(alone.slice(round, round + 2)));
  return { share: middle(shares), alonePerSecond: summed(alone), besidePerSecond: summed(withIt) };
}

/** Pruned without a rest between rounds, where a node makes one in ten seconds. @throws when there is too little to prune */
export async function besidePruning(store: Store, load: Load, rounds: number, retention: Retention): Promise<Beside> {
  const clock = createSystemClock();
  const done = { outputs: 0, records: 0 };
  const log = { ...silentLog, info: (fields: Readonly<Record<string, unknown>>) => {
    done.outputs += Number(fields['outputs'] ?? 0);
    done.records += Number(fields['records'] ?? 0);
  } };
  let isOver = false;
  const chronicler = new Chronicler(clock, store.read.lastHlc());
  const pruning = new Pruning({ store, chronicler, clock, log, retention, isStopping: () => isOver });
  const result = await inTurn(load, rounds, async () => {
    isOver = false;
    const pruned = (async () => {
      while (!isOver) {
        await pruning.run();
        // A round that finds nothing gives nobody else a turn.
        await delay(1);
      }
    })();
    const rate = await window(load, windowMs);
    isOver = true;
    await pruned;
    return rate;
  });
  const nowMs = clock.now();
  if (!store.read.prunable({ outputsBeforeMs: nowMs - retention.outputMs, mostBytes: retention.outputBytes, recordsBeforeMs: nowMs - retention.recordMs })) throw new Error('all was pruned before the bench was over');
  return { ...result, done: done.records > 0 ? `records of ${done.records} flights` : `outputs of ${done.outputs} flights` };
}

/** For as long as the backup takes. */
export async function besideBackup(store: Store, load: Load, rounds: number, path: string, tell: (text: string) => void): Promise<Beside> {
  let [bytes, seconds] = [0, 0];
  const result = await inTurn(load, rounds, async () => {
    const over = { now: false };
    const startMs = performance.now();
    const backup = store.backup(path).finally(() => (over.now = true));
    const rate = await load.run(() => over.now);
    bytes = (await backup).bytes;
    const tookS = (performance.now() - startMs) / 1000;
    seconds += tookS;
    tell(`a backup of ${(bytes / 1e9).toFixed(2)} GB in ${tookS.toFixed(1)} s beside ${Math.round(perSecond(rate))}/s`);
    await rm(path);
    return rate;
  });
  return { ...result, done: `${(bytes / 1e9).toFixed(2)} GB in ${(seconds / rounds).toFixed(1)} s` };
}
