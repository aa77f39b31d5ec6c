/** Worktrees of flights on real git. */
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { Endpoint } from '../../src/domain/invocation.ts';
import type { LocatedWorktree } from '../../src/domain/worktree-port.ts';
import type { GitWorktrees } from '../../src/harness/worktree/worktrees.ts';
import { gitPath, GitRepository } from '../support/git-repository.ts';
import { waitFor } from '../support/wait-for.ts';
import { agentIn, environment, nameOf, never, place, summaryOf, worktreesIn } from './worktree-fixture.ts';

describe('making', () => {
  test('begins at HEAD on a branch of its own, below the node’s directory, which is the user’s alone', async () => {
    const { repository, directory, worktrees } = place();
    const made = await worktrees.make(agentIn(repository.path), nameOf(), never);
    expect(made).toMatchObject({ head: repository.head, branch: `beckon/${nameOf().slice(-8)}`, dirty: 0, prefix: '' });
    expect(worktrees.pathOf(made)).toBe(join(directory, nameOf()));
    expect(statSync(directory).mode & 0o777).toBe(0o700);
    const inside = GitRepository.at(worktrees.pathOf(made));
    expect([inside.head, inside.git('branch', '--show-current'), inside.read('prices.txt')]).toEqual([repository.head, made.branch, 'one\ntwo\nthree\n']);
    expect(repository.status).toEqual([]);
    // Tidying up by hand passes it by, and is told why.
    expect(repository.git('worktree', 'list', '--porcelain')).toContain(`locked work of the flight that ends in ${nameOf().slice(-8)}: beckon flight fetch or discard ${nameOf().slice(-8)}`);
    expect(() => repository.git('worktree', 'remove', worktrees.pathOf(made))).toThrow('locked');
  });

  test('keeps the agent’s place in the repository', async () => {
    const { repository, worktrees } = place();
    const made = await worktrees.make(agentIn(join(repository.path, 'sub', 'deep')), nameOf(), never);
    expect(made.prefix).toBe('sub/deep/');
    expect(readFileSync(join(worktrees.pathOf(made), made.prefix, 'a.txt'), 'utf8')).toBe('a\n');
  });

  test('leaves what is not committed where it is, and counts its files', async () => {
    const { repository, worktrees } = place();
    repository.write({ 'prices.txt': 'changed\n', 'new/one.txt': '1', 'new/two.txt': '2', '.gitignore': 'ignored\n', ignored: 'x' });
    rmSync(join(repository.path, 'sub/deep/a.txt'));
    const before = repository.status;
    const made = await worktrees.make(agentIn(repository.path), nameOf(), never);
    expect(made.dirty).toBe(5);
    expect(GitRepository.at(worktrees.pathOf(made)).status).toEqual([]);
    expect(repository.status).toEqual(before);
  });

  test.each(['re po', '-dash', 'ünï cödé', 'a"b\'c$d', 'col:on'])('a repository called %s', async (name) => {
    const { repository, worktrees } = place(name, { '-x': 'one\n', 'ä b': 'two\n' });
    const made = await worktrees.make(agentIn(repository.path), nameOf(), never);
    writeFileSync(join(worktrees.pathOf(made), '-x'), 'changed\n');
    const { files } = await summaryOf(worktrees, made);
    expect(files).toEqual([{ path: '-x', added: 1, removed: 1 }]);
    await worktrees.remove(made, 'goes');
    expect([existsSync(worktrees.pathOf(made)), repository.branches, repository.worktrees.length]).toEqual([false, ['main'], 1]);
  });

  test('from a linked worktree: at the HEAD of that one', async () => {
    const { home, repository, worktrees } = place();
    repository.git('worktree', 'add', '--quiet', '-b', 'feature-x', join(home, 'feature'));
    const feature = GitRepository.at(join(home, 'feature'));
    const head = feature.commit({ 'x.txt': 'x' });
    expect(await worktrees.make(agentIn(feature.path), nameOf(), never)).toMatchObject({ head });
  });

  test('a branch that is called beckon, or one of the same name, is no obstacle', async () => {
    const { repository, worktrees } = place();
    const short = nameOf().slice(-8);
    repository.git('branch', `beckon/${short}`);
    expect((await worktrees.make(agentIn(repository.path), nameOf(), never)).branch).toBe(`beckon/${nameOf()}`);
    const other = place();
    other.repository.git('branch', 'beckon');
    expect((await other.worktrees.make(agentIn(other.repository.path), nameOf(), never)).branch).toBe(`beckon-${short}`);
  });

  test('eight at once in one repository, and away again', async () => {
    const { repository, worktrees } = place();
    const made = await Promise.all(Array.from({ length: 8 }, (_, index) => worktrees.make(agentIn(repository.path), nameOf(index), never)));
    expect(repository.worktrees.length).toBe(9);
    await Promise.all(made.map((each) => worktrees.remove(each, 'goes')));
    expect([repository.worktrees.length, repository.branches]).toEqual([1, ['main']]);
  });

  test('hooks of the repository run, as with git worktree add; one that fails fails it, in its own words, and nothing is left', async () => {
    const { repository, directory, worktrees } = place();
    const hook = join(repository.path, '.git', 'hooks', 'post-checkout');
    writeFileSync(hook, '#!/bin/sh\necho ready > made-by-hook\n');
    chmodSync(hook, 0o755);
    const made = await worktrees.make(agentIn(repository.path), nameOf(1), never);
    expect(readFileSync(join(worktrees.pathOf(made), 'made-by-hook'), 'utf8')).toBe('ready\n');
    writeFileSync(hook, '#!/bin/sh\necho "npm is not there" >&2\nexit 3\n');
    await expect(worktrees.make(agentIn(repository.path), nameOf(2), never)).rejects.toMatchObject({ code: 'unavailable', message: expect.stringContaining('npm is not there') });
    expect([readdirSync(directory), repository.worktrees.length, repository.branches]).toEqual([[nameOf(1)].concat(`${nameOf(1)}.making`), 2, [made.branch, 'main']]);
  });

  test('is ended early when it is not wanted any more, with what its hooks started, and nothing is left', async () => {
    const { home, repository, directory, worktrees } = place();
    const hook = join(repository.path, '.git', 'hooks', 'post-checkout');
    writeFileSync(hook, `#!/bin/sh\necho $$ > '${home}/pid'\nexec sleep 1000\n`);
    chmodSync(hook, 0o755);
    const stop = new AbortController();
    const making = worktrees.make(agentIn(repository.path), nameOf(), stop.signal);
    making.catch(() => 'awaited below');
    const pid = await waitFor('the hook', () => existsSync(join(home, 'pid')) && readFileSync(join(home, 'pid'), 'utf8').trim());
    stop.abort();
    await expect(making).rejects.toMatchObject({ code: 'cancelled' });
    await waitFor('the hook to be gone', () => !existsSync(`/proc/${pid}`));
    expect([readdirSync(directory), repository.worktrees.length, repository.branches]).toEqual([[], 1, ['main']]);
  });

  test('nothing of the node’s environment but what agents get reaches git and its hooks', async () => {
    const { home, repository, directory } = place();
    const hook = join(repository.path, '.git', 'hooks', 'post-checkout');
    writeFileSync(hook, `#!/bin/sh\nenv > '${home}/env'\n`);
    chmodSync(hook, 0o755);
    const other = GitRepository.make(join(home, 'other'), { x: 'x' });
    const strange = { ...environment, SECRET: 'of the node', GIT_DIR: join(other.path, '.git'), GIT_WORK_TREE: other.path };
    const worktrees = worktreesIn(directory, { environment: strange });
    const made = await worktrees.make(agentIn(repository.path, { env: ['GIT_DIR=/nowhere', 'MINE=yes'] }), nameOf(), never);
    expect(made.head).toBe(repository.head);
    const env = readFileSync(join(home, 'env'), 'utf8');
    expect(env).not.toContain('of the node');
    expect(env).toContain('MINE=yes');
    expect(env).toContain('GIT_TERMINAL_PROMPT=0');
  });

  test('a directory that stands in its way is left as it is', async () => {
    const { repository, directory, worktrees } = place();
    mkdirSync(join(directory, nameOf()), { recursive: true });
    writeFileSync(join(directory, nameOf(), 'work'), 'of somebody');
    const made = await worktrees.make(agentIn(repository.path), nameOf(), never);
    expect(made.name).toBe(`${nameOf()}-2`);
    expect(readFileSync(join(directory, nameOf(), 'work'), 'utf8')).toBe('of somebody');
  });
});

