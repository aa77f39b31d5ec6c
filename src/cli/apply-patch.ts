/** Bringing a patch into a working tree: all of it, or nothing. */
import { copyFile, mkdtemp, open, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { conflict, invalid } from '../domain/errors.ts';
import type { BrokerError } from '../domain/errors.ts';
import { neutralise } from '../domain/text.ts';
import { isMissing } from '../domain/system-error.ts';
import type { Git } from './host.ts';

/** Names of one message. */
const mostNamed = 10;
const longestWords = 1000;

/** The top of the working tree around a directory. @throws BrokerError `invalid` when there is none */
export async function findWorkingTree(git: Git, directory: string): Promise<string> {
  const isThere = await stat(directory).then(
    (found) => found.isDirectory(),
    () => false,
  );
  if (!isThere) throw invalid(`there is no directory ${directory}`, 'name one that exists: --into DIRECTORY');
  const { code, stdout, stderr } = await git(['rev-parse', '--show-toplevel'], { cwd: directory });
  if (code !== 0) throw invalid(`${directory} is in no git repository with a working tree: ${wordsOf(stderr)}`, 'go to the repository that shall have the work, or name it: --into DIRECTORY');
  return stdout.replace(/\n$/, '');
}

/** A patch on its way, in a file of its own that goes with it. */
export class PatchFile implements AsyncDisposable {
  readonly #directory: string;
  readonly #write: (piece: Uint8Array) => Promise<unknown>;
  readonly #close: () => Promise<void>;

  private constructor(directory: string, write: (piece: Uint8Array) => Promise<unknown>, close: () => Promise<void>) {
    this.#directory = directory;
    this.#write = write;
    this.#close = close;
  }

  static async create(): Promise<PatchFile> {
    const directory = await mkdtemp(join(tmpdir(), 'beckon-fetch-'));
    const file = await open(join(directory, 'patch'), 'wx', 0o600);
    return new PatchFile(directory, (piece) => file.write(piece), () => file.close());
  }

  async add(piece: Uint8Array): Promise<void> {
    await this.#write(piece);
  }

  /**
   * Applies it to the working tree and its index, with a three-way merge where the files have gone on since. First to a copy
   * of the index: with conflicts git would otherwise leave its marks in the files.
   * @throws BrokerError `conflict`; nothing is changed then
   */
  async applyTo(git: Git, top: string): Promise<void> {
    await this.#close();
    const patch = join(this.#directory, 'patch');
    const index = join(this.#directory, 'index');
    const found = await git(['rev-parse', '--git-path', 'index'], { cwd: top });
    await copyFile(resolve(top, found.stdout.replace(/\n$/, '')), index).catch((error: unknown) => {
      // Nothing was ever added there.
      if (!isMissing(error)) throw error;
    });
    const apply = ['-c', 'apply.whitespace=nowarn', 'apply', '--3way'];
    const tried = await git([...apply, '--cached', '--', patch], { cwd: top, env: { GIT_INDEX_FILE: index } });
    if (tried.code !== 0) {
      const { stdout } = await git(['-c', 'core.quotePath=false', 'diff', '--name-only', '-z', '--diff-filter=U', '--cached'], { cwd: top, env: { GIT_INDEX_FILE: index } });
      throw refused(top, stdout.split('\0').filter((name) => name !== ''), tried.stderr);
    }
    const { code, stderr } = await git([...apply, '--', patch], { cwd: top });
    if (code !== 0) throw refused(top, [], stderr);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#close();
    await rm(this.#directory, { recursive: true, force: true });
  }
}

function refused(top: string, names: readonly string[], stderr: string): BrokerError {
  const more = names.length > mostNamed ? ` and ${names.length - mostNamed} more` : '';
  const why = names.length === 0 ? wordsOf(stderr) : `conflicts in ${names.slice(0, mostNamed).join(', ')}${more}`;
  return conflict(`it does not fit ${top}, where nothing was changed: ${why}`, 'commit or stash what stands in its way; or look at it: beckon flight diff ID');
}

function wordsOf(stderr: string): string {
  const words = neutralise(stderr.trim().split('\n').slice(0, mostNamed).join('; '));
  return words.length > longestWords ? `${words.slice(0, longestWords)}…` : words;
}
