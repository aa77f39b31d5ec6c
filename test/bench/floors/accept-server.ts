/**
 * The floor of acceptance, a process of its own: a raw-bytes stream in both directions over a unix socket, into a thread
 * that writes three rows an item in groups, each item acknowledged after the fsync of its group. Argv has its socket and its database.
 */
import { Server, ServerCredentials } from '@grpc/grpc-js';
import type { ServerDuplexStream } from '@grpc/grpc-js';
import { Worker } from 'node:worker_threads';
import { isReady } from '../child.ts';
import type { Item } from './accept-writer.ts';
import { rawCalls } from './raw-calls.ts';

const [socketPath = '', path = ''] = process.argv.slice(2);
const worker = new Worker(new URL('./accept-writer.ts', import.meta.url), { workerData: path });
await new Promise((resolve) => worker.once('message', resolve));

const open = new Map<number, () => void>();
let outgoing: Item[] = [];
let count = 0;

function store(content: Buffer, acknowledge: () => void): void {
  count += 1;
  open.set(count, acknowledge);
  if (outgoing.length === 0) {
    setImmediate(() => {
      worker.postMessage(outgoing);
      outgoing = [];
    });
  }
  outgoing.push([count, new Uint8Array(content)]);
}

worker.on('message', (numbers: readonly number[]) => {
  for (const number of numbers) {
    open.get(number)?.();
    open.delete(number);
  }
});

const server = new Server();
server.addService(rawCalls, {
  stream(call: ServerDuplexStream<Buffer, Buffer>) {
    // The first four bytes are its sender's number of it: all that comes back.
    call.on('data', (content: Buffer) => store(content, () => void call.write(content.subarray(0, 4))));
    call.on('error', () => call.end());
    call.on('end', () => call.end());
  },
});
await new Promise<void>((resolve, reject) => server.bindAsync(`unix:${socketPath}`, ServerCredentials.createInsecure(), (error) => (error === null ? resolve() : reject(error))));
isReady();
