/** Three nodes, ten callers, outputs of gigabytes, a reader that does not read, a slow disk, a slow agent: and what became of it. */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { connect } from '../../src/client/index.ts';
import { Dice } from '../chaos/dice.ts';
import { Verdict } from '../chaos/verdict.ts';
import { beckonPath } from '../support/cli.ts';
import { Cluster } from '../support/cluster.ts';
import type { TestNode } from '../support/node-process.ts';
import { waitFor } from '../support/wait-for.ts';
import { Caller, kinds, pageBytes, pause } from './callers.ts';
import { lateHead, latest } from './late.ts';
import { inWords, latestOf, megabytes, Meter, summaryHead, tableOf } from './meters.ts';
import type { Bounds } from './meters.ts';
import { watchTurns } from './turns.ts';
import type { Turn } from './turns.ts';

export interface SaturationOptions {
  readonly seed: number;
  readonly durationMs: number;
  readonly outputBytes: number;
  /** False for a run too short to say anything of memory. */
  readonly judgesMemory: boolean;
  readonly keep: boolean;
  /** To be filled, for whoever wants it even of a run that breaks. */
  readonly verdict?: Verdict;
  /** A directory for profiles of what each node does. */
  readonly profile?: string;
  readonly signal: AbortSignal;
  readonly tell: (text: string) => void;
}

const names = ['alpha', 'beta', 'gamma'] as const;
/** From the sources, whatever was built: what is measured inside is found there by its name. The first argument is the program that would have run. */
const fromSources = ['sh', '-c', `shift; exec '${process.execPath}' '${fileURLToPath(new URL('../../src/main.ts', import.meta.url))}' "$@"`, 'sh'];
const inside = pathToFileURL(fileURLToPath(new URL('inside.ts', import.meta.url))).href;
const machine = fileURLToPath(new URL('machine.ts', import.meta.url));
const sdk = fileURLToPath(new URL('../../src/client/index.ts', import.meta.url));
/** Of gamma, each: what a bad disk takes to sync. */
const slowCommitMs = 40;
/** Nothing is answered any more, and not everything is: ms until that is given up. */
const standstillMs = 60_000;
/** See NOTES.md. */
const bounds: Bounds = { mostBytes: 1024 * 1024 * 1024, growth: 1.3, mostGapMs: 6_000, mostRoundTripMs: 2_000, mostTurnMs: { median: 50, ever: 250 } };
/** Of a run that is too short for figures, on a machine that may be busy: nothing that would lead to suspicion. */
const shortBounds: Bounds = { ...bounds, growth: Number.POSITIVE_INFINITY, mostGapMs: 9_000, mostRoundTripMs: 6_000, mostTurnMs: { median: 50, ever: 1_000 } };
/** As `sh` has it, with the rest of the line as the command's words. */
const agents: readonly { readonly node: (typeof names)[number]; readonly name: string; readonly flags: readonly string[]; readonly argv: (outputBytes: number) => readonly string[] }[] = [
  { node: 'beta', name: 'page', flags: ['--concurrency', '2'], argv: () => ['head', '-c', String(pageBytes), '/dev/zero'] },
  { node: 'beta', name: 'big', flags: [], argv: (outputBytes) => ['head', '-c', String(outputBytes), '/dev/zero'] },
  { node: 'gamma', name: 'slow', flags: ['--concurrency', '1', '--queue', '20'], argv: () => ['sh', '-c', 'sleep 0.5; echo done'] },
];
const served = { alpha: ['echo'], beta: ['echo'], gamma: ['echo', 'count'] } as const;

export async function saturation(options: SaturationOptions): Promise<Verdict> {
  const cluster = await Cluster.create();
  const campaign = new Campaign(options, cluster);
  try {
    const givenUp = new Promise<never>((_, reject) => {
      options.signal.addEventListener('abort', () => reject(new Error('the run was given up')), { once: true });
    });
    return await Promise.race([campaign.play(), givenUp]);
  } finally {
    campaign.over();
    if (options.keep) options.tell(`kept, running: ${cluster.directory}`);
    else await cluster[Symbol.asyncDispose]();
  }
}

