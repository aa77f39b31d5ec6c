/** Git repositories of tests, free of whatever the machine's user has configured. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

export const gitPath = '/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin';

/** What git gets of its environment in tests; HOME has no settings. */
export function gitEnv(home: string): Record<string, string> {
  return { PATH: gitPath, HOME: home, GIT_CONFIG_NOSYSTEM: '1', GIT_AUTHOR_NAME: 'ada', GIT_AUTHOR_EMAIL: 'ada@x', GIT_COMMITTER_NAME: 'ada', GIT_COMMITTER_EMAIL: 'ada@x' };
}

export class GitRepository {
  readonly path: string;
  readonly #home: string;

  private constructor(path: string, home: string) {
    this.path = path;
    this.#home = home;
  }

  /** @param files committed at once; without any there is no commit */
  static make(path: string, files: Readonly<Record<string, string | Uint8Array>> = {}, ...flags: readonly string[]): GitRepository {
    mkdirSync(path, { recursive: true });
    const repository = new GitRepository(path, dirname(path));
    repository.git('init', '--quiet', '--initial-branch', 'main', ...flags);
    repository.git('config', 'user.name', 'ada');
    repository.git('config', 'user.email', 'ada@x');
    if (Object.keys(files).length > 0) repository.commit(files);
    return repository;
  }

  static at(path: string): GitRepository {
    return new GitRepository(path, dirname(path));
  }

  clone(path: string): GitRepository {
    this.git('clone', '--quiet', this.path, path);
    const clone = new GitRepository(path, this.#home);
    clone.git('config', 'user.name', 'ada');
    clone.git('config', 'user.email', 'ada@x');
    return clone;
  }

  /** Stdout without its last line end. @throws when git fails */
  git(...args: readonly string[]): string {
    return this.gitWith('', ...args);
  }

  gitWith(stdin: string | Uint8Array, ...args: readonly string[]): string {
    const { status, stdout, stderr } = spawnSync('git', args, { cwd: this.path, env: gitEnv(this.#home), input: stdin, maxBuffer: 256 * 1024 * 1024 });
    if (status !== 0) throw new Error(`git ${args.join(' ')} in ${this.path} exited ${status}: ${stderr.toString()}`);
    return stdout.toString().replace(/\n$/, '');
  }

  write(files: Readonly<Record<string, string | Uint8Array>>): void {
    for (const [name, content] of Object.entries(files)) {
      mkdirSync(dirname(join(this.path, name)), { recursive: true });
      writeFileSync(join(this.path, name), content);
    }
  }

  read(name: string): string {
    return readFileSync(join(this.path, name), 'utf8');
  }

  /** @returns the commit */
  commit(files: Readonly<Record<string, string | Uint8Array>>, message = 'some work'): string {
    this.write(files);
    this.git('add', '--all');
    this.git('commit', '--quiet', '--message', message);
    return this.head;
  }

  get head(): string {
    return this.git('rev-parse', 'HEAD');
  }

  /** As `git status` has it, sorted. */
  get status(): readonly string[] {
    return this.git('-c', 'core.quotePath=false', 'status', '--porcelain', '--untracked-files=all').split('\n').filter((line) => line !== '').toSorted();
  }

  get worktrees(): readonly string[] {
    return this.git('worktree', 'list', '--porcelain').split('\n').filter((line) => line.startsWith('worktree ')).map((line) => line.slice('worktree '.length));
  }

  get branches(): readonly string[] {
    return this.git('for-each-ref', '--format=%(refname:short)', 'refs/heads').split('\n').filter((line) => line !== '');
  }
}
