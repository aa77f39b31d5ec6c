/** Backups, each on a thread of its own. */
import type { Log } from '../domain/ports.ts';
import type { BackupReport } from '../domain/store-port.ts';
import { WorkerChannel } from './worker-channel.ts';

export async function backUp(path: string, to: string, log: Log): Promise<BackupReport> {
  const channel = await WorkerChannel.start('backup-worker', { path }, log);
  try {
    return (await channel.ask('backup', to)) as BackupReport;
  } finally {
    await channel.close();
  }
}

/** Those that are being written: a store that closes lets them end. */
export class Backups {
  readonly #running = new Set<Promise<unknown>>();

  track<Result>(backup: Promise<Result>): Promise<Result> {
    this.#running.add(backup);
    const forget = (): unknown => this.#running.delete(backup);
    backup.then(forget, forget);
    return backup;
  }

  async settled(): Promise<void> {
    await Promise.allSettled(this.#running);
  }
}
