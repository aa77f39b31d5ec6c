/** The user of this process, as the user database has them. */
import { homedir, userInfo } from 'node:os';
import { codeOf } from '../domain/system-error.ts';

/** A container may run as a number that has no name: `uid-N` then, and the home directory that HOME names. */
export function currentUser(): { readonly name: string; readonly home: string } {
  try {
    const { username, homedir: home } = userInfo();
    return { name: username, home };
  } catch (error) {
    if (codeOf(error) !== 'ERR_SYSTEM_ERROR') throw error;
    return { name: `uid-${process.getuid?.() ?? 0}`, home: homedir() };
  }
}
