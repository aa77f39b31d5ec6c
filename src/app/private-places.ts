/**
 * Files and directories of a node that must be its user's alone: what is wrong with those that are there, and putting a mode right. For `doctor`, and for
 * a node that starts; nothing is made or opened here, and whoever opens one judges it again by its descriptor (`private-dir.ts`, `trust/key-file.ts`).
 */
import { chmod, lstat, readdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { denied } from '../domain/errors.ts';
import { codeOf, isMissing } from '../domain/system-error.ts';
import { octalMode } from '../domain/text.ts';
import type { Paths } from './paths.ts';
import { rememberedPath } from './remembered.ts';
import { findUnsafeAbove } from './safe-above.ts';

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
  return { path, why: `${path} is open to others: its mode is ${octalMode(found.mode & 0o777)}`, hint: `chmod ${octalMode(mode)} ${path}`, isFixable: true };
}

/** Those that are there and not as they must be, and ways to them that are not safe. */
export async function findFlaws(paths: Paths, uid: number): Promise<readonly Flaw[]> {
  const flaws = await Promise.all(
    (await placesOf(paths)).map(async (place) => {
      const found = await look(place.path);
      return found === undefined ? undefined : flawOf(place, found, uid);
    }),
  );
  return [...flaws.filter((each) => each !== undefined), ...(await flawsAbove(paths, uid))];
}

/** Of a long home the socket is elsewhere, and config and policy may be: what is not there yet can be put there by whoever may write above. */
async function flawsAbove({ stateDir, socketPath, configFile }: Paths, uid: number): Promise<readonly Flaw[]> {
  const found = new Map<string, Flaw>();
  for (const path of [stateDir, socketPath, configFile]) {
    const flaw = await findUnsafeAbove(path, uid);
    // One directory may be above them all.
    if (flaw !== undefined && !found.has(flaw.why)) found.set(flaw.why, { path, why: `${path}: ${flaw.why}`, hint: flaw.hint, isFixable: false });
  }
  return [...found.values()];
}

/** For a node that starts. @throws BrokerError `denied` by the first of them, with what mends it */
export async function refuseFlaws(paths: Paths, uid: number | undefined = process.getuid?.()): Promise<void> {
  if (uid === undefined) return;
  const [first, ...others] = await findFlaws(paths, uid);
  if (first === undefined) return;
  const more = others.length === 0 ? '' : ` (and ${others.length} more: beckon doctor)`;
  throw denied(`refused: ${first.why}${more}`, first.isFixable ? `${first.hint}, or beckon doctor --fix` : first.hint);
}

/** @returns what was done, for people. Rejects with the system's error when it may not. */
export async function fixMode(paths: Paths, { path }: Flaw): Promise<string> {
  const place = (await placesOf(paths)).find((each) => each.path === path);
  const mode = place?.mode ?? 0o600;
  await chmod(path, mode);
  return `chmod ${octalMode(mode)} ${path}`;
}

async function placesOf({ stateDir, trustDir, logDir, worktreesDir, socketPath, dbFile, epochFile, auditFile, tracesFile, cloneFile, lockFile, policySeenFile, environmentFile }: Paths): Promise<readonly PrivatePlace[]> {
  const directory = (path: string, refused = writableByOthers): PrivatePlace => ({ path, kind: 'directory', refused, mode: 0o700 });
  const file = (path: string, refused = others): PrivatePlace => ({ path, kind: 'file', refused, mode: 0o600 });
  return [
    ...[stateDir, trustDir, logDir, worktreesDir].map((each) => directory(each)),
    directory(dirname(socketPath), others),
    { path: socketPath, kind: 'socket', refused: others, mode: 0o600 },
    ...[dbFile, `${dbFile}-wal`, epochFile, auditFile, environmentFile, ...(await keysIn(trustDir))].map((each) => file(each)),
    // These hold nothing secret: that others read them is no reason to stand still.
    ...[lockFile, tracesFile, cloneFile, policySeenFile, rememberedPath(stateDir)].map((each) => file(each, writableByOthers)),
  ];
}

async function keysIn(trustDir: string): Promise<string[]> {
  const found = await readdir(trustDir, { recursive: true }).catch((error: unknown) => (isMissing(error) ? [] : Promise.reject(error)));
  return found.filter((name) => name.endsWith('.key')).map((name) => join(trustDir, name));
}

async function look(path: string): Promise<Looked | undefined> {
  const stat = await lstat(path).catch((error: unknown) => (codeOf(error) === 'ENOENT' || codeOf(error) === 'ENOTDIR' ? undefined : Promise.reject(error)));
  if (stat === undefined) return undefined;
  const kind = stat.isSymbolicLink() ? 'link' : stat.isDirectory() ? 'directory' : stat.isFile() ? 'file' : stat.isSocket() ? 'socket' : 'other';
  return { kind, uid: stat.uid, mode: stat.mode & 0o7777 };
}
