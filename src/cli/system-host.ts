/** The host on a real process. Nothing is touched before it is asked for. */
import { spawn } from 'node:child_process';
import { closeSync, constants, existsSync, openSync, readFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { ReadStream } from 'node:tty';
import { BrokerError, internal } from '../domain/errors.ts';
import type { Clock } from '../domain/ports.ts';
import { codeOf } from '../domain/system-error.ts';
import { readRaw } from './raw-terminal.ts';
import { readSecretLine } from './secret.ts';
import { systemGit } from './system-git.ts';
import { streamLines, terminalLines } from './stderr-lines.ts';
import type { DetachedNode, Host, NodeProcess, ReadKey, StopSignal } from './host.ts';

export interface HostParts {
  readonly process: NodeJS.Process;
  readonly clock: Clock;
  readonly version: string;
  readonly socketPath: () => string;
  readonly logPath: () => string;
  readonly stderrPath: () => string;
  /** Where a detached node works, made when it is missing; and its environment. */
  readonly home: () => Promise<{ readonly cwd: string; readonly env: NodeJS.ProcessEnv }>;
  readonly run: NodeProcess['run'];
  readonly examine: Host['examine'];
  readonly config: Host['config'];
  readonly survey: Host['survey'];
  readonly belongings: Host['belongings'];
  readonly supervision: Host['supervision'];
  readonly copy: Host['copy'];
}

export function systemHost(parts: HostParts): Host {
  const { process: own, clock, version, socketPath, logPath, stderrPath } = parts;
  const tty = { stdin: own.stdin.isTTY === true, stdout: own.stdout.isTTY === true, stderr: own.stderr.isTTY === true };
  return {
    stdin: own.stdin,
    stdout: own.stdout,
    stderr: own.stderr,
    tty,
    env: own.env,
    get cwd() {
      return own.cwd();
    },
    clock,
    version,
    socketPath,
    logPath,
    stderrPath,
    stderrLines: () => {
      const terminal = tty.stderr ? openTerminal() : undefined;
      if (terminal === undefined) return streamLines(own.stderr);
      closeSync(terminal);
      return terminalLines(terminalPath);
    },
    hasTerminal: () => {
      const descriptor = openTerminal();
      if (descriptor !== undefined) closeSync(descriptor);
      return descriptor !== undefined;
    },
    onSignal: (signals, handler) => onSignal(own, signals, handler),
    get readKey() {
      return tty.stderr ? keysOf(own.stdin, tty.stdin) : undefined;
    },
    get readSecret() {
      return tty.stdin && tty.stderr ? (signal: AbortSignal) => readSecretLine(own.stdin, signal) : undefined;
    },
    examine: parts.examine,
    config: parts.config,
    survey: parts.survey,
    belongings: parts.belongings,
    supervision: parts.supervision,
    copy: parts.copy,
    node: {
      run: parts.run,
      spawn: (args, stdin) => spawnNode(parts, args, stdin),
      isAlive: (pid) => isAlive(own, pid),
      hasSocket: () => existsSync(socketPath()),
    },
    git: systemGit(own.env),
  };
}

function onSignal(own: NodeJS.Process, signals: readonly StopSignal[], handler: (signal: StopSignal) => void): () => void {
  const listeners = signals.map((signal) => ({ signal, listener: () => handler(signal) }));
  for (const { signal, listener } of listeners) own.on(signal, listener);
  return () => {
    for (const { signal, listener } of listeners) own.off(signal, listener);
  };
}

const terminalPath = '/dev/tty';

/** Keys come from stdin if that is the terminal; a pipe on stdin leaves the person at /dev/tty. */
function keysOf(stdin: NodeJS.ReadStream, isTerminal: boolean): ReadKey | undefined {
  if (isTerminal) return (signal) => readKey(stdin, signal);
  const descriptor = openTerminal();
  if (descriptor === undefined) return undefined;
  closeSync(descriptor);
  return async (signal) => {
    const opened = openTerminal();
    if (opened === undefined) return undefined;
    const terminal = new ReadStream(opened);
    try {
      return await readKey(terminal, signal);
    } finally {
      terminal.destroy();
    }
  };
}

function openTerminal(): number | undefined {
  try {
    return openSync(terminalPath, constants.O_RDONLY | constants.O_NOCTTY);
  } catch (thrown) {
    if (thrown instanceof Error && 'code' in thrown) return undefined;
    throw thrown;
  }
}

function readKey(terminal: ReadStream, signal: AbortSignal): Promise<string | undefined> {
  return readRaw(terminal, signal, (typed) => ({ text: typed.charAt(0) }));
}

async function spawnNode({ process: own, home, stderrPath }: HostParts, args: readonly string[], stdin: string): Promise<DetachedNode> {
  const { cwd, env } = await home();
  // Begun anew each time, and not the log itself: that is put aside and removed in the end while this one is open.
  const said = await open(stderrPath(), constants.O_WRONLY | constants.O_CREAT | constants.O_TRUNC | constants.O_APPEND | constants.O_NOFOLLOW, 0o600).catch((cause: unknown) => {
    throw new BrokerError('unavailable', `${stderrPath()} can’t be written`, { hint: 'check its directory, or set BECKON_HOME', cause });
  });
  try {
    const program = own.argv[1] ?? '';
    const child = spawn(own.execPath, [...own.execArgv, program, ...args], { cwd, env, detached: true, stdio: ['pipe', 'pipe', said.fd] });
    const { stdin: input, stdout: output } = child;
    if (input === null || output === null) throw internal('a piped child has no pipes');
    const exited = new Promise<number | null>((resolve) => {
      child.once('exit', (code) => resolve(code));
      child.once('error', () => resolve(null));
    });
    // A child that is gone already says why on its stdout, or in its log.
    input.on('error', () => undefined);
    input.end(stdin);
    output.setEncoding('utf8');
    return {
      stdout: output as AsyncIterable<string>,
      exited,
      release: () => {
        output.destroy();
        child.unref();
      },
    };
  } finally {
    await said.close();
  }
}

/** False for a zombie as well: it holds nothing any more, though nobody has asked how it ended. */
function isAlive(own: NodeJS.Process, pid: number): boolean {
  try {
    own.kill(pid, 0);
  } catch (thrown) {
    return codeOf(thrown) === 'EPERM';
  }
  if (own.platform !== 'linux') return true;
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return stat.charAt(stat.lastIndexOf(')') + 2) !== 'Z';
  } catch (thrown) {
    // Gone between the two looks, or there is no /proc to look at.
    return thrown instanceof Error && 'code' in thrown && thrown.code !== 'ENOENT' && thrown.code !== 'ESRCH';
  }
}
