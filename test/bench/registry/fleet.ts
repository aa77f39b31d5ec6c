/** Whole nodes in this process, as `beckon up` makes them: a database with a writer thread each, TLS on loopback. */
import { rmSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runNode } from '../../../src/app/node.ts';
import type { RunningNode } from '../../../src/app/node.ts';
import { connect } from '../../../src/client/index.ts';
import type { Beckon } from '../../../src/client/index.ts';
import type { Log } from '../../../src/domain/ports.ts';
import { Founding, placeOf } from './founding.ts';
import type { Founded, Place } from './founding.ts';
import type { WatchedDatabase } from './watch.ts';

export class FleetNode {
  readonly founded: Founded;
  readonly home: string;
  /** Instances that it has. */
  agents: number;
  #running: RunningNode | undefined;
  #client: Beckon | undefined;
  readonly #log: Log;

  constructor(founded: Founded, log: Log) {
    this.founded = founded;
    this.home = founded.home;
    this.agents = founded.agents.length;
    this.#log = log;
  }

  get client(): Beckon {
    if (this.#client === undefined) throw new Error(`${this.founded.name} does not run`);
    return this.#client;
  }

  get database(): WatchedDatabase {
    return { path: placeOf(this.home).dbFile, nodeId: this.founded.nodeId };
  }

  async start(): Promise<this> {
    const env = { PATH: '/usr/bin:/bin', HOME: this.home };
    const { listen, gossipListen } = this.founded;
    this.#running = await runNode({ paths: placeOf(this.home), env, given: { listen: [listen], gossipListen, tailscale: 'off' }, version: '0.0.0-bench', pid: process.pid, log: this.#log });
    return this;
  }

  /** Its connection for what the bench does on it. */
  async open(): Promise<this> {
    this.#client ??= await connect({ socketPath: placeOf(this.home).socketPath });
    return this;
  }

  async stop(): Promise<void> {
    this.#client?.close();
    this.#client = undefined;
    await this.#running?.stop(true);
  }

  async add(name: string): Promise<string> {
    const { agent, added } = await this.client.addAgent({
      name, workspace: 'main', harness: 'command', cwd: this.home, argv: ['true'], path: '/usr/bin:/bin', env: [], permissions: 'ask', isolate: false, isDefault: false,
      labels: { team: 'payments', stack: 'typescript' }, capabilities: ['code', 'review'], visibility: 'mesh', description: 'The service that takes the payments of the shop',
    });
    if (added) this.agents += 1;
    return agent.registration.address;
  }

  async remove(address: string): Promise<void> {
    await this.client.removeAgent(address);
    this.agents -= 1;
  }

  addressOf(name: string): string {
    return `@${name}@${this.founded.name}#main`;
  }
}

export class Fleet implements AsyncDisposable {
  readonly nodes: FleetNode[] = [];
  readonly #directory: string;
  readonly #founding = new Founding();
  readonly #log: Log;

  private constructor(directory: string, log: Log) {
    this.#directory = directory;
    this.#log = log;
  }

  static async create(log: Log): Promise<Fleet> {
    return new Fleet(await mkdtemp(join(tmpdir(), 'bkn-bench-')), log);
  }

  /** Nodes that know each other and all of each other's agents, not started. */
  async found(count: number, agentsEach: number): Promise<void> {
    const all: Founded[] = [];
    for (const place of await this.#places(count)) all.push(await this.#founding.found(place, agentsEach));
    await each(all, 2, (node) => this.#founding.write(node, { heard: all, met: all, isIssuer: node === all[0] }));
    this.nodes.push(...all.map((founded) => new FleetNode(founded, this.#log)));
  }

  /** One more, that was just let in: it knows where the issuer is, and nothing else. */
  async admit(): Promise<FleetNode> {
    const [first] = this.nodes;
    const [place] = await this.#places(1);
    if (first === undefined || place === undefined) throw new Error('there is no mesh to enter');
    const founded = await this.#founding.found(place, 0);
    await this.#founding.write(founded, { heard: [], met: [first.founded], isIssuer: false });
    const node = new FleetNode(founded, this.#log);
    this.nodes.push(node);
    return node;
  }

  async #places(count: number): Promise<Place[]> {
    const ports = await freePorts(2 * count);
    return Array.from({ length: count }, (_, index) => {
      const name = `n${String(this.nodes.length + index).padStart(3, '0')}`;
      return { home: join(this.#directory, name), name, listen: `127.0.0.1:${ports[2 * index]}`, gossipListen: `127.0.0.1:${ports[2 * index + 1]}` };
    });
  }

  /** All instances but those of that node. */
  othersOf(node?: FleetNode): number {
    return this.nodes.reduce((sum, each) => (each === node ? sum : sum + each.agents), 0);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.allSettled(this.nodes.map((node) => node.stop()));
    rmSync(this.#directory, { recursive: true, force: true, maxRetries: 3 });
  }
}

/** A few at a time. */
export async function each<T>(items: readonly T[], atOnce: number, work: (item: T) => Promise<unknown>): Promise<void> {
  const queue = items.values();
  await Promise.all(Array.from({ length: atOnce }, async () => {
    for (const item of queue) await work(item);
  }));
}

/** Free a moment ago, all different. */
async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(Array.from({ length: count }, async () => {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return server;
  }));
  const ports = servers.map((server) => (server.address() as AddressInfo).port);
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}
