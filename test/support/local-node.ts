/** A whole node in this process, as `runNode` makes it: real store, real network on loopback, real agents. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runNode } from '../../src/app/node.ts';
import type { NodeOptions, RunningNode } from '../../src/app/node.ts';
import { openNodeLog } from '../../src/app/open-log.ts';
import { paths as findPaths } from '../../src/app/paths.ts';
import { createSystemClock } from '../../src/app/system-clock.ts';
import { connect } from '../../src/client/connect.ts';
import type { FlightUpdate, InvokeRequest, NodeClient } from '../../src/client/types.ts';
import type { Harness } from '../../src/domain/harness-port.ts';
import type { FlightId } from '../../src/domain/ids.ts';
import type { Clock } from '../../src/domain/ports.ts';
import type { Flight } from '../../src/domain/records.ts';
import { accepted, requestOf, specOf } from './asking.ts';
import { CliProcess } from './cli-host.ts';
import { flawOfLogs } from './log-search.ts';
import { waitFor } from './wait-for.ts';

export interface LocalNodeOptions {
  readonly harnesses?: readonly Harness[];
  readonly join?: string;
  readonly clock?: Clock;
  /** Of its config file. */
  readonly config?: string;
  /** Undefined: as it was called. */
  readonly name?: string | undefined;
}

export class LocalNode implements AsyncDisposable {
  readonly name: string;
  readonly home: string;
  #running: RunningNode | undefined;
  #client: NodeClient | undefined;
  /** Fields that its log would not take. */
  readonly #refused = new Set<string>();

  constructor(name: string, root: string) {
    this.name = name;
    this.home = join(root, name);
    mkdirSync(this.home, { mode: 0o700 });
  }

