/** A node of a test: its own home, its own ports, real processes, controlled through its command line alone. */
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { kill, processesOf } from './belongings.ts';
import { Run } from './cli.ts';
import type { Ended, Json, RunOptions } from './cli.ts';
import { waitFor } from './wait-for.ts';
import type { WaitOptions } from './wait-for.ts';

export interface NodePlace {
  readonly name: string;
  /** BECKON_HOME. */
  readonly home: string;
  /** host:port for `--listen`. */
  readonly listen: string;
  readonly gossipListen?: string;
  /** Of a tailscaled: then `--tailscale` names it and `--listen` is left out. */
  readonly tailscale?: string;
  /** What each command of it runs through: `ip netns exec NAME`. */
  readonly through?: readonly string[];
}

export interface UpOptions {
  readonly flags?: readonly string[];
  readonly stdin?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Only for `up`: strace and the like. */
  readonly through?: readonly string[];
  /** With `--detach`; without it the node is a child of the test. */
  readonly detach?: boolean;
  /** A bound on a hang: in the foreground it is killed then. */
  readonly timeoutMs?: number;
}

type CallOptions = Omit<RunOptions, 'home'>;

export class TestNode {
  readonly place: NodePlace;
  #run: Run | undefined;

  constructor(place: NodePlace) {
    this.place = place;
    mkdirSync(place.home, { recursive: true, mode: 0o700 });
  }

  get name(): string {
    return this.place.name;
  }

  get home(): string {
    return this.place.home;
  }

  get databasePath(): string {
    return join(this.home, 'beckon.db');
  }

  get socketPath(): string {
    return join(this.home, 'run', 'control.sock');
  }

  get log(): string {
    return readFileSync(join(this.home, 'logs', 'node.log'), 'utf8');
  }

  /** The process of the node, found by what it runs for, since a detached one is nobody's child. */
  get pid(): number | undefined {
    const program = /(src\/main\.ts|dist\/main\.js) up( |$)/;
    return processesOf(this.home).find(({ command }) => program.test(command) && !/^\S*(strace|script|ip) /.test(command))?.pid;
  }

  /** Resolves with the ready line. @throws when the node ends, or says nothing for 20 s */
  async up({ flags = [], stdin = '', env, through, detach = false, timeoutMs = detach ? 30_000 : 600_000 }: UpOptions = {}): Promise<Json> {
    const { listen, name, gossipListen = '127.0.0.1:0', tailscale } = this.place;
    const where = tailscale === undefined ? ['--listen', listen, '--tailscale', 'off'] : ['--tailscale', tailscale];
    const usual = ['--name', name, ...where, '--gossip-listen', gossipListen];
    const run = this.start(['up', ...usual, ...flags, ...(detach ? ['--detach'] : [])], {
      stdin,
      timeoutMs,
      ...(env === undefined ? {} : { env }),
      through: [...(this.place.through ?? []), ...(through ?? [])],
    });
    const ready = await run.event('ready');
    if (detach) {
      const { code, stderr } = await run.ended;
      if (code !== 0) throw new Error(`up --detach of ${name} exited ${code}: ${stderr}`);
    } else {
      this.#run = run;
    }
    return ready;
  }

  start(args: readonly string[], options: CallOptions = {}): Run {
    return new Run(args, { ...(this.place.through === undefined ? {} : { through: this.place.through }), ...options, home: this.home });
  }

  beckon(args: readonly string[], options: CallOptions = {}): Promise<Ended> {
    return this.start(args, options).ended;
  }

  /** The document of a command with `--json` that exits 0. */
  async json(args: readonly string[], options: CallOptions = {}): Promise<Json> {
    const ended = await this.beckon(withJson(args), options);
    if (ended.code !== 0) throw new Error(`beckon ${args.join(' ')} at ${this.name} exited ${ended.code}: ${ended.text.slice(0, 2000)} ${ended.stderr.slice(0, 2000)}`);
    return ended.json;
  }

  /** Invokes with `--json` and waits for the end. */
  async invoke(args: readonly string[], options: CallOptions = {}): Promise<Ended & { readonly last: Json }> {
    const ended = await this.beckon(withJson(['invoke', ...args]), options);
    const last = ended.events.at(-1);
    if (last === undefined) throw new Error(`invoke ${args.join(' ')} at ${this.name} printed nothing: exit ${ended.code} ${ended.stderr}`);
    return Object.assign(Object.create(ended) as Ended, { last });
  }

  /** @returns the address of the new agent */
  async addAgent(name: string, argv: readonly string[], flags: readonly string[] = []): Promise<string> {
    await this.json(['agent', 'add', name, '--workspace', 'main', ...flags, '--', ...argv]);
    return `@${name}@${this.name}#main`;
  }

  /** As a crash of the machine's power would: no handler runs. Resolves when it is gone. */
  async kill9(): Promise<void> {
    const { pid } = this;
    if (pid === undefined) throw new Error(`${this.name} does not run`);
    kill(pid, 'SIGKILL');
    await waitFor(`${this.name} to be gone`, () => this.pid === undefined);
    await this.#run?.ended;
    this.#run = undefined;
  }

  /** `beckon down`. */
  async down(...flags: readonly string[]): Promise<Ended> {
    const ended = await this.beckon(['down', ...flags]);
    if (ended.code !== 0) throw new Error(`down of ${this.name} exited ${ended.code}: ${ended.stderr}`);
    await this.#run?.ended;
    this.#run = undefined;
    return ended;
  }

  /** How the node in the foreground ended. */
  async ended(): Promise<Ended> {
    if (this.#run === undefined) throw new Error(`${this.name} does not run in the foreground`);
    return this.#run.ended;
  }

  /** Waits for the peer to be in that state; resolves with the peer as `peers` shows it. */
  peer(name: string, state: string, { timeoutMs = 15_000, pollMs = 100 }: WaitOptions = {}): Promise<Json> {
    const look = async (): Promise<Json | undefined> => {
      const { peers } = await this.json(['peers']);
      return (peers as Json[]).find((peer) => peer['name'] === name && peer['state'] === state);
    };
    return waitFor(`${name} to be ${state} at ${this.name}`, look, { timeoutMs, pollMs });
  }
}

/** Behind `--` it would be a word of the agent's command. */
function withJson(args: readonly string[]): readonly string[] {
  const at = args.indexOf('--');
  return at < 0 ? [...args, '--json'] : [...args.slice(0, at), '--json', ...args.slice(at)];
}
