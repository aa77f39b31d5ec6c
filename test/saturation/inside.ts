/**
 * Loaded into each node before the node itself, by `node --import`: what only the inside of a process can tell. The
 * product knows nothing of it.
 *
 * - Each second the main thread tells a thread of its own, which adds a line of JSON to the file `SATURATION_REPORT`:
 *   see `Report`. The main thread touches no disk for it, which would make it late by itself.
 * - Commits of a node with `SATURATION_COMMIT_MS` take so much longer: its disk is slow.
 * - With `SATURATION_PROFILE`, a directory, a profile of the main thread's processor every 30 s.
 */
import { createRequire } from 'node:module';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { isMainThread, Worker } from 'node:worker_threads';
import { watchHeartbeats } from './beats.ts';
import type { Report } from './meters.ts';
import { watchTurns } from './turns.ts';

const { SATURATION_REPORT: reportFile = '', SATURATION_COMMIT_MS: commitText = '', SATURATION_PROFILE: profileDirectory = '' } = process.env;
const reportEveryMs = 1000;
const resolutionMs = 5;

function report(): void {
  const takeTurns = watchTurns();
  const takeHeartbeats = watchHeartbeats();
  const loop = monitorEventLoopDelay({ resolution: resolutionMs });
  loop.enable();
  const writer = new Worker(new URL('writes.ts', import.meta.url), { workerData: { reportFile, profileDirectory }, name: 'saturation report' });
  writer.unref();
  const timer = setInterval(() => {
    const { rss, heapUsed, external, arrayBuffers } = process.memoryUsage();
    const late = (nanoseconds: number): number => Math.max(0, nanoseconds / 1e6 - resolutionMs);
    const line: Report = { atMs: Date.now(), rss, heapUsed, external, arrayBuffers, loop: { p99Ms: late(loop.percentile(99)), mostMs: late(loop.max), ...takeTurns() }, heartbeat: takeHeartbeats() };
    loop.reset();
    writer.postMessage(JSON.stringify(line));
  }, reportEveryMs);
  timer.unref();
}

interface Prepared {
  run(...values: unknown[]): unknown;
}

function slowCommits(ms: number): void {
  const Database = createRequire(import.meta.url)('better-sqlite3') as { readonly prototype: object };
  const prepare = Reflect.get(Database.prototype, 'prepare') as (this: unknown, sql: string) => Prepared;
  const wait = new Int32Array(new SharedArrayBuffer(4));
  const prepareSlow = function prepareSlow(this: unknown, sql: string): Prepared {
    const statement = prepare.call(this, sql);
    if (sql !== 'COMMIT') return statement;
    const run = statement.run.bind(statement);
    statement.run = (...values) => {
      Atomics.wait(wait, 0, 0, ms);
      return run(...values);
    };
    return statement;
  };
  Object.assign(Database.prototype, { prepare: prepareSlow });
}

if (isMainThread && reportFile !== '') report();
if (!isMainThread && commitText !== '') slowCommits(Number(commitText));
