/** A node of a campaign: a real process that is killed, stopped, filled up and started again. */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { connect } from '../../src/client/connect.ts';
import type { NodeClient } from '../../src/client/index.ts';
import { kill } from '../support/belongings.ts';
import { beckonPath } from '../support/cli.ts';
import { waitFor } from '../support/wait-for.ts';
import type { StoreStep } from './schedule.ts';

const inside = pathToFileURL(fileURLToPath(new URL('inside.ts', import.meta.url))).href;
/** A boot on a machine that is busy, ms. */
const readyMs = 60_000;

export interface ChaosPlace {
  readonly name: string;
  /** BECKON_HOME. */
  readonly home: string;
  /** For the files that steer its faults, outside of its home. */
  readonly steering: string;
  readonly port: number;
  /** Another node's port: the relay for the way there. */
  readonly routes: ReadonlyMap<number, number>;
  /** For `memory`. */
  readonly reportsMemory?: boolean;
}

export class ChaosNode {
  readonly place: ChaosPlace;
  /** The wall clock's jumps, all together. */
  clockOffsetMs = 0;
  clockJumps = 0;
  /** Ends that nobody asked for. */
  readonly surprises: string[] = [];
  #child: ChildProcess | undefined;
  #isExpectedToEnd = false;
  #isStopped = false;

  constructor(place: ChaosPlace) {
    this.place = place;
    mkdirSync(place.home, { recursive: true, mode: 0o700 });
    mkdirSync(place.steering, { recursive: true });
  }

  get name(): string {
    return this.place.name;
  }

  get databasePath(): string {
    return join(this.place.home, 'beckon.db');
  }

  get isRunning(): boolean {
    return this.#child !== undefined;
  }

  /** Resolves when it is ready; does nothing for one that runs. @throws when it ends instead, with what it said */
  async up(): Promise<void> {
    if (this.#child !== undefined) return;
    const { name, home, port, routes } = this.place;
    this.#isExpectedToEnd = false;
    const child = spawn(beckonPath, ['up', '--json', '--name', name, '--listen', `127.0.0.1:${port}`, '--tailscale', 'off', '--gossip-listen', '127.0.0.1:0'], {
      cwd: this.place.steering,
      env: {
        PATH: process.env['PATH'],
        HOME: process.env['HOME'],
        BECKON_HOME: home,
        NODE_OPTIONS: `--disable-warning=ExperimentalWarning --import=${inside}`,
        CHAOS_ROUTES: [...routes].map((each) => each.join('=')).join(','),
        CHAOS_CLOCK: this.#clockFile,
        CHAOS_CRASH: this.#crashFile,
        ...(this.place.reportsMemory === true ? { CHAOS_MEMORY: this.#memoryFile } : {}),
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#child = child;
    let said = '';
    let out = '';
    child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()));
    child.stderr.on('data', (chunk: Buffer) => (said = `${said}${chunk.toString()}`.slice(-4000)));
    child.once('close', (code, signal) => {
      this.#child = undefined;
      if (!this.#isExpectedToEnd) this.surprises.push(`${name} ended by itself: ${signal ?? code} ${out.slice(-1000)} ${said}`);
    });
    await waitFor(`${name} to be ready`, () => out.includes('"type":"ready"') || this.#child !== child, { timeoutMs: readyMs, pollMs: 25 });
    if (this.#child !== child) throw new Error(`${name} did not start: ${out} ${said}`);
  }

  async kill(): Promise<void> {
    this.#end('SIGKILL');
    await this.gone();
  }

  stop(): void {
    if (this.#signal('SIGSTOP')) this.#isStopped = true;
  }

  resume(): void {
    if (this.#isStopped) this.#signal('SIGCONT');
    this.#isStopped = false;
  }

  /** Its wall clock is off by so much more from now on. */
  jump(ms: number): void {
    this.clockOffsetMs += ms;
    this.clockJumps += 1;
    writeFileSync(this.#clockFile, String(this.clockOffsetMs));
    this.#signal('SIGUSR2');
  }

  /** What its main thread holds once all garbage is gone. */
  async memory(): Promise<NodeJS.MemoryUsage> {
    rmSync(this.#memoryFile, { force: true });
    this.#signal('SIGUSR2');
    await waitFor(`${this.name} to say what it holds`, () => existsSync(this.#memoryFile), { timeoutMs: 20_000 });
    return JSON.parse(readFileSync(this.#memoryFile, 'utf8')) as NodeJS.MemoryUsage;
  }

  /** Its writer ends it in the given one of its next commits. It may well not make so many. */
  crashAt(step: StoreStep, commits: number): void {
    this.#isExpectedToEnd = true;
    writeFileSync(this.#crashFile, `${step} ${commits}`);
  }

  /** No crash any more, if none came yet. */
  spare(): void {
    rmSync(this.#crashFile, { force: true });
  }

  /** `down`; resolves when it has ended, or rejects after `timeoutMs`. */
  async down(force: boolean, timeoutMs = 60_000): Promise<void> {
    if (this.#child === undefined) return;
    this.#isExpectedToEnd = true;
    await this.with((client) => client.shutdown(force));
    await this.gone(timeoutMs);
  }

  gone(timeoutMs = 20_000): Promise<boolean> {
    return waitFor(`${this.name} to be gone`, () => this.#child === undefined, { timeoutMs });
  }

  client(): Promise<NodeClient> {
    return connect({ socketPath: join(this.place.home, 'run', 'control.sock'), now: () => Date.now() });
  }

  async with<Result>(use: (client: NodeClient) => Promise<Result>): Promise<Result> {
    const client = await this.client();
    try {
      return await use(client);
    } finally {
      client.close();
    }
  }

  get #clockFile(): string {
    return join(this.place.steering, 'clock');
  }

  get #memoryFile(): string {
    return join(this.place.steering, 'memory');
  }

  get #crashFile(): string {
    return join(this.place.steering, 'crash');
  }

  #end(signal: NodeJS.Signals): void {
    this.#isExpectedToEnd = true;
    this.#signal(signal);
  }

  #signal(signal: NodeJS.Signals): boolean {
    const pid = this.#child?.pid;
    return pid !== undefined && kill(pid, signal);
  }
}
