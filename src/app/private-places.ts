/** Files and directories of a node that must be its user's alone: what is wrong with one, and putting its mode right. */
import { chmod, lstat, readdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Paths } from './paths.ts';

export interface PrivatePlace {
  readonly path: string;
  readonly kind: 'directory' | 'file' | 'socket';
  /** Mode bits that the node refuses. */
  readonly refused: number;
  /** Mode that it gives what it makes. */
  readonly mode: number;
}

/** What a look at a place shows. */
export interface Looked {
  readonly kind: PrivatePlace['kind'] | 'link' | 'other';
  readonly uid: number;
  readonly mode: number;
}

export interface Flaw {
  readonly path: string;
  readonly why: string;
  /** A command for a person, or what to do. */
  readonly hint: string;
  /** A change of mode puts it right, and nothing else is touched. */
  readonly isFixable: boolean;
}

const others = 0o077;
const writableByOthers = 0o022;

export function flawOf({ path, kind, refused, mode }: PrivatePlace, found: Looked, uid: number): Flaw | undefined {
  if (found.kind !== kind) return { path, why: `${path} is ${found.kind === 'link' ? 'a symbolic link' : `no ${kind}`}`, hint: 'move it away', isFixable: false };
  if (found.uid !== uid) return { path, why: `${path} belongs to user ${found.uid}, and the node runs as ${uid}`, hint: `sudo chown ${uid} ${path}`, isFixable: false };
  if ((found.mode & refused) === 0) return undefined;
  const octal = (bits: number): string => bits.toString(8).padStart(4, '0');
  return { path, why: `${path} is open to others: its mode is ${octal(found.mode & 0o777)}`, hint: `chmod ${octal(mode)} ${path}`, isFixable: true };
}

/** Those that are there and not as they must be. */
export async function findFlaws(paths: Paths, uid: number): Promise<readonly Flaw[]> {
  const flaws = await Promise.all(
    (await placesOf(paths)).map(async (place) => {
      const found = await look(place.path);
      return found === undefined ? undefined : flawOf(place, found, uid);
    }),
  );
  return flaws.filter((each) => each !== undefined);
}

/** @returns what was done, for people. Rejects with the system's error when it may not. */
export async function fixMode(paths: Paths, { path }: Flaw): Promise<string> {
  const place = (await placesOf(paths)).find((each) => each.path === path);
  const mode = place?.mode ?? 0o600;
  await chmod(path, mode);
  return `chmod ${mode.toString(8).padStart(4, '0')} ${path}`;
}

async function placesOf({ stateDir, trustDir, logDir, worktreesDir, socketPath, dbFile, epochFile, auditFile, environmentFile }: Paths): Promise<readonly PrivatePlace[]> {
  const directory = (path: string, refused = writableByOthers): PrivatePlace => ({ path, kind: 'directory', refused, mode: 0o700 });
  const file = (path: string): PrivatePlace => ({ path, kind: 'file', refused: others, mode: 0o600 });
  return [
    ...[stateDir, trustDir, logDir, worktreesDir].map((each) => directory(each)),
    directory(dirname(socketPath), others),
    { path: socketPath, kind: 'socket', refused: others, mode: 0o600 },
    ...[dbFile, `${dbFile}-wal`, epochFile, auditFile, environmentFile, ...(await keysIn(trustDir))].map(file),
  ];
}

async function keysIn(trustDir: string): Promise<string[]> {
  const found = await readdir(trustDir, { recursive: true }).catch((error: unknown) => (codeOf(error) === 'ENOENT' ? [] : Promise.reject(error)));
  return found.filter((name) => name.endsWith('.key')).map((name) => join(trustDir, name));
}

async function look(path: string): Promise<Looked | undefined> {
  const stat = await lstat(path).catch((error: unknown) => (codeOf(error) === 'ENOENT' || codeOf(error) === 'ENOTDIR' ? undefined : Promise.reject(error)));
  if (stat === undefined) return undefined;
  const kind = stat.isSymbolicLink() ? 'link' : stat.isDirectory() ? 'directory' : stat.isFile() ? 'file' : stat.isSocket() ? 'socket' : 'other';
  return { kind, uid: stat.uid, mode: stat.mode & 0o7777 };
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : String(error);
}
