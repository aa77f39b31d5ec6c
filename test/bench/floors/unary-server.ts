/** The answering end of the unary floor: argv has host:port. */
import { Server, ServerCredentials } from '@grpc/grpc-js';
import type { sendUnaryData, ServerUnaryCall } from '@grpc/grpc-js';
import { isReady } from '../child.ts';
import { rawCalls } from './raw-calls.ts';

const [address = ''] = process.argv.slice(2);
const server = new Server();
server.addService(rawCalls, {
  unary(call: ServerUnaryCall<Buffer, Buffer>, callback: sendUnaryData<Buffer>) {
    callback(null, call.request);
  },
});
await new Promise<void>((resolve, reject) => {
  server.bindAsync(address, ServerCredentials.createInsecure(), (error) => (error === null ? resolve() : reject(error)));
});
isReady();
