/** What the demo says: headings, commands as typed, their output as it comes, and what was checked. */
import { stripVTControlCharacters } from 'node:util';
import pc from 'picocolors';

const { bold, cyan, dim, green, red, yellow } = pc.createColors(
  process.stdout.isTTY && (process.env['NO_COLOR'] ?? '') === '' && process.env['TERM'] !== 'dumb',
);

/** Something did not do what the demo says it does. */
export class DemoFailure extends Error {}

const margin = '   ';

export function say(text = ''): void {
  process.stdout.write(`${text}\n`);
}

export function heading(text: string): void {
  say(`\n${bold(text)}`);
}

/** A sentence between two commands. */
export function tell(text: string): void {
  say(`\n${margin}${yellow(text)}`);
}

/** A command as one would type it on that machine. */
export function prompt(machine: string, command: string): void {
  say(`${margin}${cyan(`${machine}$`)} ${bold(command)}`);
}

/** Output of a command, as it comes, whole lines at a time. */
export class Echo {
  readonly #paint: (text: string) => string;
  readonly #tag: string;
  #rest = '';

  /** @param tag stands before each line, where two commands may speak at once */
  constructor(stream: 'stdout' | 'stderr', tag = '') {
    this.#paint = stream === 'stderr' ? dim : (text) => text;
    this.#tag = tag;
  }

  add(text: string): void {
    const lines = (this.#rest + text).split('\n');
    this.#rest = lines.pop() ?? '';
    for (const line of lines) say(`${margin}${this.#tag}${this.#paint(stripVTControlCharacters(line))}`);
  }

  end(): void {
    if (this.#rest !== '') this.add('\n');
  }
}

/** Says that it is so. @throws DemoFailure when it is not */
export function check(claim: string, isSo: boolean, found?: unknown): void {
  if (!isSo) throw new DemoFailure(`not so: ${claim}${found === undefined ? '' : `\n  found: ${shown(found)}`}`);
  say(`${margin}${green('✓')} ${claim}`);
}

export function failed(text: string): void {
  process.stderr.write(`\n${red('✗')} ${text}\n`);
}

export function done(text: string): void {
  say(`\n${green('✓')} ${bold(text)}`);
}

export function note(text: string): void {
  say(dim(text));
}

function shown(found: unknown): string {
  return typeof found === 'string' ? found : JSON.stringify(found);
}
