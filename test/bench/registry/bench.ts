/** One registry on many nodes: what it costs when nothing happens, when something does, and to catch up. */
import { availableParallelism, loadavg } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import type { Bench, BenchContext, BenchResult } from '../bench.ts';
import { bytes, ms, rounded, roundedSpread, spread, spreadOf } from '../figures.ts';
import { Changes } from './changes.ts';
import type { Change } from './changes.ts';
import { each, Fleet } from './fleet.ts';
import type { FleetNode } from './fleet.ts';
import { minus, total } from './sockets.ts';
import type { Traffic } from './sockets.ts';
import { machineMs, Watch } from './watch.ts';

/** The goals of the design, ms. */
const mustMs = 1000;
const moonshotMs = 250;
const burstSize = 20;
/** More only make each other's handshakes run out of time. */
const startedAtOnce = 4;
/** Without a connection that comes or goes. */
const quietMs = 10_000;
/** Changes that a node misses in the shorter of its two absences. */
const fewMissed = 10;

interface Idle {
  readonly seconds: number;
  readonly traffic: Traffic;
  /** Share of one core, of the whole process. */
  readonly cpu: number;
  readonly connections: Traffic;
}

interface CatchUp {
  readonly what: string;
  readonly startMs: number;
  readonly seenMs: number;
  readonly bytes: number;
}

class Run {
  readonly #context: BenchContext;
  readonly #fleet: Fleet;
  readonly #watch: Watch;

  constructor(context: BenchContext, fleet: Fleet, watch: Watch) {
    this.#context = context;
    this.#fleet = fleet;
    this.#watch = watch;
  }

