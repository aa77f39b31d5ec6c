/**
 * A network between nodes of this process that can be cut: connections to their ports are lost at once, and no new one
 * is made until it is healed. Control sockets have no port and are never touched.
 */
import { Socket } from 'node:net';

type Connect = (this: Socket, ...args: unknown[]) => Socket;

export class Partition implements Disposable {
  readonly #ports = new Set<number>();
  /** All that was connected over TCP since this began, with its port. */
  readonly #sockets = new Map<Socket, number>();
  readonly #connect = Reflect.get(Socket.prototype, 'connect') as unknown as Connect;
  #isCut = false;

  constructor() {
    const original = this.#connect;
    const take = (socket: Socket, args: unknown[]): boolean => this.#take(socket, args);
    const connect: Connect = function connect(...args) {
      if (take(this, args)) return original.apply(this, args);
      process.nextTick(() => this.destroy(Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' })));
      return this;
    };
    Socket.prototype.connect = connect as unknown as typeof Socket.prototype.connect;
  }

  /** @param address host:port where a node listens */
  between(...addresses: readonly string[]): void {
    for (const address of addresses) this.#ports.add(Number(address.slice(address.lastIndexOf(':') + 1)));
  }

  cut(): void {
    this.#isCut = true;
    for (const [socket, port] of this.#sockets) if (this.#ports.has(port)) socket.destroy();
  }

  heal(): void {
    this.#isCut = false;
  }

  [Symbol.dispose](): void {
    Socket.prototype.connect = this.#connect as unknown as typeof Socket.prototype.connect;
  }

  /** False: it is not to get through. */
  #take(socket: Socket, args: unknown[]): boolean {
    const [first] = args;
    const options = (Array.isArray(first) ? (first as unknown[])[0] : first) as { readonly port?: number | string } | undefined;
    const port = Number(options?.port);
    if (Number.isNaN(port)) return true;
    if (this.#isCut && this.#ports.has(port)) return false;
    this.#sockets.set(socket, port);
    socket.once('close', () => this.#sockets.delete(socket));
    return true;
  }
}
