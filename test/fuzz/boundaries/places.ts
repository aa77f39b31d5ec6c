/** Files that are read as a node reads them: by path. Written in memory where the machine has such a place. */
import { accessSync, constants, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A directory of its own, and what removes it. */
export function scratch(): { readonly path: string; readonly close: () => void } {
  const path = mkdtempSync(join(inMemory(), 'beckon-fuzz-'));
  return { path, close: () => rmSync(path, { recursive: true, force: true }) };
}

function inMemory(): string {
  try {
    accessSync('/dev/shm', constants.W_OK);
    return '/dev/shm';
  } catch {
    return tmpdir();
  }
}
