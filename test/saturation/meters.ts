/** What is measured while a campaign runs: of each node its memory, its event loop, its heartbeats, and what it says of its peers. */
import { existsSync, readFileSync } from 'node:fs';
import type { Beckon } from '../../src/client/index.ts';
import type { Verdict } from '../chaos/verdict.ts';
import type { Heartbeats } from './beats.ts';
import type { Turn, Turns } from './turns.ts';

/** What a node says of itself each second: the worst since the last time, but for what it holds. */
export interface Report {
  /** Wall clock. */
  readonly atMs: number;
  /** Bytes, these four. */
  readonly rss: number;
  readonly heapUsed: number;
  readonly external: number;
  readonly arrayBuffers: number;
  /** How much later than asked the main thread came to a timer, and what its longest turns took. */
  readonly loop: { readonly p99Ms: number; readonly mostMs: number } & Turns;
  readonly heartbeat: Heartbeats;
}

export interface Bounds {
  /** RSS, ever. */
  readonly mostBytes: number;
  /** The last third of the samples may hold so much more than the one before. */
  readonly growth: number;
  /** Heartbeats go out every 3 s at a tick of 1 s; suspicion begins after 9 s of silence. */
  readonly mostGapMs: number;
  readonly mostRoundTripMs: number;
  /** Processor time of the longest turn of the event loop, in the median second and ever. */
  readonly mostTurnMs: { readonly median: number; readonly ever: number };
}

export class Meter {
  readonly name: string;
  readonly #path: string;
  /** Moves of peers away from `alive`, in words. */
  readonly doubts: string[] = [];

  constructor(name: string, path: string) {
    this.name = name;
    this.#path = path;
  }

  get reports(): readonly Report[] {
    if (!existsSync(this.#path)) return [];
    return readFileSync(this.#path, 'utf8').split('\n').slice(0, -1).map((line) => JSON.parse(line) as Report);
  }

  /** Until `signal` aborts. */
  async watchPeers(client: Beckon, signal: AbortSignal): Promise<void> {
    try {
      for await (const update of client.watchPeers({ signal })) {
        const seen = update.type === 'all' ? update.peers : [update.peer];
        for (const { name, state, why } of seen) if (state !== 'alive') this.doubts.push(`${this.name} took ${name} for ${state} (${why}) at ${new Date(update.atMs).toISOString()}`);
      }
    } catch (error) {
      if (!signal.aborted) this.doubts.push(`${this.name} could not be watched: ${String(error)}`);
    }
  }

  /** @param fromMs wall clock: what was before is the start of the node */
  judge(fromMs: number, { mostBytes, growth, mostGapMs, mostRoundTripMs, mostTurnMs }: Bounds, verdict: Verdict): void {
    const { name } = this;
    const reports = this.reports.filter(({ atMs }) => atMs >= fromMs);
    const third = Math.floor(reports.length / 3);
    verdict.that('reports', 'each node told of itself all the time', third > 0, () => ({ name, reports: reports.length }));
    const rss = reports.map((each) => each.rss);
    const [before, last] = [median(rss.slice(third, 2 * third)), median(rss.slice(2 * third))];
    verdict.that('memory', `a node never holds more than ${megabytes(mostBytes)}`, most(rss) <= mostBytes, () => ({ name, most: megabytes(most(rss)) }));
    verdict.that('memory', `the last third of the time holds at most ${growth} times what the one before did`, last <= growth * before, () => ({ name, before: megabytes(before), last: megabytes(last) }));
    const gapMs = most(reports.map(({ heartbeat }) => heartbeat.gapMs));
    const roundTripMs = most(reports.map(({ heartbeat }) => heartbeat.roundTripMs));
    verdict.that('heartbeats', `no more than ${mostGapMs} ms pass between two that are answered`, gapMs > 0 && gapMs <= mostGapMs, () => ({ name, gapMs: Math.round(gapMs) }));
    verdict.that('heartbeats', `each is answered within ${mostRoundTripMs} ms`, roundTripMs > 0 && roundTripMs <= mostRoundTripMs, () => ({ name, roundTripMs: Math.round(roundTripMs) }));
    verdict.that('heartbeats', 'no node suspects another', this.doubts.length === 0, () => this.doubts);
    const turnsMs = reports.map(({ loop }) => loop.turnMs);
    verdict.that('event loop', `in the median second no turn takes the main thread more than ${mostTurnMs.median} ms of its processor`, median(turnsMs) <= mostTurnMs.median, () => ({ name, turnMs: median(turnsMs) }));
    verdict.that('event loop', `none ever takes more than ${mostTurnMs.ever} ms`, most(turnsMs) <= mostTurnMs.ever, () => ({ name, turnMs: most(turnsMs) }));
  }

  /** One row of the table at the end. */
  summary(fromMs: number): readonly string[] {
    const reports = this.reports.filter(({ atMs }) => atMs >= fromMs);
    const rss = reports.map((each) => each.rss);
    const thirds = [0, 1, 2].map((part) => megabytes(median(rss.slice(Math.floor((rss.length * part) / 3), Math.floor((rss.length * (part + 1)) / 3)))));
    const of = (pick: (report: Report) => number): number => most(reports.map(pick));
    return [
      this.name,
      `${megabytes(Math.min(...rss))} / ${megabytes(median(rss))} / ${megabytes(most(rss))}`,
      thirds.join(', '),
      megabytes(of((each) => each.heapUsed + each.external)),
      `${of((each) => each.heartbeat.gapMs).toFixed(0)} / ${of((each) => each.heartbeat.roundTripMs).toFixed(0)} ms`,
      `${median(reports.map(({ loop }) => loop.turnMs)).toFixed(0)} / ${of(({ loop }) => loop.turnMs).toFixed(0)} ms`,
      `${median(reports.map(({ loop }) => loop.p99Ms)).toFixed(0)} / ${of(({ loop }) => loop.mostMs).toFixed(0)} ms`,
      inWords(latestOf(reports.map(({ loop }) => loop.latest))),
      String(this.doubts.length),
    ];
  }
}

export const summaryHead = ['node', 'RSS min / median / most', 'median of each third', 'heap most', 'heartbeat gap / answer, worst', 'longest turn, cpu: median second / ever', 'loop delay p99 / worst', 'latest turn: late = on a processor (garbage) + ready, without one + in a call', 'doubts'];

export function latestOf(turns: readonly Turn[]): Turn | undefined {
  return turns.toSorted((a, b) => b.lateMs - a.lateMs)[0];
}

export function inWords(turn: Turn | undefined): string {
  if (turn === undefined) return '?';
  const { lateMs, cpuMs, gcMs, queuedMs, otherMs } = turn;
  return `${lateMs.toFixed(0)} = ${cpuMs.toFixed(0)} (${gcMs.toFixed(0)}) + ${queuedMs.toFixed(0)} + ${otherMs.toFixed(0)} ms`;
}

export function tableOf(rows: readonly (readonly string[])[]): string[] {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  return rows.map((row) => row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('   ').trimEnd());
}

export function megabytes(bytes: number): string {
  return `${(bytes / 1024 / 1024).toFixed(0)} MB`;
}

function most(values: readonly number[]): number {
  return values.reduce((greatest, each) => Math.max(greatest, each), 0);
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
}
