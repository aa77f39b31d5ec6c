/** The place of the control socket: a directory that is this user's alone, with nobody listening there yet. */
import { constants } from 'node:fs';
import { lstat, mkdir, open, unlink } from 'node:fs/promises';
import { connect } from 'node:net';
import { dirname } from 'node:path';
import { BrokerError, conflict, denied } from '../domain/errors.ts';
import { codeOf, isMissing } from '../domain/system-error.ts';

/**
 * Makes the directory (0700) when it is missing and removes a socket that nobody answers on.
 * @throws BrokerError `denied` when the directory is another user's, a link, or open to others; `conflict` when a node
 * answers there, or something that is no socket is in the way; `unavailable` when the place can't be used
 */
export async function claimSocketPath(path: string, uid: number): Promise<void> {
  try {
    await ownDirectory(dirname(path), uid);
    const found = await lstat(path).catch((error: unknown) => (isMissing(error) ? undefined : Promise.reject(error)));
    if (found === undefined) return;
    if (!found.isSocket()) throw conflict(`${path} is in the way: it is not a socket`, 'move it away');
    if (await answers(path)) throw conflict('another node answers on this control socket', `stop it first: beckon down (${path})`);
    await removeSocket(path);
  } catch (error) {
    if (error instanceof BrokerError) throw error;
    throw new BrokerError('unavailable', `the control socket ${path} can’t be made: ${codeOf(error)}`, {
      hint: 'check that its directory can be written, or set BECKON_HOME',
      cause: error,
    });
  }
}

export async function removeSocket(path: string): Promise<void> {
  await unlink(path).catch((error: unknown) => (isMissing(error) ? undefined : Promise.reject(error)));
}

async function ownDirectory(path: string, uid: number): Promise<void> {
  const there = await lstat(path).catch((error: unknown) => (isMissing(error) ? undefined : Promise.reject(error)));
  if (there?.isSymbolicLink()) throw denied(`the directory ${path} is a symbolic link`, 'move it away: the node makes its own');
  await mkdir(path, { recursive: true, mode: 0o700 });
  // Through its own descriptor, so that what is judged is what is there, whatever was put there meanwhile.
  await using directory = await open(path, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW);
  const { mode, uid: owner } = await directory.stat();
  if (owner !== uid) throw denied(`the directory ${path} belongs to user ${owner}, not to ${uid}`, `move it away, or set BECKON_HOME, or: sudo chown ${uid} ${path}`);
  if ((mode & 0o077) !== 0) throw denied(`the directory ${path} is open to others: its mode is ${(mode & 0o777).toString(8)}`, `chmod 700 ${path}`);
}

function answers(path: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const socket = connect(path);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', (error) => {
      socket.destroy();
      const code = codeOf(error);
      if (code === 'ECONNREFUSED' || code === 'ENOENT') resolve(false);
      // A full backlog means that somebody listens.
      else if (code === 'EAGAIN') resolve(true);
      else reject(error);
    });
  });
}
