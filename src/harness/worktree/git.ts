/** git as a child process: arguments as a list, no terminal, bounded in time and output. */
import { spawn } from 'node:child_process';
import type { Readable } from 'node:stream';
import { BrokerError, unavailable } from '../../domain/errors.ts';
import type { Clock } from '../../domain/ports.ts';
import { neutralise } from '../../domain/text.ts';
import { findExecutable } from '../executable.ts';

export interface GitCall {
  readonly args: readonly string[];
  /** Absolute. */
  readonly cwd: string;
  /** All of its environment; git itself is looked for in PATH. */
  readonly env: Readonly<Record<string, string>>;
  readonly timeoutMs: number;
  /** Takes stdout instead of `GitEnd.stdout`. False: it has enough, and git is ended. */
  readonly sink?: (piece: Uint8Array) => Promise<boolean>;
  readonly aborted?: AbortSignal;
}

export interface GitEnd {
  readonly code: number;
  readonly stdout: Buffer;
  /** Its last words, harmless for a terminal. */
  readonly words: string;
}

export type Git = (call: GitCall) => Promise<GitEnd>;

/** Of an answer that is held in memory, bytes. */
const mostStdout = 4 * 1024 * 1024;
const mostStderr = 16 * 1024;
const longestWords = 600;
const killAfterMs = 2000;
const lingerMs = 1000;

/** For calls that only look: no hook that a repository or its user configured is run, nothing is asked, nothing is written on the side. */
export const plain = [
  ...['-c', 'core.hooksPath=/dev/null', '-c', 'core.fsmonitor=false', '-c', 'core.splitIndex=false', '-c', 'core.safecrlf=false'],
  ...['-c', 'core.quotePath=false', '-c', 'gc.auto=0', '-c', 'maintenance.auto=false', '-c', 'advice.addEmbeddedRepo=false'],
] as const;

/**
 * Says no to every question. git in a repository that somebody's GIT_DIR names would be git in another one than meant, and a
 * directory of PATH that is not absolute would be one of the repository's.
 */
export function gitEnvironment(env: Readonly<Record<string, string>>): Record<string, string> {
  const kept = Object.entries(env).filter(([name]) => !localVariables.has(name));
  const path = (env['PATH'] ?? '').split(':').filter((each) => each.startsWith('/')).join(':');
  return { ...Object.fromEntries(kept), PATH: path, GIT_TERMINAL_PROMPT: '0', GIT_OPTIONAL_LOCKS: '0' };
}

/**
 * For a repository that nobody has approved yet: an object that is missing is not fetched, since the repository says with which
 * program (`core.sshCommand`, `remote.*.uploadpack`, `ext::`). The first is older than the second (git 2.45), and goes before
 * what the repository's own settings allow.
 */
export const withoutFetching = { GIT_ALLOW_PROTOCOL: 'none', GIT_NO_LAZY_FETCH: '1' } as const;

/** `git rev-parse --local-env-vars`, and what makes git talk or trace. */
const localVariables = new Set([
  ...['GIT_ALTERNATE_OBJECT_DIRECTORIES', 'GIT_CONFIG', 'GIT_CONFIG_PARAMETERS', 'GIT_CONFIG_COUNT', 'GIT_OBJECT_DIRECTORY', 'GIT_DIR', 'GIT_WORK_TREE'],
  ...['GIT_IMPLICIT_WORK_TREE', 'GIT_GRAFT_FILE', 'GIT_INDEX_FILE', 'GIT_NO_REPLACE_OBJECTS', 'GIT_REPLACE_REF_BASE', 'GIT_PREFIX', 'GIT_SHALLOW_FILE'],
  ...['GIT_COMMON_DIR', 'GIT_NAMESPACE', 'GIT_CEILING_DIRECTORIES', 'GIT_EXTERNAL_DIFF', 'GIT_DIFF_OPTS', 'GIT_TRACE', 'GIT_LITERAL_PATHSPECS'],
]);

