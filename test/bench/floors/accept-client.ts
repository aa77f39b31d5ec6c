/** The caller of the accept floor: argv has the socket. */
import { credentials } from '@grpc/grpc-js';
import type { ClientDuplexStream } from '@grpc/grpc-js';
import { measures } from '../child.ts';
import { messageBytes, RawCalls } from './raw-calls.ts';

const [socket = ''] = process.argv.slice(2);
const client = new RawCalls(`unix:${socket}`, credentials.createInsecure());
const open = client['stream'] as unknown as () => ClientDuplexStream<Buffer, Buffer>;
const stream = open.call(client);
const waiting: (() => void)[] = [];
let oldest = 0;
stream.on('data', () => {
  // Acknowledged in the order in which they were sent.
  waiting[oldest]?.();
  oldest += 1;
  if (oldest < 4096) return;
  waiting.splice(0, oldest);
  oldest = 0;
});
stream.on('error', (error) => {
  throw error;
});

const task = Buffer.alloc(messageBytes, 'x');
measures(
  () =>
    new Promise<void>((resolve) => {
      waiting.push(resolve);
      stream.write(task);
    }),
);
