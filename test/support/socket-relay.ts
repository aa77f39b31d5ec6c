/** A unix socket that stands for another one, and can be cut: what goes over it is lost then, in the middle. */
import { createServer, connect } from 'node:net';
import type { Server, Socket } from 'node:net';

export class SocketRelay implements AsyncDisposable {
  readonly path: string;
  readonly #target: string;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  /** Connections so far. */
  count = 0;

  constructor(path: string, target: string) {
    this.path = path;
    this.#target = target;
    this.#server = createServer((near) => this.#join(near));
  }

  async start(): Promise<this> {
    await new Promise<void>((resolve) => this.#server.listen(this.path, resolve));
    return this;
  }

  /** Ends every connection; new ones are let through. */
  cut(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.cut();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #join(near: Socket): void {
    this.count += 1;
    const far = connect(this.#target);
    for (const [socket, other] of [[near, far], [far, near]] as const) {
      this.#sockets.add(socket);
      socket.on('error', () => other.destroy());
      socket.on('close', () => {
        this.#sockets.delete(socket);
        other.destroy();
      });
      socket.pipe(other);
    }
  }
}
