/** The store: one thread that writes, short reads here, long ones on a thread of their own. */
import type { AuditHead } from '../domain/audit.ts';
import type { NodeId } from '../domain/ids.ts';
import type { Clock, Log } from '../domain/ports.ts';
import type { MeasuredStore } from '../domain/store-measures.ts';
import { Backups } from './backup.ts';
import { flightCounts } from './caches.ts';
import type { CrashLabel } from './crash.ts';
import { openReading } from './connection.ts';
import { Inspection } from './inspection.ts';
import { refusal } from './look.ts';
import { readerOver } from './reader.ts';
import { remembering } from './remembering.ts';
import { StoreTally } from './store-tally.ts';
import { WorkerChannel } from './worker-channel.ts';
import { writerOver } from './writer.ts';

export { crashLabels } from './crash.ts';
export { schemaVersion } from './migrations.ts';

export interface OpenStore {
  /** The database file. Missing: it is made, mode 0600, in a directory that exists. */
  readonly path: string;
  /** This node: whose facts the store writes. */
  readonly nodeId: NodeId;
  readonly log: Log;
  /** Says when the thread of the long reads has been idle for long enough, and how long a backup rests; without it that thread stays, and none rests. */
  readonly clock?: Pick<Clock, 'setTimer' | 'monotonic'>;
  /** What the chain of its audit is keyed with: of this node, and the same each time. */
  readonly auditKey?: Uint8Array;
  /** Hears how far the audit has come, after each commit that made it longer and before those are answered whose acts these were. */
  readonly onAudit?: (head: AuditHead) => void;
  /** Is told of a migration before it is begun, and when it is done. */
  readonly tell?: (text: string) => void;
  /** For tests: the process kills itself at this step, see `crashLabels`. */
  readonly crashAt?: CrashLabel;
}

/**
 * The caller holds the node's lock: see `acquireLock`.
 * @throws BrokerError `incompatible` (newer, or another program's), `invalid` (damaged), `conflict` (in use), `denied`
 * (another owner, or open to others), `unavailable`; the file is then as it was.
 */
export async function openStore({ path, nodeId, log, clock, tell, crashAt, onAudit, auditKey = new Uint8Array() }: OpenStore): Promise<MeasuredStore> {
  const tally = new StoreTally();
  const channel = await WorkerChannel.start('writer-worker', { path, nodeId, auditKey, tally: tally.buffer, crashAt }, log, (told) => {
    if ('text' in told) tell?.(told.text);
    else onAudit?.(told.audited);
  });
  const seal = { nodeId, key: auditKey };
  try {
    const db = openReading(path);
    const backups = new Backups({ path, log, clock, writes: () => channel.asked });
    const inspection = new Inspection({ path, seal, log, clock, countFlights: flightCounts(db) });
    return {
      ...remembering(readerOver(db, seal), writerOver(channel)),
      inspect: inspection,
      measured: () => tally.read(),
      backup: (to, tell) => backups.write(to, tell),
      async close() {
        await backups.settled();
        await inspection.close();
        if (db.open) db.close();
        // Last: the last connection to go takes the log with it.
        await channel.close();
        backups.close();
      },
    };
  } catch (thrown) {
    await channel.close();
    throw refusal(path, thrown);
  }
}
