/** Resident memory of processes over the length of a run: samples, the table of them, and what of it must stay bounded. */
import { readFileSync } from 'node:fs';
import type { Verdict } from './verdict.ts';

export interface Sample {
  readonly atMs: number;
  /** Work that has ended by then. */
  readonly done: number;
  /** Of each process, in the order of their names, bytes. */
  readonly rss: readonly number[];
}

/** The last quarter of the work may hold so much more than the second. See NOTES.md for these three. */
const growth = 1.3;
/** More on the heap than before the first invocation, bytes, garbage apart. */
const mostLeft = 16 * 1024 * 1024;

/** @throws where there is no /proc: on Linux only */
export function residentBytes(pid: number): number {
  const kilobytes = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  if (kilobytes === undefined) throw new Error(`/proc/${pid}/status says nothing of VmRSS`);
  return Number(kilobytes) * 1024;
}

/** Columns as wide as `tableRow` makes them. */
export function tableHead(names: readonly string[]): string {
  return ['time', 'done', ...names.map((name) => `RSS ${name}`)].map((each) => each.padStart(12)).join('');
}

export function tableRow({ atMs, done, rss }: Sample): string {
  return [`${(atMs / 1000).toFixed(0)} s`, String(done), ...rss.map(megabytes)].map((each) => each.padStart(12)).join('');
}

/**
 * Asserts of each process that it stays below `mostBytes`, and that the median of its last quarter is no more than 1.3
 * times that of its second quarter: quarters of the work, not of the time. The first is left out, since a process that
 * has just started grows.
 */
export function checkMemory(samples: readonly Sample[], names: readonly string[], mostBytes: number, verdict: Verdict): void {
  const total = samples.at(-1)?.done ?? 0;
  for (const [index, name] of names.entries()) {
    const within = (from: number, to: number): number[] => samples.filter(({ done }) => done >= total * from && done < total * to).map(({ rss }) => rss[index] ?? 0);
    const second = median(within(0.25, 0.5));
    const last = median(within(0.75, 1));
    const most = Math.max(...samples.map(({ rss }) => rss[index] ?? 0));
    verdict.that('RSS', `a node never holds more than ${megabytes(mostBytes)}`, most <= mostBytes, () => ({ name, most: megabytes(most) }));
    verdict.that('RSS', `a node’s last quarter holds at most ${growth} times what the second did`, last <= growth * second, () => ({ name, second: megabytes(second), last: megabytes(last) }));
  }
}

/** Asserts that what is over leaves nothing behind in memory. Both measured after a full collection. */
export function checkLeft(name: string, before: NodeJS.MemoryUsage, after: NodeJS.MemoryUsage, verdict: Verdict): void {
  const held = ({ heapUsed, external }: NodeJS.MemoryUsage): number => heapUsed + external;
  verdict.that('RSS', `once everything is over a node holds at most ${megabytes(mostLeft)} more than before`, held(after) - held(before) <= mostLeft, () => ({ name, before, after }));
}

export function describeMemory(name: string, { heapUsed, external, rss }: NodeJS.MemoryUsage): string {
  return `${name} holds ${(heapUsed / 1024 / 1024).toFixed(1)} MB of heap, ${(external / 1024 / 1024).toFixed(1)} MB outside of it, RSS ${megabytes(rss)}`;
}

/** What `checkMemory` compares, for people. */
export function memorySummary(samples: readonly Sample[], names: readonly string[]): string {
  const total = samples.at(-1)?.done ?? 0;
  return names.map((name, index) => {
    const rss = (from: number): string => megabytes(median(samples.filter(({ done }) => done >= total * from && done < total * (from + 0.25)).map((each) => each.rss[index] ?? 0)));
    return `${name}: median of each quarter ${[0, 0.25, 0.5, 0.75].map(rss).join(', ')}, most ${megabytes(Math.max(...samples.map((each) => each.rss[index] ?? 0)))}`;
  }).join('; ');
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? 0;
}

function megabytes(bytes: number): string {
  return `${(bytes / 1024 / 1024).toFixed(0)} MB`;
}
