/** Whether an agent's directory is in a linked git worktree, and whether that was removed. From files alone: looked at often. */
import { lstat, realpath, stat } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { quoted } from '../../domain/text.ts';
import type { Checkouts } from '../../domain/worktree-port.ts';
import type { Checkout } from '../../domain/worktree.ts';
import { codeOf } from '../executable.ts';
import { beginningOf } from '../small-file.ts';

/** Of a `.git` file and the like. */
const longestLink = 8192;

export const checkouts: Checkouts = {
  of: async (directory) => {
    for (let top = directory; ; top = dirname(top)) {
      const link = await gitLink(top);
      // The repository itself: its own working tree, or a bare one.
      if (link === 'directory') return undefined;
      if (link !== undefined) return linked(top, link);
      if (top === dirname(top)) return undefined;
    }
  },

  gone: async ({ top, entry, repository, device }) => {
    if (await exists(top)) return undefined;
    // Neither is a repository there that is away itself, say on a disk that is not mounted: it may come back with all of it.
    if (!(await exists(repository))) return undefined;
    const removed = `its directory ${quoted(top, 200)} is gone`;
    if (!(await exists(entry))) return `${removed}: the git worktree was removed`;
    const elsewhere = await placeOf(entry);
    if (elsewhere !== undefined && elsewhere !== top && (await exists(elsewhere))) return `${removed}: the git worktree was moved to ${quoted(elsewhere, 200)}`;
    if (await exists(join(entry, 'locked'))) return undefined;
    return (await nearestDevice(top)) === device ? `${removed}: the git worktree was deleted` : undefined;
  },
};

/** Where a `.git` file leads, `directory` for a `.git` directory. */
async function gitLink(top: string): Promise<string | undefined> {
  const path = join(top, '.git');
  try {
    if ((await lstat(path)).isDirectory()) return 'directory';
    const target = /^gitdir: (.+?)\s*$/s.exec((await beginningOf(path, longestLink)) ?? '')?.[1];
    return target === undefined ? undefined : resolve(top, target);
  } catch (error) {
    if (codeOf(error) === undefined) throw error;
    return undefined;
  }
}

/** Submodules have a `.git` file too, and no `commondir` behind it. */
async function linked(top: string, entry: string): Promise<Checkout | undefined> {
  try {
    const common = (await beginningOf(join(entry, 'commondir'), longestLink))?.trim();
    if (common === undefined) return undefined;
    const { dev } = await stat(top);
    return { top: await realpath(top), entry: await realpath(entry), repository: await realpath(resolve(entry, common)), device: dev };
  } catch (error) {
    if (codeOf(error) === undefined) throw error;
    return undefined;
  }
}

/** Where git has the worktree now. */
async function placeOf(entry: string): Promise<string | undefined> {
  try {
    const link = await beginningOf(join(entry, 'gitdir'), longestLink);
    return link === undefined ? undefined : dirname(link.trim());
  } catch (error) {
    if (codeOf(error) === undefined) throw error;
    return undefined;
  }
}

/** Only a plain "there is nothing" counts as that. */
export async function exists(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch (error) {
    const code = codeOf(error);
    if (code === undefined) throw error;
    return code !== 'ENOENT' && code !== 'ENOTDIR';
  }
}

async function nearestDevice(path: string): Promise<number | undefined> {
  for (let above = dirname(path); ; above = dirname(above)) {
    try {
      return (await stat(above)).dev;
    } catch (error) {
      if (codeOf(error) !== 'ENOENT' || above === dirname(above)) return undefined;
    }
  }
}
