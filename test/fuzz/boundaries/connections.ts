/** Connections as the servers of a node take them over after the handshake. */
import { Duplex } from 'node:stream';
import { createConnection, createServer } from 'node:net';
import type { Server, Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import { X509Certificate } from 'node:crypto';
import { join } from 'node:path';
import { scratch } from './places.ts';
import type { Cards } from './world.ts';

class End extends Duplex {
  other: End | undefined;

  constructor() {
    super({ read: () => undefined });
  }

  /** As a net.Socket has it. */
  destroySoon(): void {
    if (this.writableFinished) this.destroy();
    else this.end(() => this.destroy());
  }

  override _write(bytes: Buffer, _encoding: string, done: (error?: Error | null) => void): void {
    if (this.other !== undefined && !this.other.destroyed) this.other.push(bytes);
    done();
  }

  override _final(done: (error?: Error | null) => void): void {
    if (this.other !== undefined && !this.other.destroyed) this.other.push(null);
    done();
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    done(error);
    const { other } = this;
    if (other !== undefined && !other.destroyed) setImmediate(() => other.destroy());
  }
}

/** What is written at one end comes out at the other; when one goes, the other does. */
export function ends(): readonly [Duplex, Duplex] {
  const [one, two] = [new End(), new End()];
  one.other = two;
  two.other = one;
  return [one, two];
}

const decrypted = Symbol('stands for the end of a TLS connection');
const isOrdinary = Function.prototype[Symbol.hasInstance];
// grpc-js looks for a certificate on TLSSockets alone.
Object.defineProperty(TLSSocket, Symbol.hasInstance, { value: (value: unknown) => isOrdinary.call(TLSSocket, value) || (typeof value === 'object' && value !== null && (value as Record<symbol, unknown>)[decrypted] === true) });

/**
 * Connections as they are once TLS has been taken off: a member's certificate is on them, and bytes come as the member wrote them. Over a unix
 * socket: of many thousands none waits for a port. The handshake itself, which is OpenSSL's, would take ten times as long as what is read.
 */
export class MemberConnections {
  readonly #server: Server;
  readonly #certificate: X509Certificate;
  readonly #path: string;
  readonly #close: () => void;
  #port = 1_024;
  #arrived: (socket: Socket) => void = () => undefined;

  private constructor({ chains }: Cards) {
    const { path, close } = scratch();
    this.#path = join(path, 'member');
    this.#close = close;
    this.#server = createServer((socket) => this.#arrived(socket));
    this.#certificate = new X509Certificate(chains.peer.leaf);
  }

  static async open(given: Cards): Promise<MemberConnections> {
    const connections = new MemberConnections(given);
    await new Promise<void>((resolve) => void connections.#server.listen(connections.#path, resolve));
    return connections;
  }

  close(): void {
    this.#server.close();
    this.#close();
  }

  /** The server's end has a port of its own. */
  async connect(): Promise<{ readonly client: Socket; readonly server: TLSSocket }> {
    const arrived = new Promise<Socket>((resolve) => void (this.#arrived = resolve));
    const client = createConnection(this.#path);
    client.on('error', () => undefined);
    const server = await arrived;
    server.on('error', () => undefined);
    this.#port = this.#port >= 65_000 ? 1_024 : this.#port + 1;
    const certificate = this.#certificate;
    const { fingerprint256, raw } = certificate;
    const shown = { [decrypted]: true, remoteAddress: '100.64.0.10', remotePort: this.#port, localAddress: '100.64.0.20', localPort: 7423, authorized: true, getPeerX509Certificate: () => certificate, getPeerCertificate: () => ({ fingerprint256, raw }) };
    for (const name of Reflect.ownKeys(shown)) Object.defineProperty(server, name, { value: shown[name as keyof typeof shown], configurable: true });
    return { client, server: server as TLSSocket };
  }
}
