/** The files that came with a task, in a directory of their own for as long as the run lasts. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { unavailable } from '../domain/errors.ts';
import type { TaskFile } from '../domain/invocation.ts';
import { codeOf } from './executable.ts';

/** Leaves room for a number and the 255 bytes that file systems allow. */
const longestNameBytes = 200;
const fallbackName = 'file';

export interface WrittenFiles {
  /** Absolute; mode 0700. */
  readonly directory: string;
  remove(): Promise<void>;
}

/**
 * Writes them below a fresh 0700 directory in `temporary`, mode 0600, under the names of `fileNames`.
 * @throws BrokerError `unavailable` when they can't be written; nothing is left then
 */
export async function writeTaskFiles(temporary: string, files: readonly TaskFile[]): Promise<WrittenFiles> {
  let directory: string | undefined;
  const remove = async (): Promise<void> => {
    if (directory !== undefined) await rm(directory, { recursive: true, force: true, maxRetries: 2 });
  };
  try {
    directory = await mkdtemp(join(temporary, 'beckon-files-'));
    const names = fileNames(files.map((file) => file.name));
    for (const [index, file] of files.entries()) {
      await writeFile(join(directory, names[index] ?? fallbackName), file.bytes, { flag: 'wx', mode: 0o600 });
    }
    return { directory, remove };
  } catch (error) {
    await remove();
    throw unavailable(`the files of the task can’t be written below ${temporary}: ${codeOf(error) ?? 'unknown error'}`, 'check that the directory can be written and that the disk has room');
  }
}

/**
 * A base name for each, in order: nothing before the last slash or backslash, no control characters, never empty, `.`
 * or `..`, at most 200 bytes. Names that a file system may take for one (case, Unicode form) get a number: `a.txt`, `a-2.txt`.
 */
export function fileNames(wanted: readonly string[]): string[] {
  const taken = new Set<string>();
  return wanted.map((name) => {
    const base = baseName(name);
    let free = base;
    for (let number = 2; taken.has(folded(free)); number += 1) free = numbered(base, number);
    taken.add(folded(free));
    return free;
  });
}

const folded = (name: string): string => name.normalize('NFC').toLowerCase().normalize('NFC');

function numbered(base: string, number: number): string {
  const dot = base.lastIndexOf('.');
  return dot <= 0 ? `${base}-${number}` : `${base.slice(0, dot)}-${number}${base.slice(dot)}`;
}

function baseName(name: string): string {
  const last = name.toWellFormed().split(/[/\\]/).at(-1) ?? '';
  const clean = shortened(last.replaceAll(/\p{Cc}/gu, ''));
  return clean === '' || clean === '.' || clean === '..' ? fallbackName : clean;
}

function shortened(name: string): string {
  let bytes = 0;
  let kept = '';
  for (const character of name) {
    bytes += Buffer.byteLength(character);
    if (bytes > longestNameBytes) break;
    kept += character;
  }
  return kept;
}
