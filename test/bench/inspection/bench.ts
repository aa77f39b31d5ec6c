/** A node with a year of history: how long its lists take to answer, whatever is asked for, and what pruning and backup cost the work beside them. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createSystemClock } from '../../../src/app/system-clock.ts';
import { connect } from '../../../src/client/connect.ts';
import type { NodeClient } from '../../../src/client/types.ts';
import type { FlightId } from '../../../src/domain/ids.ts';
import { openStore } from '../../../src/store/open.ts';
import { TestNode } from '../../support/node-process.ts';
import { silentLog } from '../../support/temp-store.ts';
import type { Bench, BenchContext, BenchResult } from '../bench.ts';
import { ms, rounded, spread, spreadOf } from '../figures.ts';
import type { Spread } from '../figures.ts';
import { storeHistory } from '../stored/history.ts';
import { besideBackup, besidePruning } from './beside.ts';
import type { Beside } from './beside.ts';
import { questions } from './filters.ts';
import type { Question } from './filters.ts';
import { Load } from './load.ts';

const nodeName = 'bench';
const mostMs = 50;
const mostLost = 0.2;
const dayMs = 24 * 3_600_000;

interface Answered {
  readonly what: string;
  /** The middle of the rounds, and the worst: of a machine that does other things the worst says how busy it was. */
  readonly middleMs: number;
  readonly worstMs: number;
}

async function ask(client: NodeClient, question: Pick<Question, 'ask'>): Promise<number> {
  const startMs = performance.now();
  await question.ask(client);
  return performance.now() - startMs;
}

/** Every question in each round, in another order each time, so that none finds what the one before it left in memory. */
async function askAll(client: NodeClient, all: readonly Question[], rounds: number): Promise<{ readonly answered: readonly Answered[]; readonly floor: Spread }> {
  const times = new Map<string, number[]>();
  const floors: number[] = [];
  for (let round = 0; round < rounds; round += 1) {
    const order = all.map((each, place) => ({ each, key: Math.sin((place + 1) * (round + 1) * 7.77) })).toSorted((a, b) => a.key - b.key);
    for (const { each } of order) {
      times.set(each.what, [...(times.get(each.what) ?? []), await ask(client, each)]);
      // A call that reads nothing, beside each: what the way there and back takes at this moment.
      if (floors.length < all.length * (round + 1) / 4) floors.push(await ask(client, { ask: (to) => to.peers() }));
    }
  }
  const answered = [...times].map(([what, all]) => ({ what, middleMs: spreadOf(all).p50, worstMs: spreadOf(all).max })).toSorted((a, b) => b.middleMs - a.middleMs);
  return { answered, floor: spreadOf(floors) };
}

async function seen(client: NodeClient): Promise<{ readonly flights: readonly FlightId[]; readonly group: string }> {
  const { items } = await client.listFlights({}, { limit: 1000 });
  const flights: FlightId[] = [];
  let group: string | undefined;
  for (let after: string | undefined, pages = 0; pages < 10; pages += 1) {
    const page = await client.listFlights({ state: 'completed' }, { limit: 1000, ...(after === undefined ? {} : { after }) });
    group ??= page.items.find(({ groupId }) => groupId !== undefined)?.groupId;
    const last = page.items.at(-1);
    if (last !== undefined && pages % 4 === 0) flights.push(last.id);
    after = page.next;
    if (after === undefined) break;
  }
  const newest = items[0];
  if (newest === undefined || group === undefined) throw new Error('the history has no group');
  return { flights: [newest.id, ...flights], group };
}

const besideWords = ({ share, alonePerSecond, besidePerSecond, done }: Beside): string =>
  `${(100 * (1 - share)).toFixed(0)} % of the rate (${rounded(besidePerSecond)}/s beside it, ${rounded(alonePerSecond)}/s alone): ${done}`;

