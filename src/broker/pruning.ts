/** Keeps the store from growing without end, a little at a time. */
import { pause } from '../domain/pause.ts';
import type { Clock, Log } from '../domain/ports.ts';
import type { PruneLimits, Store } from '../domain/store-port.ts';
import type { Chronicler } from './chronicler.ts';

const dayMs = 24 * 3_600_000;

export interface Retention {
  /** Of tasks and output, from the end of their flight. */
  readonly outputMs: number;
  /** Of tasks and output together: the oldest go first. */
  readonly outputBytes: number;
  /** Of all else about a flight, from its end. */
  readonly recordMs: number;
}

export const defaultRetention: Retention = { outputMs: 30 * dayMs, outputBytes: 2e9, recordMs: 365 * dayMs };

/** The longest that one round takes: other chores wait for it. */
const longestRoundMs = 4000;
/** After each write as many times as long as it took: what else is to be written has the store to itself meanwhile. */
const restsEach = 7;
const longestRestMs = 1000;

export interface PruningParts {
  readonly store: Store;
  readonly chronicler: Chronicler;
  readonly clock: Clock;
  readonly log: Log;
  readonly retention: Retention;
  readonly isStopping: () => boolean;
}

export class Pruning {
  readonly #parts: PruningParts;

  constructor(parts: PruningParts) {
    this.#parts = parts;
  }

  /** Each write is a short transaction, and between two others have their turn: the longer they made it wait, the longer. An idle node writes nothing. */
  async run(): Promise<void> {
    const { store, chronicler, clock, log, isStopping } = this.#parts;
    const limits = this.#limits();
    const beganMs = clock.monotonic();
    const sum = { outputs: 0, records: 0, bytes: 0 };
    while (!isStopping() && clock.monotonic() - beganMs < longestRoundMs && store.read.prunable(limits)) {
      const writtenMs = clock.monotonic();
      const { outputs, records, bytes } = await store.write.prune({ ...limits, stamp: chronicler.stamp() });
      const tookMs = clock.monotonic() - writtenMs;
      sum.outputs += outputs;
      sum.records += records;
      sum.bytes += bytes;
      await pause(clock, Math.min(tookMs * restsEach, longestRestMs));
    }
    if (sum.outputs + sum.records + sum.bytes === 0) return;
    log.info(sum, 'pruned');
    const detail = { outputs: String(sum.outputs), records: String(sum.records), bytes: String(sum.bytes) };
    await store.write.note({ stamp: chronicler.stamp(), what: 'store.pruned', detail });
  }

  #limits(): PruneLimits {
    const { clock, retention } = this.#parts;
    const nowMs = clock.now();
    return { outputsBeforeMs: nowMs - retention.outputMs, mostBytes: retention.outputBytes, recordsBeforeMs: nowMs - retention.recordMs };
  }
}
