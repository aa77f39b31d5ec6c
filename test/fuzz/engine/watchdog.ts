/**
 * Sees that an input takes too long, also when it never lets go of the thread: a thread of its own looks at a number that goes up
 * with each input. The input itself is in a file, so that it is known when the process is gone.
 */
import { closeSync, openSync, readFileSync, writeSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import { longestMs } from './trial.ts';

const program = `
const { workerData } = require('node:worker_threads');
const shared = new Int32Array(workerData.shared);
let last = -1, since = 0;
for (;;) {
  Atomics.wait(shared, 1, 0, 100);
  const now = Atomics.load(shared, 0);
  // Even: none is being tried.
  if (now !== last || now % 2 === 0) { last = now; since = performance.now(); continue; }
  if (performance.now() - since > workerData.longestMs + 100) process.kill(process.pid, 'SIGKILL');
}`;

/** @param path of the file that has the input which is tried */
export function watchdog(path: string): { begin(input: Uint8Array): void; end(): void; close(): Promise<unknown> } {
  const shared = new SharedArrayBuffer(8);
  const number = new Int32Array(shared);
  const file = openSync(path, 'w');
  const length = Buffer.alloc(4);
  const worker = new Worker(program, { eval: true, workerData: { shared, longestMs }, execArgv: [] });
  worker.unref();
  return {
    begin(input) {
      length.writeUInt32LE(input.length);
      writeSync(file, length, 0, 4, 0);
      writeSync(file, input, 0, input.length, 4);
      Atomics.add(number, 0, 1);
    },
    end: () => void Atomics.add(number, 0, 1),
    async close() {
      closeSync(file);
      return worker.terminate();
    },
  };
}

/** Undefined when none was tried. */
export function lastInput(path: string): Uint8Array | undefined {
  const content = readFileSync(path);
  return content.length < 4 ? undefined : Uint8Array.from(content.subarray(4, 4 + content.readUInt32LE(0)));
}
