// Run after every change of a dependency (`npm run lockfile`). npm drops from the lockfile what keeps `npm ci`
// from compiling better-sqlite3 on a machine without Python, make and a compiler (npm/cli #9837): this puts it back.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from './run.ts';

interface LockedPackage {
  gypfile?: boolean;
  hasInstallScript?: boolean;
}

/** Ships prebuilt binaries, yet has a binding.gyp that npm would build. */
const prebuilt = ['node_modules/better-sqlite3'];
/** Have install scripts that Beckon does not need (a version warning; a check of a binary that is a package by itself). */
const scriptless = ['node_modules/protobufjs', 'node_modules/@bufbuild/buf'];

/** The text of a package-lock.json, with the entries above as this repository wants them. */
export function mended(lockfile: string): string {
  const lock = JSON.parse(lockfile) as { packages: Record<string, LockedPackage> };
  const entry = (name: string): LockedPackage => {
    const found = lock.packages[name];
    if (!found) throw new Error(`package-lock.json has no ${name}`);
    return found;
  };
  for (const name of prebuilt) entry(name).gypfile = false;
  for (const name of scriptless) delete entry(name).hasInstallScript;
  return `${JSON.stringify(lock, null, 2)}\n`;
}

if (import.meta.main) {
  const path = join(root, 'package-lock.json');
  writeFileSync(path, mended(readFileSync(path, 'utf8')));
}
