/** Changes of one node's agents through its control socket: added, removed, added again otherwise, and served now and then. */
import { connect } from '../../src/client/index.ts';
import type { Beckon, Server } from '../../src/client/index.ts';

/** Names that come and go: few, so that most are added again and again. */
const names = Array.from({ length: 20 }, (_, index) => `agent${index}`);

export interface ChangerOptions {
  readonly socketPath: string;
  /** Below 1, as `Math.random`. */
  readonly random: () => number;
  readonly cwd: string;
}

export class Changer implements AsyncDisposable {
  /** Changes that the node has answered. */
  made = 0;
  readonly #client: Beckon;
  readonly #random: () => number;
  readonly #cwd: string;
  readonly #here = new Map<string, string>();
  #server: Server | undefined;

  private constructor(client: Beckon, { random, cwd }: ChangerOptions) {
    this.#client = client;
    this.#random = random;
    this.#cwd = cwd;
  }

  static async connect(options: ChangerOptions): Promise<Changer> {
    return new Changer(await connect({ socketPath: options.socketPath }), options);
  }

  /** One, on disk at its node when it resolves. */
  async one(): Promise<void> {
    const name = names[Math.floor(this.#random() * names.length)] ?? '';
    const address = this.#here.get(name);
    if (this.#random() < 0.1) await this.#serveOrNot();
    else if (address === undefined) await this.#add(name);
    else await this.#remove(name, address);
    this.made += 1;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server?.close();
    this.#client.close();
  }

  async #add(name: string): Promise<void> {
    const { agent } = await this.#client.addAgent({
      name, workspace: 'main', harness: 'command', cwd: this.#cwd, argv: ['true'], path: '/usr/bin:/bin', env: [], permissions: 'ask', isolate: false, isDefault: false,
      labels: { round: String(this.made) }, capabilities: ['code'], visibility: 'mesh', description: `added as change ${this.made}`,
    });
    this.#here.set(name, agent.registration.address);
  }

  async #remove(name: string, address: string): Promise<void> {
    await this.#client.removeAgent(address);
    this.#here.delete(name);
  }

  /** Its registration stays, and says whether it can be called. */
  async #serveOrNot(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    if (server === undefined) this.#server = await this.#client.serve('served/main', () => 'done', { cwd: this.#cwd });
    else await server.close();
  }
}

/** The same numbers each time (mulberry32). */
export function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
