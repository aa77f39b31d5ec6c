/** The user of this process, as the user database has them. */
import { homedir, userInfo } from 'node:os';

/** A container may run as a number that has no name: `uid-N` then, and the home directory that HOME names. */
export function currentUser(): { readonly name: string; readonly home: string } {
  try {
    const { username, homedir: home } = userInfo();
    return { name: username, home };
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ERR_SYSTEM_ERROR')) throw error;
    return { name: `uid-${process.getuid?.() ?? 0}`, home: homedir() };
  }
}
