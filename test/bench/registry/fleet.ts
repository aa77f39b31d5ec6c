/** Whole nodes in this process, as `beckon up` makes them: a database with a writer thread each, TLS on loopback. */
import { rmSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runNode } from '../../../src/app/node.ts';
import type { RunningNode } from '../../../src/app/node.ts';
import { connect } from '../../../src/client/index.ts';
import type { Beckon } from '../../../src/client/index.ts';
import type { Log } from '../../../src/domain/ports.ts';
import { Founding, placeOf } from './founding.ts';
import type { Founded } from './founding.ts';
import type { WatchedDatabase } from './watch.ts';

export class FleetNode {
  readonly founded: Founded;
  readonly home: string;
  /** Instances that it has. */
  agents: number;
  #listen = '127.0.0.1:0';
  #running: RunningNode | undefined;
  #client: Beckon | undefined;
  readonly #log: Log;

  constructor(home: string, founded: Founded, agents: number, log: Log) {
    this.home = home;
    this.founded = founded;
    this.agents = agents;
    this.#log = log;
  }

  get client(): Beckon {
    if (this.#client === undefined) throw new Error(`${this.founded.name} does not run`);
    return this.#client;
  }

  get listen(): string {
    return this.#listen;
  }

  get gossipListen(): string | null {
    return this.#running?.ready.gossipListen ?? null;
  }

  get database(): WatchedDatabase {
    return { path: placeOf(this.home).dbFile, nodeId: this.founded.nodeId };
  }

  async start(): Promise<this> {
    const env = { PATH: '/usr/bin:/bin', HOME: this.home };
    const given = { listen: [this.#listen], gossipListen: this.gossipListen ?? '127.0.0.1:0', tailscale: 'off' };
    this.#running = await runNode({ paths: placeOf(this.home), env, given, version: '0.0.0-bench', pid: process.pid, log: this.#log });
    this.#listen = this.#running.ready.listen ?? this.#listen;
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
  readonly #agentsEach: number;
  readonly #log: Log;
  #founded = 0;

  private constructor(directory: string, agentsEach: number, log: Log) {
    this.#directory = directory;
    this.#agentsEach = agentsEach;
    this.#log = log;
  }

  static async create(agentsEach: number, log: Log): Promise<Fleet> {
    return new Fleet(await mkdtemp(join(tmpdir(), 'bkn-bench-')), agentsEach, log);
  }

  /** One more, not started. The first, which makes the mesh, has to run before there is a second. */
  async found(agents = this.#agentsEach): Promise<FleetNode> {
    const [first] = this.nodes;
    const name = `n${String(this.#founded).padStart(3, '0')}`;
    this.#founded += 1;
    const home = join(this.#directory, name);
    const founded = first === undefined ? await this.#founding.first(home, name, agents) : await this.#founding.member(home, name, { ...first.founded, address: first.listen }, agents);
    const node = new FleetNode(home, founded, agents, this.#log);
    this.nodes.push(node);
    return node;
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
