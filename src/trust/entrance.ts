/**
 * HTTP for peers without a certificate: one small request a connection, few connections at once, little time for each,
 * a rate for each address and for all. What lies behind it never sees more than `mostBodyBytes`.
 */
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { TLSSocket } from 'node:tls';
import { BrokerError, overload, toBrokerError } from '../domain/errors.ts';
import { hostOf } from '../domain/host-port.ts';
import type { LimitName } from '../domain/limits.ts';
import type { CancelTimer, Clock } from '../domain/ports.ts';
import { quoted } from '../domain/text.ts';
import type { Refusal } from './front.ts';
import { httpStatusOf } from './http-status.ts';
import { networkOf, RateLimit, type RateLimits } from './rate-limit.ts';

// Not imported: that reads all it exports, WebSocket too, and so loads Node's whole web client, 12 MB.
const http = process.getBuiltinModule('node:http');

export interface EntranceRequest {
  readonly method: string;
  /** Without the query. */
  readonly path: string;
  readonly body: Uint8Array;
  /** host:port, for the log. */
  readonly remoteAddress: string;
  /** This machine's address of the connection. */
  readonly localAddress: string;
  /** 32 bytes that only the two ends of this TLS connection know (RFC 8446, 7.5). */
  readonly exportKey: (label: string) => Uint8Array;
}

export interface EntranceReply {
  readonly contentType: string;
  readonly body: Uint8Array | string;
}

/** Answers, or throws: a BrokerError is told to the stranger as it is, anything else as `internal`. */
export type EntranceHandler = (request: EntranceRequest) => Promise<EntranceReply>;

export interface EntranceLimits {
  readonly mostSockets: number;
  readonly mostSocketsPerAddress: number;
  readonly mostBodyBytes: number;
  /** From the end of the handshake to the last byte of the request. */
  readonly requestTimeoutMs: number;
  /** From there to the last byte of the answer. */
  readonly answerTimeoutMs: number;
  readonly rates: RateLimits;
}

export const defaultEntranceLimits: EntranceLimits = {
  mostSockets: 64,
  // A join has one at a time.
  mostSocketsPerAddress: 8,
  mostBodyBytes: 16 * 1024,
  requestTimeoutMs: 10_000,
  answerTimeoutMs: 30_000,
  // A join takes two requests.
  rates: { perAddress: { burst: 20, perMinute: 20 }, overall: { burst: 200, perMinute: 200 }, mostAddresses: 4096 },
};

export interface EntranceOptions {
  readonly clock: Clock;
  readonly handle: EntranceHandler;
  /** Exactly once for each connection that got an error, or nothing. */
  readonly onRefused: (refusal: Refusal) => void;
  /** Whether many machines come from that address, so that no limit for one can be kept there. */
  readonly isShared?: (host: string) => boolean;
  readonly limits?: Partial<EntranceLimits>;
}

interface Visit {
  readonly remoteAddress: string;
  /** Without the port; undefined for one that many come from. */
  readonly host: string | undefined;
  cancelTimer: CancelTimer;
  hasAsked: boolean;
  isSettled: boolean;
}

export class Entrance {
  readonly #options: EntranceOptions;
  readonly #limits: EntranceLimits;
  readonly #rates: RateLimit;
  readonly #server: Server;
  readonly #visits = new Map<TLSSocket, Visit>();

