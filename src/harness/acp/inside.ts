/** Whether a path is below a directory, links followed: what an agent may edit without asking. */
import { realpath } from 'node:fs/promises';
import { basename, dirname, isAbsolute, join, relative, resolve } from 'node:path';

/** Of a path that does not exist yet, the directory that it would be made in counts. What is in a `.git` is not inside: git runs hooks and settings from there. */
export async function isInside(directory: string, path: string): Promise<boolean> {
  if (path.includes('\0')) return false;
  const [root, real] = await Promise.all([realPathOf(directory), realPathOf(resolve(directory, path))]);
  if (root === undefined || real === undefined) return false;
  const from = relative(root, real);
  return from !== '..' && !from.startsWith('../') && !isAbsolute(from) && !from.toLowerCase().split('/').includes('.git');
}

/** Undefined when it can't be told: a link in a circle, a directory that may not be read. */
async function realPathOf(path: string): Promise<string | undefined> {
  try {
    return await realpath(path);
  } catch (error) {
    const isMissing = error instanceof Error && 'code' in error && error.code === 'ENOENT';
    if (!isMissing || dirname(path) === path) return undefined;
    const parent = await realPathOf(dirname(path));
    return parent === undefined ? undefined : join(parent, basename(path));
  }
}
