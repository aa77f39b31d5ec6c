/** A process of its own that serves an agent of a node through the SDK, as a user's program would. */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll } from 'vitest';
import { Cluster } from './cluster.ts';
import type { Json } from './cli.ts';
import { isThere } from './programs.ts';
import type { TestNode } from './node-process.ts';
import { waitFor } from './wait-for.ts';

const sdk = fileURLToPath(new URL('../../src/client/index.ts', import.meta.url));

export interface ServedProcessOptions {
  readonly node: TestNode;
  /** Of the agent. */
  readonly name: string;
  /** The body of `async function* (task, context)`; `isThere(path)`, `effect(text)` and `soon()` are at hand. */
  readonly body: string;
  readonly concurrency?: number;
}

export class ServedProcess {
  readonly #child: ChildProcess;
  readonly #effects: string;
  #said = '';

  constructor({ node, name, body, concurrency = 4 }: ServedProcessOptions) {
    this.#effects = `${node.home}.${name}.effects`;
    const path = `${node.home}.${name}.mjs`;
    writeFileSync(path, program({ name, body, concurrency, effects: this.#effects }));
    this.#child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', path], { cwd: node.home, env: { PATH: process.env['PATH'], BECKON_HOME: node.home }, stdio: ['ignore', 'pipe', 'pipe'] });
    for (const stream of [this.#child.stdout, this.#child.stderr]) stream?.on('data', (chunk: Buffer) => (this.#said += chunk.toString()));
  }

  /** What its runs did in the world, over all processes of the name, a line each. */
  get effects(): readonly string[] {
    return isThere(this.#effects) ? readFileSync(this.#effects, 'utf8').split('\n').slice(0, -1) : [];
  }

  get said(): string {
    return this.#said;
  }

  async serving(): Promise<this> {
    await waitFor('the process to serve', () => /^serving @/m.test(this.#said) || this.#child.exitCode !== null, { timeoutMs: 20_000 });
    if (this.#child.exitCode !== null) throw new Error(`it ended: ${this.#said}`);
    return this;
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  async ended(): Promise<number | null> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) await new Promise((resolve) => this.#child.once('exit', resolve));
    return this.#child.exitCode;
  }
}

/** A laptop and a desktop for the tests of a file, with processes that serve agents of the desktop; all end with the file. */
export class ServingMachines {
  cluster!: Cluster;
  laptop!: TestNode;
  desktop!: TestNode;
  readonly #processes: ServedProcess[] = [];

  static forAll(): ServingMachines {
    const machines = new ServingMachines();
    beforeAll(async () => {
      Object.assign(machines, await Cluster.meshed('laptop', 'desktop'));
    });
    afterAll(() => machines.#end());
    return machines;
  }

  /** Of an agent that the laptop knows to be available. @param body as `ServedProcessOptions` has it */
  async serve(name: string, body: string): Promise<ServedProcess> {
    const served = new ServedProcess({ node: this.desktop, name, body });
    this.#processes.push(served);
    await served.serving();
    await this.known(name, true);
    return served;
  }

  known(name: string, isAvailable: boolean): Promise<unknown> {
    return waitFor(`${name} to be known at the laptop`, async () => {
      const { agents } = await this.laptop.json(['agents']);
      return (agents as Json[]).some((each) => each['address'] === `@${name}@desktop#main` && each['available'] === isAvailable);
    }, { timeoutMs: 20_000 });
  }

  async #end(): Promise<void> {
    for (const each of this.#processes) {
      each.signal('SIGKILL');
      await each.ended();
    }
    await this.cluster[Symbol.asyncDispose]();
  }
}

function program({ name, body, concurrency, effects }: { name: string; body: string; concurrency: number; effects: string }): string {
  return `
import { appendFileSync, existsSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect } from ${JSON.stringify(sdk)};

const isThere = existsSync;
const effect = (text) => appendFileSync(${JSON.stringify(effects)}, text + '\\n');
const soon = () => sleep(5);
const beckon = await connect();
const server = await beckon.serve('${name}/main', async function* (task, context) { ${body} }, { concurrency: ${concurrency} });
process.once('SIGTERM', () => server.close());
console.log('serving', server.address);
await server.closed;
beckon.close();
`;
}
