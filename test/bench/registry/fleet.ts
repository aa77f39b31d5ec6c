/** Whole nodes in this process, as `beckon up` makes them: a database with a writer thread each, TLS on loopback; some in each of its threads. */
import { rmSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect } from '../../../src/client/index.ts';
import type { Beckon } from '../../../src/client/index.ts';
import { Crew } from './crew.ts';
import { Founding, placeOf } from './founding.ts';
import type { Founded, Place } from './founding.ts';
import { plus } from './sockets.ts';
import type { Traffic } from './sockets.ts';
import type { WatchedDatabase } from './watch.ts';

export class FleetNode {
  readonly founded: Founded;
  readonly home: string;
  /** Instances that it has. */
  agents: number;
  readonly #crew: Crew;
  #client: Beckon | undefined;

  constructor(founded: Founded, crew: Crew) {
    this.founded = founded;
    this.home = founded.home;
    this.agents = founded.agents.length;
    this.#crew = crew;
  }

  get client(): Beckon {
    if (this.#client === undefined) throw new Error(`${this.founded.name} does not run`);
    return this.#client;
  }

  get database(): WatchedDatabase {
    return { path: placeOf(this.home).dbFile, nodeId: this.founded.nodeId };
  }

  async start(): Promise<this> {
    const { home, name, listen, gossipListen } = this.founded;
    await this.#crew.start({ home, name, listen, gossipListen });
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
    await this.#crew.stop(this.founded.name);
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
  readonly #crews: readonly Crew[];

  private constructor(directory: string, threads: number) {
    this.#directory = directory;
    this.#crews = Array.from({ length: threads }, () => new Crew());
  }

  static async create(threads: number): Promise<Fleet> {
    return new Fleet(await mkdtemp(join(tmpdir(), 'bkn-bench-')), threads);
  }

  /** Nodes that know each other and all of each other's agents, not started. */
  async found(count: number, agentsEach: number): Promise<void> {
    const all: Founded[] = [];
    for (const place of await this.#places(count)) all.push(await this.#founding.found(place, agentsEach));
    await each(all, 2, (node) => this.#founding.write(node, { heard: all, met: all, isIssuer: node === all[0] }));
    for (const founded of all) await this.#take(founded);
  }

  /** One more, that was just let in: it knows where the issuer is, and nothing else. */
  async admit(): Promise<FleetNode> {
    const [first] = this.nodes;
    const [place] = await this.#places(1);
    if (first === undefined || place === undefined) throw new Error('there is no mesh to enter');
    const founded = await this.#founding.found(place, 0);
    await this.#founding.write(founded, { heard: [], met: [first.founded], isIssuer: false });
    return this.#take(founded);
  }

  /** Since the beginning, by all nodes together. */
  sent(): Promise<Traffic> {
    return this.#sum((crew) => crew.count('sent'));
  }

  /** Connections that are open now, each counted once though both of its ends are here. */
  connections(): Promise<Traffic> {
    return this.#sum((crew) => crew.count('connections'));
  }

  /** @returns what went, both ways, over connections that were made since */
  async since(): Promise<() => Promise<Traffic>> {
    await this.#sum((crew) => crew.count('mark'));
    return () => this.#sum((crew) => crew.count('sinceMark'));
  }

  async #places(count: number): Promise<Place[]> {
    const ports = await freePorts(2 * count);
    return Array.from({ length: count }, (_, index) => {
      const name = `n${String(this.nodes.length + index).padStart(3, '0')}`;
      return { home: join(this.#directory, name), name, listen: `127.0.0.1:${ports[2 * index]}`, gossipListen: `127.0.0.1:${ports[2 * index + 1]}` };
    });
  }

  /** Every thread is to know where it listens: the other ends of its connections are anywhere. */
  async #take(founded: Founded): Promise<FleetNode> {
    const crew = this.#crews[this.nodes.length % this.#crews.length];
    if (crew === undefined) throw new Error('there are no threads');
    await Promise.all(this.#crews.map((each) => each.gossipAt(founded.gossipListen)));
    const node = new FleetNode(founded, crew);
    this.nodes.push(node);
    return node;
  }

  async #sum(count: (crew: Crew) => Promise<Traffic>): Promise<Traffic> {
    const counts = await Promise.all(this.#crews.map(count));
    return counts.reduce(plus, { sessions: 0, gossip: 0 });
  }

  /** All instances but those of that node. */
  othersOf(node?: FleetNode): number {
    return this.nodes.reduce((sum, each) => (each === node ? sum : sum + each.agents), 0);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.allSettled(this.nodes.map((node) => node.stop()));
    await Promise.allSettled(this.#crews.map((crew) => crew.end()));
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
