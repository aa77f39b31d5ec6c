/** A campaign from its beginning to its verdict: nodes, load, faults, peace, and the books. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { specOf } from '../support/asking.ts';
import { killAll, processesOf } from '../support/belongings.ts';
import { freePort } from '../support/cluster.ts';
import { Relay } from '../support/relay.ts';
import { waitFor } from '../support/wait-for.ts';
import { agentKinds, readTraces, writeAgent } from './agents.ts';
import { grouped, openBooks } from './books.ts';
import type { Books } from './books.ts';
import { Caller } from './caller.ts';
import { ChaosNode } from './chaos-node.ts';
import { checkAccepted } from './check-accepted.ts';
import { checkHealth } from './check-health.ts';
import { checkReports } from './check-reports.ts';
import { checkRuns } from './check-runs.ts';
import { Dice } from './dice.ts';
import { makeSmallDisk } from './disk.ts';
import type { SmallDisk } from './disk.ts';
import { Faults } from './faults.ts';
import type { CallNote } from './notes.ts';
import { plan } from './schedule.ts';
import type { Pair } from './schedule.ts';
import { Verdict } from './verdict.ts';

export interface CampaignOptions {
  readonly seed: number;
  readonly durationMs: number;
  readonly callersPerNode: number;
  readonly tell: (text: string) => void;
  /** Gives it up; what it started is ended all the same. */
  readonly signal: AbortSignal;
  /** The directory stays, for whoever wants to look. */
  readonly keep: boolean;
  /** To be filled, for whoever wants it even of a run that breaks. */
  readonly verdict?: Verdict;
}

const names = ['alpha', 'beta', 'gamma'] as const;
/** A node's database and its log, and what a campaign adds to them. */
const diskMegabytes = (minutes: number, callersPerNode: number): number => Math.ceil(128 + 12 * minutes * callersPerNode);
/** After the last fault, for everything to end by itself, ms. */
const peaceMs = 120_000;

export async function campaign(options: CampaignOptions): Promise<Verdict> {
  await using field = new Field(options);
  const givenUp = new Promise<never>((_, reject) => {
    options.signal.addEventListener('abort', () => reject(new Error('the campaign was given up')), { once: true });
  });
  return await Promise.race([field.play(), givenUp]);
}

class Field implements AsyncDisposable {
  readonly #options: CampaignOptions;
  readonly #directory = mkdtempSync(join(tmpdir(), 'bkc-'));
  readonly #nodes = new Map<string, ChaosNode>();
  /** `from>to`. */
  readonly #relays = new Map<string, Relay>();
  readonly #disks = new Map<string, SmallDisk>();
  readonly #verdict: Verdict;
  readonly #notes: CallNote[] = [];
  readonly #ids = new Map<string, string>();
  readonly #startMs = performance.now();

  constructor(options: CampaignOptions) {
    this.#options = options;
    this.#verdict = options.verdict ?? new Verdict();
  }

