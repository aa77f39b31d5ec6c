/**
 * Whether the way to a file or directory is safe: whoever may write to a directory above it may put another in its place, whatever its
 * own mode is. The rules are those of OpenSSH's StrictModes (auth-rhosts and safe_path in misc.c), with two more that hold where they do not:
 * in a directory with the sticky bit nobody moves what is another's, and a group that is one user's own is that user.
 */
import { lstat, realpath } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { denied } from '../domain/errors.ts';
import { codeOf } from '../domain/system-error.ts';
import { octalMode } from '../domain/text.ts';

/** Of what `lstat` says. */
export interface Above {
  readonly uid: number;
  readonly gid: number;
  readonly mode: number;
}

/** Why a way is not safe, and what mends it. */
export interface UnsafeAbove {
  readonly why: string;
  readonly hint: string;
}

/** Pure. @param trusted whose directories are safe: this user's, root's */
export function flawOfAbove(path: string, { uid, gid, mode }: Above, trusted: ReadonlySet<number>): UnsafeAbove | undefined {
  if (!trusted.has(uid)) return { why: `${path}, above it, belongs to user ${uid}, who may put something else in its place`, hint: `keep it elsewhere (BECKON_HOME), or: sudo chown ${Math.max(...trusted)} ${path}` };
  if ((mode & 0o1000) !== 0) return undefined;
  const octal = octalMode(mode & 0o7777);
  const isOwnGroup = gid === 0 || gid === uid;
  if ((mode & 0o002) !== 0) return { why: `${path}, above it, has mode ${octal}, so anybody may put something else in its place`, hint: `chmod o-w ${path}` };
  if ((mode & 0o020) !== 0 && !isOwnGroup) return { why: `${path}, above it, has mode ${octal}, so its group (${gid}) may put something else in its place`, hint: `chmod g-w ${path}` };
  return undefined;
}

/** Undefined for what is not there, for a link that leads nowhere, and for one that leads to itself. */
async function there<Found>(found: Promise<Found>): Promise<Found | undefined> {
  try {
    return await found;
  } catch (error) {
    if (['ENOENT', 'ENOTDIR', 'ELOOP'].includes(codeOf(error))) return undefined;
    throw error;
  }
}

/** Looks at all directories above it that are there, and at where symbolic links among them lead. @returns the first that is not safe */
export async function findUnsafeAbove(wanted: string, uid: number): Promise<UnsafeAbove | undefined> {
  // In a user namespace root's own directories may be nobody's.
  const trusted = new Set([uid, 0, (await lstat('/')).uid]);
  const seen = new Set<string>();
  const climb = async (from: string): Promise<UnsafeAbove | undefined> => {
    for (let path = from; !seen.has(path); path = dirname(path)) {
      seen.add(path);
      const stat = await there(lstat(path));
      if (stat === undefined) continue;
      if (!stat.isSymbolicLink()) {
        const flaw = flawOfAbove(path, stat, trusted);
        if (flaw !== undefined) return flaw;
        continue;
      }
      if (!trusted.has(stat.uid)) return { why: `${path}, above it, is a symbolic link of user ${stat.uid}`, hint: 'keep it elsewhere (BECKON_HOME)' };
      const target = await there(realpath(path));
      const flaw = target === undefined ? undefined : await climb(target);
      if (flaw !== undefined) return flaw;
    }
    return undefined;
  };
  return await climb(dirname(resolve(wanted)));
}

/** @throws BrokerError `denied` */
export async function refuseUnsafeAbove(wanted: string, what: string, uid: number | undefined = process.getuid?.()): Promise<void> {
  const flaw = uid === undefined ? undefined : await findUnsafeAbove(wanted, uid);
  if (flaw !== undefined) throw denied(`${what} ${wanted} is refused: ${flaw.why}`, flaw.hint);
}
