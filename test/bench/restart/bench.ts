/** From the spawn of a node with a large store until its control socket answers `status`, truly: after a kill -9, and after a clean stop. */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { existsSync, statSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { connect } from '../../../src/client/connect.ts';
import type { InvokeRequest, NodeClient, NodeStatus } from '../../../src/client/types.ts';
import type { Bench, BenchContext, BenchResult } from '../bench.ts';
import { bareNode, libraries } from '../bare-node.ts';
import { bytes, ms, rounded, spreadOf } from '../figures.ts';
import { commandLine } from '../process-cost.ts';
import { storeHistory } from '../stored/history.ts';
import { requestOf } from '../../support/asking.ts';
import { beckonPath } from '../../support/cli.ts';
import { Cluster } from '../../support/cluster.ts';
import type { TestNode } from '../../support/node-process.ts';
import { waitFor } from '../../support/wait-for.ts';

/** The goals of the design, ms. */
const mustMs = 1000;
const moonshotMs = 300;
/** Of one agent that run at once, as the runner has it. */
const running = 4;
/** Besides those, accepted just before each end. */
const waiting = 200;
const longestMs = 120_000;

const request: InvokeRequest = requestOf('@worker@big#main', 'work', { detach: true });

interface Started {
  readonly ms: number;
  readonly child: ChildProcess;
  readonly status: NodeStatus;
}

/** As a user's shell starts it. The first answer counts; whether it is true is for the caller to judge. */
async function start(node: TestNode): Promise<Started> {
  const startMs = performance.now();
  const child = spawn(beckonPath, ['up', '--json'], { cwd: node.home, env: { PATH: process.env['PATH'], HOME: process.env['HOME'], BECKON_HOME: node.home }, stdio: 'ignore' });
  for (;;) {
    const status = await ask(node.socketPath, (client) => client.status());
    if (status !== undefined) return { ms: performance.now() - startMs, child, status };
    if (child.exitCode !== null || performance.now() - startMs > longestMs) throw new Error(`the node does not answer: exit ${child.exitCode}`);
    await delay(1);
  }
}

/** @returns undefined while nobody listens: a socket file that a killed node left refuses, and is replaced */
async function ask<Answer>(socketPath: string, question: (client: NodeClient) => Promise<Answer>): Promise<Answer | undefined> {
  if (!existsSync(socketPath)) return undefined;
  try {
    const client = await connect({ socketPath });
    try {
      return await question(client);
    } finally {
      client.close();
    }
  } catch (thrown) {
    if (thrown instanceof Error && 'code' in thrown && thrown.code === 'unavailable') return undefined;
    throw thrown;
  }
}

async function end({ child }: Started, signal: 'SIGKILL' | 'SIGTERM'): Promise<void> {
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  child.kill(signal);
  // The second one asks for no draining.
  if (signal === 'SIGTERM') {
    await delay(100);
    child.kill(signal);
  }
  await ended;
}

/** Work in hand: runs that no node lives to see the end of, and others that wait for them. @returns how it stands then */
async function work(node: TestNode): Promise<NodeStatus> {
  const before = await ask(node.socketPath, (client) => client.status());
  await ask(node.socketPath, async (client) => {
    const accepted = async (): Promise<void> => {
      for await (const update of client.invoke(request)) if (update.type === 'accepted') return;
    };
    await Promise.all(Array.from({ length: waiting }, accepted));
  });
  const status = await waitFor('work to run', async () => {
    const now = await ask(node.socketPath, (client) => client.status());
    return now !== undefined && stored(now) - stored(before) === waiting && (now.flights.running ?? 0) >= running ? now : undefined;
  }, { timeoutMs: 20_000, pollMs: 20 });
  return status;
}

function stored(status: NodeStatus | undefined): number {
  return Object.values(status?.flights ?? {}).reduce((sum, count) => sum + count, 0);
}

/** @throws when what the new process said first is not so */
function judge({ status, child }: Started, before: NodeStatus, killed: boolean): void {
  if (status.pid !== child.pid || status.nodeId !== before.nodeId || status.epoch <= before.epoch) throw new Error(`another process answered: ${JSON.stringify(status)}`);
  if (stored(status) !== stored(before)) throw new Error(`it counts ${stored(status)} flights of ${stored(before)}`);
  const unknown = (status.flights.indeterminate ?? 0) - (before.flights.indeterminate ?? 0);
  if (killed && unknown !== running) throw new Error(`${unknown} of ${running} runs that were lost are indeterminate`);
}

interface Times {
  readonly killed: number[];
  readonly stopped: number[];
  readonly bare: number[];
  readonly imports: number[];
  readonly command: number[];
}

/** A node with that much stored, one agent that takes long, and a peer. */
async function prepare(cluster: Cluster, { tell, options }: BenchContext): Promise<{ readonly node: TestNode; readonly bytes: number }> {
  const node = await cluster.node('big');
  const peer = await cluster.node('peer');
  await cluster.join([node, peer]);
  await node.addAgent('worker', ['/bin/sleep', '600']);
  await node.down();
  storeHistory({ path: node.databasePath, nodeName: node.name, invocations: options['stored'] ?? 0, nowMs: Date.now() });
  const size = statSync(node.databasePath).size;
  tell(`${options['stored']} invocations are stored, ${bytes(size)}`);
  return { node, bytes: size };
}

async function commandMs(node: TestNode): Promise<number> {
  const startMs = performance.now();
  await node.json(['status']);
  return performance.now() - startMs;
}

async function bareMs(imports: readonly string[]): Promise<number> {
  const bare = await bareNode(imports);
  bare.child.kill('SIGKILL');
  return bare.ms;
}

async function run(context: BenchContext): Promise<BenchResult> {
  const { tell, options, signal } = context;
  const { restarts = 7 } = options;
  const cluster = await Cluster.create();
  await using _ended = cluster;
  const { node, bytes: size } = await prepare(cluster, context);
  const times: Times = { killed: [], stopped: [], bare: [], imports: [], command: [] };
  let [first, logBytes, program] = [0, 0, ''];
  let started = await start(node);
  for (let round = 0; round <= restarts; round += 1) {
    signal.throwIfAborted();
    const atWork = await work(node);
    const command = await commandMs(node);
    logBytes = statSync(`${node.databasePath}-wal`).size;
    await end(started, 'SIGKILL');
    const [bare, imports] = [await bareMs([]), await bareMs(libraries)];
    started = await start(node);
    judge(started, atWork, true);
    const killedMs = started.ms;
    program = commandLine(started.child.pid ?? 0);
    const { status } = started;
    await end(started, 'SIGTERM');
    started = await start(node);
    judge(started, status, false);
    tell(`after kill -9 ${ms(killedMs)}, after a clean stop ${ms(started.ms)}; bare Node with the libraries ${ms(imports)}`);
    if (round === 0) {
      first = killedMs;
      continue;
    }
    times.killed.push(killedMs);
    times.stopped.push(started.ms);
    times.bare.push(bare);
    times.imports.push(imports);
    times.command.push(command);
  }
  await end(started, 'SIGTERM');
  const [killed, stopped] = [spreadOf(times.killed), spreadOf(times.stopped)];
  const worst = Math.max(killed.p50, stopped.p50);
  const floor = spreadOf(times.imports).p50;
  const line = ({ p50, max }: { readonly p50: number; readonly max: number }): string => `p50 ${ms(p50)}, max ${ms(max)}`;
  return {
    figures: { stored: options['stored'] ?? 0, ms: rounded(worst) },
    rows: [
      { what: 'after kill -9, with work in hand', figure: `${line(killed)}; a log of ${bytes(logBytes)}` },
      { what: 'after a clean stop', figure: line(stopped) },
      { what: 'the first of them, not counted', figure: ms(first) },
      { what: 'bare Node', figure: line(spreadOf(times.bare)) },
      { what: 'bare Node that imports the libraries', figure: line(spreadOf(times.imports)) },
      { what: 'node / bare Node with the libraries', figure: (worst / floor).toFixed(2) },
      { what: 'beckon status, the whole command', figure: line(spreadOf(times.command)) },
    ],
    goals: [
      { what: `below ${mustMs} ms, after kill -9 and after a clean stop`, kind: 'must', isMet: worst < mustMs },
      { what: `below ${moonshotMs} ms`, kind: 'moonshot', isMet: worst < moonshotMs },
    ],
    notes: [
      `until the first answer to status over the control socket, which is checked: process, epoch, ${options['stored']} flights and more counted by state, lost runs indeterminate`,
      `the node runs as scripts/beckon starts it: ${program.replaceAll(/\S*\//g, '')}; a database of ${bytes(size)}, in the page cache`,
    ],
  };
}

export const restartBench: Bench = {
  name: 'restart',
  summary: 'from the spawn of a node with a large store until its control socket answers',
  options: { stored: 1_000_000, restarts: 7 },
  run,
};
