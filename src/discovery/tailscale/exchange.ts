/** HTTP/1.1 with the local tailscaled, bounded in time and size. */
import type { IncomingMessage, RequestOptions } from 'node:http';
import type { Duplex } from 'node:stream';
import { BrokerError, unavailable } from '../../domain/errors.ts';
import type { Clock } from '../../domain/ports.ts';
import type { LocalApiPlace } from './place.ts';

// Not imported: that reads all it exports, WebSocket too, and so loads Node's whole web client, 12 MB.
const http = process.getBuiltinModule('node:http');

export interface Call {
  readonly place: LocalApiPlace;
  readonly clock: Clock;
  readonly method: 'GET' | 'POST';
  /** With its query. */
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Until the head of the answer is there, and for an answer that is read whole until its end. */
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
}

/** Anything else, `localhost` say, and any Origin or Referer, is answered with 403. */
const host = 'local-tailscaled.sock';

/** The head of the answer; its body is the caller's to read, and to destroy. @throws BrokerError `unavailable` */
export function open(call: Call): Promise<{ readonly response: IncomingMessage; readonly upgraded?: Duplex }> {
  const { place, clock, method, path, headers, timeoutMs, signal } = call;
  return new Promise((resolve, reject) => {
    const options: RequestOptions = {
      method,
      path,
      agent: false,
      headers: { host, ...(place.kind === 'port' ? { authorization: `Basic ${Buffer.from(`:${place.token}`).toString('base64')}` } : {}), ...headers },
      ...(place.kind === 'socket' ? { socketPath: place.path } : { host: '127.0.0.1', port: place.port }),
      ...(method === 'POST' ? { setHost: false } : {}),
    };
    const request = http.request(options);
    const settle = (outcome: () => void): void => {
      cancelTimer();
      signal?.removeEventListener('abort', onAbort);
      outcome();
    };
    const fail = (error: BrokerError): void =>
      settle(() => {
        request.destroy();
        reject(error);
      });
    const cancelTimer = clock.setTimer(timeoutMs, () => fail(unavailable(`tailscaled does not answer within ${timeoutMs / 1000} s`)));
    const onAbort = (): void => fail(new BrokerError('cancelled', 'nobody waits for the answer of tailscaled any more'));
    request.on('error', (error) => fail(notReached(place, error)));
    request.once('response', (response) => settle(() => resolve({ response })));
    request.once('upgrade', (response, socket, head) =>
      settle(() => {
        if (head.length > 0) socket.unshift(head);
        resolve({ response, upgraded: socket });
      }),
    );
    if (signal?.aborted === true) return onAbort();
    signal?.addEventListener('abort', onAbort, { once: true });
    request.end();
  });
}

export interface Answer {
  readonly status: number;
  readonly body: string;
}

/** The whole answer. @throws BrokerError `unavailable`: not reached, too slow, too large, broken off */
export async function ask(call: Call & { readonly mostBytes: number }): Promise<Answer> {
  const { clock, timeoutMs, mostBytes } = call;
  const startMs = clock.monotonic();
  const { response, upgraded } = await open(call);
  upgraded?.destroy();
  const leftMs = Math.max(1, timeoutMs - (clock.monotonic() - startMs));
  let isLate = false;
  const cancelTimer = clock.setTimer(leftMs, () => {
    isLate = true;
    response.destroy();
  });
  try {
    return { status: response.statusCode ?? 0, body: await readAll(response, mostBytes) };
  } catch (error) {
    if (error instanceof BrokerError) throw error;
    const why = isLate ? `its answer took longer than ${timeoutMs / 1000} s` : 'it broke its answer off';
    throw new BrokerError('unavailable', `tailscaled: ${why}`, { cause: error });
  } finally {
    cancelTimer();
    response.destroy();
  }
}

async function readAll(response: IncomingMessage, mostBytes: number): Promise<string> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length > mostBytes) throw unavailable(`tailscaled answers more than ${mostBytes} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function notReached(place: LocalApiPlace, error: NodeJS.ErrnoException): BrokerError {
  const where = place.kind === 'socket' ? place.path : `port ${place.port} of this machine`;
  const hint = 'is it installed and started? beckon up --tailscale off goes without';
  switch (error.code) {
    case 'ENOENT':
      return new BrokerError('unavailable', `no tailscaled here: there is no ${where}`, { hint, cause: error });
    case 'ECONNREFUSED':
      return new BrokerError('unavailable', `tailscaled is not running: nobody answers at ${where}`, { hint, cause: error });
    case 'EACCES':
    case 'EPERM':
      return new BrokerError('unavailable', `this user may not talk to tailscaled at ${where}`, { hint: 'sudo tailscale set --operator=$USER lets it', cause: error });
    default:
      return new BrokerError('unavailable', `tailscaled at ${where} can't be asked: ${error.code ?? error.message}`, { hint, cause: error });
  }
}
