/** One node of the demo: a home of its own, a port of its own, and the real CLI to talk to it. */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { environment, root } from '../run.ts';
import { DemoFailure, Echo, failed, prompt } from './narration.ts';

/** A command that takes longer is given up, ms. */
const longestCommandMs = 30_000;
/** How long to wait for what should become true, ms. */
const longestWaitMs = 20_000;
const pollMs = 150;
/** A node that was starting when the demo was interrupted is up after this, or never, ms. */
const longestStartMs = 8_000;

/** Exit codes. */
const unavailable = 4;
const letGo = 10;

export const beckon = join(root, 'scripts', 'beckon');

export interface Ran {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Options {
  readonly cwd?: string;
  readonly stdin?: string;
  /** Without it the command and its output are shown. */
  readonly quiet?: boolean;
  /** What stands in the command line shown, where that is not what a person would type. */
  readonly typed?: string;
  readonly onStdout?: (text: string) => void;
}

export interface Running {
  readonly ended: Promise<Ran>;
  /** What it has written so far. */
  stdout(): string;
  stderr(): string;
}

/** The environment of a terminal in which nothing of Beckon or of another repository is set. */
function cleanEnvironment(): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(environment).filter(([name]) => !/^(BECKON|GIT|npm)_/.test(name)));
}

export class Machine {
  readonly name: string;
  readonly home: string;
  readonly #children = new Set<ChildProcess>();
  /** Whether a node of this machine runs: `perhaps` when the demo was interrupted while it started. */
  #runs: 'no' | 'perhaps' | 'yes' = 'no';

  constructor(name: string, home: string) {
    this.name = name;
    this.home = home;
  }

  start(args: readonly string[], options: Options = {}): Running {
    const { cwd, stdin = '', quiet = false, typed, onStdout } = options;
    if (!quiet) prompt(this.name, typed ?? ['beckon', ...args.map(shellWord)].join(' '));
    if (args[0] === 'up') this.#runs = 'perhaps';
    const child = spawn(beckon, args, { cwd: cwd ?? this.home, env: { ...cleanEnvironment(), BECKON_HOME: this.home }, stdio: 'pipe' });
    this.#children.add(child);
    const written = { stdout: '', stderr: '' };
    for (const stream of ['stdout', 'stderr'] as const) {
      const echo = new Echo(stream);
      child[stream].setEncoding('utf8');
      child[stream].on('data', (text: string) => {
        written[stream] += text;
        if (stream === 'stdout') onStdout?.(text);
        if (!quiet) echo.add(text);
      });
      child[stream].on('end', () => quiet || echo.end());
    }
    // A command that ends without reading its input is no fault of the demo's.
    child.stdin.on('error', () => undefined);
    child.stdin.end(stdin);
    const ended = new Promise<Ran>((resolve, reject) => {
      const timer = setTimeout(() => {
        child.kill();
        reject(new DemoFailure(`beckon ${args.join(' ')} on ${this.name} took longer than ${longestCommandMs / 1000} s`));
      }, longestCommandMs);
      child.once('error', reject);
      child.once('close', (code) => {
        clearTimeout(timer);
        this.#children.delete(child);
        if (args[0] === 'up') this.#runs = code === 0 ? 'yes' : code === null || code === letGo ? 'perhaps' : 'no';
        if (args[0] === 'down' && code === 0) this.#runs = 'no';
        resolve({ code, ...written });
      });
    });
    // Whoever waits for it hears of a failure; that nobody waits any more is no second failure.
    ended.catch(() => this.#children.delete(child));
    return { ended, stdout: () => written.stdout, stderr: () => written.stderr };
  }

  run(args: readonly string[], options: Options = {}): Promise<Ran> {
    return this.start(args, options).ended;
  }

  /** Runs a command that must succeed. @throws DemoFailure */
  async do(args: readonly string[], options: Options = {}): Promise<Ran> {
    const ran = await this.run(args, options);
    if (ran.code !== 0) throw new DemoFailure(`beckon ${args.join(' ')} on ${this.name} ended with ${ran.code}\n  ${(ran.stderr || ran.stdout).trim()}`);
    return ran;
  }

  /** What a command says with --json, unseen. @throws DemoFailure */
  async ask<Document>(...args: readonly string[]): Promise<Document> {
    const { stdout } = await this.do([...args, '--json'], { quiet: true });
    return JSON.parse(stdout) as Document;
  }

  /** Asks until the answer is right. @throws DemoFailure when it does not become so */
  async until<Document>(what: string, args: readonly string[], isRight: (document: Document) => boolean): Promise<Document> {
    const end = Date.now() + longestWaitMs;
    for (;;) {
      const document = await this.ask<Document>(...args);
      if (isRight(document)) return document;
      if (Date.now() > end) throw new DemoFailure(`after ${longestWaitMs / 1000} s still not so: ${what}\n  ${this.name} says: ${JSON.stringify(document)}`);
      await wait(pollMs);
    }
  }

  /** Ends whatever of this machine still runs. Never rejects. */
  async stop(): Promise<void> {
    for (const child of this.#children) child.kill();
    const end = Date.now() + longestStartMs;
    while (this.#runs !== 'no') {
      const code = await this.#stopCode();
      if (code === unavailable && (this.#runs === 'yes' || Date.now() > end)) return;
      if (code !== 0 && code !== unavailable) break;
      // It can be asked to stop only once it is up.
      if (code !== 0) await wait(pollMs);
    }
    if (this.#runs !== 'no') failed(`the node ${this.name} could not be stopped: BECKON_HOME=${this.home} ${beckon} down --force`);
  }

  async #stopCode(): Promise<number | null> {
    try {
      return (await this.run(['down', '--force', '--timeout', '10s'], { quiet: true })).code;
    } catch (error) {
      failed(error instanceof Error ? error.message : String(error));
      return null;
    }
  }

  /** The end of its log, for a demo that failed. */
  lastWords(): string[] {
    const logs = join(this.home, 'logs');
    if (!existsSync(logs)) return [];
    return readdirSync(logs).flatMap((file) => readFileSync(join(logs, file), 'utf8').split('\n').filter((line) => line !== '').slice(-5));
  }
}

export async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer());
  const ports = await Promise.all(
    servers.map((server) => new Promise<number>((resolve, reject) => {
      server.once('error', reject);
      server.listen(0, '127.0.0.1', () => resolve((server.address() as AddressInfo).port));
    })),
  );
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}

function shellWord(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}
