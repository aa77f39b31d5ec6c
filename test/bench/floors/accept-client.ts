/** The caller of the accept floor: argv has the socket, and how long a message is, bytes. */
import { credentials } from '@grpc/grpc-js';
import type { ClientDuplexStream } from '@grpc/grpc-js';
import { answers } from '../child.ts';
import { sampled } from '../load.ts';
import { RawCalls } from './raw-calls.ts';

const [socket = '', messageBytes = ''] = process.argv.slice(2);
const client = new RawCalls(`unix:${socket}`, credentials.createInsecure());
const open = client['stream'] as unknown as () => ClientDuplexStream<Buffer, Buffer>;

// No promise for each message: the floor is to be as fast as this gRPC is.
answers((load) => sampled(load, (inFlight, isOver, answered) => new Promise((resolve, reject) => {
  const stream = open.call(client);
  const sentMs = new Map<number, number>();
  let count = 0;
  const send = (): void => {
    count += 1;
    const message = Buffer.alloc(Number(messageBytes), 120);
    message.writeUInt32BE(count);
    sentMs.set(count, performance.now());
    stream.write(message);
  };
  stream.on('data', (answer: Buffer) => {
    const number = answer.readUInt32BE();
    answered(performance.now() - (sentMs.get(number) ?? Number.NaN));
    sentMs.delete(number);
    if (!isOver()) send();
    else if (sentMs.size === 0) stream.end();
  });
  stream.on('end', resolve);
  stream.on('error', reject);
  for (let at = 0; at < inFlight; at += 1) send();
})));
