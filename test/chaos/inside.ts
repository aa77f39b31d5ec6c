/**
 * Loaded into each node of a campaign before the node itself, by `node --import`: the faults that can only be had from
 * inside a process. The product knows nothing of it.
 *
 * - Connections to another node's port go to the relay for that way (`CHAOS_ROUTES`: port=port,…).
 * - The wall clock is off by the ms in `CHAOS_CLOCK`, a file that is read again on SIGUSR2.
 * - At each SIGUSR2, too, what its main thread holds after a full collection goes into the file `CHAOS_MEMORY`.
 * - The store's writer ends the process at the step that `CHAOS_CRASH`, a file, names, in the given commit from then on.
 */
import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { isMainThread } from 'node:worker_threads';

const { CHAOS_ROUTES: routeText = '', CHAOS_CLOCK: clockFile = '', CHAOS_CRASH: crashFile = '', CHAOS_MEMORY: memoryFile = '' } = process.env;

function readOr(path: string, otherwise: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return otherwise;
    throw error;
  }
}

function reroute(): void {
  const routes = new Map(routeText.split(',').map((each) => each.split('=').map(Number) as [number, number]));
  const connect = Reflect.get(Socket.prototype, 'connect') as (this: Socket, ...args: unknown[]) => Socket;
  Object.assign(Socket.prototype, {
    connect(this: Socket, ...args: unknown[]): Socket {
      // As net.connect normalizes them: a list whose first is the options.
      const first: unknown = Array.isArray(args[0]) ? args[0][0] : args[0];
      if (typeof first === 'object' && first !== null && 'port' in first) {
        const to = routes.get(Number(first.port));
        if (to !== undefined) first.port = to;
      }
      return connect.apply(this, args);
    },
  });
}

function bendClock(): void {
  const now = Date.now;
  let offsetMs = 0;
  const read = (): void => {
    offsetMs = Number(readOr(clockFile, '0'));
  };
  read();
  Date.now = () => now() + offsetMs;
  process.on('SIGUSR2', read);
}

function reportMemory(): void {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  const report = async (): Promise<void> => {
    // What the first frees of buffers is counted as free some time later.
    for (let round = 0; round < 3; round += 1) {
      collect();
      await delay(50);
    }
    writeFileSync(`${memoryFile}.new`, JSON.stringify(process.memoryUsage()));
    renameSync(`${memoryFile}.new`, memoryFile);
  };
  process.on('SIGUSR2', () => void report());
}

interface Prepared {
  run(...values: unknown[]): unknown;
}

function crashInCommits(): void {
  const Database = createRequire(import.meta.url)('better-sqlite3') as { readonly prototype: object };
  const prepare = Reflect.get(Database.prototype, 'prepare') as (this: unknown, sql: string) => Prepared;
  let commits = 0;
  const step = (label: string): void => {
    const [wanted, count = '1'] = readOr(crashFile, '').split(' ');
    if (wanted !== label) return;
    commits += 1;
    if (commits < Number(count)) return;
    rmSync(crashFile);
    process.kill(process.pid, 'SIGKILL');
  };
  const prepareWatched = function prepareWatched(this: unknown, sql: string): Prepared {
    const statement = prepare.call(this, sql);
    if (sql !== 'BEGIN IMMEDIATE' && sql !== 'COMMIT') return statement;
    const run = statement.run.bind(statement);
    statement.run = (...values) => {
      step(sql === 'COMMIT' ? 'before-commit' : 'before-begin');
      const answer = run(...values);
      if (sql === 'COMMIT') step('after-commit');
      return answer;
    };
    return statement;
  };
  Object.assign(Database.prototype, { prepare: prepareWatched });
}

if (isMainThread) {
  if (routeText !== '') reroute();
  if (clockFile !== '') bendClock();
  if (memoryFile !== '') reportMemory();
} else if (crashFile !== '') {
  crashInCommits();
}
