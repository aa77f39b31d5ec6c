/**
 * The accept floor: what this machine, this gRPC and this SQLite take at least for a durable acceptance. Raw bytes over one
 * bidirectional stream on a unix socket, three rows each, group commit in a worker, acknowledged after the sync. No routing,
 * no checks, no records.
 */
import { join } from 'node:path';
import { Child } from '../child.ts';
import type { Load, Sample } from '../load.ts';

export class AcceptFloor implements AsyncDisposable {
  readonly #server: Child;
  readonly #client: Child;

  private constructor(server: Child, client: Child) {
    this.#server = server;
    this.#client = client;
  }

  /** @param directory on the disk that is measured; the database and the socket are made in it @param bytes of one message */
  static async start(directory: string, bytes: number): Promise<AcceptFloor> {
    const socket = join(directory, 'accept-floor.sock');
    const server = await Child.start(new URL('./accept-server.ts', import.meta.url), [socket, join(directory, 'accept-floor.db')]);
    try {
      return new AcceptFloor(server, await Child.start(new URL('./accept-client.ts', import.meta.url), [socket, String(bytes)]));
    } catch (error) {
      await server[Symbol.asyncDispose]();
      throw error;
    }
  }

  measure(load: Load): Promise<Sample> {
    return this.#client.measure(load);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#client[Symbol.asyncDispose]();
    await this.#server[Symbol.asyncDispose]();
  }
}
