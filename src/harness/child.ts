/** One process of an agent: leader of its own session and group, with nothing of ours but its three streams. */
import { spawn, type ChildProcess } from 'node:child_process';
import { closeSync } from 'node:fs';
import type { Readable, Writable } from 'node:stream';
import { BrokerError, invalid, unavailable } from '../domain/errors.ts';
import type { ProcessMark, RunEnd } from '../domain/harness-port.ts';
import { quoted } from '../domain/text.ts';
import { codeOf } from './executable.ts';
import { markOf } from './process-mark.ts';
import { stdinFile, type OutputPipes, type OutputPipeStock } from './pipes.ts';

export interface ChildPlan {
  /** Absolute. */
  readonly file: string;
  /** What the program sees as its own name. */
  readonly argv0: string;
  readonly args: readonly string[];
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
  /** `pipe`: it is written to while the child runs. */
  readonly stdin: Uint8Array | 'pipe';
}

export interface Child {
  readonly pid: number;
  /** Undefined where the platform gives none. */
  readonly mark: ProcessMark | undefined;
  /** For `stdin: 'pipe'` only. */
  readonly stdin: Writable | undefined;
  readonly stdout: Readable;
  readonly stderr: Readable;
  /** Resolves once the process was waited for. */
  readonly exited: Promise<Pick<RunEnd, 'exitCode' | 'signal'>>;
}

/** What a child needs before it can be spawned. Exactly one of the two is called. */
export interface PreparedChild {
  /** @throws BrokerError `unavailable` when it can't be started, `invalid` when its arguments are too long, `overload` when the machine has no room */
  spawn(): Promise<Child>;
  discard(): void;
}

/** @throws BrokerError `unavailable` when the task can't be put aside for the agent to read */
export async function prepareChild(plan: ChildPlan, temporary: string, pipes: OutputPipeStock): Promise<PreparedChild> {
  const stdin = await taskOnStdin(temporary, plan.stdin);
  const outputs = await pipes.take();
  const closeOurs = (): void => {
    if (typeof stdin === 'number') closeSync(stdin);
    if (outputs !== undefined) for (const pipe of [outputs.stdout, outputs.stderr]) closeSync(pipe.writer);
  };
  return {
    discard: () => {
      closeOurs();
      outputs?.stdout.read().destroy();
      outputs?.stderr.read().destroy();
    },
    spawn: async () => {
      let child: ChildProcess;
      try {
        child = spawn(plan.file, plan.args, {
          argv0: plan.argv0,
          cwd: plan.cwd,
          env: plan.env,
          detached: true,
          stdio: [stdin, outputs?.stdout.writer ?? 'pipe', outputs?.stderr.writer ?? 'pipe'],
        });
      } catch (error) {
        outputs?.stdout.read().destroy();
        outputs?.stderr.read().destroy();
        throw spawnError(plan, error);
      } finally {
        closeOurs();
      }
      return started(child, plan, outputs);
    },
  };
}

async function taskOnStdin(temporary: string, bytes: Uint8Array | 'pipe'): Promise<number | 'ignore' | 'pipe'> {
  if (bytes === 'pipe') return 'pipe';
  if (bytes.length === 0) return 'ignore';
  try {
    return await stdinFile(temporary, bytes);
  } catch (error) {
    throw unavailable(`the task can’t be put into a file below ${temporary} for the agent to read: ${codeOf(error) ?? 'unknown error'}`, 'check that the directory can be written and that the disk has room');
  }
}

async function started(child: ChildProcess, plan: ChildPlan, outputs: OutputPipes | undefined): Promise<Child> {
  // Both asked for in this turn, before any event can have come and the process been waited for.
  const mark = child.pid === undefined ? undefined : markOf(child.pid);
  const exited = new Promise<Pick<RunEnd, 'exitCode' | 'signal'>>((resolve) => {
    child.once('exit', (exitCode, signal) => resolve(signal === null ? { exitCode: exitCode ?? 0 } : { signal }));
  });
  const stdout = outputs?.stdout.read() ?? child.stdout;
  const stderr = outputs?.stderr.read() ?? child.stderr;
  await new Promise<undefined>((resolve, reject) => {
    child.once('spawn', () => resolve(undefined));
    child.once('error', (error) => {
      stdout?.destroy();
      stderr?.destroy();
      reject(spawnError(plan, error));
    });
  });
  if (child.pid === undefined || stdout === null || stderr === null) throw new Error('a spawned child has a pid and its streams');
  return { pid: child.pid, mark, stdin: child.stdin ?? undefined, stdout, stderr, exited };
}

/** Exported for its tests: most of these can't be brought about at will. */
export function spawnError(plan: Pick<ChildPlan, 'file'>, error: unknown): BrokerError {
  const code = error instanceof Error && 'code' in error ? String(error.code) : undefined;
  const file = quoted(plan.file, 200);
  switch (code) {
    case 'ENOENT':
      // The file itself was found just before.
      return unavailable(`${file} can’t be started: it, or the interpreter that its first line names, does not exist`, `check its #! line: head -1 ${plan.file}`);
    case 'EACCES':
    case 'EPERM':
      return unavailable(`${file} can’t be started: permission denied`, 'check the rights of the file, of its interpreter and of the agent’s directory');
    case 'ENOEXEC':
      return unavailable(`${file} can’t be started: it is no program of this machine`, 'a script needs a #! line; a binary must be built for this system');
    case 'E2BIG':
      return invalid(`the arguments and the environment for ${file} are too long together`, 'let the command read its task from stdin: add the agent without {task}');
    case 'EAGAIN':
    case 'EMFILE':
    case 'ENFILE':
    case 'ENOMEM':
      return new BrokerError('overload', `this machine has no room for another process (${code})`, { hint: 'try again when less runs here', retryAfterMs: 10_000, cause: error });
    default:
      return new BrokerError('unavailable', `${file} can’t be started: ${code ?? 'unknown error'}`, { hint: 'run it by hand in the agent’s directory to see why', cause: error });
  }
}
