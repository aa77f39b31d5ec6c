/** All that the command line touches of its process, so that a test can be the process. */
import type { Readable, Writable } from 'node:stream';
import type { Belongings } from '../domain/belongings.ts';
import type { Check } from '../domain/checks.ts';
import type { ConfigFlaw, ConfigView } from '../domain/config-view.ts';
import type { Clock } from '../domain/ports.ts';
import type { Supervision } from '../domain/supervision-port.ts';
import type { PutLine } from './stderr-lines.ts';

export type StopSignal = 'SIGINT' | 'SIGTERM' | 'SIGHUP';

/** What `up` was given, as typed: only these replace what the node remembers. */
export interface GivenFlags {
  readonly name?: string;
  readonly listen?: readonly string[];
  readonly seeds?: readonly string[];
  /** An invitation token; never remembered. */
  readonly join?: string;
  readonly tailscale?: string;
  readonly gossipListen?: string;
  readonly metrics?: string;
}

export interface Ready {
  readonly node: string;
  readonly nodeId: string;
  readonly listen: string | null;
  readonly gossipListen: string | null;
  readonly socket: string;
}

export interface RunningNode {
  readonly ready: Ready;
  /** What its owner should know, one sentence each. */
  readonly notes: readonly string[];
  /** Resolves when it has stopped, by `stop` or by a client's request. */
  readonly stopped: Promise<void>;
  stop(force: boolean): Promise<void>;
  /** Reads its config file again. Never rejects: what is wrong is in its log. */
  reload(): Promise<void>;
}

/** A node in a process of its own, detached from this terminal. */
export interface DetachedNode {
  /** Its stdout, in text: the ready line, or an error document. */
  readonly stdout: AsyncIterable<string>;
  /** Resolves with its exit code when it ends, null when a signal ended it. */
  readonly exited: Promise<number | null>;
  /** Lets it go on without this process. */
  release(): void;
}

export interface NodeProcess {
  /** Starts a node in this process. `offline`: no network, for commands that also work while the node is down. */
  run(options: {
    readonly given: GivenFlags;
    readonly offline: boolean;
    /** Each line of its log as it is written, with its end. */
    readonly onLogLine?: (line: string) => void;
  }): Promise<RunningNode>;
  /** Starts this program again with `args`, in its own session, `stdin` as its input. */
  spawn(args: readonly string[], stdin: string): Promise<DetachedNode>;
  isAlive(pid: number): boolean;
  /** False when nothing is left at the control socket's path. */
  hasSocket(): boolean;
}

/** Of this machine, for `setup`. */
export interface Survey {
  /** Made from its host name. */
  readonly suggestedName: string;
  /** Flags of an earlier `up`. */
  readonly remembered: { readonly name?: string; readonly listen?: readonly string[] };
  /** The tailnet that this machine is connected to. */
  readonly tailnet?: { readonly addresses: readonly string[]; readonly name?: string };
  /** Of networks that are no tailnet; `name` of the interface. */
  readonly addresses: readonly { readonly host: string; readonly name: string }[];
}

/** One key, or undefined when the terminal is gone. */
export type ReadKey = (signal: AbortSignal) => Promise<string | undefined>;

/** Runs git to its end. Rejects when there is none, or `cwd` is not there. */
export type Git = (
  args: readonly string[],
  options: { readonly cwd: string; readonly env?: Readonly<Record<string, string>> },
) => Promise<{ readonly code: number; readonly stdout: string; readonly stderr: string }>;

export interface Host {
  readonly stdin: Readable;
  readonly stdout: Writable;
  readonly stderr: Writable;
  readonly tty: { readonly stdin: boolean; readonly stdout: boolean; readonly stderr: boolean };
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
  readonly clock: Clock;
  readonly version: string;
  /** @throws BrokerError `invalid` when the place for state can't be used */
  readonly socketPath: () => string;
  readonly logPath: () => string;
  /** What a detached node says besides its log: the last words of one that crashed. */
  readonly stderrPath: () => string;
  /** Writes to stderr without ever waiting for it. */
  stderrLines(): PutLine;
  /** Whether this process still has the terminal that it was started on. */
  hasTerminal(): boolean;
  /** Calls `handler` for each of the signals until the returned function is called. */
  onSignal(signals: readonly StopSignal[], handler: (signal: StopSignal) => void): () => void;
  /** Reads keys from the person at the terminal, even when stdin is something else; undefined without a terminal. */
  readonly readKey: ReadKey | undefined;
  /** A line that is typed and not shown; undefined when the terminal is gone or the person gave up. Undefined itself without a terminal. */
  readonly readSecret: ReadKey | undefined;
  readonly node: NodeProcess;
  readonly git: Git;
  /** What the node has on this machine. */
  readonly belongings: {
    find(): Promise<Belongings>;
    /** @returns the paths that are gone. @throws BrokerError `conflict` while a node runs */
    remove(belongings: Belongings): Promise<readonly string[]>;
  };
  /** systemd or launchd, for this node. */
  supervision(): Promise<Supervision>;
  /** What is known of this machine before anything is set up on it. */
  survey(): Promise<Survey>;
  readonly copy: {
    /** Why other nodes take this one for a copy of another machine; undefined when none does. */
    refusedBecause(): Promise<string | undefined>;
    /** A new key, and a new store with the same agents; the old ones are set aside. @throws BrokerError `conflict` while a node runs */
    rekey(): Promise<{ readonly nodeId: string; readonly was: string; readonly agents: readonly string[]; readonly aside: string }>;
  };
  readonly config: {
    readonly path: () => string;
    /** As the next `up` from here would find it. @throws BrokerError `invalid` when remembered flags can't be understood */
    here(): Promise<ConfigView>;
    /** What is wrong with a file. Never rejects. */
    check(path: string): Promise<{ readonly exists: boolean; readonly flaws: readonly ConfigFlaw[] }>;
  };
  /** What this machine shows from outside the node; with `fix` puts right what is safe to. `quick`: only whether the node can store, cheaply. */
  examine(options: { readonly fix: boolean; readonly isRunning: boolean; readonly quick?: boolean }): Promise<readonly Check[]>;
}
