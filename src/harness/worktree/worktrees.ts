/** Worktrees of flights, made and removed by git, all below one directory of the node. */
import { mkdir, readdir, realpath, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { BrokerError, conflict, toBrokerError, unavailable } from '../../domain/errors.ts';
import type { Availability } from '../../domain/harness-port.ts';
import type { Endpoint } from '../../domain/invocation.ts';
import type { Clock, Log } from '../../domain/ports.ts';
import { quoted } from '../../domain/text.ts';
import type { BranchFate, LocatedWorktree, Snapshot, SweptWorktree, Worktrees } from '../../domain/worktree-port.ts';
import { mostPatchBytes } from '../../domain/worktree.ts';
import type { WorktreePlace } from '../../domain/worktree.ts';
import { agentEnvironment } from '../environment.ts';
import type { Environment } from '../environment.ts';
import { codeOf } from '../executable.ts';
import { exists } from './checkouts.ts';
import { assertDone, createGit, gitEnvironment, plain, withoutFetching } from './git.ts';
import type { Git } from './git.ts';
import { Lanes } from './lanes.ts';
import { commonOf, gitDirOf, isMissing, isSomething, makingSuffix, readMaking } from './places.ts';
import type { Making } from './places.ts';
import { Removal } from './removal.ts';
import type { Removable } from './removal.ts';
import { countDirty, readRepository } from './repository.ts';
import { scratchPrefix, takeSnapshot } from './snapshot.ts';

/** With the hooks and filters of the repository. */
const makeMs = 600_000;
const quickMs = 60_000;
const mostTries = 100;

export interface WorktreePorts {
  readonly clock: Clock;
  /** The node's own environment. */
  readonly environment: Environment;
  /** Absolute; made when it is first needed, mode 0700. */
  readonly directory: string;
  readonly log?: Log;
  /** For tests. */
  readonly mostPatchBytes?: number;
}

type Env = Readonly<Record<string, string>>;

export class GitWorktrees implements Worktrees {
  readonly #ports: WorktreePorts;
  readonly #git: Git;
  readonly #lanes = new Lanes();
  readonly #removal: Removal;
  #directory: string;

  constructor(ports: WorktreePorts) {
    this.#ports = ports;
    this.#git = createGit(ports.clock);
    this.#removal = new Removal(this.#git, this.#lanes, ports.log);
    this.#directory = ports.directory;
  }

  async check(endpoint: Endpoint): Promise<Availability> {
    try {
      // Of what nobody has approved yet, too: so with nothing that the agent's own environment says (PATH, LD_PRELOAD, GIT_SSH_COMMAND).
      await readRepository(this.#git, endpoint, { ...this.#env(endpoint.path), ...withoutFetching });
      return { available: true };
    } catch (error) {
      return { available: false, why: toBrokerError(error).message };
    }
  }

  async make(endpoint: Endpoint, wanted: string, aborted: AbortSignal): Promise<LocatedWorktree> {
    const env = this.#env(endpoint.path, endpoint);
    const { top, prefix, common, head } = await readRepository(this.#git, endpoint, env);
    const dirty = await countDirty(this.#git, top, env, quickMs);
    const name = await this.#claim(wanted);
    const path = join(this.#directory, name);
    let making: Making | undefined;
    try {
      const branch = await this.#lanes.run(common, async () => {
        const free = await this.#freeBranch(common, wanted, env);
        making = { common, branch: free, head };
        await writeFile(path + makingSuffix, JSON.stringify(making));
        // Twice: git would go on keeping the place for one that somebody removed by hand, and the name is nobody else's.
        const args = ['worktree', 'add', '--force', '--force', '--quiet', '-b', free, '--', path, head];
        assertDone(await this.#git({ args, cwd: top, env, timeoutMs: makeMs, aborted }), 'git can’t make a worktree for it');
        return free;
      }, aborted);
      const gitDir = await this.#ask(['rev-parse', '--absolute-git-dir'], path, env);
      // Neither `git worktree prune` nor a mistaken `remove` takes it away, and `git worktree list -v` says what it is.
      await this.#ask(['worktree', 'lock', '--reason', `work of the flight that ends in ${short(wanted)}: beckon flight fetch or discard ${short(wanted)}`, '--', path], top, env);
      return { head, branch, dirty, name, prefix, gitDir, searchPath: endpoint.path };
    } catch (error) {
      await this.#undo(name, making);
      throw error;
    }
  }

  async confirm({ name }: WorktreePlace): Promise<void> {
    await rm(join(this.#directory, name + makingSuffix), { force: true });
  }

  pathOf({ name }: WorktreePlace): string {
    return join(this.#directory, name);
  }

  directoryOf(place: WorktreePlace): string {
    return join(this.pathOf(place), place.prefix);
  }

  isThere(place: WorktreePlace): Promise<boolean> {
    return exists(this.pathOf(place));
  }

  async isUnchanged(worktree: LocatedWorktree): Promise<boolean> {
    const cwd = this.pathOf(worktree);
    // Named outright: a worktree whose `.git` file was removed must not be taken for a part of what is around it.
    const env = { ...this.#env(worktree.searchPath), GIT_DIR: worktree.gitDir, GIT_WORK_TREE: cwd };
    const [now, tip] = await Promise.all([this.#ask(['rev-parse', 'HEAD'], cwd, env), this.#removal.tipOf(worktree.branch, worktree.gitDir, env)]);
    if (now !== worktree.head || (tip !== undefined && tip !== worktree.head)) return false;
    return (await this.#ask(['status', '--porcelain', '-z', '--ignored', '--untracked-files=normal', '--ignore-submodules=none'], cwd, env)) === '';
  }

  async snapshot(worktree: LocatedWorktree): Promise<Snapshot> {
    const path = this.pathOf(worktree);
    if (!(await exists(path))) throw unavailable(`its worktree ${quoted(path, 200)} is gone`, 'somebody removed it by hand');
    const common = await commonOf(worktree);
    if (common === undefined || !(await exists(worktree.gitDir))) throw unavailable(`the git repository of its worktree is gone: ${quoted(worktree.gitDir, 200)}`, `its files are still in ${path}`);
    return takeSnapshot({ git: this.#git, directory: this.#directory, worktree, path, common, env: this.#env(worktree.searchPath), mostBytes: this.#ports.mostPatchBytes ?? mostPatchBytes });
  }

  async remove(worktree: LocatedWorktree, fate: BranchFate): Promise<{ readonly tip?: string }> {
    const removed = await this.#removal.remove(this.#removable(worktree), fate);
    await this.confirm(worktree);
    return removed;
  }

  async sweep(recordOf: Parameters<Worktrees['sweep']>[0]): Promise<readonly SweptWorktree[]> {
    const entries = new Set(await this.#entries());
    const names = new Set([...entries].filter((each) => !each.startsWith('.')).map((each) => (each.endsWith(makingSuffix) ? each.slice(0, -makingSuffix.length) : each)));
    for (const each of entries) if (each.startsWith(scratchPrefix)) await rm(join(this.#directory, each), { recursive: true, force: true });
    const swept: SweptWorktree[] = [];
    for (const name of names) {
      const record = recordOf(name);
      try {
        if (record?.remove === false) await this.confirm(record.worktree);
        else if (entries.has(name + makingSuffix)) swept.push(await this.#undoMarked(name));
        else if (record === undefined) swept.push({ name, keptWhy: 'no flight that is known here made it' });
        else {
          await this.remove(record.worktree, 'goes when seen');
          swept.push({ name });
        }
      } catch (error) {
        swept.push({ name, keptWhy: toBrokerError(error).message });
      }
    }
    return swept;
  }

  async #entries(): Promise<readonly string[]> {
    try {
      this.#directory = await realpath(this.#directory);
      return await readdir(this.#directory);
    } catch (error) {
      if (isMissing(error)) return [];
      throw unavailable(`${quoted(this.#directory, 200)} can’t be read: ${codeOf(error) ?? String(error)}`);
    }
  }

  /** The first free name, its mark set before anything is in it. */
  async #claim(wanted: string): Promise<string> {
    try {
      await mkdir(this.#directory, { recursive: true, mode: 0o700 });
      this.#directory = await realpath(this.#directory);
      for (let number = 1; number <= mostTries; number += 1) {
        const name = number === 1 ? wanted : `${wanted}-${number}`;
        const path = join(this.#directory, name);
        if (await exists(path + makingSuffix)) await this.#undoMarked(name);
        if (await isSomething(path)) continue;
        await writeFile(path + makingSuffix, '', { mode: 0o600 });
        return name;
      }
    } catch (error) {
      if (error instanceof BrokerError || codeOf(error) === undefined) throw error;
      throw unavailable(`a worktree can’t be made below ${quoted(this.#directory, 200)}: ${codeOf(error) ?? ''}`, 'check that the directory can be written and that the disk has room');
    }
    throw conflict(`${mostTries} directories stand where the worktree would be: ${quoted(join(this.#directory, wanted), 200)}`);
  }

  /** `beckon/…`, unless somebody has a branch that is called beckon, or that one. */
  async #freeBranch(common: string, name: string, env: Env): Promise<string> {
    const prefix = (await this.#removal.tipOf('beckon', common, env)) === undefined ? 'beckon/' : 'beckon-';
    for (let number = 0; number <= mostTries; number += 1) {
      const branch = number === 0 ? `${prefix}${short(name)}` : `${prefix}${name}${number === 1 ? '' : `-${number}`}`;
      if ((await this.#removal.tipOf(branch, common, env)) === undefined) return branch;
    }
    throw conflict(`${mostTries} branches of the name ${prefix}${name} exist already`, 'rename or delete them');
  }

  async #undo(name: string, making: Making | undefined): Promise<void> {
    try {
      await this.#undoMarked(name, making);
    } catch (error) {
      this.#ports.log?.warn({ worktree: name, err: error }, 'what was begun of a worktree could not be removed; the next start tries again');
    }
  }

  /** No agent has been in it: only git, and what git runs. */
  async #undoMarked(name: string, known?: Making): Promise<SweptWorktree> {
    const path = join(this.#directory, name);
    const making = known ?? (await readMaking(path));
    const env = this.#env(this.#ports.environment['PATH'] ?? '/usr/bin:/bin');
    const { branch = '', head = '', common } = making ?? {};
    await this.#removal.remove({ path, gitDir: await gitDirOf(path), branch, head, env }, 'goes');
    // git may have come no further than to its branch.
    if (common !== undefined && (await exists(common)) && (await this.#removal.tipOf(branch, common, env)) === head) await this.#removal.deleteBranch(branch, common, env);
    await rm(path + makingSuffix, { force: true });
    return { name };
  }

  #removable(worktree: LocatedWorktree): Removable {
    return { path: this.pathOf(worktree), gitDir: worktree.gitDir, branch: worktree.branch, head: worktree.head, env: this.#env(worktree.searchPath) };
  }

  async #ask(args: readonly string[], cwd: string, env: Env): Promise<string> {
    const end = await this.#git({ args: [...plain, ...args], cwd, env, timeoutMs: quickMs });
    return assertDone(end, `git ${args[0] ?? ''} failed`).stdout.toString('utf8').trim();
  }

  #env(searchPath: string, endpoint: Pick<Endpoint, 'env'> = { env: [] }): Env {
    return gitEnvironment(agentEnvironment(this.#ports.environment, { env: endpoint.env, path: searchPath }, {}));
  }
}

/** As people see the end of an id. */
function short(name: string): string {
  return name.slice(-8);
}
