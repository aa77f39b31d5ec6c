import { credentials, makeGenericClientConstructor, Server, ServerCredentials } from '@grpc/grpc-js';
import type { CallOptions, ClientReadableStream, ClientUnaryCall, Metadata, ServiceError } from '@grpc/grpc-js';
import { expect, test } from 'vitest';
import { BrokerError, denied } from '../../src/domain/errors.ts';
import { callUnary, readStream } from '../../src/rpc/call.ts';
import { serverStream, unary } from '../../src/rpc/handler.ts';
import type { Edge } from '../../src/rpc/handler.ts';
import { waitFor } from '../support/wait-for.ts';

const same = (bytes: Buffer): Buffer => bytes;
const codec = { requestSerialize: same, requestDeserialize: same, responseSerialize: same, responseDeserialize: same };
const service = {
  once: { path: '/t/once', requestStream: false, responseStream: false, ...codec },
  many: { path: '/t/many', requestStream: false, responseStream: true, ...codec },
} as const;
const TestClient = makeGenericClientConstructor(service, 't');
interface Client {
  once(request: Buffer, metadata: Metadata, options: Partial<CallOptions>, callback: (error: ServiceError | null, response: Buffer) => void): ClientUnaryCall;
  many(request: Buffer): ClientReadableStream<Buffer>;
  close(): void;
}

interface Handlers {
  readonly once?: (caller: string, request: Buffer, signal: AbortSignal) => Promise<Buffer>;
  readonly many?: (caller: string, request: Buffer, signal: AbortSignal) => AsyncIterable<Buffer>;
}

async function serve(edge: Partial<Edge<string>>, handlers: Handlers) {
  const server = new Server();
  const whole: Edge<string> = { authenticate: () => 'ann', onFault: () => undefined, ...edge };
  const never = (): never => {
    throw new Error('nobody was to call this');
  };
  server.addService(service, { once: unary(whole, handlers.once ?? never), many: serverStream(whole, handlers.many ?? never) });
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) => (error === null ? resolve(bound) : reject(error))),
  );
  const client = new TestClient(`127.0.0.1:${port}`, credentials.createInsecure()) as unknown as Client;
  const call = (text: string, signal?: AbortSignal): Promise<Buffer> =>
    callUnary<Buffer, Buffer>((...args) => client.once(...args), Buffer.from(text), signal === undefined ? {} : { signal });
  return {
    client,
    call,
    [Symbol.dispose]: () => {
      client.close();
      server.forceShutdown();
    },
  };
}

test('a handler gets the caller, and a call that is nobody’s never reaches it', async () => {
  let calls = 0;
  const once = (caller: string, request: Buffer): Promise<Buffer> => {
    calls += 1;
    return Promise.resolve(Buffer.from(`${caller}:${request.toString()}`));
  };
  using open = await serve({}, { once });
  expect((await open.call('hi')).toString()).toBe('ann:hi');
  using closed = await serve(
    {
      authenticate: () => {
        throw new BrokerError('unauthenticated', 'who are you?');
      },
    },
    { once },
  );
  await expect(closed.call('hi')).rejects.toMatchObject({ code: 'unauthenticated', message: 'who are you?' });
  expect(calls).toBe(1);
});

test('an error arrives with its hint; one of unknown origin is told to the log and not to the caller', async () => {
  const faults: unknown[] = [];
  const thrown = [denied('not yours', 'ask its owner'), new TypeError('x of undefined')];
  using served = await serve({ onFault: ({ cause }) => void faults.push(cause) }, { once: () => Promise.reject(thrown.shift() ?? new Error('no more')) });
  await expect(served.call('a')).rejects.toMatchObject({ code: 'denied', message: 'not yours', hint: 'ask its owner' });
  const error = await served.call('b').catch((each: unknown) => each as BrokerError);
  expect(error).toMatchObject({ code: 'internal' });
  expect(String((error as BrokerError).message)).not.toContain('undefined');
  expect(faults).toEqual([expect.any(TypeError)]);
});

test('a caller that gives up aborts its handler', async () => {
  let aborted = false;
  const abort = new AbortController();
  using served = await serve(
    {},
    {
      once: (_caller, _request, signal) =>
        new Promise(() => {
          signal.addEventListener('abort', () => (aborted = true));
          abort.abort();
        }),
    },
  );
  await expect(served.call('a', abort.signal)).rejects.toMatchObject({ code: 'cancelled' });
  await waitFor('the handler to know', () => aborted);
});

test('a stream is pulled only as fast as it is read, and its end or error arrives', async () => {
  let pulled = 0;
  using served = await serve(
    {},
    {
      many: async function* (_caller, request) {
        for (let index = 0; index < 500; index += 1) {
          pulled += 1;
          yield await Promise.resolve(Buffer.alloc(64 * 1024, index % 250));
        }
        if (request.toString() === 'fail') throw denied('enough');
      },
    },
  );
  let read = 0;
  for await (const bytes of readStream(served.client.many(Buffer.from('')))) {
    if (read === 0) await new Promise((resolve) => setTimeout(resolve, 300));
    if (read === 0) expect(pulled).toBeLessThan(100);
    expect(bytes[0]).toBe(read % 250);
    read += 1;
  }
  expect(read).toBe(500);
  const all = async (): Promise<void> => {
    for await (const _ of readStream(served.client.many(Buffer.from('fail')))) read += 1;
  };
  await expect(all()).rejects.toMatchObject({ code: 'denied' });
});

test('leaving a stream early ends its handler', async () => {
  let isOver = false;
  using served = await serve(
    {},
    {
      many: async function* (_caller, _request, signal) {
        try {
          for (;;) {
            yield Buffer.from('x');
            if (signal.aborted) return;
            await new Promise((resolve) => setImmediate(resolve));
          }
        } finally {
          isOver = true;
        }
      },
    },
  );
  for await (const _ of readStream(served.client.many(Buffer.from('')))) break;
  await waitFor('the handler to end', () => isOver);
});