  async play(): Promise<Verdict> {
    const { seed, durationMs, callersPerNode } = this.#options;
    const dice = new Dice(seed);
    await this.#build();
    const load = new AbortController();
    const patience = new AbortController();
    const callers = names.flatMap((name) => Array.from({ length: callersPerNode }, (_, index) => this.#caller(name, dice.fork(`${name} ${index}`), load, patience)));
    const asked = Promise.all(callers.map((each) => each.run()));
    const faults = new Faults({
      nodes: this.#nodes,
      relays: (between) => this.#between(between),
      disks: this.#disks,
      tell: (text) => this.#tell(text),
    });
    await faults.run(plan(dice.fork('faults'), { durationMs, nodes: names, smallDisks: [...this.#disks.keys()] }));
    load.abort();
    await this.#heal(faults);
    await this.#rest('G5', 'everything ends by itself once the faults are over', asked);
    patience.abort();
    await asked;
    await this.#restartAll();
    await this.#rest('G5', 'a restart leaves nothing open', Promise.resolve());
    await this.#stopAll();
    this.#judge();
    this.#tell(`${this.#notes.length} requests, ${this.#notes.filter((each) => each.answers.length > 0).length} answered, ${this.#notes.reduce((sum, each) => sum + each.lost, 0)} answers lost; faults: ${[...faults.done].map((each) => each.join(' ')).join(', ')}`);
    return this.#verdict;
  }

  async #build(): Promise<void> {
    const ports = new Map<string, number>();
    for (const name of names) ports.set(name, await freePort());
    for (const from of names) {
      for (const to of names) if (from !== to) this.#relays.set(`${from}>${to}`, await Relay.start(() => ({ host: '127.0.0.1', port: ports.get(to) ?? 0 })));
    }
    for (const name of names) {
      const steering = join(this.#directory, `${name}-steering`);
      const routes = new Map(names.filter((to) => to !== name).map((to) => [ports.get(to) ?? 0, portOf(this.#relays.get(`${name}>${to}`))]));
      const home = join(this.#directory, name);
      // One is enough: a full disk on each node at once is no other fault.
      if (name === 'gamma') this.#smallDisk(name, home);
      this.#nodes.set(name, new ChaosNode({ name, home, steering, port: ports.get(name) ?? 0, routes }));
    }
    const first = this.#node('alpha');
    await first.up();
    await first.with((client) => client.createMesh({ name: 'chaos', new: false }));
    for (const name of names.slice(1)) {
      const { token } = await first.with((client) => client.createInvite({}));
      await this.#node(name).up();
      await this.#node(name).with((client) => client.joinMesh(token));
    }
    await this.#addAgents();
    for (const node of this.#nodes.values()) {
      await waitFor(`${node.name} to see all agents`, async () => {
        const { items } = await node.with((client) => client.listAgents({}, { limit: 100 }));
        return items.length === names.length * agentKinds.length;
      }, { timeoutMs: 30_000, pollMs: 200 });
    }
    this.#tell('three nodes in one mesh see each other’s agents');
  }

  async #addAgents(): Promise<void> {
    const program = join(this.#directory, 'agent.sh');
    writeAgent(program);
    writeFileSync(this.#traceFile, '');
    const work = join(this.#directory, 'work');
    mkdirSync(work);
    for (const node of this.#nodes.values()) {
      await node.with(async (client) => {
        this.#ids.set((await client.status()).nodeId, node.name);
        for (const kind of agentKinds) {
          await client.addAgent(specOf({ name: kind, workspace: 'main', harness: 'command', cwd: work, argv: [program, kind, node.name, this.#traceFile] }));
        }
      });
    }
  }

  #smallDisk(name: string, path: string): void {
    const disk = makeSmallDisk(path, diskMegabytes(this.#options.durationMs / 60_000, this.#options.callersPerNode));
    if (typeof disk === 'string') this.#tell(`no full disk in this run: ${disk}`);
    else this.#disks.set(name, disk);
  }

  #caller(name: string, dice: Dice, load: AbortController, patience: AbortController): Caller {
    return new Caller({ node: this.#node(name), nodes: names, dice, notes: this.#notes, load: load.signal, patience: patience.signal });
  }

  async #heal(faults: Faults): Promise<void> {
    for (const relay of this.#relays.values()) {
      relay.delayMs = 0;
      relay.cutAfterBytes = undefined;
      relay.heal();
    }
    for (const disk of this.#disks.values()) disk.free();
    for (const node of this.#nodes.values()) {
      node.resume();
      node.spare();
      await node.up();
    }
    this.#verdict.about('G10', 'every fault could be brought about and was recovered from');
    for (const failure of faults.failures) this.#verdict.that('G10', 'every fault could be brought about and was recovered from', false, () => failure);
    this.#tell('healed: waiting for everything to end');
  }

  /** Waits until nothing is open at any node, and nobody waits for an answer. */
  async #rest(guarantee: string, statement: string, asked: Promise<unknown>): Promise<void> {
    let areAnswered = false;
    void asked.then(() => (areAnswered = true));
    const look = (): boolean => areAnswered && [...this.#nodes.values()].every((node) => this.#open(node).length === 0);
    const rested = await waitFor(statement, look, { timeoutMs: peaceMs, pollMs: 500 }).then(() => true, () => false);
    this.#verdict.that(guarantee, statement, rested, () => ({ areAnswered, open: [...this.#nodes.values()].flatMap((node) => this.#open(node).slice(0, 10).map((each) => ({ at: node.name, ...each }))) }));
  }

  #open(node: ChaosNode): Record<string, unknown>[] {
    const db = new Database(node.databasePath, { readonly: true, timeout: 2000 });
    try {
      return db.prepare<[], Record<string, unknown>>(`
        SELECT f.invocation_id, f.state, f.owned, f.run, f.last_seq, f.acked_seq, f.sent_at_ms, f.received_at_ms, f.cancel_requested_at_ms, d.status, d.attempts
        FROM flights f LEFT JOIN deliveries d ON d.invocation_id = f.invocation_id
        WHERE f.finished_at_ms IS NULL OR f.acked_seq < f.last_seq`).all();
    } finally {
      db.close();
    }
  }

  async #restartAll(): Promise<void> {
    for (const node of this.#nodes.values()) {
      await node.down(true);
      await node.up();
    }
  }

  async #stopAll(): Promise<void> {
    const surprises = [...this.#nodes.values()].flatMap((node) => node.surprises);
    this.#verdict.about('G10', 'no node ended by itself');
    for (const surprise of surprises) this.#verdict.that('G10', 'no node ended by itself', false, () => surprise);
    for (const node of this.#nodes.values()) await node.down(false);
  }

  #judge(): void {
    const traces = readTraces(this.#traceFile);
    const nodes = new Map([...this.#nodes].map(([name, node]) => [name, openBooks(node, this.#ids)]));
    const books: Books = { nodes, notes: this.#notes, traces, tracesOf: grouped(traces, (each) => each.invocationId) };
    try {
      this.#verdict.that('G1', 'the nodes spoke through the relays', [...this.#relays.values()].some((relay) => relay.accepted > 0), () => 'nobody connected to a relay');
      this.#verdict.that('G1', 'there was work to judge', [...nodes.values()].every((node) => node.flights.size > 0) && traces.length > 0, () => ({ requests: this.#notes.length, traces: traces.length }));
      for (const check of [checkAccepted, checkRuns, checkReports, checkHealth]) check(books, this.#verdict);
      const states = grouped([...nodes.values()].flatMap((node) => [...node.flights.values()].filter((each) => node.nameOf(each.origin) === node.name)), (each) => each.state);
      this.#tell(`flights: ${[...states].map(([state, flights]) => `${flights.length} ${state}`).join(', ')}`);
    } finally {
      for (const node of nodes.values()) node.db.close();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const node of this.#nodes.values()) node.resume();
    killAll(processesOf(this.#directory));
    await waitFor('what was left to be gone', () => processesOf(this.#directory).length === 0, { timeoutMs: 10_000 });
    for (const relay of this.#relays.values()) await relay[Symbol.asyncDispose]();
    if (this.#options.keep) {
      this.#tell(`kept: ${this.#directory}`);
      return;
    }
    for (const disk of this.#disks.values()) disk.remove();
    rmSync(this.#directory, { recursive: true, force: true, maxRetries: 3 });
  }

  get #traceFile(): string {
    return join(this.#directory, 'traces');
  }

  #between([a, b]: Pair): readonly Relay[] {
    return [`${a}>${b}`, `${b}>${a}`].flatMap((way) => this.#relays.get(way) ?? []);
  }

  #node(name: string): ChaosNode {
    const node = this.#nodes.get(name);
    if (node === undefined) throw new Error(`there is no node ${name}`);
    return node;
  }

  #tell(text: string): void {
    const seconds = ((performance.now() - this.#startMs) / 1000).toFixed(1).padStart(6);
    this.#options.tell(`${seconds} s  ${text}`);
  }
}

function portOf(relay: Relay | undefined): number {
  return Number(relay?.address.split(':')[1] ?? 0);
}
