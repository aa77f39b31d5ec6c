/** Where Prometheus asks: GET /metrics over plain HTTP, at one address, while it is listened at. Nothing can be changed by it. */
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { BrokerError } from '../domain/errors.ts';
import { formatHostPort } from '../domain/host-port.ts';
import type { HostPort } from '../domain/host-port.ts';
import type { OverLimit } from '../domain/limits.ts';
import type { Clock, Log } from '../domain/ports.ts';
import type { NodeVitals } from '../domain/vitals.ts';
import { contentType, exposition } from './exposition.ts';
import { familiesOf } from './families.ts';

export interface MetricsListenerParts {
  /** Never rejects for what a part of the node does not know. */
  readonly vitals: () => Promise<NodeVitals>;
  readonly clock: Pick<Clock, 'monotonic'>;
  readonly log: Log;
  readonly onOverLimit?: OverLimit;
  /** How long a request may take to come, 5 s when left out. */
  readonly requestMs?: number;
}

const path = '/metrics';
const mostConnections = 16;
/** Who asks more often than that is told the same again. */
const freshMs = 500;
const idleMs = 30_000;
/** From the first byte of a connection to the last of its request; looked at twice as often. */
const usualRequestMs = 5_000;
/** Of one address: what scrapes has one, and a person with a browser a few. */
const mostPerAddress = 8;

/** Not by import: what loads this module does not load the web client of Node with it. */
const http = process.getBuiltinModule('node:http');

export class MetricsListener {
  readonly #parts: MetricsListenerParts;
  #server: Server | undefined;
  readonly #sockets = new Set<Socket>();
  #page: { readonly text: Promise<string>; readonly atMs: number } | undefined;

  constructor(parts: MetricsListenerParts) {
    this.#parts = parts;
  }

  /** @returns where it listens. @throws BrokerError `conflict` for an address that is taken, `unavailable` for one that this machine does not have */
  async listen(at: HostPort): Promise<HostPort> {
    await this.close();
    const { requestMs = usualRequestMs } = this.#parts;
    const server = http.createServer({ maxHeaderSize: 8192, keepAliveTimeout: idleMs, requestTimeout: requestMs, headersTimeout: requestMs, connectionsCheckingInterval: requestMs / 2 }, (request, response) => void this.#serve(request, response));
    server.maxConnections = mostConnections;
    server.on('drop', () => this.#parts.onOverLimit?.('metrics_connections'));
    server.on('connection', (socket) => {
      if (this.#countOf(socket.remoteAddress) >= mostPerAddress) {
        this.#parts.onOverLimit?.('metrics_connections');
        return void socket.destroy();
      }
      this.#sockets.add(socket);
      socket.unref().once('close', () => this.#sockets.delete(socket));
    });
    server.unref();
    await new Promise<void>((resolve, reject) => {
      server.once('error', (error) => reject(listenError(at, error)));
      server.listen(at, resolve);
    });
    server.on('error', (error) => this.#parts.log.warn({ err: error }, 'the listener for metrics failed'));
    this.#server = server;
    const { address, port } = server.address() as AddressInfo;
    return { host: address, port };
  }

  /** Cuts whoever is connected. */
  async close(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    if (server === undefined) return;
    const closed = new Promise<void>((resolve) => void server.close(() => resolve()));
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = '', url = '' } = request;
    request.resume();
    if (url.split('?', 1)[0] !== path) return answer(response, 404, `only ${path} is here\n`);
    if (method !== 'GET' && method !== 'HEAD') return answer(response.setHeader('allow', 'GET, HEAD'), 405, 'only GET\n');
    try {
      const text = await this.#text();
      answer(response.setHeader('content-type', contentType), 200, text);
    } catch (error) {
      this.#parts.log.warn({ err: error }, 'the metrics could not be gathered');
      answer(response, 503, 'the node is going down, or its store can not be read\n');
    }
  }

  #countOf(address: string | undefined): number {
    let count = 0;
    for (const { remoteAddress } of this.#sockets) if (remoteAddress === address) count += 1;
    return count;
  }

  /** Those who ask at once share one answer. */
  #text(): Promise<string> {
    const now = this.#parts.clock.monotonic();
    if (this.#page === undefined || now - this.#page.atMs >= freshMs) {
      this.#page = { text: this.#parts.vitals().then((vitals) => exposition(familiesOf(vitals))), atMs: now };
    }
    return this.#page.text;
  }
}

function answer(response: ServerResponse, status: number, text: string): void {
  response.statusCode = status;
  if (!response.hasHeader('content-type')) response.setHeader('content-type', 'text/plain; charset=utf-8');
  response.setHeader('content-length', Buffer.byteLength(text)).setHeader('x-content-type-options', 'nosniff');
  response.end(text);
}

function listenError(at: HostPort, error: NodeJS.ErrnoException): BrokerError {
  const where = formatHostPort(at);
  const hint = 'choose another place for metrics: metrics_listen in the config file, or BECKON_METRICS_LISTEN';
  if (error.code === 'EADDRINUSE') return new BrokerError('conflict', `${where} is taken by another program`, { hint, cause: error });
  const why = error.code === 'EADDRNOTAVAIL' ? 'this machine has no such address' : (error.code ?? error.message);
  return new BrokerError('unavailable', `cannot listen on ${where} for metrics: ${why}`, { hint, cause: error });
}
