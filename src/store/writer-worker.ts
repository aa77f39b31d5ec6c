/** The thread that owns the one connection which writes. */
import { flushCompileCache } from 'node:module';
import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import { internal, toBrokerError } from '../domain/errors.ts';
import type { NodeId } from '../domain/ids.ts';
import { Arrivals } from './arrivals.ts';
import { crashAt } from './crash.ts';
import type { CrashLabel } from './crash.ts';
import type { Connection } from './connection.ts';
import { GroupCommit, nextBatch } from './group-commit.ts';
import { openDatabase } from './open-database.ts';
import { unpackAccept } from './packed-accept.ts';
import type { PackedAccept } from './packed-accept.ts';
import { packAnswers, unpackRequests } from './parcel.ts';
import type { FromWorker, Request, ToWorker } from './protocol.ts';
import { StoreTally } from './store-tally.ts';
import { stopwatch } from './system-stopwatch.ts';
import { openTables } from './tables.ts';
import { performWith, writeHandlers } from './write-handlers.ts';
import { memoryOf } from './writer-memory.ts';

const port = parentPort ?? fail('the writer runs as a worker only');
const post = (message: FromWorker): void => {
  port.postMessage(message);
};

function fail(why: string): never {
  throw internal(why);
}

/** As if from outside: nothing of this process runs after it. */
function die(): void {
  process.kill(process.pid, 'SIGKILL');
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
}

interface Serving {
  readonly nodeId: NodeId;
  readonly auditKey: Uint8Array;
  readonly tally: StoreTally;
  readonly label: CrashLabel | undefined;
}

function serve(db: Connection, { nodeId, auditKey, tally, label }: Serving): void {
  const arrivals = new Arrivals();
  const tables = openTables(db, nodeId, arrivals, auditKey);
  const group = new GroupCommit({ db, memory: memoryOf(tables), perform: performWith(writeHandlers(db, tables)), failed: () => tally.failed(), ...(label === undefined ? {} : { step: crashAt(label, die) }) });
  const waiting: Request[] = [];
  let isClosing = false;
  const take = (message: ToWorker): void => {
    if (message === 'close') isClosing = true;
    else for (const request of unpackRequests(message)) waiting.push(request.name === 'accept' ? { ...request, input: unpackAccept(request.input as PackedAccept) } : request);
  };
  /** What arrived while the last commit was on its way to the disk shares the next. */
  const takeArrived = (): void => {
    for (let next = receiveMessageOnPort(port); next !== undefined; next = receiveMessageOnPort(port)) take(next.message as ToWorker);
  };
  let audited = 0;
  /** First, so that whoever is answered may rely on it. */
  const tellOfAudit = (): void => {
    const { appended } = tables.audit;
    if (appended !== audited) post({ audited: tables.audit.head() });
    audited = appended;
  };
  port.on('message', (message: ToWorker) => {
    take(message);
    takeArrived();
    while (waiting.length > 0) {
      const batch = nextBatch(waiting);
      const passed = stopwatch();
      const answers = group.commit(batch);
      tally.committed(passed(), batch.length, arrivals);
      tellOfAudit();
      post(packAnswers(answers));
      takeArrived();
    }
    if (isClosing) {
      db.close();
      port.close();
    }
  });
}

try {
  const { path, nodeId, auditKey, tally, crashAt: label } = workerData as { path: string; nodeId: NodeId; auditKey: Uint8Array; tally: SharedArrayBuffer; crashAt?: CrashLabel };
  serve(openDatabase(path, undefined, (told) => post({ told })), { nodeId, auditKey, tally: new StoreTally(tally), label });
  post('ready');
  // What was compiled anew for this start, if anything: a node that is killed has no end at which to keep it.
  flushCompileCache();
} catch (thrown) {
  post({ failed: toBrokerError(thrown).toInfo() });
  port.close();
}