describe('what is known before anything is accepted', () => {
  const why = async (worktrees: GitWorktrees, endpoint: Endpoint): Promise<string | undefined> => (await worktrees.check(endpoint)).why;

  test('a repository with a commit is enough', async () => {
    const { repository, worktrees, directory } = place();
    expect(await worktrees.check(agentIn(repository.path))).toEqual({ available: true });
    expect(existsSync(directory)).toBe(false);
  });

  test('no git', async () => {
    const { home, repository, worktrees } = place();
    expect(await why(worktrees, agentIn(repository.path, { path: home }))).toMatch(/^git is not installed/);
  });

  test('no repository, a bare one, and the inside of one', async () => {
    const { home, worktrees, repository } = place();
    expect(await why(worktrees, agentIn(home))).toMatch(/needs a git repository around .*not a git repository/);
    const bare = GitRepository.make(join(home, 'bare.git'), {}, '--bare');
    expect(await why(worktrees, agentIn(bare.path))).toMatch(/must be run in a work tree/);
    expect(await why(worktrees, agentIn(join(repository.path, '.git')))).toMatch(/must be run in a work tree/);
  });

  test('no commit yet', async () => {
    const { home, worktrees } = place();
    const unborn = GitRepository.make(join(home, 'unborn'));
    expect(await why(worktrees, agentIn(unborn.path))).toMatch(/has no commit yet/);
    await expect(worktrees.make(agentIn(unborn.path), nameOf(), never)).rejects.toMatchObject({ code: 'unavailable' });
  });

  test('a directory, or a command beside the agent, that HEAD does not have', async () => {
    const { repository, worktrees } = place();
    repository.write({ 'new/agent.sh': 'x', 'sub/agent.sh': 'x' });
    expect(await why(worktrees, agentIn(join(repository.path, 'new')))).toMatch(/"new\/" is not in the last commit/);
    expect(await why(worktrees, agentIn(join(repository.path, 'sub'), { argv: ['./agent.sh'] }))).toMatch(/"sub\/agent.sh" is not in the last commit/);
    repository.commit({ 'sub/agent.sh': 'y' });
    expect(await worktrees.check(agentIn(join(repository.path, 'sub'), { argv: ['./agent.sh'] }))).toEqual({ available: true });
    expect(await worktrees.check(agentIn(join(repository.path, 'sub'), { argv: ['../prices.txt'] }))).toEqual({ available: true });
  });
});

