/**
 * Everything in a worktree against the commit that it began at, as one patch: commits, changes, and files that git was
 * not told of. Made with an index and an object store of its own, both thrown away, so that neither the worktree nor its
 * repository is touched; with plumbing, so that no setting of a user changes its form.
 */
import { copyFile, lstat, mkdir, mkdtemp, open, rm } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { BrokerError, unavailable } from '../../domain/errors.ts';
import { quoted } from '../../domain/text.ts';
import type { LocatedWorktree, Snapshot } from '../../domain/worktree-port.ts';
import { longestDiffPath, mostDiffFiles, mostNested } from '../../domain/worktree.ts';
import type { DiffFile, DiffSummary } from '../../domain/worktree.ts';
import { codeOf } from '../executable.ts';
import { assertDone, plain } from './git.ts';
import type { Git } from './git.ts';
import { parseNumstat, parseRaw, parseSubmodules } from './diff-lists.ts';

/** Reading all that changed, and comparing it. */
const longestMs = 120_000;

export const scratchPrefix = '.diff-';

export interface SnapshotParts {
  readonly git: Git;
  /** For scratch files. */
  readonly directory: string;
  readonly worktree: LocatedWorktree;
  /** Of the worktree, absolute. */
  readonly path: string;
  /** The git directory that all worktrees of the repository share. */
  readonly common: string;
  readonly env: Readonly<Record<string, string>>;
  /** Of the patch. */
  readonly mostBytes: number;
}

export async function takeSnapshot(parts: SnapshotParts): Promise<Snapshot> {
  const scratch = await mkdtemp(join(parts.directory, scratchPrefix));
  const remove = (): Promise<void> => rm(scratch, { recursive: true, force: true, maxRetries: 2 });
  try {
    const { summary, patch } = await compare(parts, scratch);
    // Of the scratch files only the patch is needed from here on, and it is open.
    await remove();
    let closing: Promise<void> | undefined;
    return {
      summary,
      read: async (offset, length) => {
        const left = Math.max(0, Math.min(length, summary.patchBytes - offset));
        const { bytesRead, buffer } = await patch.read(new Uint8Array(left), 0, left, offset);
        return buffer.subarray(0, bytesRead);
      },
      close: () => (closing ??= patch.close()),
    };
  } catch (error) {
    await remove();
    if (error instanceof BrokerError || codeOf(error) === undefined) throw error;
    throw unavailable(`the diff can’t be put aside below ${parts.directory}: ${codeOf(error) ?? ''}`, 'check that the disk has room');
  }
}

async function compare({ git, worktree, path, common, env: base, mostBytes }: SnapshotParts, scratch: string): Promise<{ summary: DiffSummary; patch: FileHandle }> {
  const { head, dirty, gitDir } = worktree;
  const objects = join(scratch, 'objects');
  await mkdir(objects);
  const located = { ...base, GIT_DIR: gitDir, GIT_WORK_TREE: path };
  const env = { ...located, GIT_INDEX_FILE: join(scratch, 'index'), GIT_OBJECT_DIRECTORY: objects, GIT_ALTERNATE_OBJECT_DIRECTORIES: listed(join(common, 'objects')) };
  const ask = async (args: readonly string[], options: { env?: typeof env | typeof located; sink?: (piece: Uint8Array) => Promise<boolean> } = {}): Promise<Buffer> =>
    assertDone(await git({ args: [...plain, ...args], cwd: path, timeoutMs: longestMs, env, ...options }), `git can’t compare ${quoted(path, 200)}`).stdout;
  // What the worktree's own index says keeps `add` from reading files that have not changed.
  await copyOf(join(gitDir, 'index'), env.GIT_INDEX_FILE);
  await ask(['add', '--all']);
  const tree = (await ask(['write-tree'])).toString('utf8').trim();
  const between = (...how: readonly string[]): readonly string[] => ['diff-tree', '-r', ...how, '--no-ext-diff', '--no-textconv', '--no-color', head, tree];
  const all: DiffFile[] = parseNumstat(await ask(between('-z', '-M', '--numstat')));
  const gitlinks = parseRaw(await ask(between('-z', '--no-renames', '--raw', '--no-abbrev')));
  const submodules = parseSubmodules(await ask(['status', '--porcelain=v2', '-z', '--untracked-files=no', '--ignore-submodules=none'], { env: located }));
  const patch = await open(join(scratch, 'patch'), 'wx+', 0o600);
  try {
    let patchBytes = 0;
    let truncated = false;
    const sink = async (piece: Uint8Array): Promise<boolean> => {
      const taken = piece.subarray(0, mostBytes - patchBytes);
      truncated = taken.length < piece.length;
      await patch.write(taken);
      patchBytes += taken.length;
      return !truncated;
    };
    const args = [...plain, ...between('-p', '-M', '--binary', '--full-index', '--src-prefix=a/', '--dst-prefix=b/')];
    const end = await git({ args, cwd: path, timeoutMs: longestMs, env, sink });
    if (!truncated) assertDone(end, `git can’t compare ${quoted(path, 200)}`);
    const files = all.slice(0, mostDiffFiles).map((file) => ({ ...file, path: file.path.slice(-longestDiffPath) }));
    const nested = [...new Set([...gitlinks, ...submodules])].slice(0, mostNested).map((each) => each.slice(-longestDiffPath));
    return { summary: { head, dirty, tree, patchBytes, truncated, files, fileCount: all.length, nested }, patch };
  } catch (error) {
    await patch.close();
    throw error;
  }
}

/** Without it all is read anew. The agent may have put a pipe there, which is not waited for. */
async function copyOf(index: string, copy: string): Promise<void> {
  try {
    if ((await lstat(index)).isFile()) await copyFile(index, copy);
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') throw error;
  }
}

/** As an entry of GIT_ALTERNATE_OBJECT_DIRECTORIES, which a colon separates and quotes protect. */
function listed(path: string): string {
  return /[:"]/.test(path) ? `"${path.replace(/[\\"]/g, (character) => `\\${character}`)}"` : path;
}