  constructor(options: EntranceOptions) {
    this.#options = options;
    this.#limits = { ...defaultEntranceLimits, ...options.limits };
    this.#rates = new RateLimit(this.#limits.rates, () => options.clock.monotonic());
    // It never listens, so none of its own timeouts would run; each visit has a timer here.
    this.#server = http.createServer({ maxHeaderSize: 8192, keepAlive: false }, (request, response) => {
      void this.#serve(request, response);
    });
    this.#server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
      const visit = socket instanceof TLSSocket ? this.#visits.get(socket) : undefined;
      if (visit !== undefined) this.#settle(visit, `not an HTTP request (${error.code ?? error.message})`, error.code === 'HPE_HEADER_OVERFLOW' ? { limit: 'stranger_size' } : {});
      socket.destroy();
    });
  }

  /** Takes a socket over from the front, after its handshake. */
  admit(socket: TLSSocket, remoteAddress: string): void {
    const { clock } = this.#options;
    const visit: Visit = { remoteAddress, host: this.#hostOf(remoteAddress), cancelTimer: () => undefined, hasAsked: false, isSettled: false };
    const over = this.#over(visit);
    if (over !== undefined) {
      this.#settle(visit, over === 'strangers' ? 'too many connections without a certificate' : 'too many connections without a certificate from its address', { limit: over });
      return void socket.destroy();
    }
    this.#visits.set(socket, visit);
    visit.cancelTimer = clock.setTimer(this.#limits.requestTimeoutMs, () => {
      this.#settle(visit, 'its request took too long', { limit: 'stranger_time' });
      socket.destroy();
    });
    socket.once('close', () => {
      visit.cancelTimer();
      this.#visits.delete(socket);
      this.#settle(visit, 'closed before it was answered');
    });
    this.#server.emit('connection', socket);
  }

  /** Cuts all visits. */
  stop(): Promise<void> {
    for (const [socket, visit] of this.#visits) {
      this.#settle(visit, 'this node is going down');
      socket.destroy();
    }
    return Promise.resolve();
  }

  #hostOf(remoteAddress: string): string | undefined {
    const host = hostOf(remoteAddress).replace(/^\[|\]$/g, '');
    return this.#options.isShared?.(host) === true ? undefined : host;
  }

  #over({ host }: Visit): LimitName | undefined {
    if (host !== undefined) {
      const network = networkOf(host);
      let own = 0;
      for (const visit of this.#visits.values()) if (visit.host !== undefined && networkOf(visit.host) === network) own += 1;
      if (own >= this.#limits.mostSocketsPerAddress) return 'strangers_address';
    }
    return this.#visits.size >= this.#limits.mostSockets ? 'strangers' : undefined;
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const socket = request.socket as TLSSocket;
    const visit = this.#visits.get(socket);
    if (visit === undefined || visit.hasAsked) return void socket.destroy();
    visit.hasAsked = true;
    const what = `${quoted(request.method ?? '', 10)} ${quoted(request.url ?? '', 60)}`;
    try {
      const reply = await this.#answer(request, socket, visit);
      if (visit.isSettled) return;
      visit.isSettled = true;
      send(response, 200, reply.contentType, reply.body);
    } catch (thrown) {
      if (visit.isSettled) return;
      const error = toBrokerError(thrown);
      this.#settle(visit, `${what}: ${error.message}${error.code === 'internal' ? ` (${String(error.cause)})` : ''}`, { error: thrown, ...(thrown instanceof OverLimitError ? { limit: thrown.limit } : {}) });
      send(response, httpStatusOf(error.code), 'application/json', JSON.stringify({ error: error.toInfo() }));
    }
  }

  async #answer(request: IncomingMessage, socket: TLSSocket, visit: Visit): Promise<EntranceReply> {
    // Read first, small as it is: a connection closed with bytes unread may lose the refusal on its way.
    const body = await readBody(request, this.#limits.mostBodyBytes);
    const over = this.#rates.over(visit.host);
    if (over !== undefined) throw new OverLimitError(overload('too many requests to join', 60_000), over === 'address' ? 'stranger_rate_address' : 'stranger_rate');
    visit.cancelTimer();
    visit.cancelTimer = this.#options.clock.setTimer(this.#limits.answerTimeoutMs, () => socket.destroy());
    return this.#options.handle({
      method: request.method ?? '',
      path: (request.url ?? '').replace(/\?.*$/s, ''),
      body,
      remoteAddress: visit.remoteAddress,
      localAddress: socket.localAddress ?? '',
      exportKey: (label) => exportKey(socket, label),
    });
  }

  #settle(visit: Visit, why: string, also: Pick<Refusal, 'limit' | 'error'> = {}): void {
    if (visit.isSettled) return;
    visit.isSettled = true;
    this.#options.onRefused({ remoteAddress: visit.remoteAddress, why, ...also });
  }
}

/** What is told to the stranger, and what is counted. */
class OverLimitError extends BrokerError {
  readonly limit: LimitName;

  constructor({ code, message, retryAfterMs }: BrokerError, limit: LimitName) {
    super(code, message, { retryAfterMs });
    this.limit = limit;
  }
}

/** The same bytes at both ends of one connection, and at no other. */
export function exportKey(socket: TLSSocket, label: string): Uint8Array {
  return new Uint8Array(socket.exportKeyingMaterial(32, label, Buffer.alloc(0)));
}

function send(response: ServerResponse, status: number, contentType: string, body: Uint8Array | string): void {
  response.writeHead(status, {
    'content-type': contentType,
    'content-length': Buffer.byteLength(body),
    'cache-control': 'no-store',
    connection: 'close',
  });
  // What the peer still sends is not waited for: once the answer is out, the connection ends.
  response.end(body, () => response.socket?.destroySoon());
}

async function readBody(request: IncomingMessage, mostBytes: number): Promise<Uint8Array> {
  const tooLarge = new OverLimitError(new BrokerError('invalid', `a request has at most ${mostBytes} bytes`), 'stranger_size');
  if (Number(request.headers['content-length'] ?? 0) > mostBytes) throw tooLarge;
  const { promise, resolve, reject } = Promise.withResolvers<Uint8Array>();
  const chunks: Buffer[] = [];
  let length = 0;
  request.on('data', (chunk: Buffer) => {
    length += chunk.length;
    if (length <= mostBytes) return void chunks.push(chunk);
    // Stop reading at once: the refusal is written, then the connection closes.
    request.pause();
    reject(tooLarge);
  });
  request.once('end', () => resolve(new Uint8Array(Buffer.concat(chunks))));
  request.once('error', reject);
  request.once('close', () => reject(new BrokerError('cancelled', 'the connection closed')));
  return promise;
}
