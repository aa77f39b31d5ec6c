/** Nodes of one test file below one temporary directory, of which nothing is left afterwards. */
import { chmodSync, existsSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { kill, killAll, processesOf } from './belongings.ts';
import { flawOfLogs } from './log-search.ts';
import { TestNode } from './node-process.ts';
import type { NodePlace } from './node-process.ts';
import { waitFor } from './wait-for.ts';

export class Cluster implements AsyncDisposable {
  readonly directory: string;
  readonly #nodes: TestNode[] = [];
  readonly #looks: (() => void)[] = [];

  private constructor(directory: string) {
    this.directory = directory;
  }

  static async create(): Promise<Cluster> {
    return new Cluster(await mkdtemp(join(tmpdir(), 'bkn-')));
  }

  /** Nodes that run, all in one mesh, each with a link to the first. */
  static async meshed<const Names extends readonly string[]>(...names: Names): Promise<{ readonly cluster: Cluster } & { readonly [Name in Names[number]]: TestNode }> {
    const cluster = await Cluster.create();
    try {
      const nodes: TestNode[] = [];
      for (const name of names) nodes.push(await cluster.node(name));
      await cluster.join(nodes);
      const byName = Object.fromEntries(nodes.map((node) => [node.name, node])) as { readonly [Name in Names[number]]: TestNode };
      return { cluster, ...byName };
    } catch (error) {
      await cluster[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** A node with a home and a port, not started. */
  async node(name: string, place: Partial<NodePlace> = {}): Promise<TestNode> {
    const node = new TestNode({ name, home: join(this.directory, name), listen: `127.0.0.1:${await freePort()}`, ...place });
    this.#nodes.push(node);
    return node;
  }

  /** Starts them; the first makes the mesh, the others enter it by token, for the first's person or for those of `persons`, by node name. */
  async join(nodes: readonly TestNode[], persons: Readonly<Record<string, string>> = {}): Promise<void> {
    const [first, ...others] = nodes;
    if (first === undefined) return;
    await first.up();
    await first.json(['mesh', 'create', 'home']);
    await this.enter(first, others, persons);
  }

  /** Starts `others`, which enter the mesh that the first is in and runs. @param persons as for `join` */
  async enter(first: TestNode, others: readonly TestNode[], persons: Readonly<Record<string, string>> = {}): Promise<void> {
    for (const node of others) {
      const person = persons[node.name];
      const { token } = await first.json(['mesh', 'invite', ...(person === undefined ? [] : ['--for', person])]);
      await node.up({ flags: ['--join', '-'], stdin: `${String(token)}\n` });
    }
    for (const node of others) {
      await node.peer(first.name, 'alive');
      await first.peer(node.name, 'alive');
    }
  }

  /** Called when all nodes have ended as they should, and their homes are still there. What it throws is thrown when all is removed. */
  atEnd(look: () => void): void {
    this.#looks.push(look);
  }

  path(...names: readonly string[]): string {
    return join(this.directory, ...names);
  }

  /** A shell program that an agent can be. */
  program(name: string, body: string): string {
    const path = this.path(name);
    writeFileSync(path, `#!/bin/sh\n${body}\n`);
    chmodSync(path, 0o755);
    return path;
  }

  /** An agent's `while` waits for this file. */
  open(gate: string): void {
    writeFileSync(this.path(gate), '');
  }

  /** Everything that runs for this test. */
  get processes(): ReturnType<typeof processesOf> {
    return processesOf(this.directory);
  }

  /**
   * Ends all nodes as a service manager would, kills what is left, removes the directory.
   * @throws when a process outlived its node, or a log has what must be in none
   */
  async [Symbol.asyncDispose](): Promise<void> {
    const running = this.#nodes.flatMap((node) => node.pid ?? []);
    for (const signal of ['SIGTERM', 'SIGCONT'] as const) {
      for (const pid of running) kill(pid, signal);
    }
    const endedInTime = await waitFor('the nodes to end', () => {
      // The second asks for no draining. Two at once may arrive as one.
      for (const pid of running) kill(pid, 'SIGTERM');
      return this.processes.length === 0;
    }, { timeoutMs: 10_000, pollMs: 50 }).catch((error: unknown) => error);
    const left = this.processes;
    killAll(left);
    if (left.length > 0) await waitFor('what was killed to be gone', () => this.processes.length === 0);
    const logFlaw = flawOfLogs(this.#nodes.map(({ home }) => home));
    const flaws = endedInTime === true ? this.#looks.flatMap((look) => thrownBy(look) ?? []) : [];
    await rm(this.directory, { recursive: true, force: true, maxRetries: 3 });
    if (endedInTime !== true) {
      throw new Error(`processes outlived their nodes:\n${left.map(({ pid, command }) => `${pid} ${command.slice(0, 300)}`).join('\n')}`);
    }
    for (const flaw of [logFlaw, ...flaws]) if (flaw !== undefined) throw flaw;
    if (existsSync(this.directory)) throw new Error(`${this.directory} is still there`);
  }
}

function thrownBy(look: () => void): Error | undefined {
  try {
    look();
    return undefined;
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error));
  }
}

/** `sh` for an agent that goes on when `gate` exists. */
export function waitsFor(gate: string): string {
  return `until [ -e '${gate}' ]; do sleep 0.02; done`;
}

/** A port that is free now and that no outgoing connection gets: below the range that the kernel picks from. */
export async function freePort(): Promise<number> {
  for (let tries = 0; tries < 100; tries += 1) {
    const port = 18_000 + Math.floor(Math.random() * 12_000);
    if (await isFree(port)) return port;
  }
  throw new Error('no port is free between 18000 and 30000');
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}
