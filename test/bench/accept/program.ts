/** A script of this bench as a process of its own, told and heard by lines. */
import { spawn } from 'node:child_process';
import type { ChildProcessWithoutNullStreams } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

export class Program implements AsyncDisposable {
  readonly #name: string;
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #lines: AsyncIterator<string>;

  /** Resolves when it says that it is ready. */
  static async start(name: string, ...args: readonly string[]): Promise<Program> {
    const program = new Program(name, args);
    await program.line();
    return program;
  }

  private constructor(name: string, args: readonly string[]) {
    this.#name = name;
    const path = fileURLToPath(new URL(`./${name}.ts`, import.meta.url));
    this.#child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', path, ...args], { stdio: ['pipe', 'pipe', 'pipe'] });
    this.#child.stderr.pipe(process.stderr);
    this.#lines = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]();
  }

  /** Says it and hears the answer. */
  async ask(question: unknown): Promise<unknown> {
    this.#child.stdin.write(`${JSON.stringify(question)}\n`);
    return JSON.parse(await this.line());
  }

  async line(): Promise<string> {
    const { done, value } = await this.#lines.next();
    if (done === true) throw new Error(`the process ${this.#name} ended`);
    return value;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const gone = new Promise((resolve) => this.#child.once('exit', resolve));
    this.#child.kill('SIGKILL');
    await gone;
  }
}