  /** A few at a time, with databases that hold the whole registry. Over when nobody finds another's digest to differ, and all that is wanted is linked. */
  async start(): Promise<{ readonly upMs: number; readonly settledMs: number; readonly bytes: number; readonly cpuMs: number }> {
    const { tell, signal } = this.#context;
    const { nodes } = this.#fleet;
    await this.#watch.open(nodes.map((node) => node.database));
    const [startMs, cpu, before] = [machineMs(), process.cpuUsage(), total(await this.#fleet.sent())];
    await each(nodes, startedAtOnce, (node) => {
      signal.throwIfAborted();
      return node.start();
    });
    const upMs = machineMs() - startMs;
    tell(`all are up after ${ms(upMs)}`);
    await each(nodes, 8, (node) => node.open());
    await this.#watch.counts(this.#fleet.othersOf(nodes[0]), nodes.length - 1);
    const settledMs = (await this.#settled()) - startMs;
    const { user, system } = process.cpuUsage(cpu);
    tell(`no connection was made any more after ${ms(settledMs)}`);
    return { upMs, settledMs, bytes: total(await this.#fleet.sent()) - before, cpuMs: (user + system) / 1000 };
  }

  /** @returns when the last connection was made or lost before a quiet time */
  async #settled(): Promise<number> {
    let [last, atMs] = ['', machineMs()];
    while (machineMs() - atMs < quietMs) {
      const now = JSON.stringify(await this.#fleet.connections());
      if (now !== last) [last, atMs] = [now, machineMs()];
      await this.#pause(0.25);
    }
    return atMs;
  }

  async idle(seconds: number): Promise<Idle> {
    await this.#pause(5);
    const [before, cpu, startMs] = [await this.#fleet.sent(), process.cpuUsage(), machineMs()];
    await this.#pause(seconds);
    const tookMs = machineMs() - startMs;
    const { user, system } = process.cpuUsage(cpu);
    return { seconds: tookMs / 1000, traffic: minus(await this.#fleet.sent(), before), cpu: (user + system) / 1000 / tookMs, connections: await this.#fleet.connections() };
  }

  /** @returns also the bytes and the time of processors that one change took, all nodes together, beyond what an idle mesh takes */
  async changes(count: number, idle: Idle, make: (done: Change[]) => Promise<void>): Promise<{ readonly changes: Change[]; readonly bytesEach: Traffic; readonly cpuMsEach: number }> {
    const changes: Change[] = [];
    const [before, cpu, startMs] = [await this.#fleet.sent(), process.cpuUsage(), machineMs()];
    while (changes.length < count) {
      this.#context.signal.throwIfAborted();
      await make(changes);
    }
    // Copies of the last ones may still be on their way.
    await this.#pause(2);
    const tookMs = machineMs() - startMs;
    const { user, system } = process.cpuUsage(cpu);
    const share = tookMs / 1000 / idle.seconds;
    const sent = minus(await this.#fleet.sent(), before);
    const beyond = (kind: keyof Traffic): number => Math.max(0, sent[kind] - idle.traffic[kind] * share) / changes.length;
    return { changes, bytesEach: { sessions: beyond('sessions'), gossip: beyond('gossip') }, cpuMsEach: Math.max(0, (user + system) / 1000 - idle.cpu * tookMs) / changes.length };
  }

  /** A node that never was here. */
  async newcomer(): Promise<CatchUp> {
    return this.#catchUp('a new node', await this.#fleet.admit());
  }

  async missed(count: number, changes: Changes): Promise<CatchUp> {
    const node = this.#fleet.nodes[Math.floor(this.#fleet.nodes.length / 2)];
    if (node === undefined) throw new Error('there is no node in the middle');
    await node.stop();
    await this.#watch.forget(node.founded.nodeId);
    await changes.add(count, this.#fleet.nodes.filter((other) => other !== node), 16);
    this.#context.tell(`${count} changes were made without ${node.founded.name}`);
    for (const other of this.#fleet.nodes) if (other !== node) await this.#watch.counts(this.#fleet.othersOf(other), this.#fleet.nodes.length - 1, { only: other.founded.nodeId });
    await this.#pause(5);
    const caughtUp = await this.#catchUp(`back after ${count} changes`, node);
    await node.open();
    return caughtUp;
  }

  async reads(rounds: number): Promise<{ readonly resolveMs: number[]; readonly listMs: number[]; readonly listAllMs: number[] }> {
    const [first, last] = [this.#fleet.nodes[0], this.#fleet.nodes.at(-1)];
    if (first === undefined || last === undefined) throw new Error('there are no nodes');
    const timed = async (work: () => Promise<unknown>): Promise<number> => {
      const startMs = performance.now();
      await work();
      return performance.now() - startMs;
    };
    const selector = { any: false, all: false, anyOwner: false, capabilities: [], labels: {}, cwd: '/' };
    const address = `@project3@${last.founded.name}#main`;
    const [resolveMs, listMs, listAllMs]: number[][] = [[], [], []];
    for (let round = 0; round < rounds; round += 1) {
      resolveMs?.push(await timed(() => first.client.resolve({ ...selector, address })));
      listMs?.push(await timed(() => first.client.listAgents({}, { limit: 100 })));
      if (round < 3) listAllMs?.push(await timed(() => this.#listAll(first)));
    }
    return { resolveMs: resolveMs ?? [], listMs: listMs ?? [], listAllMs: listAllMs ?? [] };
  }

  async #listAll({ client }: FleetNode): Promise<void> {
    for (let page = await client.listAgents({}, { limit: 500 }); page.next !== undefined; ) page = await client.listAgents({}, { limit: 500, after: page.next });
  }

  async #catchUp(what: string, node: FleetNode): Promise<CatchUp> {
    const since = await this.#fleet.since();
    const startMs = machineMs();
    await node.start();
    const upMs = machineMs() - startMs;
    await this.#watch.open([node.database]);
    const [seenAtMs = Number.NaN] = await this.#watch.counts(this.#fleet.othersOf(node), this.#fleet.nodes.length - 1, { only: node.founded.nodeId });
    const seenMs = seenAtMs - startMs;
    const sent = total(await since());
    this.#context.tell(`${what}: everything after ${ms(seenMs)}, ${bytes(sent)}`);
    return { what, startMs: upMs, seenMs, bytes: sent };
  }

  #pause(seconds: number): Promise<void> {
    return delay(seconds * 1000, undefined, { signal: this.#context.signal });
  }
}

async function run(context: BenchContext): Promise<BenchResult> {
  const { tell, options } = context;
  const { nodes = 100, agents = 100, changes: wanted = 210, idle: idleSeconds = 60, missed = 1000, threads = 10 } = options;
  await using watch = new Watch(context.signal);
  await using fleet = await Fleet.create(threads);
  await fleet.found(nodes, agents);
  tell(`${nodes} nodes are founded, ${fleet.othersOf()} instances`);
  const bench = new Run(context, fleet, watch);
  const rssBefore = process.memoryUsage.rss();
  const processCpu = process.cpuUsage();
  const beganMs = performance.now();
  const started = await bench.start();
  const idle = await bench.idle(idleSeconds);
  const rss = process.memoryUsage.rss() - rssBefore;
  tell(`an idle node sends ${bytes(total(idle.traffic) / idle.seconds / nodes)}/s, ${rounded((idle.cpu / nodes) * 100)} % of a core`);
  await using changing = new Changes(fleet, watch);
  await changing.start();
  const single = await bench.changes(wanted, idle, async (done) => void done.push(await changing.one()));
  const singleMs = spreadOf(single.changes.map(({ seenMs }) => seenMs));
  tell(`one change at a time: ${spread(singleMs)}`);
  const bursts = await bench.changes(wanted, idle, async (done) => void done.push(...(await changing.burst(burstSize))));
  const burstMs = spreadOf(bursts.changes.map(({ seenMs }) => seenMs));
  tell(`${burstSize} at once: ${spread(burstMs)}`);
  const reads = await bench.reads(30);
  const catchUps: CatchUp[] = [];
  for (const count of [fewMissed, missed]) catchUps.push(await bench.missed(count, changing));
  catchUps.push(await bench.newcomer());

  const bytesPerChange = total(single.bytesEach);
  const { user, system } = process.cpuUsage(processCpu);
  const ownCores = (user + system) / 1000 / (performance.now() - beganMs);
  const [, load = 0] = loadavg();
  const answeredMs = spreadOf(single.changes.map(({ answeredMs: each }) => each));
  const perNode = (traffic: number): number => traffic / idle.seconds / nodes;
  return {
    figures: {
      nodes,
      instances: nodes * agents,
      p99Ms: rounded(singleMs.p99),
      bytesPerChange: Math.round(bytesPerChange),
      bytesPerChangeAndNode: rounded(bytesPerChange / nodes),
      change: { count: single.changes.length, ...roundedSpread(singleMs), answered: roundedSpread(answeredMs), cpuMsPerNode: rounded(single.cpuMsEach / nodes), bySessions: Math.round(single.bytesEach.sessions), byGossip: Math.round(single.bytesEach.gossip) },
      burst: { size: burstSize, count: bursts.changes.length, ...roundedSpread(burstMs), bytesPerChange: Math.round(total(bursts.bytesEach)) },
      idle: { seconds: Math.round(idle.seconds), bytesPerSecondAndNode: rounded(perNode(total(idle.traffic))), bySessions: rounded(perNode(idle.traffic.sessions)), byGossip: rounded(perNode(idle.traffic.gossip)), cpuPctPerNode: rounded((idle.cpu / nodes) * 100), sessions: Math.round(idle.connections.sessions), gossipConnections: Math.round(idle.connections.gossip) },
      start: { upMs: Math.round(started.upMs), settledMs: Math.round(started.settledMs), bytes: Math.round(started.bytes), cpuMs: Math.round(started.cpuMs) },
      catchUp: catchUps.map(({ what, startMs, seenMs, bytes: sent }) => ({ what, startMs: Math.round(startMs), seenMs: Math.round(seenMs), bytes: Math.round(sent) })),
      reads: { resolveMs: roundedSpread(spreadOf(reads.resolveMs)), listMs: roundedSpread(spreadOf(reads.listMs)), listAllMs: roundedSpread(spreadOf(reads.listAllMs)) },
      machine: { cores: availableParallelism(), load: rounded(load), ownCores: rounded(ownCores) },
      rssMbPerNode: rounded(rss / nodes / 1024 / 1024),
    },
    rows: [
      { what: 'nodes, instances', figure: `${nodes}, ${nodes * agents}` },
      { what: `start, ${startedAtOnce} at a time`, figure: `up ${ms(started.upMs)}, linked ${ms(started.settledMs)}, ${bytes(started.bytes / nodes)} and ${ms(started.cpuMs / nodes)} CPU a node` },
      { what: 'one change, seen by all', figure: `${spread(singleMs)} (${single.changes.length} changes)` },
      { what: '  answered by its node', figure: spread(answeredMs) },
      { what: '  bytes of it', figure: `${bytes(bytesPerChange)} in all, ${bytes(bytesPerChange / nodes)} a node (sessions ${bytes(single.bytesEach.sessions)}, gossip ${bytes(single.bytesEach.gossip)})` },
      { what: '  work of it', figure: `${ms(single.cpuMsEach / nodes)} CPU a node` },
      { what: `${burstSize} changes at once`, figure: `${spread(burstMs)}, ${bytes(total(bursts.bytesEach) / nodes)} a node and change` },
      { what: 'idle, a node', figure: `${bytes(perNode(total(idle.traffic)))}/s (sessions ${bytes(perNode(idle.traffic.sessions))}, gossip ${bytes(perNode(idle.traffic.gossip))}), ${rounded((idle.cpu / nodes) * 100)} % of a core` },
      { what: 'connections', figure: `${Math.round(idle.connections.sessions)} sessions, ${Math.round(idle.connections.gossip)} of gossip` },
      ...catchUps.map(({ what, startMs, seenMs, bytes: sent }) => ({ what, figure: `everything after ${ms(seenMs)} (up ${ms(startMs)}), ${bytes(sent)}` })),
      { what: 'resolve one address', figure: spread(spreadOf(reads.resolveMs)) },
      { what: 'list 100 agents', figure: spread(spreadOf(reads.listMs)) },
      { what: 'list all agents', figure: spread(spreadOf(reads.listAllMs)) },
      { what: 'memory a node', figure: `${rounded(rss / nodes / 1024 / 1024)} MiB` },
    ],
    goals: [
      { kind: 'must', what: `a change is seen by ${nodes} nodes with p99 < ${mustMs} ms`, isMet: singleMs.p99 < mustMs },
      { kind: 'moonshot', what: `with p99 < ${moonshotMs} ms`, isMet: singleMs.p99 < moonshotMs },
    ],
    notes: [
      `all ${nodes} nodes run in this one process, each whole, in ${threads} threads: what ${nodes} machines do at once ${availableParallelism()} cores do here in turn`,
      'the mesh begins as one that was up before: certificates are issued in this process, and each database holds what all had told; the new node knows the issuer alone',
      'times from the call of the client to the row in the last of the databases, which another process reads every few ms',
      `this process had ${rounded(ownCores)} of ${availableParallelism()} cores; the machine's load over five minutes was ${rounded(load)}`,
      'bytes as TCP carries them, all nodes together, of changes without what an idle mesh sends meanwhile',
    ],
  };
}

export const registryBench: Bench = {
  name: 'registry',
  summary: 'one registry on many nodes in one process',
  options: { nodes: 100, agents: 100, changes: 210, idle: 60, missed: 1000, threads: 10 },
  run,
};
