/** The node of the accept floor: argv has its socket and its database. */
import { Server, ServerCredentials } from '@grpc/grpc-js';
import type { ServerDuplexStream } from '@grpc/grpc-js';
import { Worker } from 'node:worker_threads';
import { isReady } from '../child.ts';
import { rawCalls } from './raw-calls.ts';

const [socket = '', database = ''] = process.argv.slice(2);
const worker = new Worker(new URL('./accept-writer.ts', import.meta.url), { workerData: { database } });
await new Promise((resolve) => worker.once('message', resolve));
const acknowledgement = Buffer.alloc(8);
const streams: ServerDuplexStream<Buffer, Buffer>[] = [];
let arrived: Uint8Array[] = [];

worker.on('error', (error) => {
  throw error;
});
worker.on('message', (count: number) => {
  for (const stream of streams.splice(0, count)) stream.write(acknowledgement);
});

const server = new Server();
server.addService(rawCalls, {
  stream(call: ServerDuplexStream<Buffer, Buffer>) {
    call.on('data', (task: Buffer) => {
      streams.push(call);
      // Without the buffer that it is a view of.
      arrived.push(new Uint8Array(task));
      // What arrives in one turn of the event loop leaves together.
      if (arrived.length > 1) return;
      setImmediate(() => {
        worker.postMessage(arrived);
        arrived = [];
      });
    });
    call.on('error', () => call.end());
    call.on('end', () => call.end());
  },
});
await new Promise<void>((resolve, reject) => {
  server.bindAsync(`unix:${socket}`, ServerCredentials.createInsecure(), (error) => (error === null ? resolve() : reject(error)));
});
isReady();
