/** A node's life on its machine: databases that it must not touch, one node a home, how it ends. */
import Database from 'better-sqlite3';
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, mkdirSync, openSync, readFileSync, readdirSync, truncateSync, writeFileSync, writeSync, closeSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { kill } from '../support/belongings.ts';
import type { Json } from '../support/cli.ts';
import { Cluster, waitsFor } from '../support/cluster.ts';
import type { TestNode } from '../support/node-process.ts';
import { waitFor } from '../support/wait-for.ts';

let cluster: Cluster;
let laptop: TestNode;
beforeEach(async () => {
  cluster = await Cluster.create();
  laptop = await cluster.node('laptop');
});
afterEach(() => cluster?.[Symbol.asyncDispose]());

/** The database and what belongs to it, by name; not the shared memory that any reader makes. */
function databaseFiles(): Readonly<Record<string, string>> {
  const names = readdirSync(laptop.home).filter((name) => name.startsWith('beckon.db') && !name.endsWith('-shm'));
  return Object.fromEntries(names.map((name) => [name, createHash('sha256').update(readFileSync(join(laptop.home, name))).digest('hex')]));
}

function overwrite(at: number, bytes: Uint8Array): void {
  const file = openSync(laptop.databasePath, 'r+');
  writeSync(file, bytes, 0, bytes.length, at);
  closeSync(file);
}

const noise = Uint8Array.from({ length: 3000 }, (_, at) => (at * 89 + 7) % 256);

