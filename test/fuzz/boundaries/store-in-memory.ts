/** The store of a node but for its threads: its writes, their group commit, its reads, on a database in memory. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { fromInfo, unavailable } from '../../../src/domain/errors.ts';
import type { BrokerError } from '../../../src/domain/errors.ts';
import type { NodeId } from '../../../src/domain/ids.ts';
import { auditSealOf } from '../../support/temp-store.ts';
import type { Store } from '../../../src/domain/store-port.ts';
import { flightCounts } from '../../../src/store/caches.ts';
import { GroupCommit } from '../../../src/store/group-commit.ts';
import type { Connection } from '../../../src/store/connection.ts';
import { inspectionOver } from '../../../src/store/inspection-reads.ts';
import { unpackAccept } from '../../../src/store/packed-accept.ts';
import type { PackedAccept } from '../../../src/store/packed-accept.ts';
import { Hold } from '../../../src/store/parcel.ts';
import { readerOver } from '../../../src/store/reader.ts';
import { remembering } from '../../../src/store/remembering.ts';
import { openTables } from '../../../src/store/tables.ts';
import { performWith, writeHandlers } from '../../../src/store/write-handlers.ts';
import { writerOver } from '../../../src/store/writer.ts';
import type { WorkerChannel } from '../../../src/store/worker-channel.ts';
import { memoryOf } from '../../../src/store/writer-memory.ts';

/** @param onFault told what the writer's thread would log: an error that no refusal explains */
export function storeInMemory(db: Connection, nodeId: NodeId, onFault: (error: BrokerError, cause: string) => void): Store {
  const tables = openTables(db, nodeId);
  const group = new GroupCommit({ db, memory: memoryOf(tables), perform: performWith(writeHandlers(db, tables)) });
  let count = 0;
  const channel = {
    hold: new Hold(),
    ask: async (name: string, input: unknown) => {
      await nextTurn();
      channel.hold.empty();
      count += 1;
      const [answer] = group.commit([{ id: count, name, input: name === 'accept' ? unpackAccept(input as PackedAccept) : input, size: 0 }]);
      if (answer === undefined) throw new Error('the writer gave no answer');
      if (!('error' in answer)) return answer.value;
      const error = fromInfo(answer.error);
      if (answer.cause !== undefined) onFault(error, answer.cause);
      throw error;
    },
  };
  const reads = { ...inspectionOver(db, auditSealOf(nodeId)), countFlights: flightCounts(db) } as unknown as Readonly<Record<string, (...args: readonly unknown[]) => unknown>>;
  const inspect = new Proxy({} as Store['inspect'], {
    get: (_target, name) => (name === 'wake' ? () => undefined : (...args: readonly unknown[]) => nextTurn().then(() => reads[String(name)]?.(...args))),
  });
  return {
    ...remembering(readerOver(db, auditSealOf(nodeId)), writerOver(channel as unknown as WorkerChannel)),
    inspect,
    backup: () => Promise.reject(unavailable('a store in memory is not copied')),
    close: () => Promise.resolve(),
  };
}
