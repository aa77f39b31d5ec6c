/** The thread of the long reads: they never hold up the node's own, nor its writes. */
import { parentPort, workerData } from 'node:worker_threads';
import { internal, toBrokerError } from '../domain/errors.ts';
import type { AuditSeal } from './audit.ts';
import { openReading } from './connection.ts';
import { failure } from './group-commit.ts';
import { inspectionOver } from './inspection-reads.ts';
import { packAnswers, unpackRequests } from './parcel.ts';
import type { Answer, FromWorker, Request, ToWorker } from './protocol.ts';
import { fromSqlite } from './sqlite-errors.ts';

const port = parentPort;
if (port === null) throw internal('inspection runs as a worker only');
const post = (message: FromWorker): void => {
  port.postMessage(message);
};

try {
  const { path, seal } = workerData as { path: string; seal: AuditSeal };
  const db = openReading(path);
  const reads = inspectionOver(db, seal) as unknown as Readonly<Record<string, (...args: unknown[]) => unknown>>;
  const answer = ({ id, name, input }: Request): Answer => {
    try {
      const read = Object.hasOwn(reads, name) ? reads[name] : undefined;
      if (read === undefined) throw internal(`the store has no question ${name}`);
      return { id, value: read(...(input as unknown[])) };
    } catch (thrown) {
      return failure(id, fromSqlite(thrown, `the read ${name}`));
    }
  };
  port.on('message', (message: ToWorker) => {
    if (message === 'close') {
      db.close();
      port.close();
    } else {
      // One by one: a long answer does not hold back those before it.
      for (const request of unpackRequests(message)) post(packAnswers([answer(request)]));
    }
  });
  post('ready');
} catch (thrown) {
  post({ failed: toBrokerError(thrown).toInfo() });
  port.close();
}