describe('up refuses a database, and leaves it byte for byte as it was, when it', () => {
  test.each<[string, number, string, () => void | Promise<() => Promise<void>>]>([
    ['is newer', 70, 'incompatible', newer],
    ['is of another program', 70, 'incompatible', foreign],
    ['is damaged in its schema', 2, 'invalid', () => overwrite(100, noise)],
    ['is no database', 2, 'invalid', () => writeFileSync(laptop.databasePath, noise)],
    ['is cut short', 2, 'invalid', () => truncateSync(laptop.databasePath, 9000)],
    ['is held by another process', 6, 'conflict', hold],
  ])('%s', async (_what, code, errorCode, spoil) => {
    await laptop.up();
    await laptop.addAgent('echo', ['/bin/cat']);
    await laptop.down();
    const release = await spoil();
    try {
      const before = databaseFiles();
      const refused = await laptop.beckon(['up', '--detach']);
      expect(refused).toMatchObject({ code, text: '' });
      const errors = refused.stderr.split('\n').filter((line) => line.startsWith('error: '));
      expect({ errors: errors.length, stderr: refused.stderr }).toMatchObject({ errors: 1 });
      expect(errors[0]).toContain('beckon.db');
      expect(refused.stderr).not.toMatch(/^\s+at |node:internal/m);
      const scripted = await laptop.beckon(['up', '--json']);
      expect(scripted.code).toBe(code);
      expect(scripted.json).toMatchObject({ error: { code: errorCode } });
      expect(databaseFiles()).toEqual(before);
      expect(laptop.pid).toBeUndefined();
      expect(existsSync(laptop.socketPath)).toBe(false);
    } finally {
      await release?.();
    }
  });

  function foreign(): void {
    for (const name of readdirSync(laptop.home).filter((each) => each.startsWith('beckon.db'))) truncateSync(join(laptop.home, name), 0);
    const db = new Database(laptop.databasePath);
    db.exec('CREATE TABLE recipes (name TEXT); INSERT INTO recipes VALUES (\'soup\')');
    db.close();
  }

  function newer(): void {
    const db = new Database(laptop.databasePath);
    db.pragma('user_version = 9999');
    db.close();
  }

  /** In a process of its own: reading the file here would drop the locks that this process has on it (fcntl). */
  async function hold(): Promise<() => Promise<void>> {
    const program = `
      import Database from 'better-sqlite3';
      const db = new Database(process.env.HELD);
      db.exec('BEGIN EXCLUSIVE');
      console.log('held');
      process.stdin.resume().on('end', () => db.close());`;
    const holder = spawn(process.execPath, ['--input-type=module', '--eval', program], {
      cwd: fileURLToPath(new URL('../..', import.meta.url)),
      env: { ...process.env, HELD: laptop.databasePath },
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    await once(holder.stdout, 'data');
    return async () => {
      holder.stdin.end();
      await once(holder, 'close');
    };
  }
});

describe('one home', () => {
  test('has one node: a second up is a conflict, and the first goes on', async () => {
    await laptop.up();
    const { pid } = laptop;
    for (const flags of [[], ['--detach']]) {
      const second = await laptop.beckon(['up', '--listen', '127.0.0.1:0', '--tailscale', 'off', '--json', ...flags]);
      expect(second.code).toBe(6);
      expect(second.json).toMatchObject({ error: { code: 'conflict' } });
    }
    expect(laptop.pid).toBe(pid);
    expect((await laptop.json(['status']))['node']).toMatchObject({ name: 'laptop', pid });
  });

  test('remembers the flags of up: a bare up later does the same', async () => {
    const first = await laptop.up();
    await laptop.down();
    const { code, json } = await laptop.beckon(['up', '--detach']);
    expect(code).toBe(0);
    expect(json).toMatchObject({ type: 'ready', node: 'laptop', nodeId: first['nodeId'] as unknown, listen: laptop.place.listen });
  });

  test('without a node answers 4 to all that needs one, and says how to start it', async () => {
    mkdirSync(laptop.home, { recursive: true });
    for (const words of [['status'], ['down'], ['invoke', 'x@y', 'task'], ['flights'], ['peers']]) {
      const { code, stderr } = await laptop.beckon(words);
      expect({ words, code }).toEqual({ words, code: 4 });
      expect(stderr).toContain('beckon up');
    }
  });
});

describe('down', () => {
  let gate = '';
  beforeEach(async () => {
    gate = 'gate';
    await laptop.up();
    await laptop.addAgent('slow', [cluster.program('slow', `echo begun\n${waitsFor(cluster.path(gate))}\necho done`)]);
  });

  const isGone = (): boolean => laptop.pid === undefined && !existsSync(laptop.socketPath) && !existsSync(join(laptop.home, 'beckon.lock'));

  async function atWork(): Promise<{ readonly run: ReturnType<TestNode['start']>; readonly id: string }> {
    const run = laptop.start(['invoke', '@slow@laptop#main', 'go', '--json']);
    await run.event('output');
    return { run, id: String(run.events[0]?.['invocationId']) };
  }

  test('returns when the process has ended, and lock and socket are gone', async () => {
    expect((await laptop.beckon(['down'])).code).toBe(0);
    expect(isGone()).toBe(true);
    expect((await laptop.ended()).code).toBe(0);
  });

  test('takes no new work and waits for what runs, whose caller gets the answer', async () => {
    const { run } = await atWork();
    const down = laptop.start(['down']);
    await waitFor('it to drain', async () => ((await laptop.json(['status']))['node'] as Json)['draining'] === true);
    const refused = await laptop.invoke(['@slow@laptop#main', 'late']);
    expect(refused.code).toBe(4);
    expect(refused.events).toMatchObject([{ type: 'error', error: { code: 'unavailable' } }]);
    expect([down.isOver, run.isOver]).toEqual([false, false]);
    cluster.open(gate);
    const { code, events } = await run.ended;
    expect(code).toBe(0);
    expect(events.at(-1)).toMatchObject({ type: 'finished', state: 'completed', output: 'begun\ndone\n' });
    expect((await down.ended).code).toBe(0);
    expect(isGone()).toBe(true);
  });

  test('--timeout returns with 10 while the node goes on draining, and the node ends when the work has', async () => {
    const { run } = await atWork();
    const { code } = await laptop.beckon(['down', '--timeout', '300ms']);
    expect(code).toBe(10);
    expect(laptop.pid).toBeDefined();
    cluster.open(gate);
    expect((await run.ended).code).toBe(0);
    await waitFor('the node to end', isGone);
  });

  test('--force ends what runs, as indeterminate', async () => {
    const { run, id } = await atWork();
    const { code } = await laptop.beckon(['down', '--force']);
    expect(code).toBe(0);
    expect(isGone()).toBe(true);
    expect(cluster.processes.filter(({ command }) => command.includes('slow'))).toEqual([]);
    expect((await run.ended).code).toBe(9);
    await laptop.up();
    expect((await laptop.json(['flight', 'show', id]))['flight']).toMatchObject({ state: 'indeterminate', output: 'begun\n', run: 1 });
    expect((await laptop.beckon(['flight', 'wait', id])).code).toBe(9);
  });

  test.each(['SIGTERM', 'SIGINT'] as const)('is what %s means, and a second one is down --force', async (signal) => {
    const { id } = await atWork();
    kill(laptop.pid ?? -1, signal);
    await waitFor('it to drain', async () => ((await laptop.json(['status']))['node'] as Json)['draining'] === true);
    kill(laptop.pid ?? -1, signal);
    await waitFor('the node to end', isGone);
    await laptop.up();
    expect((await laptop.json(['flight', 'show', id]))['flight']).toMatchObject({ state: 'indeterminate' });
  });
});
