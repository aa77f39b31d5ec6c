/** The unary floor: 512 bytes to another process over TCP and back, one gRPC call each, nothing decoded and nothing stored. */
import { Child } from '../child.ts';
import type { Load, Sample } from '../load.ts';

export class UnaryFloor implements AsyncDisposable {
  readonly #server: Child;
  readonly #client: Child;

  private constructor(server: Child, client: Child) {
    this.#server = server;
    this.#client = client;
  }

  static async start(port: number): Promise<UnaryFloor> {
    const address = `127.0.0.1:${port}`;
    const server = await Child.start(new URL('./unary-server.ts', import.meta.url), [address]);
    try {
      return new UnaryFloor(server, await Child.start(new URL('./unary-client.ts', import.meta.url), [address]));
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
