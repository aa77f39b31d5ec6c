/** What a file must be that only its user may read or change: a key, the database. */
import { octalMode } from './text.ts';

/** Of what `stat` says. */
export interface FileStat {
  readonly uid: number;
  readonly mode: number;
  isFile(): boolean;
}

/** @param uid the user of this process; undefined where there are none. @returns why it is refused, and what to do; undefined when it is as it must be */
export function flawOfPrivateFile(path: string, stat: FileStat, uid: number | undefined): { readonly why: string; readonly hint: string } | undefined {
  if (!stat.isFile()) return { why: 'it is not a regular file', hint: 'move it away' };
  if (uid !== undefined && stat.uid !== uid) return { why: `it belongs to user ${stat.uid}, and the node runs as ${uid}`, hint: `sudo chown ${uid} ${path}` };
  if ((stat.mode & 0o077) !== 0) return { why: `its mode is ${octalMode(stat.mode & 0o777)}, so others may read or change it`, hint: `chmod 600 ${path}` };
  return undefined;
}
