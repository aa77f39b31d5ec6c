/** What a node takes that has nothing to do: nodes of one mesh as users run them, linked, with gossip on. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Bench, BenchContext, BenchResult, Row } from '../bench.ts';
import { bareNode, libraries } from '../bare-node.ts';
import { rounded } from '../figures.ts';
import { commandLine, processorMs, wakeUps } from '../process-cost.ts';
import { residentBytes } from '../../chaos/memory.ts';
import { Cluster } from '../../support/cluster.ts';
import type { TestNode } from '../../support/node-process.ts';
import { waitFor } from '../../support/wait-for.ts';

/** The goals of the design. */
const mustMb = 150;
const moonshotMb = 110;
const mustPct = 1;
/** Links, gossip and the first comparisons are over then, and whatever was begun for commands has ended. */
const settleMs = 45_000;

interface Taken {
  readonly who: string;
  /** The median of a look a second. */
  readonly rssMb: number;
  /** Of one processor. */
  readonly cpuPct: number;
  readonly wakeUpsPerSecond: number;
}

interface Watched {
  readonly who: string;
  readonly pid: number;
}

async function watch(watched: readonly Watched[], seconds: number, signal: AbortSignal): Promise<readonly Taken[]> {
  const before = watched.map(({ pid }) => ({ cpuMs: processorMs(pid), wakeUps: wakeUps(pid) }));
  const samples = watched.map((): number[] => []);
  const startMs = performance.now();
  for (let second = 0; second < seconds; second += 1) {
    await delay(1000, undefined, { signal });
    for (const [index, { pid }] of watched.entries()) samples[index]?.push(residentBytes(pid) / 1024 / 1024);
  }
  const tookMs = performance.now() - startMs;
  return watched.map(({ who, pid }, index) => ({
    who,
    rssMb: median(samples[index] ?? []),
    cpuPct: ((processorMs(pid) - (before[index]?.cpuMs ?? 0)) / tookMs) * 100,
    wakeUpsPerSecond: ((wakeUps(pid) - (before[index]?.wakeUps ?? 0)) / tookMs) * 1000,
  }));
}

/** In one mesh, each linked with the first, and gossiping. `env` is that of their processes. */
async function meshed(cluster: Cluster, nodes: readonly TestNode[], env: Readonly<Record<string, string>>): Promise<void> {
  const [first, ...others] = nodes;
  if (first === undefined) throw new Error('a mesh has a first node');
  await first.up({ env });
  await first.json(['mesh', 'create', 'home']);
  for (const node of others) {
    const { token } = await first.json(['mesh', 'invite']);
    await node.up({ flags: ['--join', '-'], stdin: `${String(token)}\n`, env });
  }
  await linked(nodes);
}

async function linked([first, ...others]: readonly TestNode[]): Promise<void> {
  for (const node of others) await node.peer(first?.name ?? '', 'alive', { timeoutMs: 30_000 });
}

function watchedOf(nodes: readonly TestNode[]): readonly Watched[] {
  return nodes.map(({ name, pid }) => {
    if (pid === undefined) throw new Error(`${name} does not run`);
    return { who: name, pid };
  });
}

async function gossips(node: TestNode): Promise<void> {
  await waitFor(`${node.name} to gossip`, async () => {
    const { stdout } = await node.beckon(['doctor', '--json']);
    const { checks } = JSON.parse(stdout.toString()) as { readonly checks: readonly { readonly id: string; readonly ok: boolean }[] };
    return checks.some(({ id, ok }) => id === 'gossip' && ok);
  }, { timeoutMs: 30_000, pollMs: 500 });
}

async function measured(cluster: Cluster, { tell, options, signal }: BenchContext): Promise<{ readonly first: readonly Taken[]; readonly second: readonly Taken[]; readonly bare: readonly Taken[]; readonly command: string }> {
  const { links = 1, idleSeconds = 60 } = options;
  const nodes: TestNode[] = [];
  for (let index = 0; index <= links; index += 1) nodes.push(await cluster.node(`n${index}`));
  const env = { XDG_CACHE_HOME: cluster.path('cache') };
  await meshed(cluster, nodes, env);
  tell(`${nodes.length} nodes run for the first time; they come to rest`);
  await delay(settleMs, undefined, { signal });
  const first = await watch(watchedOf(nodes), 5, signal);
  for (const node of nodes) {
    await node.down();
    await node.up({ env });
  }
  await linked(nodes);
  const bare = [await bareNode([]), await bareNode(libraries)] as const;
  try {
    tell('they run again, beside bare Node; they come to rest');
    await delay(settleMs, undefined, { signal });
    tell(`what they take is watched for ${idleSeconds} s`);
    const taken = await watch([...watchedOf(nodes), { who: 'bare Node', pid: bare[0].pid }, { who: 'bare Node with the libraries', pid: bare[1].pid }], idleSeconds, signal);
    const command = commandLine(nodes[0]?.pid ?? 0);
    for (const node of nodes) await gossips(node);
    return { first, second: taken.slice(0, nodes.length), bare: taken.slice(nodes.length), command };
  } finally {
    for (const { child } of bare) child.kill('SIGKILL');
  }
}

async function run(context: BenchContext): Promise<BenchResult> {
  const cluster = await Cluster.create();
  await using _ended = cluster;
  const { first, second, bare, command } = await measured(cluster, context);
  const rssMb = Math.max(...second.map((each) => each.rssMb));
  const cpuPct = Math.max(...second.map((each) => each.cpuPct));
  const floorMb = bare.at(-1)?.rssMb ?? 0;
  return {
    figures: { rssMb: rounded(rssMb), cpuPct: rounded(cpuPct) },
    rows: [
      ...second.map((each) => row(`node ${each.who}`, each)),
      { what: 'the largest at its very first start', figure: `${rounded(Math.max(...first.map((each) => each.rssMb)))} MB` },
      ...bare.map((each) => row(each.who, each)),
      { what: 'node / bare Node with the libraries', figure: (rssMb / floorMb).toFixed(2) },
    ],
    goals: [
      { what: `RSS below ${mustMb} MB`, kind: 'must', isMet: rssMb < mustMb },
      { what: `below ${mustPct} % of a processor`, kind: 'must', isMet: cpuPct < mustPct },
      { what: `RSS below ${moonshotMb} MB`, kind: 'moonshot', isMet: rssMb < moonshotMb },
    ],
    notes: [`each node runs as scripts/beckon starts it: ${command.replaceAll(/\S*\//g, '')}`, `each has ${second.length - 1 === 1 ? 'one link' : 'links'} and gossips; the figures are of the node that takes most`],
  };
}

function row(what: string, { rssMb, cpuPct, wakeUpsPerSecond }: Taken): Row {
  return { what, figure: `${rounded(rssMb)} MB, ${cpuPct.toFixed(2)} % of a processor, ${rounded(wakeUpsPerSecond)} wake-ups/s` };
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}

export const idleBench: Bench = {
  name: 'idle',
  summary: 'a node with nothing to do, linked and gossiping: memory and processor',
  options: { links: 1, idleSeconds: 60 },
  run,
};
