/** A shell that somebody types into, on a terminal of its own. */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { stripVTControlCharacters } from 'node:util';
import { findProgram } from './programs.ts';
import { onTerminal } from './terminal.ts';
import { waitFor } from './wait-for.ts';

export const shellNames = ['bash', 'zsh', 'fish'] as const;
export type ShellName = (typeof shellNames)[number];

/** Without what its user has set up. */
const plain: Readonly<Record<ShellName, readonly string[]>> = { bash: ['bash', '--norc', '--noprofile', '-i'], zsh: ['zsh', '-f', '-i'], fish: ['fish', '--no-config', '-i'] };
const setUp: Readonly<Record<ShellName, string>> = {
  bash: 'eval "$(beckon completion bash)"',
  zsh: 'autoload -Uz compinit; compinit -u -D; eval "$(beckon completion zsh)"',
  fish: 'beckon completion fish | source',
};
const program = fileURLToPath(new URL('../../scripts/beckon', import.meta.url));
const toStart = '\u0001';

export class Shell {
  readonly #child: ChildProcess;
  #shown = '';
  #count = 0;

  /** @param home of the node that it completes from */
  constructor(name: ShellName, { home, cwd }: { readonly home: string; readonly cwd: string }) {
    const [word = '', ...words] = onTerminal(plain[name]);
    const path = [dirname(program), dirname(findProgram(name) ?? '/bin/sh'), '/usr/bin', '/bin'].join(':');
    this.#child = spawn(word, words, { cwd, env: { PATH: path, HOME: cwd, TERM: 'xterm', BECKON_HOME: home, LANG: 'C.UTF-8' }, stdio: ['pipe', 'pipe', 'inherit'] });
    this.#child.stdout?.on('data', (chunk: Buffer) => (this.#shown += chunk.toString()));
    this.#type(`${setUp[name]}\r`);
  }

  /** The line that comes of this one and the key for completion, as the shell's own `echo` has it: quotes gone. */
  async complete(line: string): Promise<string> {
    this.#count += 1;
    const mark = `made${this.#count}`;
    this.#type(`${line}\t${toStart}echo ''${mark} \r`);
    // With the quotes it is what was typed.
    const made = new RegExp(`^${mark} (.*?)\\s*$`, 'm');
    return await waitFor(`${line} to be completed, but there is: ${JSON.stringify(this.#shown.slice(-300))}`, () => made.exec(plainText(this.#shown))?.[1], { timeoutMs: 20_000 });
  }

  async end(): Promise<void> {
    this.#child.kill('SIGKILL');
    if (this.#child.exitCode === null && this.#child.signalCode === null) await new Promise((resolve) => this.#child.once('exit', resolve));
  }

  #type(text: string): void {
    this.#child.stdin?.write(text);
  }
}

/** Without what moves the cursor and paints. */
function plainText(shown: string): string {
  return stripVTControlCharacters(shown).replaceAll('\r', '\n');
}
