/** Very many invocations between two nodes, a partition in the middle of them: what became of each, and what it cost in memory. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { FlightUpdate, NodeClient } from '../../src/client/index.ts';
import { requestOf, specOf } from '../support/asking.ts';
import { killAll, processesOf } from '../support/belongings.ts';
import { freePort } from '../support/cluster.ts';
import { Relay } from '../support/relay.ts';
import { waitFor } from '../support/wait-for.ts';
import { ChaosNode } from './chaos-node.ts';
import { checkEndurance } from './check-endurance.ts';
import type { Way } from './check-endurance.ts';
import { Dice } from './dice.ts';
import { checkLeft, checkMemory, describeMemory, memorySummary, residentBytes, tableHead, tableRow } from './memory.ts';
import type { Sample } from './memory.ts';
import { Verdict } from './verdict.ts';

export interface EnduranceOptions {
  readonly seed: number;
  /** From the first node to the second; one in twenty more go the other way. */
  readonly invocations: number;
  readonly partitionMs: number;
  /** False for a run too short to say anything of memory. */
  readonly judgesMemory: boolean;
  readonly tell: (text: string) => void;
  /** Gives it up; what it started is ended all the same. */
  readonly signal: AbortSignal;
  /** The directory stays, for whoever wants to look. */
  readonly keep: boolean;
  /** To be filled, for whoever wants it even of a run that breaks. */
  readonly verdict?: Verdict;
}

const names = ['alpha', 'beta'] as const;
/** Accepted and not yet over, both ways together: less than one agent's queue holds. */
const mostOpen = 4000;
/** Calls of one caller at once. */
const callsAtOnce = 32;
const sampleMs = 1000;
/** Rows of the table that is printed. */
const tableRows = 25;
/** Nothing is over any more, and not everything is over: ms until that is given up. */
const standstillMs = 120_000;
/** See NOTES.md. */
const mostBytes = 640 * 1024 * 1024;

interface Side {
  readonly node: ChaosNode;
  readonly client: NodeClient;
  readonly nodeId: string;
  readonly pid: number;
  readonly count: number;
  readonly acknowledged: Set<string>;
  readonly ledgerPath: string;
}

export async function endurance(options: EnduranceOptions): Promise<Verdict> {
  await using run = new Endurance(options);
  const givenUp = new Promise<never>((_, reject) => {
    options.signal.addEventListener('abort', () => reject(new Error('the run was given up')), { once: true });
  });
  return await Promise.race([run.play(), givenUp]);
}

class Endurance implements AsyncDisposable {
  readonly #options: EnduranceOptions;
  readonly #directory = mkdtempSync(join(tmpdir(), 'bke-'));
  readonly #relays: Relay[] = [];
  readonly #nodes: ChaosNode[] = [];
  readonly #sides: Side[] = [];
  readonly #verdict: Verdict;
  readonly #samples: Sample[] = [];
  /** Work that both nodes know to be over. */
  #done = 0;
  #startMs = 0;

  constructor(options: EnduranceOptions) {
    this.#options = options;
    this.#verdict = options.verdict ?? new Verdict();
  }

