/** The calling end of the unary floor: argv has host:port. */
import { credentials } from '@grpc/grpc-js';
import type { ClientUnaryCall, requestCallback } from '@grpc/grpc-js';
import { measures } from '../child.ts';
import { messageBytes, RawCalls } from './raw-calls.ts';

const [address = ''] = process.argv.slice(2);
const client = new RawCalls(address, credentials.createInsecure());
const call = client['unary'] as unknown as (request: Buffer, callback: requestCallback<Buffer>) => ClientUnaryCall;
const content = Buffer.alloc(messageBytes, 'x');
measures(
  () =>
    new Promise<void>((resolve, reject) => {
      call.call(client, content, (error) => (error === null ? resolve() : reject(error)));
    }),
);
