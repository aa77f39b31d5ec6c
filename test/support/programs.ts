/** What only some machines have, programs first of all: a test that needs it skips and says so. */
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';

/** Also where root's programs are, which a user's PATH leaves out. */
const directories = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin', '/sbin'];

/** Reasons, as all here: undefined when there is none. */
export const notLinux: string | undefined = process.platform === 'linux' ? undefined : 'not Linux';
export const notRoot: string | undefined = process.getuid?.() === 0 ? undefined : 'not root';

/** The path of a program, undefined when it is not on this machine. */
export function findProgram(name: string): string | undefined {
  return directories.map((directory) => join(directory, name)).find((path) => isThere(path, constants.X_OK));
}

/** Why a test that needs these can't run here; undefined when it can. */
export function missing(...names: readonly string[]): string | undefined {
  const absent = names.filter((name) => findProgram(name) === undefined);
  return absent.length === 0 ? undefined : `${absent.join(', ')} not on this machine`;
}

/** What to put behind the title of a test that is skipped for that reason. */
export function because(reason: string | undefined): string {
  return reason === undefined ? '' : ` (skipped: ${reason})`;
}

export function isThere(path: string, mode: number = constants.F_OK): boolean {
  try {
    accessSync(path, mode);
    return true;
  } catch (error) {
    if (error instanceof Error) return false;
    throw error;
  }
}
