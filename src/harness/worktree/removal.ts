/** Taking worktrees away: the directory, what git keeps of it, its branch. */
import type { BranchFate } from '../../domain/worktree-port.ts';
import type { Lanes } from './lanes.ts';
import type { Log } from '../../domain/ports.ts';
import { plain } from './git.ts';
import type { Git } from './git.ts';
import { commonOf, isSomething, removeTree } from './places.ts';

const removeMs = 600_000;
const quickMs = 60_000;

type Env = Readonly<Record<string, string>>;

export interface Removable {
  /** Absolute. */
  readonly path: string;
  /** The empty text when git keeps nothing of it. */
  readonly gitDir: string;
  readonly branch: string;
  readonly head: string;
  readonly env: Env;
}

export class Removal {
  readonly #git: Git;
  readonly #log: Log | undefined;
  readonly #lanes: Lanes;

  constructor(git: Git, lanes: Lanes, log: Log | undefined) {
    this.#git = git;
    this.#lanes = lanes;
    this.#log = log;
  }

  /** Idempotent. @returns the last commit of the branch, when that was deleted */
  async remove(what: Removable, fate: BranchFate): Promise<{ readonly tip?: string }> {
    const common = await commonOf(what);
    if (common !== undefined) return this.#lanes.run(common, () => this.#remove(what, common, fate));
    await removeTree(what.path);
    return {};
  }

  /** A branch that a worktree was to have; left when it is checked out somewhere. @returns whether it is gone */
  async deleteBranch(branch: string, common: string, env: Env): Promise<boolean> {
    const { code } = await this.#inside(common, ['branch', '-D', '--quiet', '--', branch], env, quickMs);
    if (code !== 0) this.#log?.warn({ branch }, 'the branch of a worktree could not be deleted');
    return code === 0;
  }

  async tipOf(branch: string, common: string, env: Env): Promise<string | undefined> {
    const { code, stdout } = await this.#inside(common, ['rev-parse', '--verify', '--quiet', `refs/heads/${branch}`], env, quickMs);
    return code === 0 ? stdout.toString('utf8').trim() : undefined;
  }

  async #remove({ path, gitDir, branch, head, env }: Removable, common: string, fate: BranchFate): Promise<{ readonly tip?: string }> {
    const tip = await this.tipOf(branch, common, env);
    const mayGo = tip !== undefined && (fate === 'goes' || tip === head || (fate === 'goes when seen' && (await this.#isInHead(gitDir, tip, env))));
    const args = ['worktree', 'remove', '--force', '--force', '--', path];
    if ((await this.#inside(common, args, env, removeMs)).code !== 0 && (await isSomething(path))) {
      // Its link to the repository may be broken: then git wants nothing to do with it until it is not there.
      await removeTree(path);
      await this.#inside(common, args, env, removeMs);
    }
    await removeTree(path);
    return mayGo && (await this.deleteBranch(branch, common, env)) ? { tip } : {};
  }

  async #isInHead(gitDir: string, tip: string, env: Env): Promise<boolean> {
    return (await this.#inside(gitDir, ['merge-base', '--is-ancestor', tip, 'HEAD'], env, quickMs)).code === 0;
  }

  #inside(gitDir: string, args: readonly string[], env: Env, timeoutMs: number): ReturnType<Git> {
    return this.#git({ args: [...plain, ...args], cwd: gitDir, env: { ...env, GIT_DIR: gitDir }, timeoutMs });
  }
}
