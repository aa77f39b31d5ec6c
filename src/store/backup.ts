/** Backups, each on a thread of its own that does a little at a time. */
import { closeSync, openSync } from 'node:fs';
import type { BackupProgress } from '../domain/backup-report.ts';
import { pause } from '../domain/pause.ts';
import type { Clock, Log } from '../domain/ports.ts';
import type { BackupReport } from '../domain/store-port.ts';
import type { CopyStep } from './file-copy.ts';
import { WorkerChannel } from './worker-channel.ts';

/** After each block as many times as long as it took, when others wrote meanwhile: the disk and the memory are theirs. */
const restsEach = 4;
const longestRestMs = 1000;

export interface BackupParts {
  readonly path: string;
  readonly log: Log;
  /** Left out: nothing is paced. */
  readonly clock?: Pick<Clock, 'setTimer' | 'monotonic'> | undefined;
  /** How many writes there were so far. */
  readonly writes: () => number;
}

export type TellProgress = (progress: BackupProgress) => void;

export class Backups {
  readonly #parts: BackupParts;
  /** Those that are being written: a store that closes lets them end. */
  readonly #running = new Set<Promise<unknown>>();
  /** The database, see `CopyParts.file`. */
  #file: number | undefined;

  constructor(parts: BackupParts) {
    this.#parts = parts;
  }

  write(to: string, tell: TellProgress = () => undefined): Promise<BackupReport> {
    const backup = this.#write(to, tell);
    this.#running.add(backup);
    const forget = (): unknown => this.#running.delete(backup);
    backup.then(forget, forget);
    return backup;
  }

  async settled(): Promise<void> {
    await Promise.allSettled(this.#running);
  }

  /** All connections to the database in this process are closed. */
  close(): void {
    if (this.#file !== undefined) closeSync(this.#file);
    this.#file = undefined;
  }

  async #write(to: string, tell: TellProgress): Promise<BackupReport> {
    const { path, log } = this.#parts;
    this.#file ??= openSync(path, 'r');
    const channel = await WorkerChannel.start('backup-worker', { path, file: this.#file, to }, log);
    try {
      await channel.ask('begin', undefined);
      await this.#all(channel, tell, 'copy');
      // Without a rest: while it holds its moment, the log grows with all that others write.
      await this.#all(channel, tell, 'match');
      tell({ step: 'check' });
      return (await channel.ask('finish', undefined)) as BackupReport;
    } finally {
      await channel.close();
    }
  }

  async #all(channel: WorkerChannel, tell: TellProgress, step: 'copy' | 'match'): Promise<void> {
    const { clock, writes } = this.#parts;
    for (let before = writes(); ; before = writes()) {
      const beganMs = clock?.monotonic() ?? 0;
      const { done, total, isOver } = (await channel.ask(step, undefined)) as CopyStep;
      tell({ step, done, total });
      if (isOver) return;
      if (clock === undefined || step === 'match' || writes() === before) continue;
      const restMs = Math.min((clock.monotonic() - beganMs) * restsEach, longestRestMs);
      await pause(clock, restMs);
    }
  }
}
