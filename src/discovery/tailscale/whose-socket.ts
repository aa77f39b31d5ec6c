/** Whether a socket at a well-known place is the machine's or this user's, or one that another user of the machine may have put there. */
import type { Stats } from 'node:fs';
import { lstat, realpath } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { isMissing } from '../../domain/system-error.ts';
import { isSystemError } from '../repository.ts';

/** `own`: nobody but root and this user can put something there. `free`: there is nothing, and others could. */
export type Whose = 'own' | 'foreign' | 'free';

const writableByAll = 0o002;
const sticky = 0o1000;

/** Looks at the socket and at every directory above it. @param path absolute */
export async function whoseSocket(path: string, uid: number): Promise<Whose> {
  const place = await resolved(path);
  if (place === undefined) return 'foreign';
  const isOwn = (found: Stats): boolean => found.uid === 0 || found.uid === uid;
  const found = await look(place);
  let isSafe = found === undefined || isOwn(found);
  for (let [at, below] = [dirname(place), found]; isSafe; at = dirname(at)) {
    const directory = await look(at);
    if (directory !== undefined) isSafe = isOwn(directory) && !isOpen(directory, below);
    if (at === dirname(at)) break;
    below = directory;
  }
  if (isSafe) return 'own';
  return found === undefined ? 'free' : 'foreign';
}

/** Where the sticky bit is set nobody takes away what is another's, but what is not there yet anybody may make. */
function isOpen({ mode }: Stats, below: Stats | undefined): boolean {
  return (mode & writableByAll) !== 0 && ((mode & sticky) === 0 || below === undefined);
}

/** Links above it are followed as far as there is something: `/var/run` is one. Undefined: it can't be told. */
async function resolved(path: string): Promise<string | undefined> {
  const above = dirname(path);
  if (above === path) return path;
  try {
    return join(await realpath(above), basename(path));
  } catch (error) {
    if (!isMissing(error)) return undefined;
    const real = await resolved(above);
    return real === undefined ? undefined : join(real, basename(path));
  }
}

/** What can't be looked at can't be reached either. */
async function look(path: string): Promise<Stats | undefined> {
  try {
    return await lstat(path);
  } catch (error) {
    if (isSystemError(error)) return undefined;
    throw error;
  }
}
