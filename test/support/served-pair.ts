/** Two nodes in this process; agents are served on the desktop, over a socket that can be cut, and called on the laptop. */
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll } from 'vitest';
import { connect } from '../../src/client/index.ts';
import type { Beckon, Handler, ServeOptions, Server, Update } from '../../src/client/index.ts';
import type { LocalNode } from './local-node.ts';
import { LocalPair } from './local-node.ts';
import { SocketRelay } from './socket-relay.ts';
import { waitFor } from './wait-for.ts';

export const socketOf = (node: LocalNode): string => join(node.home, 'run', 'control.sock');

export class ServedPair implements AsyncDisposable {
  readonly nodes = new LocalPair();
  readonly relay = new SocketRelay(join(this.nodes.root, 'relay.sock'), socketOf(this.nodes.desktop));
  #there: Beckon | undefined;
  #here: Beckon | undefined;
  #servers: Server[] = [];
  #count = 0;

  async start(): Promise<this> {
    await this.nodes.start();
    await this.relay.start();
    this.#there = await connect({ socketPath: this.relay.path });
    this.#here = await connect({ socketPath: socketOf(this.nodes.laptop) });
    return this;
  }

  /** The program that serves, on the desktop. */
  get there(): Beckon {
    if (this.#there === undefined) throw new Error('not started');
    return this.#there;
  }

  /** The program that calls, on the laptop. */
  get here(): Beckon {
    if (this.#here === undefined) throw new Error('not started');
    return this.#here;
  }

  /** Of a new agent, known to be available on the laptop; closed by `closeServers`. */
  async serve(handler: Handler, options: ServeOptions = {}): Promise<Server> {
    this.#count += 1;
    const server = await this.there.serve(`agent${this.#count}/main`, handler, options);
    this.#servers.push(server);
    await this.available(server.address, true);
    return server;
  }

  available(address: string, isIt: boolean): Promise<boolean> {
    return waitFor(`${address} to be ${isIt ? '' : 'un'}available on the laptop`, async () => (await this.here.getAgent(address)).registration.available === isIt);
  }

  willClose(server: Server): void {
    this.#servers.push(server);
  }

  async closeServers(): Promise<void> {
    const servers = this.#servers.splice(0);
    // One whose agent was removed has said so already.
    await Promise.all(servers.map((server) => server.close().catch((error: { code: string }) => (error.code === 'not_found' ? undefined : Promise.reject(new Error('a server did not close', { cause: error }))))));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#there?.close();
    this.#here?.close();
    await this.relay[Symbol.asyncDispose]();
    await this.nodes[Symbol.asyncDispose]();
  }
}

/** One pair for the tests of a file; what one of them serves is closed after it. */
export function servedPairForAll(): ServedPair {
  const pair = new ServedPair();
  beforeAll(async () => void (await pair.start()), 60_000);
  afterEach(() => pair.closeServers());
  afterAll(() => pair[Symbol.asyncDispose]());
  return pair;
}

export async function updatesOf(updates: AsyncIterable<Update>): Promise<Update[]> {
  const found: Update[] = [];
  for await (const update of updates) found.push(update);
  return found;
}

export const aborted = (signal: AbortSignal): Promise<void> => new Promise((resolve) => (signal.aborted ? resolve() : signal.addEventListener('abort', () => resolve(), { once: true })));
