/** A process for the command line to run in: streams in memory, signals and keys on demand. */
import { PassThrough, Readable, Writable } from 'node:stream';
import type { DetachedNode, Host, ReadKey, StopSignal } from '../../src/cli/host.ts';
import { runCli } from '../../src/cli/run.ts';
import { systemGit } from '../../src/cli/system-git.ts';
import { createSystemClock } from '../../src/app/system-clock.ts';
import type { Clock } from '../../src/domain/ports.ts';
import type { Supervision } from '../../src/domain/supervision-port.ts';
import { gitPath } from './git-repository.ts';

export interface HostOptions {
  readonly socketPath: string;
  readonly stdin?: string | Uint8Array;
  readonly stdinIsTerminal?: boolean;
  readonly terminal?: boolean;
  readonly env?: Record<string, string>;
  readonly cwd?: string;
  readonly readKey?: ReadKey;
  readonly readSecret?: ReadKey;
  readonly clock?: Clock;
  readonly run?: Host['node']['run'];
  readonly spawn?: (args: readonly string[], stdin: string) => Promise<DetachedNode>;
  readonly isAlive?: () => boolean;
  readonly examine?: Host['examine'];
  readonly survey?: Host['survey'];
  readonly supervision?: Supervision;
  readonly belongings?: Host['belongings'];
  readonly copy?: Host['copy'];
  readonly config?: Host['config'];
  readonly logPath?: string;
  readonly hasTerminal?: boolean;
  /** Nobody reads stdout after so many bytes. */
  readonly readsBytes?: number;
}

const unwanted = (): never => {
  throw new Error('this test installs nothing');
};

/** Nothing is installed, and nothing can be. */
export const noSupervision: Supervision = {
  plan: unwanted,
  write: unwanted,
  installed: () => Promise.resolve(undefined),
  isCurrent: unwanted,
  remove: unwanted,
  filesOf: unwanted,
};

export class CliProcess {
  readonly host: Host;
  #stdout = Buffer.alloc(0);
  #stderr = '';
  readonly #handlers = new Map<StopSignal, Set<(signal: StopSignal) => void>>();

  constructor(options: HostOptions) {
    const terminal = options.terminal ?? false;
    const unavailable = (): never => {
      throw new Error('this test starts no node');
    };
    this.host = {
      stdin: options.stdinIsTerminal === true ? new PassThrough() : Readable.from(options.stdin === undefined || options.stdin.length === 0 ? [] : [Buffer.from(options.stdin)]),
      stdout: this.#collector(options.readsBytes),
      stderr: new Writable({
        write: (chunk: Buffer, _encoding, done) => {
          this.#stderr += chunk.toString();
          done();
        },
      }),
      tty: { stdin: options.stdinIsTerminal === true, stdout: terminal, stderr: terminal },
      env: options.env ?? { PATH: '/usr/bin:/bin', NO_COLOR: '1' },
      cwd: options.cwd ?? '/',
      clock: options.clock ?? createSystemClock(),
      version: '1.2.3',
      // Asked each time: a node may be started meanwhile.
      socketPath: () => options.socketPath,
      logPath: () => options.logPath ?? '/nowhere/node.log',
      stderrPath: () => '/nowhere/stderr.log',
      stderrLines: () => (line) => {
        this.#stderr += line;
        return true;
      },
      hasTerminal: () => options.hasTerminal ?? false,
      config: options.config ?? { path: () => '/nowhere/config.toml', here: unavailable, check: unavailable },
      onSignal: (signals, handler) => {
        for (const signal of signals) this.#of(signal).add(handler);
        return () => {
          for (const signal of signals) this.#of(signal).delete(handler);
        };
      },
      readKey: options.readKey,
      readSecret: options.readSecret,
      belongings: options.belongings ?? { find: () => Promise.resolve({ found: [], left: [], worktrees: [] }), remove: unwanted },
      supervision: () => Promise.resolve(options.supervision ?? noSupervision),
      survey: options.survey ?? (() => Promise.resolve({ suggestedName: 'laptop', remembered: {}, addresses: [] })),
      copy: options.copy ?? { refusedBecause: () => Promise.resolve(undefined), rekey: unavailable },
      examine: options.examine ?? (() => Promise.resolve([])),
      node: {
        run: options.run ?? unavailable,
        spawn: options.spawn ?? unavailable,
        isAlive: options.isAlive ?? (() => false),
        hasSocket: () => false,
      },
      git: systemGit(options.env ?? { PATH: gitPath, HOME: '/nowhere', GIT_CONFIG_NOSYSTEM: '1' }),
    };
  }

  get stdout(): string {
    return this.#stdout.toString();
  }

  get bytes(): Uint8Array {
    return this.#stdout;
  }

  get stderr(): string {
    return this.#stderr;
  }

  get events(): Record<string, any>[] {
    return this.stdout.split('\n').slice(0, -1).map((line) => JSON.parse(line) as Record<string, any>);
  }

  get json(): Record<string, any> {
    return JSON.parse(this.stdout) as Record<string, any>;
  }

  /** True when something listens for it. */
  signal(signal: StopSignal): boolean {
    const handlers = [...this.#of(signal)];
    for (const handler of handlers) handler(signal);
    return handlers.length > 0;
  }

  run(...argv: readonly string[]): Promise<number> {
    return runCli(argv, this.host);
  }

  #of(signal: StopSignal): Set<(signal: StopSignal) => void> {
    const handlers = this.#handlers.get(signal) ?? new Set();
    this.#handlers.set(signal, handlers);
    return handlers;
  }

  #collector(readsBytes = Number.POSITIVE_INFINITY): Writable {
    return new Writable({
      write: (chunk: Buffer, _encoding, done) => {
        this.#stdout = Buffer.concat([this.#stdout, chunk]);
        done(this.#stdout.length > readsBytes ? Object.assign(new Error('write EPIPE'), { code: 'EPIPE' }) : null);
      },
    });
  }
}
