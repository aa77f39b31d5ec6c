/** The command line as a person or a script has it: real processes of `scripts/beckon`, what they print, how they end. */
import { spawn } from 'node:child_process';
import type { ChildProcessWithoutNullStreams } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { onTerminal } from './terminal.ts';
import { waitFor } from './wait-for.ts';

export const beckonPath = fileURLToPath(new URL('../../scripts/beckon', import.meta.url));

/** A JSON document or event, as a script sees it: shaped by the contract, not by our types. */
export type Json = Record<string, any>;

export interface RunOptions {
  /** BECKON_HOME. */
  readonly home: string;
  /** All of stdin; nothing by default. */
  readonly stdin?: string | Uint8Array;
  /** Leaves stdin open: `write` goes on with it. */
  readonly typing?: boolean;
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** What runs it: `ip netns exec NAME`, `strace …`, `script …`. */
  readonly through?: readonly string[];
  /** On a terminal of its own; stdin is what is typed. */
  readonly terminal?: boolean;
  /** A bound on a hang: the process is killed then, and `ended` rejects. */
  readonly timeoutMs?: number;
}

export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: Buffer;
  readonly stderr: string;
  /** Stdout as text. */
  readonly text: string;
  /** Stdout as a stream of JSON objects, one a line. */
  readonly events: readonly Json[];
  /** Stdout as one JSON document. */
  readonly json: Json;
}

/** The environment of a command: that of the tests without what would change a Node process or the output. */
function environmentOf({ home, env }: RunOptions): NodeJS.ProcessEnv {
  const dropped = /^(NODE_|VITEST|BECKON_|OTEL_|TRACEPARENT$|TRACESTATE$|NO_COLOR|FORCE_COLOR|LD_PRELOAD|NOTIFY_SOCKET|ANTHROPIC_|CLAUDE|OPENAI_|CODEX_|GEMINI_|GOOGLE_|OPENCODE_)|^(https?|all)_proxy$/i;
  const kept = Object.entries(process.env).filter(([name]) => !dropped.test(name));
  return { ...Object.fromEntries(kept), TERM: 'xterm', BECKON_HOME: home, BECKON_LOG_LEVEL: 'debug', ...env };
}

/** A command that runs. */
export class Run {
  readonly ended: Promise<Ended>;
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #words: string;
  readonly #stdout: Buffer[] = [];
  readonly #stderr: Buffer[] = [];
  #isOver = false;

  constructor(args: readonly string[], options: RunOptions) {
    const words = [...(options.through ?? []), beckonPath, ...args];
    const [program = '', ...rest] = options.terminal === true ? onTerminal(words) : words;
    this.#words = `beckon ${args.map((arg) => (arg.length > 200 ? `${arg.slice(0, 200)}…` : arg)).join(' ')}`;
    this.#child = spawn(program, rest, { cwd: options.cwd ?? options.home, env: environmentOf(options), stdio: 'pipe' });
    this.#child.stdout.on('data', (chunk: Buffer) => this.#stdout.push(chunk));
    this.#child.stderr.on('data', (chunk: Buffer) => this.#stderr.push(chunk));
    // A command may end without reading its stdin.
    this.#child.stdin.on('error', (error) => this.#stderr.push(Buffer.from(`(stdin: ${error.message})`.repeat(isClosed(error) ? 0 : 1))));
    if (options.typing !== true) this.#child.stdin.end(options.stdin ?? '');
    this.ended = this.#end(options.timeoutMs ?? 40_000);
    // Whoever awaits it later sees the rejection; until then it is not unhandled.
    this.ended.catch(() => this.#isOver);
  }

  get pid(): number {
    if (this.#child.pid === undefined) throw new Error(`${this.#words} did not start`);
    return this.#child.pid;
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  get stdout(): Buffer {
    return Buffer.concat(this.#stdout);
  }

  get stderr(): string {
    return Buffer.concat(this.#stderr).toString();
  }

  /** The objects of the complete lines so far. */
  get events(): readonly Json[] {
    return parseLines(this.stdout.toString());
  }

  /** The first event of that type, as soon as it is there; an error when the command ends without it. */
  event(type: string, accepts: (event: Json) => boolean = () => true, timeoutMs = 20_000): Promise<Json> {
    return this.#until(`${type} of ${this.#words}`, () => this.events.find((event) => event['type'] === type && accepts(event)), timeoutMs);
  }

  /** Resolves when stdout or stderr have what `pattern` says. */
  async says(pattern: RegExp, stream: 'stdout' | 'stderr' = 'stdout', timeoutMs = 20_000): Promise<void> {
    await this.#until(`${pattern} of ${this.#words}`, () => pattern.test(stream === 'stdout' ? this.stdout.toString() : this.stderr), timeoutMs);
  }

  write(text: string): void {
    this.#child.stdin.write(text);
  }

  closeInput(): void {
    this.#child.stdin.end();
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  async #until<T>(what: string, look: () => T, timeoutMs: number): Promise<NonNullable<T>> {
    const found = await waitFor(what, () => look() || this.#isOver, { timeoutMs });
    const last = found === true ? look() : found;
    if (last) return last as NonNullable<T>;
    throw new Error(`it ended without ${what}\nstdout: ${this.stdout.toString().slice(0, 2000)}\nstderr: ${this.stderr.slice(0, 2000)}`);
  }

  #end(timeoutMs: number): Promise<Ended> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#child.kill('SIGKILL');
        reject(new Error(`${this.#words} ran longer than ${timeoutMs} ms\nstdout: ${this.stdout.toString().slice(0, 2000)}\nstderr: ${this.stderr}`));
      }, timeoutMs);
      this.#child.once('error', (error) => {
        clearTimeout(timer);
        this.#isOver = true;
        reject(error);
      });
      this.#child.once('close', (code, signal) => {
        clearTimeout(timer);
        this.#isOver = true;
        resolve(endedWith(code, signal, this.stdout, this.stderr, this.#words));
      });
    });
  }
}

function isClosed(error: NodeJS.ErrnoException): boolean {
  return error.code === 'EPIPE' || error.code === 'ECONNRESET';
}

function endedWith(code: number | null, signal: NodeJS.Signals | null, stdout: Buffer, stderr: string, words: string): Ended {
  return {
    code,
    signal,
    stdout,
    stderr,
    get text() {
      return stdout.toString();
    },
    get events() {
      return parseLines(stdout.toString());
    },
    get json() {
      const text = stdout.toString();
      try {
        return JSON.parse(text) as Json;
      } catch (error) {
        throw new Error(`${words} printed no JSON document (exit ${code}): ${text.slice(0, 500)} ${stderr.slice(0, 500)}`, { cause: error });
      }
    },
  };
}

function parseLines(text: string): Json[] {
  const lines = text.split('\n').slice(0, -1);
  return lines.filter((line) => line !== '').map((line) => JSON.parse(line) as Json);
}

/** Runs a command to its end. */
export function beckon(args: readonly string[], options: RunOptions): Promise<Ended> {
  return new Run(args, options).ended;
}
