/**
 * Whose control socket that is. A task is given to this user's node, or to none: where the directory that the socket is to be in is not there yet,
 * somebody else could have put one with a socket of their own there, and be told all that was meant for the node.
 */
import type { Stats } from 'node:fs';
import { lstat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { denied } from '../domain/errors.ts';

async function look(path: string): Promise<Stats | undefined> {
  try {
    return await lstat(path);
  } catch (error) {
    // Whoever opens it says so in its own words.
    if (error instanceof Error && 'code' in error) return undefined;
    throw error;
  }
}

/** @throws BrokerError `denied`. What is not there, or can't be looked at, is for whoever opens it to say. */
export async function refuseForeignSocket(path: string, uid: number | undefined = process.getuid?.()): Promise<void> {
  if (uid === undefined) return;
  const directory = dirname(path);
  const [above, parent, socket] = await Promise.all([directory, dirname(directory), path].map(look));
  if (above === undefined || socket === undefined) return;
  const refuse = (why: string): never => {
    throw denied(`the control socket ${path} is not this user's: ${why}`, 'is BECKON_HOME right? if so, somebody may want what is meant for your node: move it away');
  };
  // Root may use a user's node, in what is that user's own: not in what anybody can make for it, as below /tmp.
  const isOfUser = uid === 0 && above.uid === socket.uid && parent?.uid === socket.uid;
  if (above.isSymbolicLink()) refuse(`${directory} is a symbolic link`);
  if (socket.uid !== uid && !isOfUser) refuse(`it belongs to user ${socket.uid}`);
  if (above.uid !== uid && above.uid !== 0 && !isOfUser) refuse(`${directory} belongs to user ${above.uid}`);
  if ((above.mode & 0o022) !== 0 && (above.mode & 0o1000) === 0) refuse(`others may write to ${directory}`);
}
