/** A disk that is small enough to be filled. */
import { execFileSync } from 'node:child_process';
import { closeSync, mkdirSync, openSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { missing, notLinux, notRoot } from '../support/programs.ts';

export interface SmallDisk {
  readonly path: string;
  fill(): void;
  free(): void;
  remove(): void;
}

/** @returns the disk, or why there can be none */
export function makeSmallDisk(path: string, megabytes: number): SmallDisk | string {
  const why = notLinux ?? notRoot ?? missing('mount');
  if (why !== undefined) return why;
  mkdirSync(path, { recursive: true, mode: 0o700 });
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${megabytes}m,mode=0700`, 'tmpfs', path], { stdio: 'pipe' });
  } catch (error) {
    return `no disk can be mounted here: ${error instanceof Error ? error.message : String(error)}`;
  }
  const filler = join(path, 'filler');
  return {
    path,
    fill: () => fill(filler),
    free: () => rmSync(filler, { force: true }),
    remove: () => execFileSync('umount', [path], { stdio: 'pipe' }),
  };
}

function fill(path: string): void {
  const file = openSync(path, 'a');
  try {
    for (let piece = 64 * 1024; piece >= 1; piece = Math.floor(piece / 8)) {
      const bytes = Buffer.alloc(piece);
      while (writes(file, bytes)) continue;
    }
  } finally {
    closeSync(file);
  }
}

function writes(file: number, bytes: Buffer): boolean {
  try {
    return writeSync(file, bytes) === bytes.length;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOSPC') return false;
    throw error;
  }
}
