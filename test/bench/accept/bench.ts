/** Durable acceptances a second through the streaming control call, against one raw stream into a thread that commits in groups. */
import { availableParallelism, loadavg } from 'node:os';
import { Cluster } from '../../support/cluster.ts';
import { storeHistory } from '../stored/history.ts';
import type { Bench, BenchContext, BenchResult, Goal, Row } from '../bench.ts';
import { ms, rounded } from '../figures.ts';
import { AcceptFloor } from '../floors/accept-floor.ts';
import { holdingNode, loadOf } from './node.ts';
import { measureInTurn, median, ratio } from './rounds.ts';
import type { Rounds, Target } from './rounds.ts';

/** The goals of the design, times the floor. */
const [must, moonshot] = [0.3, 0.6];
/** At a million stored, times what a fresh store takes. */
const mustOfFresh = 0.7;
/** The task of a submission, and what its message has beside it. */
const floorBytes = 256;
const [floorName, freshName, storedName] = ['floor', 'node', 'node with history'];

const options = { inFlight: 64, rounds: 5, seconds: 3 } as const;

async function withFloor<Result>(use: (cluster: Cluster, floor: Target) => Promise<Result>): Promise<Result> {
  await using cluster = await Cluster.create();
  await using load = await AcceptFloor.start(cluster.directory, floorBytes);
  return await use(cluster, { name: floorName, load });
}

function roundOf({ options: given }: BenchContext): { inFlight: number; rounds: number; seconds: number } {
  const { inFlight = options.inFlight, rounds = options.rounds, seconds = options.seconds } = given;
  return { inFlight, rounds, seconds };
}

function figuresOf(rounds: Rounds, name: string): Readonly<Record<string, number>> {
  const of = (target: string, key: 'rps' | 'p50Ms' | 'p99Ms'): number => rounded(median(rounds, target, (each) => each[key]));
  return { rps: of(name, 'rps'), p50Ms: of(name, 'p50Ms'), p99Ms: of(name, 'p99Ms'), floorRps: of(floorName, 'rps') };
}

function rowsOf(rounds: Rounds, names: readonly string[]): readonly Row[] {
  return names.map((name) => {
    const of = (key: 'p50Ms' | 'p99Ms'): string => ms(median(rounds, name, (each) => each[key]));
    return { what: name, figure: `${rounded(median(rounds, name, (each) => each.rps))}/s, p50 ${of('p50Ms')}, p99 ${of('p99Ms')}, ${rounded(median(rounds, name, (each) => each.clientCpuUs))} µs of the client’s processor each` };
  });
}

function goalsOf(rounds: Rounds, name: string): readonly Goal[] {
  const share = ratio(rounds, name, floorName);
  return ([['must', must], ['moonshot', moonshot]] as const).map(([kind, goal]) => ({ kind, what: `${goal} × the floor: ${share.toFixed(2)} ×`, isMet: share >= goal }));
}

function notesOf({ rounds, seconds, inFlight }: ReturnType<typeof roundOf>): readonly string[] {
  return [
    `${availableParallelism()} cores, load ${loadavg()[0]?.toFixed(1)} at the end; medians of ${rounds} rounds of ${seconds} s in turn, ${inFlight} in flight, tasks of 200 bytes, no idempotency key`,
    'client, node and floor are processes of their own on one machine; each acceptance is on the disk (fsync) before it is answered; the client is the SDK, `submit`',
    'the invocations are for an agent of the node (harness command, a sleep, one run at a time, a queue of a million): the first runs, all others are accepted and wait, so that nothing but acceptance is measured',
    'the floor: raw bytes over a unix socket into a thread that writes three rows an item (one secondary index), each in a savepoint, synchronous = FULL, acknowledged after the commit',
  ];
}

async function fresh(context: BenchContext): Promise<BenchResult> {
  const round = roundOf(context);
  return withFloor(async (cluster, floor) => {
    const node = await holdingNode(cluster, 'fresh');
    await using load = await loadOf(node);
    const rounds = await measureInTurn([floor, { name: freshName, load }], round, context);
    await node.down('--force');
    return { figures: figuresOf(rounds, freshName), rows: rowsOf(rounds, [floorName, freshName]), goals: goalsOf(rounds, freshName), notes: notesOf(round) };
  });
}

async function stored(context: BenchContext): Promise<BenchResult> {
  const round = roundOf(context);
  const { stored: invocations = 1_000_000 } = context.options;
  return withFloor(async (cluster, floor) => {
    const node = await holdingNode(cluster, 'stored');
    await node.down();
    const { events, facts } = storeHistory({ path: node.databasePath, nodeName: node.name, invocations, nowMs: Date.now(), tell: context.tell });
    await node.up();
    const other = await holdingNode(cluster, 'fresh');
    await using load = await loadOf(node);
    await using otherLoad = await loadOf(other);
    const rounds = await measureInTurn([floor, { name: freshName, load: otherLoad }, { name: storedName, load }], round, context);
    await Promise.all([node.down('--force'), other.down('--force')]);
    const share = ratio(rounds, storedName, freshName);
    return {
      figures: figuresOf(rounds, storedName),
      rows: rowsOf(rounds, [floorName, freshName, storedName]),
      goals: [...goalsOf(rounds, storedName), { kind: 'must', what: `${mustOfFresh} × a fresh store: ${share.toFixed(2)} ×`, isMet: share >= mustOfFresh }],
      notes: [`its store held ${invocations} invocations, ${events} events and ${facts} facts of a year when it started`, ...notesOf(round)],
    };
  });
}

export const localAcceptBench: Bench = { name: 'localAccept', summary: 'durable acceptances a second through one streaming call, against its floor', options, run: fresh };
export const localAcceptAt1MBench: Bench = { name: 'localAcceptAt1M', summary: 'the same on a store that holds a million invocations', options: { ...options, stored: 1_000_000 }, run: stored };
