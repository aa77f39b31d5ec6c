/** One small HTTP/1.1 exchange over one TLS 1.3 connection, with a bound on time and size. */
import { isIP } from 'node:net';
import type { Duplex } from 'node:stream';
import { connect, type ConnectionOptions, type TLSSocket } from 'node:tls';
import type { HostPort } from '../domain/host-port.ts';
import type { Clock } from '../domain/ports.ts';

// Not imported: that reads all it exports, WebSocket too, and so loads Node's whole web client, 12 MB.
const http = process.getBuiltinModule('node:http');

/** A stream to an address that is not reached directly; undefined for one that is. Rejects with why there is none. */
export type Detour = (address: HostPort, timeoutMs: number) => Promise<Duplex | undefined>;

export interface Exchange {
  readonly address: HostPort;
  readonly tls: Pick<ConnectionOptions, 'ca' | 'rejectUnauthorized' | 'checkServerIdentity'>;
  readonly method: 'GET' | 'POST';
  readonly path: string;
  /** Made once the handshake is done and the server was judged: nothing of it can leave earlier. */
  readonly body?: (socket: TLSSocket) => string;
  readonly mostBytes: number;
  /** For all of it. */
  readonly timeoutMs: number;
  readonly clock: Clock;
  readonly signal?: AbortSignal | undefined;
  readonly detour?: Detour | undefined;
  /** Of this machine, for a connection that has to come from there. */
  readonly localAddress?: string | undefined;
}

export interface Answer {
  readonly status: number;
  readonly body: Uint8Array;
}

/** Rejects with whatever error the connection had, or with `TimedOut`; the caller says what that means. */
export class TimedOut extends Error {
  constructor(timeoutMs: number) {
    super(`no answer within ${timeoutMs} ms`);
    this.name = 'TimedOut';
  }
}

export async function exchange(options: Exchange): Promise<Answer> {
  const { address, clock, timeoutMs, signal, detour, localAddress } = options;
  signal?.throwIfAborted();
  const stream = await detour?.(address, timeoutMs);
  const socket = connect({
    ...(stream === undefined ? { host: address.host, port: address.port } : { socket: stream }),
    ...(isIP(address.host) === 0 ? { servername: address.host } : {}),
    ...(localAddress === undefined || stream !== undefined ? {} : { localAddress }),
    ...options.tls,
    minVersion: 'TLSv1.3',
    ALPNProtocols: ['http/1.1'],
  });
  const { promise, resolve, reject } = Promise.withResolvers<Answer>();
  const cancelTimer = clock.setTimer(timeoutMs, () => reject(new TimedOut(timeoutMs)));
  const onAbort = (): void => reject(signal?.reason);
  signal?.addEventListener('abort', onAbort, { once: true });
  socket.once('error', reject);
  socket.once('close', () => reject(new Error('the connection was closed')));
  socket.once('secureConnect', () => {
    try {
      ask(socket, options, resolve, reject);
    } catch (error) {
      reject(error);
    }
  });
  try {
    return await promise;
  } finally {
    cancelTimer();
    signal?.removeEventListener('abort', onAbort);
    // Errors of a connection that is done with have nobody to tell.
    socket.on('error', () => undefined);
    socket.destroy();
    stream?.destroy();
  }
}

function ask(
  socket: TLSSocket,
  { method, path, body, mostBytes }: Exchange,
  resolve: (answer: Answer) => void,
  reject: (error: unknown) => void,
): void {
  const text = body?.(socket) ?? '';
  const headers = {
    host: 'beckon',
    connection: 'close',
    ...(method === 'POST' ? { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) } : {}),
  };
  const request = http.request({ method, path, headers, createConnection: () => socket });
  request.once('error', reject);
  request.once('response', (response) => {
    const chunks: Buffer[] = [];
    let length = 0;
    response.on('data', (chunk: Buffer) => {
      length += chunk.length;
      if (length > mostBytes) reject(new Error(`it answered more than ${mostBytes} bytes`));
      else chunks.push(chunk);
    });
    response.once('error', reject);
    response.once('end', () => resolve({ status: response.statusCode ?? 0, body: new Uint8Array(Buffer.concat(chunks)) }));
  });
  request.end(text);
}
