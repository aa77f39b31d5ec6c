/**
 * A directory that is the user's alone, made where it is missing. The first of three: `safe-above.ts` judges the way to it, here and elsewhere, and `private-places.ts`
 * what is in it and may be mended. What stands there is judged here by its own descriptor, since it is about to be used; they look by path, and tell.
 */
import { constants } from 'node:fs';
import { lstat, mkdir, open } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { BrokerError, denied } from '../domain/errors.ts';
import { codeOf, isMissing } from '../domain/system-error.ts';
import { octalMode } from '../domain/text.ts';
import { refuseUnsafeAbove } from './safe-above.ts';

/**
 * Makes it, with what is missing above it, mode 0700; or accepts one that is there, if it is this user's and nobody else can write to it.
 * The last component is looked at through its own descriptor and never followed when it is a symbolic link, so that
 * nobody can put another in its place between the look and the verdict.
 * @throws BrokerError `denied` when it is another user's, can be written by others, is a link, or is below a directory in which others may put another in its place; `invalid` when it is
 * no directory; `unavailable` when it can't be made or opened
 */
export async function ensurePrivateDir(wanted: string, uid: number | undefined = process.getuid?.()): Promise<void> {
  // Without a slash at its end, which would have the link followed after all.
  const path = resolve(wanted);
  await refuseUnsafeAbove(path, 'the directory', uid);
  try {
    await make(path);
    await using directory = await open(path, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW);
    const stat = await directory.stat();
    if (uid !== undefined && stat.uid !== uid) throw refused(path, `it belongs to user ${stat.uid}, and this one is ${uid}`, `move it away, or set BECKON_HOME to a directory of your own, or: sudo chown ${uid} ${path}`);
    if ((stat.mode & 0o022) !== 0) throw refused(path, `its mode is ${octalMode(stat.mode & 0o7777)}, so others may change what is in it`, `chmod 700 ${path}`);
  } catch (error) {
    if (error instanceof BrokerError) throw error;
    const code = codeOf(error);
    // A link shows as ELOOP, ENOTDIR (O_DIRECTORY is asked of the link itself) or, without a target, ENOENT or EEXIST.
    if (await isLink(path)) throw refused(path, 'it is a symbolic link', 'put the directory itself there, or name its target');
    if (code === 'EEXIST' || code === 'ENOTDIR') throw new BrokerError('invalid', `${path} is not a directory`, { hint: 'move it away', cause: error });
    throw new BrokerError('unavailable', `the directory ${path} can’t be used: ${code}`, { hint: 'check that the directory above it exists and can be written', cause: error });
  }
}

/** With what is missing above it. `recursive` of node:fs never ends where a name stays missing whatever is made above it, as below /proc (seen with Node 24.21). */
async function make(path: string): Promise<void> {
  const attempt = (): Promise<void> =>
    mkdir(path, { mode: 0o700 }).catch((error: unknown) => {
      // What is there is judged by its descriptor.
      if (codeOf(error) !== 'EEXIST') throw error;
    });
  try {
    await attempt();
  } catch (error) {
    if (!isMissing(error) || dirname(path) === path) throw error;
    await make(dirname(path));
    await attempt();
  }
}

async function isLink(path: string): Promise<boolean> {
  return lstat(path).then((stat) => stat.isSymbolicLink(), () => false);
}

function refused(path: string, why: string, hint: string): BrokerError {
  return denied(`the directory ${path} is refused: ${why}`, hint);
}
