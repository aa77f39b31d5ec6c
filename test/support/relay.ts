/**
 * A TCP relay between two nodes, for the faults that a loopback does not have: delay, a connection that is cut, at any
 * byte, and one that stays open while nothing gets through (a cable pulled, a machine asleep).
 */
import { connect, createServer } from 'node:net';
import type { AddressInfo, Server, Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';

export class Relay implements AsyncDisposable {
  /** Each way, ms. Applies to what arrives from now on. */
  delayMs = 0;
  /** Nothing gets through, in either direction; connections stay open and new ones are taken. What was swallowed is lost. */
  isBlackHole = false;
  /** New connections are reset. */
  isRefusing = false;
  /** All connections are reset once so many more bytes have gone through, in both directions together. */
  cutAfterBytes: number | undefined;
  /** Connections that were taken, ever. */
  accepted = 0;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  private constructor(server: Server) {
    this.#server = server;
  }

  /** @param target host:port, looked up at each connection */
  static async start(target: () => { readonly host: string; readonly port: number }): Promise<Relay> {
    const server = createServer();
    const relay = new Relay(server);
    server.on('connection', (inbound) => relay.#join(inbound, target()));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return relay;
  }

  get address(): string {
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** Resets all connections. */
  cut(): void {
    for (const socket of this.#sockets) socket.resetAndDestroy();
  }

  /** Lets everything through again; a connection that lost bytes is reset, as TCP itself would have resent or given up. */
  heal(): void {
    this.isBlackHole = false;
    this.isRefusing = false;
    this.cut();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  #join(inbound: Socket, target: { readonly host: string; readonly port: number }): void {
    this.accepted += 1;
    if (this.isRefusing) {
      inbound.on('error', () => undefined);
      inbound.resetAndDestroy();
      return;
    }
    const outbound = connect(target);
    for (const [from, to] of [
      [inbound, outbound],
      [outbound, inbound],
    ] as const) {
      this.#sockets.add(from);
      from.setNoDelay(true);
      from.on('error', () => undefined);
      from.on('close', () => {
        this.#sockets.delete(from);
        if (!this.isBlackHole) to.destroy();
      });
      this.#copy(from, to);
    }
  }

  #copy(from: Socket, to: Socket): void {
    let last = Promise.resolve();
    let delayed = 0;
    from.on('data', (arrived: Buffer) => {
      if (this.isBlackHole) return;
      const bytes = this.#counted(arrived);
      // What comes after delayed bytes stays behind them.
      if (this.delayMs === 0 && delayed === 0) {
        if (!to.write(bytes)) {
          from.pause();
          to.once('drain', () => from.resume());
        }
        return;
      }
      delayed += 1;
      const wait = delay(this.delayMs);
      last = last.then(() => wait).then(() => {
        delayed -= 1;
        if (!to.destroyed) to.write(bytes);
      });
    });
    from.on('end', () => this.isBlackHole || to.end());
  }

  /** What may still go through of these bytes. */
  #counted(bytes: Buffer): Buffer {
    if (this.cutAfterBytes === undefined) return bytes;
    const allowed = bytes.subarray(0, this.cutAfterBytes);
    this.cutAfterBytes -= allowed.length;
    if (allowed.length < bytes.length) {
      this.cutAfterBytes = undefined;
      // After these have left.
      setImmediate(() => this.cut());
    }
    return allowed;
  }
}