class Campaign {
  readonly #options: SaturationOptions;
  readonly #cluster: Cluster;
  readonly #verdict: Verdict;
  readonly #over = new AbortController();
  readonly #children: ChildProcess[] = [];
  readonly #meters: Meter[] = [];
  readonly #nodes = new Map<string, TestNode>();
  readonly #callers: Caller[] = [];
  readonly #surprises: string[] = [];
  /** Of all outputs so far. */
  readonly #read = { bytes: 0 };
  /** Of a process that does nothing, and of this one. */
  readonly #idle: Turn[] = [];
  readonly #ownTurns = watchTurns();

  constructor(options: SaturationOptions, cluster: Cluster) {
    this.#options = options;
    this.#verdict = options.verdict ?? new Verdict();
    this.#cluster = cluster;
  }

  async play(): Promise<Verdict> {
    const { durationMs, tell, seed } = this.#options;
    await this.#build();
    const dice = new Dice(seed);
    const fromMs = Date.now();
    const enough = new AbortController();
    const watching = Promise.all(this.#meters.map((meter) => this.#watch(meter)));
    this.#watchMachine();
    for (const kind of kinds) this.#callers.push(new Caller(kind, this.#socketOf(kind.at)));
    const calling = Promise.all(this.#callers.map(async (caller) => {
      await delay(dice.between(0, 1000), undefined, { signal: this.#options.signal });
      await caller.run(enough.signal);
    }));
    const stalled = this.#stall();
    const reading = this.#readAll(enough.signal);
    const telling = this.#table(fromMs, enough.signal);
    await delay(durationMs, undefined, { signal: this.#options.signal });
    enough.abort();
    await telling;
    const lastMs = Date.now();
    const settled = Promise.all([calling, reading]).then(() => true);
    const isSettled = await Promise.race([settled, this.#standstill(settled)]);
    this.#verdict.that('calls', 'all have an answer once no more are asked', isSettled, () => this.#callers.filter((each) => !each.isSettled).map(({ kind, fates }) => ({ ...kind, ...fates, retryAfterMs: undefined })));
    tell(`settled after ${((Date.now() - lastMs) / 1000).toFixed(1)} s`);
    await stalled.drain();
    this.over();
    await watching;
    this.#judge(fromMs);
    return this.#verdict;
  }

  /** Nothing was answered, and no output read, for `standstillMs`: resolves with false. */
  async #standstill(settled: Promise<unknown>): Promise<false> {
    let isOver = false;
    void settled.finally(() => (isOver = true));
    let [last, atMs] = [-1, performance.now()];
    while (!isOver && performance.now() - atMs < standstillMs) {
      const progress = this.#callers.reduce((sum, { fates }) => sum + fates.completed + fates.overload + fates.refused, this.#read.bytes);
      if (progress !== last) [last, atMs] = [progress, performance.now()];
      await delay(500, undefined, { signal: this.#options.signal });
    }
    return false;
  }

  over(): void {
    this.#over.abort();
    for (const child of this.#children) child.kill('SIGKILL');
  }

  async #build(): Promise<void> {
    const { outputBytes, durationMs, profile } = this.#options;
    // They run until they are ended.
    const timeoutMs = durationMs + 24 * 3_600_000;
    for (const name of names) {
      const node = await this.#cluster.node(name);
      this.#nodes.set(name, node);
      const report = this.#cluster.path(`${name}.report`);
      this.#meters.push(new Meter(name, report));
      const env = { NODE_OPTIONS: `--disable-warning=ExperimentalWarning --import=${inside}`, SATURATION_REPORT: report, ...(profile === undefined ? {} : { SATURATION_PROFILE: profile }), ...(name === 'gamma' ? { SATURATION_COMMIT_MS: String(slowCommitMs) } : {}) };
      const first = this.#node('alpha');
      if (node === first) {
        await node.up({ env, timeoutMs, through: fromSources });
        await node.json(['mesh', 'create', 'saturation']);
      } else {
        const { token } = await first.json(['mesh', 'invite']);
        await node.up({ env, timeoutMs, through: fromSources, flags: ['--join', '-'], stdin: `${String(token)}\n` });
      }
    }
    for (const name of names) void this.#node(name).ended().then(({ code, signal, stderr }) => this.#over.signal.aborted || this.#surprises.push(`${name} ended: ${signal ?? code} ${stderr.slice(-2000)}`));
    for (const name of names) for (const other of names) if (other !== name) await this.#node(name).peer(other, 'alive', { timeoutMs: 30_000 });
    for (const { node, name, flags, argv } of agents) await this.#node(node).addAgent(name, argv(outputBytes), flags);
    for (const name of names) this.#serve(name);
    const wanted = kinds.map(({ address }) => address);
    for (const name of names) {
      await waitFor(`${name} to know all agents`, async () => {
        const known = (await this.#node(name).json(['agents'])).agents as { readonly address: string; readonly available: boolean }[];
        return wanted.every((address) => known.some((each) => each.address === address && each.available));
      }, { timeoutMs: 40_000, pollMs: 200 });
    }
  }

  /** A process through the SDK, as a user's program would. */
  #serve(node: (typeof names)[number]): void {
    const path = this.#cluster.path(`${node}-serves.mjs`);
    writeFileSync(path, `
import { connect } from ${JSON.stringify(sdk)};
const beckon = await connect({ socketPath: ${JSON.stringify(this.#socketOf(node))} });
const answers = { echo: (_task, { bytes }) => bytes, count: (_task, { bytes }) => String(bytes.length) };
for (const name of ${JSON.stringify(served[node])}) await beckon.serve(name + '/main', answers[name], { concurrency: 64, cwd: '/' });
`);
    this.#children.push(spawn(process.execPath, ['--disable-warning=ExperimentalWarning', path], { cwd: this.#cluster.directory, stdio: ['ignore', 'inherit', 'inherit'] }));
  }

  async #watch(meter: Meter): Promise<void> {
    const client = await connect({ socketPath: this.#socketOf(meter.name) });
    await meter.watchPeers(client, this.#over.signal);
    client.close();
  }

  #watchMachine(): void {
    const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', machine], { stdio: ['pipe', 'pipe', 'inherit'] });
    this.#children.push(child);
    createInterface({ input: child.stdout }).on('line', (line) => this.#idle.push(JSON.parse(line) as Turn));
  }

  /** A person's `beckon invoke … | less`, who does not scroll: until `drain` nothing of it is read. */
  #stall(): { readonly drain: () => Promise<void> } {
    const { outputBytes, tell } = this.#options;
    const child = this.#invokeBig();
    return {
      drain: async () => {
        const atMs = Date.now();
        const { bytes, code } = await count(child, this.#read);
        tell(`the stalled reader then read ${megabytes(bytes)} in ${((Date.now() - atMs) / 1000).toFixed(1)} s`);
        // What is over is pruned in the end, read or not.
        const isWhole = bytes === outputBytes;
        const isPruned = outputBytes >= 512 * 1024 * 1024 && bytes > 0 && bytes < outputBytes;
        this.#verdict.that('outputs', 'a reader that stalled gets all that is still stored', code === 0 && (isWhole || isPruned), () => ({ bytes, outputBytes, code }));
      },
    };
  }

  /** The same output again and again, with pauses, to somebody who reads. */
  async #readAll(enough: AbortSignal): Promise<void> {
    const { outputBytes, durationMs, tell } = this.#options;
    while (!enough.aborted) {
      const atMs = Date.now();
      const { bytes, code } = await count(this.#invokeBig(), this.#read);
      const seconds = (Date.now() - atMs) / 1000;
      tell(`an output of ${megabytes(bytes)} was read in ${seconds.toFixed(1)} s, ${megabytes(bytes / seconds)}/s`);
      this.#verdict.that('outputs', 'a reader that reads gets every byte', bytes === outputBytes && code === 0, () => ({ bytes, outputBytes, code }));
      await pause(durationMs / 5, enough);
    }
  }

  #invokeBig(): ChildProcess {
    const { home } = this.#node('alpha');
    const child = spawn(beckonPath, ['invoke', '@big@beta#main', ''], { cwd: home, env: { PATH: process.env['PATH'], HOME: process.env['HOME'], BECKON_HOME: home }, stdio: ['ignore', 'pipe', 'inherit'] });
    this.#children.push(child);
    return child;
  }

  async #table(fromMs: number, enough: AbortSignal): Promise<void> {
    const { tell, durationMs } = this.#options;
    const row = (...cells: readonly (string | number)[]): string => cells.map((cell) => String(cell).padStart(12)).join('');
    tell(row('time', 'asked', 'completed', 'overload', ...names.map((name) => `RSS ${name}`), ...names.map((name) => `loop ${name}`)));
    while (!enough.aborted) {
      await pause(Math.max(2_000, durationMs / 25), enough);
      const last = this.#meters.map((meter) => meter.reports.slice(-5));
      const sum = (pick: (caller: Caller) => number): number => this.#callers.reduce((total, each) => total + pick(each), 0);
      tell(row(
        `${((Date.now() - fromMs) / 1000).toFixed(0)} s`, sum(({ fates }) => fates.asked), sum(({ fates }) => fates.completed), sum(({ fates }) => fates.refused + fates.overload),
        ...last.map((reports) => megabytes(reports.at(-1)?.rss ?? 0)), ...last.map((reports) => `${Math.max(...reports.map(({ loop }) => loop.mostMs)).toFixed(0)} ms`),
      ));
    }
  }

  #judge(fromMs: number): void {
    const { tell, judgesMemory } = this.#options;
    const verdict = this.#verdict;
    tell('');
    for (const line of tableOf([
      ['caller', 'asks', 'whom', 'asked', 'completed', 'refused', 'overload', 'told to wait, most', 'neither'],
      ...this.#callers.map(({ kind, fates }) => [kind.name, kind.at, kind.address, ...[fates.asked, fates.completed, fates.refused, fates.overload].map(String), `${Math.max(0, ...fates.retryAfterMs)} ms`, String(fates.broken.length)]),
    ])) tell(line);
    for (const { kind, fates } of this.#callers) {
      verdict.that('calls', 'each is answered, or told `overload` and when to come back', fates.broken.length === 0 && fates.asked > 0, () => ({ caller: kind.name, at: kind.at, broken: fates.broken.slice(0, 3) }));
      verdict.that('calls', 'no caller is shut out by the others', fates.completed > 0, () => ({ caller: kind.name, at: kind.at, ...fates, retryAfterMs: undefined }));
    }
    const flooded = this.#callers.filter(({ kind }) => kind.name === 'slow owner').reduce((sum, { fates }) => sum + fates.overload, 0);
    verdict.that('calls', 'a queue that is full says so', flooded > 0, () => ({ flooded }));
    tell('');
    for (const line of tableOf([summaryHead, ...this.#meters.map((meter) => meter.summary(fromMs))])) tell(line);
    tell('');
    for (const line of tableOf([lateHead, ...latest(this.#meters)])) tell(line);
    tell('');
    tell(`latest turn of a process that does nothing: ${inWords(latestOf(this.#idle))}; of the one that asks and counts: ${inWords(this.#ownTurns().latest)}`);
    tell('');
    verdict.that('nodes', 'none ended by itself', this.#surprises.length === 0, () => this.#surprises);
    for (const meter of this.#meters) meter.judge(fromMs, judgesMemory ? bounds : shortBounds, verdict);
  }

  #node(name: string): TestNode {
    const node = this.#nodes.get(name);
    if (node === undefined) throw new Error(`there is no node ${name}`);
    return node;
  }

  #socketOf(name: string): string {
    return this.#node(name).socketPath;
  }
}

/** Reads all that a process prints. @param all what it adds to, too */
async function count(child: ChildProcess, all: { bytes: number }): Promise<{ readonly bytes: number; readonly code: number | null }> {
  let bytes = 0;
  const ended = new Promise<number | null>((resolve) => {
    child.once('close', resolve);
  });
  child.stdout?.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
    all.bytes += chunk.length;
  });
  return { code: await ended, bytes };
}
