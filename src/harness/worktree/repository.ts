/** What git says of an agent's directory: whether a worktree can be made of its repository, and which part of it the directory is. */
import { isAbsolute, join, relative, resolve } from 'node:path';
import { unavailable } from '../../domain/errors.ts';
import type { Endpoint } from '../../domain/invocation.ts';
import { quoted } from '../../domain/text.ts';
import type { Git } from './git.ts';
import { plain } from './git.ts';

export interface Repository {
  /** The top of the working tree that the agent's directory is in. */
  readonly top: string;
  /** The agent's directory below it: empty, or ending in a slash. */
  readonly prefix: string;
  /** The git directory that all worktrees of the repository share. */
  readonly common: string;
  /** The commit that HEAD is at. */
  readonly head: string;
}

const lookMs = 20_000;
const objectName = /^([0-9a-f]{40}|[0-9a-f]{64})$/;

/** @throws BrokerError `unavailable`: no git, no repository, no commit yet, or HEAD lacks what the agent needs */
export async function readRepository(git: Git, endpoint: Pick<Endpoint, 'cwd' | 'argv'>, env: Readonly<Record<string, string>>): Promise<Repository> {
  const { cwd } = endpoint;
  const args = [...plain, 'rev-parse', '--show-toplevel', '--show-prefix', '--git-common-dir', 'HEAD^{commit}', 'HEAD:./'];
  const { code, stdout, words } = await git({ args, cwd, env, timeoutMs: lookMs });
  // It says each as it finds it, and stops at the first that it does not.
  const lines = stdout.toString('utf8').split('\n');
  const [top = '', prefix = '', common = '', head = ''] = lines;
  if (!isAbsolute(top) || common === '') {
    throw unavailable(`an isolated agent needs a git repository around ${quoted(cwd, 200)}: ${words}`, 'run git init there and commit, or add the agent without --isolate');
  }
  if (!objectName.test(head)) throw unavailable(`the git repository ${quoted(top, 200)} has no commit yet, and a worktree begins at one`, 'commit something there');
  if (code !== 0) throw unavailable(`${quoted(prefix, 200)} is not in the last commit of ${quoted(top, 200)}, and a worktree would not have it`, 'commit something in it');
  if (lines.length !== 6) throw unavailable(`the path of the git repository has a line break, which this can’t handle`, 'rename the directory');
  const repository = { top, prefix, common: resolve(cwd, common), head };
  await requireCommand(git, endpoint, repository, env);
  return repository;
}

/** A command that is named by a path from the agent's directory is looked for in the worktree: HEAD must have it. */
async function requireCommand(git: Git, { cwd, argv }: Pick<Endpoint, 'cwd' | 'argv'>, { top, prefix }: Repository, env: Readonly<Record<string, string>>): Promise<void> {
  const [command = ''] = argv;
  if (!command.includes('/') || isAbsolute(command)) return;
  const inside = relative(top, join(top, prefix, command));
  if (inside.startsWith('..')) return;
  const { code } = await git({ args: [...plain, 'cat-file', '-e', `HEAD:${inside}`], cwd, env, timeoutMs: lookMs });
  if (code === 0) return;
  throw unavailable(`${quoted(inside, 200)} is not in the last commit, and a worktree would not have it`, 'commit it, or add the agent with the absolute path of its command');
}

/**
 * How many files differ from HEAD, or are not known to git and not ignored. As git status has them, in the whole repository.
 * @throws BrokerError as git fails
 */
export async function countDirty(git: Git, top: string, env: Readonly<Record<string, string>>, timeoutMs: number): Promise<number> {
  let count = 0;
  const sink = (piece: Uint8Array): Promise<boolean> => {
    for (const byte of piece) if (byte === 0) count += 1;
    return Promise.resolve(true);
  };
  const args = [...plain, 'status', '--porcelain', '-z', '--no-renames', '--untracked-files=all', '--ignore-submodules=dirty'];
  const end = await git({ args, cwd: top, env, timeoutMs, sink });
  if (end.code !== 0) throw unavailable(`git can’t tell what was changed in ${quoted(top, 200)}: ${end.words}`);
  return count;
}
