/**
 * A copy of the database file and its log, in two passes. The first takes the file as it is while others write into it, a
 * block at a time and as slowly as one likes: it holds nobody up, and what it has is of no moment. The second holds one
 * moment, compares, and writes again what has changed since; so the disk is hardly written to while it lasts.
 *
 * That moment is a read transaction. While it is open no page that was written after it gets from the log into the file, and
 * no part of the log that it needs is written over (https://sqlite.org/wal.html, "Checkpointing"; https://sqlite.org/walformat.html,
 * "The Checkpoint Algorithm", "WAL-index locks"). So the file, in whatever state a checkpoint has it, and the whole
 * log are the database together, as they are for SQLite after a loss of power: it plays the log back up to its last whole commit.
 */
import { closeSync, fdatasyncSync, fstatSync, ftruncateSync, openSync, readSync, rmSync, writeSync } from 'node:fs';
import { unavailable } from '../domain/errors.ts';
import type { Connection } from './connection.ts';

export const blockBytes = 1024 * 1024;
/** Compared and written again at once. */
const pieceBytes = 64 * 1024;
/** Blocks after which what was written is brought to the disk: all at the end would make the commits of others wait. */
const blocksASync = 16;
/** Of a log: the salt in it is another each time that the log is begun anew. */
const headerBytes = 32;

export interface CopyParts {
  /** Reads the database. */
  readonly db: Connection;
  readonly path: string;
  /**
   * The database file, open. Who opened it closes it, after all connections of this process are closed: closing it lets go
   * of all locks that the process has on the file (https://sqlite.org/howtocorrupt.html, "Posix advisory locks").
   */
  readonly file: number;
  /** Files that are there and empty. */
  readonly to: string;
  readonly toLog: string;
}

export interface CopyStep {
  readonly done: number;
  readonly total: number;
  readonly isOver: boolean;
}

export class FileCopy {
  readonly #parts: CopyParts;
  readonly #copy: number;
  readonly #block = Buffer.allocUnsafe(blockBytes);
  readonly #copied = Buffer.allocUnsafe(blockBytes);
  #firstTotal: number | undefined;
  #at = 0;
  #written = 0;

  constructor(parts: CopyParts) {
    this.#parts = parts;
    this.#copy = openSync(parts.to, 'r+');
  }

  /** The next block of the first pass. It ends where the file ended when it began: what others add meanwhile may grow as fast as it is copied. */
  copy(): CopyStep {
    const total = (this.#firstTotal ??= fstatSync(this.#parts.file).size);
    const bytes = readSync(this.#parts.file, this.#block, 0, blockBytes, this.#at);
    this.#write(this.#block.subarray(0, bytes), this.#at);
    return this.#step(bytes, total);
  }

  /** The next block of the second pass, and with the last of them the log. */
  match(): CopyStep {
    const { db, file } = this.#parts;
    if (!db.inTransaction) {
      db.exec('BEGIN');
      // It begins with the first thing that is read.
      db.prepare('SELECT count(*) FROM sqlite_schema').get();
    }
    const total = fstatSync(file).size;
    const bytes = readSync(file, this.#block, 0, blockBytes, this.#at);
    const known = readSync(this.#copy, this.#copied, 0, blockBytes, this.#at);
    for (let from = 0; from < bytes; from += pieceBytes) {
      const until = Math.min(from + pieceBytes, bytes);
      if (until > known || this.#block.compare(this.#copied, from, until, from, until) !== 0) this.#write(this.#block.subarray(from, until), this.#at + from);
    }
    const step = this.#step(bytes, total);
    if (!step.isOver) return step;
    // What a checkpoint cut off since.
    ftruncateSync(this.#copy, total);
    this.#copyLog();
    db.exec('ROLLBACK');
    fdatasyncSync(this.#copy);
    return step;
  }

  close(): void {
    if (this.#parts.db.inTransaction) this.#parts.db.exec('ROLLBACK');
    closeSync(this.#copy);
  }

  #step(bytes: number, total: number): CopyStep {
    this.#at += bytes;
    const step = { done: this.#at, total, isOver: bytes === 0 || this.#at >= total };
    if (step.isOver) this.#at = 0;
    return step;
  }

  #write(bytes: Uint8Array, at: number): void {
    writeSync(this.#copy, bytes, 0, bytes.length, at);
    this.#written += bytes.length;
    if (this.#written < blocksASync * blockBytes) return;
    this.#written = 0;
    fdatasyncSync(this.#copy);
  }

  /**
   * A log that had been taken into the file as a whole before this moment may be begun anew during it: once, since nothing gets into
   * the file now. What was read of it while that happened is of both, and good for nothing.
   */
  #copyLog(): void {
    for (let count = 0; count < 3; count += 1) {
      rmSync(this.#parts.toLog, { force: true });
      const before = logHeader(this.#parts.path);
      if (before === undefined) return;
      this.#copyLogOnce();
      if (logHeader(this.#parts.path)?.equals(before) === true) return;
    }
    throw unavailable('the log of the database was begun anew again and again while it was copied');
  }

  #copyLogOnce(): void {
    const log = openSync(logOf(this.#parts.path), 'r');
    const to = openSync(this.#parts.toLog, 'wx', 0o600);
    try {
      // No further than it is long now: others add to it, perhaps faster than it is read.
      const { size } = fstatSync(log);
      for (let at = 0; at < size;) {
        const bytes = readSync(log, this.#block, 0, Math.min(blockBytes, size - at), at);
        if (bytes === 0) break;
        writeSync(to, this.#block, 0, bytes, at);
        at += bytes;
      }
    } finally {
      closeSync(to);
      closeSync(log);
    }
  }
}

export const logOf = (path: string): string => `${path}-wal`;

/** Undefined of a log that is empty. */
function logHeader(path: string): Buffer | undefined {
  const log = openSync(logOf(path), 'r');
  try {
    const header = Buffer.alloc(headerBytes);
    return readSync(log, header, 0, headerBytes, 0) === headerBytes ? header : undefined;
  } finally {
    closeSync(log);
  }
}