describe('removing', () => {
  test('tells the last commit of the branch that went', async () => {
    const { repository, worktrees } = place();
    const made = await worktrees.make(agentIn(repository.path), nameOf(), never);
    const tip = GitRepository.at(worktrees.pathOf(made)).commit({ x: 'x' });
    expect(await worktrees.remove(made, 'goes when seen')).toEqual({ tip });
    expect([repository.branches, repository.worktrees.length]).toEqual([['main'], 1]);
    // Until git tidies up, it can be had back.
    expect(repository.git('cat-file', '-t', tip)).toBe('commit');
  });

  test('keeps a branch whose commits were in no file of the worktree, and branches that the agent made', async () => {
    const { repository, worktrees } = place();
    const made = await worktrees.make(agentIn(repository.path), nameOf(), never);
    const inside = GitRepository.at(worktrees.pathOf(made));
    inside.commit({ x: 'x' });
    inside.git('checkout', '--quiet', '-b', 'other', made.head);
    expect(await worktrees.remove(made, 'goes when seen')).toEqual({});
    expect(repository.branches).toEqual([made.branch, 'main', 'other']);
  });

  test('of one whose files are lost makes room for the next of its name, and keeps the branch that has commits', async () => {
    const { repository, worktrees } = place();
    const [lost, empty] = [await worktrees.make(agentIn(repository.path), nameOf(1), never), await worktrees.make(agentIn(repository.path), nameOf(2), never)];
    GitRepository.at(worktrees.pathOf(lost)).commit({ x: 'x' });
    for (const each of [lost, empty]) {
      rmSync(worktrees.pathOf(each), { recursive: true });
      expect(await worktrees.isThere(each)).toBe(false);
      await worktrees.remove(each, 'goes when empty');
    }
    expect([repository.worktrees.length, repository.branches]).toEqual([1, [lost.branch, 'main']]);
    const [again, third] = [await worktrees.make(agentIn(repository.path), nameOf(1), never), await worktrees.make(agentIn(repository.path), `${nameOf(3)}-${nameOf(1).slice(-8)}`, never)];
    expect([again.name, again.branch, third.branch]).toEqual([lost.name, `beckon/${nameOf(1)}`, `beckon/${nameOf(3)}-${nameOf(1).slice(-8)}`]);
  });

  test('a branch that is checked out elsewhere stays', async () => {
    const { repository, worktrees } = place();
    const made = await worktrees.make(agentIn(repository.path), nameOf(), never);
    const inside = GitRepository.at(worktrees.pathOf(made));
    inside.git('checkout', '--quiet', '--detach');
    repository.git('checkout', '--quiet', made.branch);
    expect(await worktrees.remove(made, 'goes')).toEqual({});
    expect([existsSync(inside.path), repository.branches]).toEqual([false, [made.branch, 'main']]);
  });
});