/** @throws BrokerError `unavailable` when git can't be run, `deadline` when it takes too long, `cancelled` when aborted, `overload` for too long an answer */
export function createGit(clock: Clock): Git {
  return async (call) => {
    const file = await findGit(call);
    if (call.aborted?.aborted === true) throw stopped(call);
    const child = spawn(file, call.args, { cwd: call.cwd, env: call.env, detached: true, stdio: ['ignore', 'pipe', 'pipe'] });
    const ending = new Ending(clock, child);
    const exited = new Promise<number>((resolve, reject) => {
      child.once('error', (error) => reject(new BrokerError('unavailable', `${nameOf(call)} can’t be started: ${error.message}`, { cause: error })));
      child.once('exit', (code) => resolve(code ?? 128));
    });
    const onAbort = (): void => ending.begin(stopped(call));
    const cancelTimer = clock.setTimer(call.timeoutMs, () => ending.begin(new BrokerError('deadline', `${nameOf(call)} took longer than ${call.timeoutMs / 1000} s`)));
    call.aborted?.addEventListener('abort', onAbort, { once: true });
    // A hook may leave something behind that holds this open.
    let cancelLinger: (() => void) | undefined;
    const linger = (): void => {
      ending.over();
      cancelLinger = clock.setTimer(lingerMs, () => child.stderr.destroy());
    };
    try {
      exited.then(linger, linger);
      const [code, stdout, stderr] = await Promise.all([exited, taken(child.stdout, call, ending), lastOf(child.stderr)]);
      if (ending.why !== undefined) throw ending.why;
      return { code, stdout, words: wordsOf(stderr) };
    } catch (error) {
      ending.begin();
      throw error;
    } finally {
      cancelTimer();
      cancelLinger?.();
      call.aborted?.removeEventListener('abort', onAbort);
    }
  };
}

/** TERM first: git then takes its locks away. */
class Ending {
  /** Why, when it is a failure. */
  why: BrokerError | undefined;
  readonly #clock: Clock;
  readonly #pid: number | undefined;
  #isOver = false;
  #hasBegun = false;
  #cancelKill: (() => void) | undefined;

  constructor(clock: Clock, child: { readonly pid?: number | undefined }) {
    this.#clock = clock;
    this.#pid = child.pid;
  }

  begin(why?: BrokerError): void {
    if (this.#hasBegun || this.#isOver || this.#pid === undefined) return;
    this.#hasBegun = true;
    this.why = why;
    const pid = this.#pid;
    signalGroup(pid, 'SIGTERM');
    this.#cancelKill = this.#clock.setTimer(killAfterMs, () => signalGroup(pid, 'SIGKILL'));
  }

  /** It was waited for: its number may soon be another's. What it left of its group ends with it when it was to end. */
  over(): void {
    this.#isOver = true;
    this.#cancelKill?.();
    if (this.#hasBegun && this.#pid !== undefined) signalGroup(this.#pid, 'SIGKILL');
  }
}

function stopped(call: GitCall): BrokerError {
  return new BrokerError('cancelled', `${nameOf(call)} was stopped before it was done`);
}

async function findGit({ env, cwd }: GitCall): Promise<string> {
  try {
    return await findExecutable('git', env['PATH'] ?? '', cwd);
  } catch (error) {
    throw new BrokerError('unavailable', 'git is not installed, or not in the PATH that the agent was added with', {
      hint: 'install git, then remove the agent and add it again from a shell that finds it',
      cause: error,
    });
  }
}

async function taken(stream: Readable, call: GitCall, ending: Ending): Promise<Buffer> {
  const pieces: Buffer[] = [];
  let size = 0;
  let isFull = false;
  for await (const piece of stream as AsyncIterable<Buffer>) {
    if (isFull) continue;
    if (call.sink !== undefined) {
      isFull = !(await call.sink(piece));
      if (isFull) ending.begin();
      continue;
    }
    size += piece.length;
    isFull = size > mostStdout;
    if (isFull) ending.begin(new BrokerError('overload', `${nameOf(call)} says more than ${mostStdout / 1024 / 1024} MiB`));
    else pieces.push(piece);
  }
  return Buffer.concat(pieces);
}

/** Up to its end, or until it is destroyed. */
function lastOf(stream: Readable): Promise<string> {
  return new Promise((resolve) => {
    let text = '';
    stream.on('data', (piece: Buffer) => {
      text = (text + piece.toString('utf8')).slice(-mostStderr);
    });
    stream.once('error', () => resolve(text));
    stream.once('close', () => resolve(text));
  });
}

function signalGroup(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-pid, signal);
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ESRCH')) throw error;
  }
}

/** `git worktree add`, without what only concerns us. */
function nameOf({ args }: GitCall): string {
  const at = args.findIndex((arg, index) => !arg.startsWith('-') && args[index - 1] !== '-c');
  return `git ${args[at] ?? ''}`.trim();
}

function wordsOf(stderr: string): string {
  const lines = stderr.split('\n').map((line) => line.trimEnd()).filter((line) => line !== '');
  const text = neutralise(lines.slice(-6).join('; '));
  return text.length > longestWords ? `…${text.slice(-longestWords)}` : text;
}

/** @throws BrokerError `unavailable` with git's own words unless it exited with 0 */
export function assertDone(end: GitEnd, what: string, hint?: string): GitEnd {
  if (end.code === 0) return end;
  throw unavailable(`${what}: ${end.words === '' ? `git exited with ${end.code}` : end.words}`, hint);
}
