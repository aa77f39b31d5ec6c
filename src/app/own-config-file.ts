/** The config file of this node: nobody else's word. It names programs that the node runs, so whoever can write it can do what the node can. */
import { realpath, stat } from 'node:fs/promises';
import type { ConfigFlaw } from '../domain/config-view.ts';
import { toBrokerError } from '../domain/errors.ts';
import { octalMode } from '../domain/text.ts';
import { readConfigFile } from './config-file.ts';
import type { ConfigFile } from './config-file.ts';
import { refuseUnsafeAbove } from './safe-above.ts';

/** As `readConfigFile`; one that others can write, or put another in place of, has that flaw and no settings. It may be a link, as in a directory of dotfiles. */
export async function readOwnConfigFile(path: string, uid: number | undefined = process.getuid?.()): Promise<ConfigFile> {
  const file = await readConfigFile(path);
  if (!file.exists || uid === undefined) return file;
  const flaw = await untrusted(path, uid);
  return flaw === undefined ? file : { ...file, settings: {}, flaws: [{ source: path, ...flaw }] };
}

async function untrusted(path: string, uid: number): Promise<Omit<ConfigFlaw, 'source'> | undefined> {
  try {
    const place = await realpath(path);
    const { uid: owner, gid, mode } = await stat(place);
    if (owner !== uid && owner !== 0) return { message: `it belongs to user ${owner}, and the node runs as ${uid}`, hint: `sudo chown ${uid} ${place}` };
    const isOwnGroup = gid === 0 || gid === owner;
    if ((mode & 0o002) !== 0 || ((mode & 0o020) !== 0 && !isOwnGroup)) return { message: `others may change it: its mode is ${octalMode(mode & 0o777)}`, hint: `chmod go-w ${place}` };
    for (const each of new Set([path, place])) await refuseUnsafeAbove(each, 'the config file', uid);
    return undefined;
  } catch (error) {
    const { message, hint = 'see that it is a file of yours' } = toBrokerError(error);
    return { message, hint };
  }
}