describe('whether anything changed', () => {
  const changes: Readonly<Record<string, (inside: GitRepository) => void>> = {
    'an edit': (inside) => inside.write({ 'prices.txt': 'x' }),
    'a new file': (inside) => inside.write({ new: 'x' }),
    'an ignored file': (inside) => inside.write({ 'x.ignored': 'x' }),
    'a commit': (inside) => void inside.commit({ new: 'x' }),
    'a commit on its branch that is not checked out': (inside) => {
      inside.commit({ new: 'x' });
      inside.git('checkout', '--quiet', 'HEAD~1');
    },
  };
  test.each(Object.entries(changes))('%s counts', async (_what, change) => {
    const { repository, worktrees } = place('shop', { 'prices.txt': '1', '.gitignore': '*.ignored\n' });
    const made = await worktrees.make(agentIn(repository.path), nameOf(), never);
    expect(await worktrees.isUnchanged(made)).toBe(true);
    change(GitRepository.at(worktrees.pathOf(made)));
    expect(await worktrees.isUnchanged(made)).toBe(false);
  });
});

describe('the sweep at start', () => {
  test('finishes what was begun and never used, and what was settled; leaves what is kept, and work that no record speaks of', async () => {
    const { repository, directory, worktrees } = place();
    const make = (number: number): Promise<LocatedWorktree> => worktrees.make(agentIn(repository.path), nameOf(number), never);
    const [begun, kept, settled, lost] = [await make(1), await make(2), await make(3), await make(4)];
    for (const each of [settled, lost]) await worktrees.confirm(each);
    for (const each of [kept, settled, lost]) writeFileSync(join(worktrees.pathOf(each), 'work'), 'x');
    // The node died between its mark and git, and in the middle of a diff.
    writeFileSync(join(directory, `${nameOf(5)}.making`), '');
    mkdirSync(join(directory, '.diff-abc'));
    const records = new Map([kept, settled].map((worktree) => [worktree.name, { worktree, remove: worktree !== kept }]));
    const swept = await worktreesIn(directory, { environment: { ...environment, PATH: gitPath } }).sweep((name) => records.get(name));
    expect(swept.toSorted((a, b) => (a.name < b.name ? -1 : 1))).toEqual([{ name: begun.name }, { name: settled.name }, { name: lost.name, keptWhy: expect.any(String) }, { name: nameOf(5) }]);
    expect(readdirSync(directory).toSorted()).toEqual([kept.name, lost.name]);
    expect(repository.branches).toEqual([kept.branch, lost.branch, 'main']);
  });

  test('a worktree that was only half made is taken away when its flight is tried again', async () => {
    const { repository, directory, worktrees } = place();
    const half = await worktrees.make(agentIn(repository.path), nameOf(), never);
    rmSync(join(worktrees.pathOf(half), 'prices.txt'));
    const after = worktreesIn(directory, { environment: { ...environment, PATH: gitPath } });
    const made = await after.make(agentIn(repository.path), nameOf(), never);
    expect([made.name, made.branch, existsSync(join(after.pathOf(made), 'prices.txt'))]).toEqual([half.name, half.branch, true]);
  });

  test('without a directory there is nothing to do', async () => {
    const { worktrees, directory } = place();
    expect(await worktrees.sweep(() => undefined)).toEqual([]);
    expect(existsSync(directory)).toBe(false);
  });
});
