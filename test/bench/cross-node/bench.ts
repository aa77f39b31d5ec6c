/** A call to an attached agent of another node and back: its time alone, and how many of 64 in flight complete in a second. */
import { availableParallelism, loadavg } from 'node:os';
import type { Bench, BenchContext, BenchResult } from '../bench.ts';
import { Child } from '../child.ts';
import { median, ms, rounded, spread, spreadOf } from '../figures.ts';
import { AcceptFloor } from '../floors/accept-floor.ts';
import { messageBytes } from '../floors/raw-calls.ts';
import { UnaryFloor } from '../floors/unary-floor.ts';
import { Cluster, freePort } from '../../support/cluster.ts';
import { waitFor } from '../../support/wait-for.ts';
import type { TestNode } from '../../support/node-process.ts';

/** In flight at once. */
const many = 64;
/** Of the floor, by the design: a call has its commits and its ways there and back. */
const commits = 5;
const ways = 4;
const p50Goals = { must: 5, moonshot: 2 };
const throughputGoals = { must: 0.15, moonshot: 0.4 };

interface Measured {
  readonly measure: Child['measure'];
}

interface Round {
  /** p50, ms. */
  readonly accept: number;
  readonly unary: number;
  readonly call: number;
  /** Of each call, ms. */
  readonly tookMs: readonly number[];
  /** A second, with many in flight. */
  readonly unaryRate: number;
  readonly callRate: number;
  readonly tookMsAtMany: readonly number[];
}

interface Measures {
  readonly accept: Measured;
  readonly unary: Measured;
  readonly call: Measured;
}

/** One after the other, so that each part has the machine to itself, and all within seconds. */
async function oneRound({ accept, unary, call }: Measures, partMs: number): Promise<Round> {
  const floor = { inFlight: 1, ms: partMs / 2 };
  const acceptSample = await accept.measure(floor);
  const unarySample = await unary.measure(floor);
  const callSample = await call.measure({ inFlight: 1, ms: partMs });
  const unaryMany = await unary.measure({ inFlight: many, ms: partMs / 2 });
  const callMany = await call.measure({ inFlight: many, ms: partMs });
  return {
    accept: spreadOf(acceptSample.tookMs).p50,
    unary: spreadOf(unarySample.tookMs).p50,
    call: spreadOf(callSample.tookMs).p50,
    tookMs: callSample.tookMs,
    unaryRate: unaryMany.perSecond,
    callRate: callMany.perSecond,
    tookMsAtMany: callMany.tookMs,
  };
}

/** The address is known at the origin, and so is that somebody serves it. */
async function known(origin: TestNode, address: string): Promise<void> {
  await waitFor(`${address} to be known at ${origin.name}`, async () => {
    const { agents } = await origin.json(['agents']);
    return (agents as { address: string; available: boolean }[]).some((each) => each.address === address && each.available);
  }, { timeoutMs: 20_000, pollMs: 100 });
}

async function run({ tell, options, signal }: BenchContext): Promise<BenchResult> {
  const { rounds: wanted = 5, seconds = 2 } = options;
  const { cluster, laptop, desktop } = await Cluster.meshed('laptop', 'desktop');
  await using _nodes = cluster;
  await using echo = await Child.start(new URL('./echo.ts', import.meta.url), [desktop.socketPath, 'echo/main', desktop.home]);
  const address = '@echo@desktop#main';
  await known(laptop, address);
  await using caller = await Child.start(new URL('./caller.ts', import.meta.url), [laptop.socketPath, address]);
  await using accept = await AcceptFloor.start(cluster.directory, messageBytes);
  await using unary = await UnaryFloor.start(await freePort());
  tell(`two nodes and an agent are up (processes ${laptop.pid}, ${desktop.pid}, ${echo.pid}, caller ${caller.pid})`);
  const rounds: Round[] = [];
  // The first warms all of them up.
  for (let round = 0; round <= wanted; round += 1) {
    signal.throwIfAborted();
    const seen = await oneRound({ accept, unary, call: caller }, seconds * 1000);
    if (round > 0) rounds.push(seen);
    tell(`${round === 0 ? 'warm-up' : `round ${round}`}: p50 ${ms(seen.call)} (accept floor ${ms(seen.accept)}, unary floor ${ms(seen.unary)}), ${rounded(seen.callRate)}/s (unary ${rounded(seen.unaryRate)}/s)`);
  }
  return resultOf(rounds);
}

function resultOf(rounds: readonly Round[]): BenchResult {
  const of = (value: (round: Round) => number): number => median(rounds.map(value));
  const alone = spreadOf(rounds.flatMap(({ tookMs }) => tookMs));
  const [p50Ms, floorP50Ms] = [of(({ call }) => call), of(({ accept, unary }) => commits * accept + ways * unary)];
  const [rps64, floorRps64] = [of(({ callRate }) => callRate), of(({ unaryRate }) => unaryRate)];
  const [, load = 0] = loadavg();
  const times = p50Ms / floorP50Ms;
  const share = rps64 / floorRps64;
  return {
    figures: { p50Ms: rounded(p50Ms), p99Ms: rounded(alone.p99), rps64: rounded(rps64), floorP50Ms: rounded(floorP50Ms), floorRps64: rounded(floorRps64) },
    rows: [
      { what: 'one at a time', figure: `p50 ${ms(p50Ms)}: ${rounded(times)} × the floor (${spread(alone)}, ${rounds.reduce((sum, { tookMs }) => sum + tookMs.length, 0)} calls)` },
      { what: '  floor', figure: `${ms(floorP50Ms)}: ${commits} × ${ms(of(({ accept }) => accept))} of a durable accept + ${ways} × ${ms(of(({ unary }) => unary))} of a unary echo` },
      { what: `${many} in flight`, figure: `${rounded(rps64)} completed calls/s: ${rounded(share)} × the floor (${spread(spreadOf(rounds.flatMap(({ tookMsAtMany }) => tookMsAtMany)))})` },
      { what: '  floor', figure: `${rounded(floorRps64)} unary echoes/s` },
    ],
    goals: [
      { kind: 'must', what: `p50 alone ≤ ${p50Goals.must} × its floor`, isMet: times <= p50Goals.must },
      { kind: 'moonshot', what: `p50 alone ≤ ${p50Goals.moonshot} × its floor`, isMet: times <= p50Goals.moonshot },
      { kind: 'must', what: `calls/s with ${many} in flight ≥ ${throughputGoals.must} × unary echoes/s`, isMet: share >= throughputGoals.must },
      { kind: 'moonshot', what: `calls/s with ${many} in flight ≥ ${throughputGoals.moonshot} × unary echoes/s`, isMet: share >= throughputGoals.moonshot },
    ],
    notes: [
      'two node processes on this machine, TLS between them, every commit synced; the agent and the caller are processes of their own that use the SDK',
      `a call is over when its caller has "completed" and the whole output; each figure is the median of ${rounds.length} rounds, floors and calls in turn within seconds`,
      `${availableParallelism()} cores for all of these processes; the machine's load over five minutes was ${rounded(load)}`,
    ],
  };
}

export const crossNodeBench: Bench = {
  name: 'crossNode',
  summary: 'a call to an attached agent on another node and back',
  options: { rounds: 5, seconds: 2 },
  run,
};
