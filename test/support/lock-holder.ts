/** A thread that holds a node's lock until it is told to let go: for the file's lock it is as another process. */
import { parentPort, workerData } from 'node:worker_threads';
import { acquireLock } from '../../src/store/lock.ts';

const lock = acquireLock(workerData as string);
parentPort?.on('message', () => {
  lock.release();
  parentPort?.close();
});
parentPort?.postMessage('held');
