/**
 * The file of a log: written line by line, put aside when it is full, never more than so many. Whatever the disk does
 * costs lines and nothing else; how many were lost is said as soon as it can be.
 */
import { closeSync, constants, fstatSync, mkdirSync, openSync, readdirSync, readSync, renameSync, statSync, unlinkSync, writeSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import type { Clock } from '../domain/ports.ts';

export interface LogFileLimits {
  /** The file is put aside before a line that would make it longer. */
  readonly bytes: number;
  /** With the one that is written, at least 1. */
  readonly files: number;
}

/** How often it is looked whether somebody else moved or removed the file. */
const lookMs = 10_000;
/** After a disk refused a new file, until the next try: a line each time would cost three calls of the system. */
const retryMs = 1_000;

export interface LogFileParts {
  /** The newest: those before it are `PATH.1`, `PATH.2`, …. A number is passed over where something stands that is no file. */
  readonly path: string;
  readonly limits: LogFileLimits;
  readonly clock: Pick<Clock, 'monotonic'>;
  /** The line that says that lines were lost. */
  readonly lostLine: (count: number, code: string) => string;
}

export class LogFile {
  readonly #parts: LogFileParts;
  #limits: LogFileLimits;
  #file: { readonly descriptor: number; size: number; readonly inode: number } | undefined;
  #lookAtMs = 0;
  #retryAtMs = 0;
  #lost = 0;
  #why = '';
  /** A line was cut off by a full disk. */
  #isMidLine = false;

  constructor(parts: LogFileParts) {
    this.#parts = parts;
    this.#limits = parts.limits;
  }

  setLimits(limits: LogFileLimits): void {
    this.#limits = limits;
  }

  /** Synchronous, so that the last words of a process that ends are kept. Never throws. @param line with its line end */
  write(line: string): void {
    try {
      const bytes = Buffer.from(line);
      const lost = this.#lost === 0 ? undefined : Buffer.from(this.#parts.lostLine(this.#lost, this.#why));
      this.#ready(bytes.length + (lost?.length ?? 0));
      if (lost !== undefined) this.#put(lost);
      this.#lost = 0;
      this.#put(bytes);
    } catch (error) {
      this.#lost += 1;
      this.#why = error instanceof Error && 'code' in error ? String(error.code) : 'unknown';
    }
  }

  /** The next line goes to whatever file has the path then. */
  reopen(): void {
    const file = this.#file;
    this.#file = undefined;
    this.#isMidLine = false;
    this.#retryAtMs = 0;
    if (file !== undefined) closeSync(file.descriptor);
  }

  /** With room for so many bytes. @throws the system's error */
  #ready(length: number): void {
    const now = this.#parts.clock.monotonic();
    if (this.#file !== undefined && now >= this.#lookAtMs) {
      this.#lookAtMs = now + lookMs;
      if (statSync(this.#parts.path, { throwIfNoEntry: false })?.ino !== this.#file.inode) this.reopen();
    }
    if (this.#file === undefined) this.#open();
    const { size } = this.#file ?? { size: 0 };
    if (size === 0 || size + length <= this.#limits.bytes) return;
    if (now < this.#retryAtMs) throw Object.assign(new Error('no new file yet'), { code: this.#why });
    this.#retryAtMs = now + retryMs;
    this.#putAside();
    this.#retryAtMs = 0;
  }

  #open(): void {
    const { path } = this.#parts;
    makeDirectory(dirname(path));
    const descriptor = openSync(path, constants.O_RDWR | constants.O_APPEND | constants.O_CREAT | constants.O_NOFOLLOW, 0o600);
    const { size, ino } = fstatSync(descriptor);
    this.#file = { descriptor, size, inode: ino };
    this.#lookAtMs = this.#parts.clock.monotonic() + lookMs;
    // The last words of a node that was killed may have no end.
    this.#isMidLine = size > 0 && !endsLine(descriptor, size);
  }

  /** The oldest goes, the others move up. The new file is made first: a disk that has no room for it changes nothing. */
  #putAside(): void {
    const { path } = this.#parts;
    const fresh = `${path}.new`;
    closeSync(openSync(fresh, constants.O_WRONLY | constants.O_CREAT | constants.O_TRUNC | constants.O_NOFOLLOW, 0o600));
    const { files } = this.#limits;
    const { own, others } = asideNumbers(path);
    const after = (number: number): number => (others.has(number + 1) ? after(number + 1) : number + 1);
    let last = 0;
    for (let count = 1; count < files; count += 1) last = after(last);
    for (const number of own.filter((each) => each >= last)) unlinkSync(`${path}.${number}`);
    for (const number of own.filter((each) => each < last).toSorted((a, b) => b - a)) renameSync(`${path}.${number}`, `${path}.${after(number)}`);
    if (files > 1) renameSync(path, `${path}.${after(0)}`);
    renameSync(fresh, path);
    this.reopen();
    this.#open();
  }

  #put(bytes: Uint8Array): void {
    const file = this.#file;
    if (file === undefined) return;
    const whole = this.#isMidLine ? Buffer.concat([Buffer.from('\n'), bytes]) : bytes;
    let done = 0;
    try {
      while (done < whole.length) done += writeSync(file.descriptor, whole, done);
      this.#isMidLine = false;
    } catch (error) {
      if (done > 0) this.#isMidLine = true;
      throw error;
    } finally {
      file.size += done;
    }
  }
}

/** Of the files beside it that were put aside; and of others' directories and the like, which are neither moved nor removed. */
function asideNumbers(path: string): { readonly own: readonly number[]; readonly others: ReadonlySet<number> } {
  const start = `${basename(path)}.`;
  const found = readdirSync(dirname(path), { withFileTypes: true }).filter(({ name }) => name.startsWith(start) && /^[1-9]\d{0,5}$/.test(name.slice(start.length)));
  const numbers = (all: typeof found): number[] => all.map(({ name }) => Number(name.slice(start.length)));
  return { own: numbers(found.filter((each) => each.isFile())), others: new Set(numbers(found.filter((each) => !each.isFile()))) };
}

function endsLine(descriptor: number, size: number): boolean {
  const last = Buffer.alloc(1);
  return readSync(descriptor, last, 0, 1, size - 1) === 1 && last[0] === 0x0a;
}

/** Not by `recursive`: where the directory above was removed while something is mounted there, Node's never returns. @throws the system's error */
function makeDirectory(path: string): void {
  if (statSync(path, { throwIfNoEntry: false }) !== undefined) return;
  if (dirname(path) !== path) makeDirectory(dirname(path));
  mkdirSync(path, { mode: 0o700 });
}
