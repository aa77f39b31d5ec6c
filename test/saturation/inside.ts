/**
 * Loaded into each node before the node itself, by `node --import`: what only the inside of a process can tell. The
 * product knows nothing of it.
 *
 * - Each second the main thread adds a line of JSON to the file `SATURATION_REPORT`: see `Report`.
 * - Commits of a node with `SATURATION_COMMIT_MS` take so much longer: its disk is slow.
 */
import { appendFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { isMainThread } from 'node:worker_threads';
import { Heartbeat } from '../../src/mesh/heartbeat.ts';
import type { Report } from './meters.ts';

const { SATURATION_REPORT: reportFile = '', SATURATION_COMMIT_MS: commitText = '' } = process.env;
const reportEveryMs = 1000;
const resolutionMs = 5;

interface Beats {
  sentAtMs: number;
  answeredAtMs: number | undefined;
}

/** Patched where sessions call it, so that each session is measured by itself. */
function watchHeartbeats(): () => Report['heartbeat'] {
  const sessions = new WeakMap<Heartbeat, Beats>();
  let worst = { gapMs: 0, roundTripMs: 0 };
  const beat = Reflect.get(Heartbeat.prototype, 'beat') as (this: Heartbeat) => void;
  const answered = Reflect.get(Heartbeat.prototype, 'answered') as (this: Heartbeat, number: number) => void;
  Object.assign(Heartbeat.prototype, {
    beat(this: Heartbeat) {
      sessions.set(this, { sentAtMs: performance.now(), answeredAtMs: sessions.get(this)?.answeredAtMs });
      beat.call(this);
    },
    answered(this: Heartbeat, number: number) {
      const now = performance.now();
      const beats = sessions.get(this);
      if (beats !== undefined) {
        const gapMs = beats.answeredAtMs === undefined ? 0 : now - beats.answeredAtMs;
        worst = { gapMs: Math.max(worst.gapMs, gapMs), roundTripMs: Math.max(worst.roundTripMs, now - beats.sentAtMs) };
        beats.answeredAtMs = now;
      }
      answered.call(this, number);
    },
  });
  return () => {
    const told = worst;
    worst = { gapMs: 0, roundTripMs: 0 };
    return told;
  };
}

/**
 * Processor time of the main thread between two looks at a timer that is due in each turn of its loop: what one turn took, whatever
 * else the machine does meanwhile.
 */
function watchTurns(): () => number {
  const cpuMs = (): number => {
    const { user, system } = process.threadCpuUsage();
    return (user + system) / 1000;
  };
  let before = cpuMs();
  let worst = 0;
  setInterval(() => {
    const now = cpuMs();
    worst = Math.max(worst, now - before);
    before = now;
  }, 1).unref();
  return () => {
    const told = worst;
    worst = 0;
    return told;
  };
}

function report(): void {
  const takeTurn = watchTurns();
  const takeHeartbeats = watchHeartbeats();
  const loop = monitorEventLoopDelay({ resolution: resolutionMs });
  loop.enable();
  const timer = setInterval(() => {
    const { rss, heapUsed, external, arrayBuffers } = process.memoryUsage();
    const late = (nanoseconds: number): number => Math.max(0, nanoseconds / 1e6 - resolutionMs);
    const line: Report = { atMs: Date.now(), rss, heapUsed, external, arrayBuffers, loop: { p99Ms: late(loop.percentile(99)), mostMs: late(loop.max), turnMs: takeTurn() }, heartbeat: takeHeartbeats() };
    loop.reset();
    appendFileSync(reportFile, `${JSON.stringify(line)}\n`);
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