export const inspectionBench: Bench = {
  name: 'inspection',
  summary: 'lists of a node with a year of history, and pruning and backup beside its work',
  options: { stored: 1_000_000, rounds: 3 },
  async run({ tell, options, signal }: BenchContext): Promise<BenchResult> {
    const { stored = 1_000_000, rounds = 3 } = options;
    const home = await mkdtemp(join(tmpdir(), 'beckon-bench-inspection-'));
    const node = new TestNode({ name: nodeName, home, listen: '127.0.0.1:0' });
    try {
      const { nodeId } = await node.up({ detach: true });
      await node.down();
      const made = storeHistory({ path: node.databasePath, nodeName, invocations: stored, nowMs: Date.now(), tell });
      signal.throwIfAborted();
      await node.up({ detach: true });
      const client = await connect({ socketPath: node.socketPath, now: Date.now });
      const firstMs = await ask(client, { ask: (to) => to.listFlights({ state: 'failed', agent: 'nobody' }, { limit: 100 }) });
      const { answered, floor } = await askAll(client, questions(nodeName, Date.now(), await seen(client)), rounds);
      client.close();
      await node.down('--force');
      const slowest = answered[0]?.middleMs ?? Number.NaN;
      const worst = Math.max(...answered.map(({ worstMs }) => worstMs));
      tell(`${answered.length} questions, the slowest ${ms(slowest)}`);
      signal.throwIfAborted();

      const store = await openStore({ path: node.databasePath, nodeId: nodeId as never, log: silentLog, clock: createSystemClock() });
      const beside: Beside[] = [];
      try {
        const load = new Load(store, { nodeId: nodeId as never, nodeName, nowMs: Date.now() });
        const retention = { outputMs: 15 * dayMs, outputBytes: 1e15, recordMs: 3650 * dayMs };
        for (const measure of [
          // First: the work beside it makes the store larger all the time.
          () => besideBackup(store, load, rounds, join(home, 'copy.db'), tell),
          () => besidePruning(store, load, 2 * rounds, retention),
          () => besidePruning(store, load, 2 * rounds, { ...retention, outputMs: 3650 * dayMs, recordMs: 200 * dayMs }),
        ]) {
          beside.push(await measure());
          tell(beside.at(-1)?.done ?? '');
          signal.throwIfAborted();
        }
      } finally {
        await store.close();
      }
      const [backup, outputs, records] = beside;
      if (outputs === undefined || records === undefined || backup === undefined) throw new Error('something was not measured');
      const lost = (each: Beside): number => rounded(1 - each.share);
      return {
        figures: {
          ...{ stored: made.invocations, events: made.events, facts: made.facts, questions: answered.length, slowestMs: rounded(slowest), slowest: answered[0]?.what ?? '', worstMs: rounded(worst), medianMs: rounded(spreadOf(answered.map((each) => each.middleMs)).p50), floorP50Ms: rounded(floor.p50), floorMaxMs: rounded(floor.max), firstMs: rounded(firstMs) },
          ...{ pruningOutputsLoses: lost(outputs), pruningRecordsLoses: lost(records), backupLoses: lost(backup) },
        },
        rows: [
          { what: 'stored', figure: `${made.invocations} invocations, ${made.events} events of flights, ${made.facts} facts; ${made.open} are open` },
          { what: 'the first list after the start of the node', figure: ms(firstMs) },
          { what: 'a call that reads nothing (floor)', figure: spread(floor) },
          { what: `${answered.length} questions, the slowest`, figure: `${ms(slowest)} (${answered[0]?.what ?? ''}); half of them below ${ms(spreadOf(answered.map((each) => each.middleMs)).p50)}` },
          ...answered.map(({ what, middleMs, worstMs }) => ({ what, figure: `${ms(middleMs)}, at worst ${ms(worstMs)}`, isDetail: true as const })),
          { what: 'pruning of outputs takes from the work beside it', figure: besideWords(outputs) },
          { what: 'pruning of records', figure: besideWords(records) },
          { what: 'a backup', figure: besideWords(backup) },
        ],
        goals: [
          { what: `each first page within ${mostMs} ms, whatever is asked for: ${ms(slowest)}, the middle of ${rounds} rounds (${answered[0]?.what ?? ''})`, kind: 'must', isMet: slowest < mostMs },
          { what: `the first list after the start of the node within ${mostMs} ms: ${ms(firstMs)}`, kind: 'must', isMet: firstMs < mostMs },
          ...([['pruning of outputs', outputs], ['pruning of records', records], ['a backup', backup]] as const).map(([what, each]) => ({
            what: `${what} costs work beside it less than ${100 * mostLost} % of its rate: ${rounded(100 * (1 - each.share))} %`, kind: 'must' as const, isMet: 1 - each.share < mostLost,
          })),
        ],
        notes: [
          'Lists: a real node, asked over its control socket, pages of 100. What the floor has at its worst, they have too. The file is in the cache of the operating system, little of it in that of the node.',
          'Work beside: through the store of this process, 64 invocations in flight, each accepted, started and finished on the disk; pruning without a pause between rounds, where a node makes one in ten seconds.',
        ],
      };
    } finally {
      if (node.pid !== undefined) await node.kill9();
      await rm(home, { recursive: true, force: true });
    }
  },
};