  get #paths(): ReturnType<typeof findPaths> {
    return findPaths({ BECKON_HOME: this.home }, process.platform, this.home, process.getuid?.() ?? 0);
  }

  get client(): NodeClient {
    if (this.#client === undefined) throw new Error(`${this.name} does not run`);
    return this.#client;
  }

  get listen(): string {
    return this.#running?.ready.listen ?? '';
  }

  get gossipListen(): string {
    return this.#running?.ready.gossipListen ?? '';
  }

  async start(options: LocalNodeOptions = {}): Promise<this> {
    const env = { PATH: process.env['PATH'] ?? '/usr/bin:/bin', HOME: this.home };
    const { harnesses = [], join: token, config, clock } = options;
    if (config !== undefined) writeFileSync(join(this.home, 'config.toml'), config);
    const name = 'name' in options ? options.name : this.#running === undefined ? this.name : undefined;
    const given = { ...(name === undefined ? {} : { name }), listen: [this.listen === '' ? '127.0.0.1:0' : this.listen], tailscale: 'off', ...(token === undefined ? {} : { join: token }) };
    this.#running = await runNode({ paths: this.#paths, env, given, version: '0.0.0-test', pid: process.pid, ...(await this.#logging(clock)), harnesses, ...(clock === undefined ? {} : { clock }) });
    this.#client = await connect({ socketPath: this.#running.ready.socket });
    return this;
  }

  /** As SIGHUP does, with another config file. */
  async reload(config: string): Promise<void> {
    writeFileSync(join(this.home, 'config.toml'), config);
    await this.#running?.reload();
  }

  get socketPath(): string {
    return this.#paths.socketPath;
  }

  /** As a process of a flight, by its token. */
  async connectAs(flightToken: string): Promise<NodeClient> {
    return connect({ socketPath: this.#paths.socketPath, flightToken });
  }

  /** Its store and its keys stay for the next start. */
  async stop(): Promise<void> {
    this.#client?.close();
    await this.#running?.stop(true);
  }

  /** One command of this node's user, to its end. */
  async cli(...argv: readonly string[]): Promise<CliProcess & { code: number }> {
    return this.cliIn('/', ...argv);
  }

  async cliIn(cwd: string, ...argv: readonly string[]): Promise<CliProcess & { code: number }> {
    const ran = new CliProcess({ socketPath: this.#paths.socketPath, cwd });
    const code = await ran.run(...argv);
    return Object.assign(ran, { code });
  }

  async addAgent(name: string, agent: { readonly harness?: string; readonly argv?: readonly string[]; readonly cwd?: string; readonly isolate?: boolean }): Promise<string> {
    const spec = specOf({ name, workspace: 'main', harness: agent.harness ?? 'command', cwd: agent.cwd ?? this.home, isolate: agent.isolate ?? false, argv: agent.argv ?? [] });
    return (await this.client.addAgent(spec)).agent.registration.address;
  }

  /** Accepted, and left to itself. */
  invoke(address: string, task = '', changes: Partial<InvokeRequest> = {}): Promise<Extract<FlightUpdate, { type: 'accepted' }>> {
    return accepted(this.client, requestOf(address, task, changes));
  }

  async flight(id: string): Promise<Flight> {
    return (await this.client.getFlight(id)).flight;
  }

  /** The flight as soon as it is in that state. */
  becomes(id: FlightId, state: Flight['state'], timeoutMs = 20_000): Promise<Flight> {
    return waitFor(`${id} to be ${state} at ${this.name}`, async () => {
      const flight = await this.flight(id);
      return flight.state === state ? flight : undefined;
    }, { timeoutMs });
  }

  async outputOf(id: FlightId): Promise<string> {
    return new TextDecoder().decode((await this.client.getFlight(id)).output);
  }

  async sees(peer: LocalNode, state: string, timeoutMs = 15_000): Promise<void> {
    await waitFor(`${peer.name} to be ${state} at ${this.name}`, async () => (await this.client.peers()).some((each) => each.name === peer.name && each.state === state), { timeoutMs });
  }

  /** The link to it is gone. */
  async loses(peer: LocalNode): Promise<void> {
    await waitFor(`${this.name} to lose ${peer.name}`, async () => (await this.client.peers()).every((each) => each.name !== peer.name || each.state !== 'alive'));
  }

  /** As a node of its own has it, and all of it. */
  async #logging(clock: Clock = createSystemClock()): Promise<Pick<NodeOptions, 'log' | 'logControl'>> {
    const { log, control } = await openNodeLog({ path: join(this.#paths.logDir, 'node.log'), clock, onRefused: (field) => this.#refused.add(field) });
    return { log, logControl: { ...control, apply: (config) => control.apply({ ...config, logLevel: 'debug' }) } };
  }

  /** @throws when its log has what must be in none, or was given what it does not know */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#client?.close();
    await this.#running?.stop(true);
    this.#running = undefined;
    const flaw = flawOfLogs([this.home]);
    if (flaw !== undefined) throw flaw;
    if (this.#refused.size > 0) throw new Error(`what the schema of the log does not know was logged: ${[...this.#refused].join(', ')}`);
  }
}

/** Two nodes of one mesh, linked. */
export class LocalPair implements AsyncDisposable {
  readonly root = mkdtempSync(join(tmpdir(), 'beckon-local-'));
  readonly laptop = new LocalNode('laptop', this.root);
  readonly desktop = new LocalNode('desktop', this.root);

  async start(harnesses: readonly Harness[] = [], options: { readonly config?: string } = {}): Promise<this> {
    await this.laptop.start({ harnesses, ...options });
    await this.laptop.client.createMesh({ new: false });
    const { token } = await this.laptop.client.createInvite({});
    await this.desktop.start({ harnesses, join: token });
    await this.laptop.sees(this.desktop, 'alive');
    await this.desktop.sees(this.laptop, 'alive');
    return this;
  }

  async knows(node: LocalNode, address: string): Promise<void> {
    await waitFor(`${address} to be known at ${node.name}`, async () => (await node.client.listAgents({}, { limit: 100 })).items.some((each) => each.registration.address === address));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      await Promise.all([this.laptop[Symbol.asyncDispose](), this.desktop[Symbol.asyncDispose]()]);
    } finally {
      rmSync(this.root, { recursive: true, force: true });
    }
  }
}
