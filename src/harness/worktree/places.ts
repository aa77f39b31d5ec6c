/** Worktrees as they are on disk. */
import { lstat, rm } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { unavailable } from '../../domain/errors.ts';
import { quoted } from '../../domain/text.ts';
import { codeOf } from '../executable.ts';
import { beginningOf } from '../small-file.ts';
import { exists } from './checkouts.ts';

/** Of `.git`, `commondir` and a mark. */
const longestText = 16 * 1024;

/** Beside a worktree that no record speaks of yet: git alone has written there. Holds a `Making`. */
export const makingSuffix = '.making';

export interface Making {
  readonly common: string;
  readonly branch: string;
  readonly head: string;
}

/** The git directory that a worktree shares with its repository; undefined when that is gone. */
export async function commonOf({ gitDir }: { readonly gitDir: string }): Promise<string | undefined> {
  if (gitDir === '') return undefined;
  const text = (await textOf(join(gitDir, 'commondir'))).trim();
  // What git kept of the worktree may be gone, and the repository still there.
  const common = text === '' ? dirname(dirname(gitDir)) : resolve(gitDir, text);
  return (await exists(join(common, 'objects'))) ? common : undefined;
}

/** As its `.git` file has it; the empty text when there is none. */
export async function gitDirOf(path: string): Promise<string> {
  return /^gitdir: (.+?)\s*$/s.exec(await textOf(join(path, '.git')))?.[1] ?? '';
}

/** The empty text for a mark that was not finished. */
export async function readMaking(path: string): Promise<Making | undefined> {
  const text = await textOf(path + makingSuffix);
  return text === '' ? undefined : (JSON.parse(text) as Making);
}

async function textOf(path: string): Promise<string> {
  try {
    return (await beginningOf(path, longestText)) ?? '';
  } catch (error) {
    if (isMissing(error)) return '';
    throw error;
  }
}

export function isMissing(error: unknown): boolean {
  const code = codeOf(error);
  return code === 'ENOENT' || code === 'ENOTDIR';
}

/** A link that leads nowhere is something too. */
export async function isSomething(path: string): Promise<boolean> {
  return lstat(path).then(
    () => true,
    () => false,
  );
}

/** @throws BrokerError `unavailable` naming what could not be removed */
export async function removeTree(path: string): Promise<void> {
  try {
    await rm(path, { recursive: true, force: true, maxRetries: 2 });
  } catch (error) {
    if (codeOf(error) === undefined) throw error;
    const where = error instanceof Error && 'path' in error ? String(error.path) : path;
    throw unavailable(`${quoted(where, 200)} can’t be removed: ${codeOf(error) ?? ''}`, 'it may belong to another user: remove it by hand');
  }
}
