/** What a process found around itself when it began: its environment, open files, directory. Told by a shell before it becomes the program. */
import { existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

export interface Surroundings {
  readonly env: ReadonlyMap<string, string>;
  /** What each open file is, by number. */
  readonly files: ReadonlyMap<number, string>;
  readonly cwd: string;
}

export class Notebook {
  readonly #directory: string;

  constructor(directory: string) {
    this.#directory = directory;
    mkdirSync(directory);
  }

  /** A command that writes down what it has been given, and then is `argv`. @param as by which name it is found here */
  telling(as: string, argv: readonly string[]): string[] {
    const page = `'${join(this.#directory, as)}'.$$`;
    // A shell may keep its own stream aside while it writes: its children do that here.
    const write = `(exec cat /proc/$$/environ > ${page}.env); (exec ls -ln /proc/$$/fd > ${page}.files); (exec readlink /proc/$$/cwd > ${page}.cwd); mv ${page}.env ${page}.told`;
    return ['sh', '-c', `${write}; exec "$@"`, 'sh', ...argv];
  }

  /** Of all processes by that name, in the order of their process ids. */
  told(as: string): Surroundings[] {
    const pages = existsSync(this.#directory) ? readdirSync(this.#directory).filter((name) => name.startsWith(`${as}.`) && name.endsWith('.told')) : [];
    const number = (name: string): number => Number(name.split('.').at(-2));
    return pages.toSorted((a, b) => number(a) - number(b)).map((name) => {
      const read = (kind: string): string => readFileSync(join(this.#directory, name.replace(/told$/, kind)), 'utf8');
      const env = readFileSync(join(this.#directory, name), 'utf8').split('\0').filter((each) => each !== '').map((each): [string, string] => [each.slice(0, each.indexOf('=')), each.slice(each.indexOf('=') + 1)]);
      const files = [...read('files').matchAll(/ (\d+) -> (.*)$/gm)].map(([, file, what = '']): [number, string] => [Number(file), what]);
      return { env: new Map(env), files: new Map(files), cwd: read('cwd').trim() };
    });
  }
}
