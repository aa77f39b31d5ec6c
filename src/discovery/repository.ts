/**
 * A git repository and its worktrees, from files alone: looked at often, and git may be missing. The layout is that of
 * gitrepository-layout(5) and git-worktree(1).
 */
import { constants } from 'node:fs';
import { lstat, open, readdir, realpath } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import type { FoundWorktree, WatchedDirectory } from '../domain/project-port.ts';

/** Of `.git`, HEAD and the like. */
const longestText = 8192;
/** Worktrees of one repository. */
const mostWorktrees = 256;

export interface Repository {
  /** Absolute: its main checkout, or itself when it has none. */
  readonly root: string;
  /** What git keeps of it, shared by its worktrees. */
  readonly common: string;
  readonly isBare: boolean;
}

export interface WorktreeList {
  /** Those that are there, the main one first. */
  readonly worktrees: readonly FoundWorktree[];
  readonly isCut: boolean;
  readonly watched: readonly WatchedDirectory[];
}

/** The repository that a directory is the top of: a checkout of it, or itself, bare. Undefined: it is neither. */
export async function repositoryAt(directory: string): Promise<Repository | undefined> {
  const link = join(directory, '.git');
  const kind = await kindOf(link);
  if (kind === 'directory') return repositoryOf(link, directory);
  if (kind === 'file') {
    const target = /^gitdir: (.+?)\s*$/s.exec((await textOf(link)) ?? '')?.[1];
    return target === undefined ? undefined : behindLink(resolve(directory, target), directory);
  }
  const isRepository = (await kindOf(join(directory, 'HEAD'))) === 'file' && (await kindOf(join(directory, 'objects'))) === 'directory' && (await kindOf(join(directory, 'refs'))) === 'directory';
  return isRepository ? { root: directory, common: directory, isBare: true } : undefined;
}

/** A linked worktree, or, without `commondir`, a repository that is kept elsewhere: that of a submodule. */
async function behindLink(gitDir: string, directory: string): Promise<Repository | undefined> {
  if ((await kindOf(join(gitDir, 'HEAD'))) !== 'file') return undefined;
  const shared = (await textOf(join(gitDir, 'commondir')))?.trim();
  if (shared === undefined) {
    // The main checkout of another directory is no checkout of this one, whatever a file here says.
    const isAnothers = basename(gitDir) === '.git' && (await real(dirname(gitDir))) !== (await real(directory));
    return isAnothers ? undefined : repositoryOf(gitDir, directory);
  }
  const common = await real(resolve(gitDir, shared));
  if (common === undefined) return undefined;
  // A worktree belongs to a repository only when that says so, too.
  if ((await topOf(gitDir)) !== (await real(directory))) return undefined;
  return repositoryOf(common, dirname(common));
}

async function repositoryOf(common: string, above: string): Promise<Repository | undefined> {
  if ((await kindOf(join(common, 'HEAD'))) !== 'file') return undefined;
  const isBare = (await saysBare(join(common, 'config'))) || (await saysBare(join(common, 'config.worktree')));
  const isInside = basename(common) === '.git' || (await kindOf(join(above, '.git'))) === 'file';
  return { root: isInside ? above : common, common, isBare: isBare || !isInside };
}

async function saysBare(config: string): Promise<boolean> {
  return /^\s*bare\s*=\s*true\s*$/im.test((await textOf(config)) ?? '');
}

/** @param branchByGit for what files do not tell */
export async function worktreesOf({ root, common, isBare }: Repository, branchByGit: (top: string) => Promise<string | undefined>): Promise<WorktreeList> {
  const worktrees: FoundWorktree[] = [];
  const watched: WatchedDirectory[] = [{ path: common, names: ['HEAD', 'worktrees'] }];
  const add = async (top: string, gitDir: string, isMain: boolean): Promise<void> => {
    const branch = (await branchIn(gitDir)) ?? undefined;
    const named = branch === '.invalid' ? await branchByGit(top) : branch;
    worktrees.push({ top, isMain, ...(named === undefined ? {} : { branch: named }) });
  };
  if (!isBare) await add(root, common, true);
  const entries = join(common, 'worktrees');
  const names = await namesIn(entries);
  if (names.length > 0) watched.push({ path: entries });
  for (const name of names.slice(0, mostWorktrees)) {
    const entry = join(entries, name);
    watched.push({ path: entry, names: ['HEAD', 'gitdir', 'locked'] });
    const top = await topOf(entry);
    if (top === undefined) continue;
    watched.push({ path: top, names: ['.git', basename(top)] });
    await add(top, entry, false);
  }
  return { worktrees, isCut: names.length > mostWorktrees, watched };
}

/** Where the worktree of an entry is; undefined when it is not there, or is another's by now. */
async function topOf(entry: string): Promise<string | undefined> {
  const link = (await textOf(join(entry, 'gitdir')))?.trim();
  if (link === undefined || link === '') return undefined;
  const file = resolve(entry, link);
  const back = /^gitdir: (.+?)\s*$/s.exec((await textOf(file)) ?? '')?.[1];
  if (back === undefined || (await real(resolve(dirname(file), back))) !== (await real(entry))) return undefined;
  return real(dirname(file));
}

/** A rebase and a bisect detach HEAD for as long as they take, and are about a branch. */
async function branchIn(gitDir: string): Promise<string | undefined> {
  const named = (text: string | undefined): string | undefined => /^refs\/heads\/(.+)$/.exec(text?.trim() ?? '')?.[1];
  const head = await textOf(join(gitDir, 'HEAD'));
  if (head?.startsWith('ref: ') === true) return named(head.slice(5));
  for (const file of ['rebase-merge/head-name', 'rebase-apply/head-name']) {
    const branch = named(await textOf(join(gitDir, file)));
    if (branch !== undefined) return branch;
  }
  const bisected = (await textOf(join(gitDir, 'BISECT_START')))?.trim();
  return bisected === undefined || /^[0-9a-f]{40,64}$/.test(bisected) ? undefined : bisected;
}

async function namesIn(directory: string): Promise<readonly string[]> {
  try {
    return (await readdir(directory)).toSorted();
  } catch (error) {
    if (isSystemError(error)) return [];
    throw error;
  }
}

export type Kind = 'directory' | 'file' | 'other';

/** Of what stands there itself, not of what a link leads to. */
export async function kindOf(path: string): Promise<Kind | undefined> {
  try {
    const found = await lstat(path);
    return found.isDirectory() ? 'directory' : found.isFile() ? 'file' : 'other';
  } catch (error) {
    if (isSystemError(error)) return undefined;
    throw error;
  }
}

async function real(path: string): Promise<string | undefined> {
  try {
    return await realpath(path);
  } catch (error) {
    if (isSystemError(error)) return undefined;
    throw error;
  }
}

/** The beginning of a regular file. */
async function textOf(path: string): Promise<string | undefined> {
  let file: FileHandle | undefined;
  try {
    // What stands there may be another thing by now: no pipe is waited for.
    file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
    if (!(await file.stat()).isFile()) return undefined;
    const { bytesRead, buffer } = await file.read(Buffer.alloc(longestText), 0, longestText, 0);
    return buffer.toString('utf8', 0, bytesRead);
  } catch (error) {
    if (isSystemError(error)) return undefined;
    throw error;
  } finally {
    await file?.close();
  }
}

/** Of the operating system, and none of ours. */
export function isSystemError(error: unknown): error is NodeJS.ErrnoException {
  return error instanceof Error && 'syscall' in error;
}
