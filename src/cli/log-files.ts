/** The files of a log, read in the order that they were written, and on while they are written and put aside. */
import { constants } from 'node:fs';
import { open, readdir, stat } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import { denied } from '../domain/errors.ts';

/** A line longer than that is none of a log's. */
const longestLine = 1024 * 1024;
const chunkBytes = 64 * 1024;
/** How often the files are looked at again when they were put aside in the middle of it. */
const mostLooks = 10;

export interface TextLine {
  readonly text: string;
  /** It has no end: it is being written, or whoever wrote it was stopped. */
  readonly isCut: boolean;
}

export interface LogFilesOptions {
  /** Goes on with what is written later, until `signal` aborts. */
  readonly follow: boolean;
  readonly signal: AbortSignal;
  /** Waits until it is worth looking again. */
  readonly pause: () => Promise<void>;
}

/**
 * All lines there are, the oldest first; with `follow` also a mark where they end, undefined, and then what comes. No line is
 * missed or doubled by a file being put aside, unless all files were replaced between two looks.
 * @param path of the newest file; those before it are `path.1`, `path.2`, …
 */
export async function* readLogFiles(path: string, { follow, signal, pause }: LogFilesOptions): AsyncGenerator<TextLine | undefined> {
  let opened = await openAll(path);
  let isCaughtUp = false;
  let last: LogReader | undefined;
  try {
    while (!signal.aborted) {
      for (const [index, reader] of opened.entries()) {
        yield* reader.lines();
        if (index === opened.length - 1) continue;
        yield* reader.rest();
        await reader.close();
      }
      last = opened.at(-1);
      opened = last === undefined ? [] : [last];
      if (!follow) {
        if (last !== undefined) yield* last.rest();
        return;
      }
      if (!isCaughtUp) yield undefined;
      isCaughtUp = true;
      await pause();
      if (signal.aborted) return;
      opened = last === undefined ? await openAll(path) : await newer(path, last);
    }
  } finally {
    for (const reader of opened) await reader.close();
  }
}

/** The one that was read last, and those that were begun after it. */
async function newer(path: string, last: LogReader): Promise<LogReader[]> {
  if ((await inodeOf(path)) === last.inode) return [last];
  const all = await openAll(path);
  const at = all.findIndex(({ inode }) => inode === last.inode);
  for (const known of all.slice(0, at + 1)) await known.close();
  // It may be gone by now: what is left all came after it.
  return [last, ...all.slice(at + 1)];
}

/** Oldest first. */
async function openAll(path: string): Promise<LogReader[]> {
  for (let looks = 1; ; looks += 1) {
    const readers: LogReader[] = [];
    for (const each of await pathsOf(path)) {
      const reader = await LogReader.open(each);
      if (reader !== undefined) readers.push(reader);
    }
    // While they were opened one may have been put aside, and be missing or be there twice.
    const now = (await Promise.all((await pathsOf(path)).map(inodeOf))).filter((inode) => inode !== undefined);
    if (looks === mostLooks || now.join() === readers.map(({ inode }) => inode).join()) return readers;
    for (const reader of readers) await reader.close();
  }
}

async function pathsOf(path: string): Promise<string[]> {
  const name = basename(path);
  const names = await readdir(dirname(path)).catch(orAbsent);
  const numbers = (names ?? []).filter((each) => each.startsWith(`${name}.`) && /^[1-9]\d{0,5}$/.test(each.slice(name.length + 1))).map((each) => Number(each.slice(name.length + 1)));
  const aside = numbers.toSorted((a, b) => b - a).map((number) => `${path}.${number}`);
  return names?.includes(name) === true ? [...aside, path] : aside;
}

/** Undefined for what is no file, too. */
async function inodeOf(path: string): Promise<number | undefined> {
  const found = await stat(path).catch(orAbsent);
  return found?.isFile() === true ? found.ino : undefined;
}

function orAbsent(error: unknown): undefined {
  if (!(error instanceof Error) || !('code' in error)) throw error;
  if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return undefined;
  if (error.code === 'EACCES') throw denied('the log is not this user’s to read', 'it is that of the user whose node it is: as they, or by sudo');
  throw error;
}

class LogReader {
  readonly inode: number;
  readonly #file: FileHandle;
  #position = 0;
  #left = Buffer.alloc(0);

  private constructor(file: FileHandle, inode: number) {
    this.#file = file;
    this.inode = inode;
  }

  /** Undefined when it is gone, or no file: a pipe would be waited for. */
  static async open(path: string): Promise<LogReader | undefined> {
    const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK).catch(orAbsent);
    if (file === undefined) return undefined;
    const about = await file.stat();
    if (about.isFile()) return new LogReader(file, about.ino);
    await file.close();
    return undefined;
  }

  /** What is whole by now, and was not read yet. */
  async *lines(): AsyncGenerator<TextLine> {
    // Somebody emptied it: it begins anew.
    if ((await this.#file.stat()).size < this.#position) [this.#position, this.#left] = [0, Buffer.alloc(0)];
    for (;;) {
      const { bytesRead, buffer } = await this.#file.read(Buffer.alloc(chunkBytes), 0, chunkBytes, this.#position);
      if (bytesRead === 0) return;
      this.#position += bytesRead;
      let bytes = Buffer.concat([this.#left, buffer.subarray(0, bytesRead)]);
      for (let end = bytes.indexOf(0x0a); end >= 0; end = bytes.indexOf(0x0a)) {
        if (end > 0) yield { text: bytes.toString('utf8', 0, end), isCut: false };
        bytes = bytes.subarray(end + 1);
      }
      if (bytes.length > longestLine) {
        yield { text: bytes.toString('utf8', 0, longestLine), isCut: true };
        bytes = Buffer.alloc(0);
      }
      this.#left = Buffer.from(bytes);
    }
  }

  /** What has no end, and will get none. */
  *rest(): Generator<TextLine> {
    if (this.#left.length > 0) yield { text: this.#left.toString(), isCut: true };
    this.#left = Buffer.alloc(0);
  }

  async close(): Promise<void> {
    await this.#file.close();
  }
}