  async play(): Promise<Verdict> {
    await this.#build();
    const before = await this.#memory('before the first');
    this.#options.tell(tableHead(names));
    this.#startMs = performance.now();
    const over = new AbortController();
    const watched = this.#watch(over.signal);
    const partition = this.#partition();
    await Promise.all(this.#sides.map((side) => this.#submit(side)));
    await partition;
    await this.#settle();
    over.abort();
    await watched;
    const tookMs = performance.now() - this.#startMs;
    this.#options.tell(tableRow(this.#sample()));
    this.#options.tell(`${this.#done} of ${this.#asked} over after ${(tookMs / 1000).toFixed(1)} s, ${Math.round((this.#done * 1000) / tookMs)}/s`);
    this.#options.tell(memorySummary(this.#samples, names));
    const after = await this.#memory('once everything is over');
    await this.#stop();
    this.#judge();
    if (this.#options.judgesMemory) {
      checkMemory(this.#samples, names, mostBytes, this.#verdict);
      for (const [index, name] of names.entries()) if (before[index] !== undefined && after[index] !== undefined) checkLeft(name, before[index], after[index], this.#verdict);
    }
    return this.#verdict;
  }

  async #build(): Promise<void> {
    const ports = [await freePort(), await freePort()] as const;
    for (const port of ports) this.#relays.push(await Relay.start(() => ({ host: '127.0.0.1', port })));
    for (const [index, name] of names.entries()) {
      const other = 1 - index;
      const relayPort = Number(this.#relays[other]?.address.split(':')[1]);
      this.#nodes.push(new ChaosNode({
        name,
        home: join(this.#directory, name),
        steering: join(this.#directory, `${name}-steering`),
        port: ports[index] ?? 0,
        routes: new Map([[ports[other] ?? 0, relayPort]]),
        reportsMemory: true,
      }));
    }
    const [first, second] = this.#nodes as [ChaosNode, ChaosNode];
    await first.up();
    await first.with((client) => client.createMesh({ name: 'endurance', new: false }));
    const { token } = await first.with((client) => client.createInvite({}));
    await second.up();
    await second.with((client) => client.joinMesh(token));
    const { invocations } = this.#options;
    for (const node of this.#nodes) await this.#addSide(node, node === first ? invocations : Math.ceil(invocations / 20));
    for (const { client, node } of this.#sides) {
      await waitFor(`${node.name} to see both agents`, async () => (await client.listAgents({}, { limit: 10 })).items.length === 2, { timeoutMs: 30_000, pollMs: 100 });
    }
  }

  /** The agent costs one process and no shell: it adds its task, one line, to a file. */
  async #addSide(node: ChaosNode, count: number): Promise<void> {
    const client = await node.client();
    const { nodeId, pid } = await client.status();
    const ledgerPath = this.#ledgerOf(node.name);
    writeFileSync(ledgerPath, '');
    // The agent here works for those who ask there.
    const asker = names.find((name) => name !== node.name) ?? '';
    this.#sides.push({ node, client, nodeId, pid, count, acknowledged: new Set(), ledgerPath });
    await client.addAgent(specOf({ name: 'ledger', workspace: 'main', harness: 'command', cwd: this.#directory, argv: ['tee', '-a', this.#ledgerOf(asker)] }));
  }

  /** Keeps plenty open, and no more than the queue of an agent holds. */
  async #submit(side: Side): Promise<void> {
    const target = `@ledger@${this.#other(side).node.name}#main`;
    let next = 0;
    const call = async (): Promise<void> => {
      while (next < side.count) {
        if (this.#accepted - this.#done >= mostOpen) {
          await delay(20, undefined, { signal: this.#options.signal });
          continue;
        }
        const number = next;
        next += 1;
        let update: FlightUpdate | undefined;
        for await (const each of side.client.invoke(requestOf(target, `${number}\n`, { detach: true }))) update ??= each;
        if (update?.type !== 'accepted' || update.deduplicated) throw new Error(`task ${number} was answered with ${update?.type ?? 'nothing'}`);
        side.acknowledged.add(update.invocationId);
      }
    };
    await Promise.all(Array.from({ length: callsAtOnce }, call));
  }

  /** Once, when half of it has been accepted. The seed says which kind. */
  async #partition(): Promise<void> {
    const how = new Dice(this.#options.seed).pick(['reset', 'silence'] as const);
    while (this.#accepted < this.#asked / 2) await delay(20, undefined, { signal: this.#options.signal });
    this.#options.tell(`partition (${how}) for ${this.#options.partitionMs / 1000} s; ${this.#accepted} accepted, ${this.#done} over`);
    for (const relay of this.#relays) {
      if (how === 'silence') relay.isBlackHole = true;
      else {
        relay.isRefusing = true;
        relay.cut();
      }
    }
    await delay(this.#options.partitionMs, undefined, { signal: this.#options.signal });
    for (const relay of this.#relays) relay.heal();
    this.#options.tell(`healed; ${this.#accepted} accepted, ${this.#done} over`);
  }

  /** Everything was accepted: waits until it is over, as long as it goes on. */
  async #settle(): Promise<void> {
    let last = { done: -1, atMs: 0 };
    while (this.#done < this.#asked) {
      if (this.#done > last.done) last = { done: this.#done, atMs: performance.now() };
      const hasStopped = performance.now() - last.atMs > standstillMs;
      this.#verdict.that('G5', 'everything that was accepted ends by itself', !hasStopped, () => ({ done: this.#done, asked: this.#asked }));
      if (hasStopped) return;
      await delay(100, undefined, { signal: this.#options.signal });
    }
  }

  async #watch(over: AbortSignal): Promise<void> {
    let printed = 0;
    let sampledMs = -sampleMs;
    while (!over.aborted && !this.#options.signal.aborted) {
      if (performance.now() - sampledMs >= sampleMs) {
        sampledMs = performance.now();
        const sample = this.#sample();
        if (sample.done >= printed * (this.#asked / tableRows)) {
          this.#options.tell(tableRow(sample));
          printed = Math.floor(sample.done / (this.#asked / tableRows)) + 1;
        }
      }
      this.#done = Math.min(...(await Promise.all(this.#sides.map(overAt))));
      await delay(100);
    }
  }

  #sample(): Sample {
    const sample = { atMs: performance.now() - this.#startMs, done: this.#done, rss: this.#sides.map(({ pid }) => residentBytes(pid)) };
    this.#samples.push(sample);
    return sample;
  }

  async #memory(when: string): Promise<NodeJS.MemoryUsage[]> {
    const held = await Promise.all(this.#nodes.map((node) => node.memory()));
    this.#options.tell(`${when}, after a full collection: ${held.map((each, index) => describeMemory(names[index] ?? '', each)).join('; ')}`);
    return held;
  }

  async #stop(): Promise<void> {
    for (const { client } of this.#sides) client.close();
    const surprises = this.#nodes.flatMap((node) => node.surprises);
    this.#verdict.that('G10', 'no node ended by itself', surprises.length === 0, () => surprises);
    for (const node of this.#nodes) await node.down(false);
  }

  #judge(): void {
    this.#verdict.that('G6', 'the nodes spoke through the relays, before and after the partition', this.#relays.reduce((sum, relay) => sum + relay.accepted, 0) > 1, () => this.#relays.map((relay) => relay.accepted));
    for (const side of this.#sides) {
      const [origin, owner] = [side, this.#other(side)].map(({ node, nodeId }) => ({ name: node.name, nodeId, databasePath: node.databasePath })) as [Way['origin'], Way['owner']];
      checkEndurance({ origin, owner, acknowledged: side.acknowledged, count: side.count, ledgerPath: side.ledgerPath }, this.#verdict);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { client } of this.#sides) client.close();
    killAll(processesOf(this.#directory));
    await waitFor('what was left to be gone', () => processesOf(this.#directory).length === 0, { timeoutMs: 10_000 });
    for (const relay of this.#relays) await relay[Symbol.asyncDispose]();
    if (this.#options.keep) this.#options.tell(`kept: ${this.#directory}`);
    else rmSync(this.#directory, { recursive: true, force: true, maxRetries: 3 });
  }

  #ledgerOf(asker: string): string {
    return join(this.#directory, `asked-by-${asker}`);
  }

  #other(side: Side): Side {
    const other = this.#sides.find((each) => each !== side);
    if (other === undefined) throw new Error('there is no other side');
    return other;
  }

  get #asked(): number {
    return this.#sides.reduce((sum, { count }) => sum + count, 0);
  }

  get #accepted(): number {
    return this.#sides.reduce((sum, { acknowledged }) => sum + acknowledged.size, 0);
  }
}

/** What that node has seen the end of, in either role. */
async function overAt({ client }: Side): Promise<number> {
  const { flights } = await client.status();
  const { completed = 0, failed = 0, cancelled = 0, expired = 0, indeterminate = 0 } = flights;
  return completed + failed + cancelled + expired + indeterminate;
}
