/** What is seen of projects on a real disk, with real git. */
import { mkdirSync, mkdtempSync, realpathSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createSystemClock } from '../../src/app/system-clock.ts';
import { createProjectProbe } from '../../src/discovery/project.ts';
import { DirectoryWatch } from '../../src/discovery/project-watch.ts';
import { usualBounds } from '../../src/discovery/project-search.ts';
import type { SearchBounds } from '../../src/discovery/project-search.ts';
import { createProjectFinder } from '../../src/discovery/projects.ts';
import type { FoundProject, ProjectFinder } from '../../src/domain/project-port.ts';
import { gitPath, GitRepository } from '../support/git-repository.ts';
import { silentLog } from '../support/temp-store.ts';
import { waitFor } from '../support/wait-for.ts';

let root: string;
let shop: GitRepository;
beforeEach(() => {
  root = realpathSync(mkdtempSync(join(tmpdir(), 'beckon-projects-')));
  shop = GitRepository.make(join(root, 'shop'), { 'AGENTS.md': 'be kind' });
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

const at = (...names: readonly string[]): string => join(root, ...names);
const clock = createSystemClock();

function finder(bounds: Partial<SearchBounds> = {}): ProjectFinder {
  const marks = new Set(['AGENTS.md', 'CLAUDE.md', '.claude']);
  return createProjectFinder({ clock, probe: createProjectProbe(gitPath), home: at('home'), worktreesDirectory: at('node', 'worktrees'), marks, bounds: { ...usualBounds, ...bounds } });
}

async function look(path = shop.path, wasRepository = true): Promise<FoundProject> {
  const found = await finder().look(path, wasRepository);
  if ('away' in found) throw new Error(found.away);
  return found;
}

const worktrees = async (path?: string) => (await look(path)).worktrees.map(({ top, branch, isMain }) => [top.slice(root.length + 1), branch ?? null, isMain]);

describe('the worktrees of a repository', () => {
  test('are its main checkout and those that git made, with their branches', async () => {
    shop.git('worktree', 'add', '--quiet', '-b', 'fix/login', at('login'));
    shop.git('worktree', 'add', '--quiet', '--detach', at('bare-head'));
    expect(await worktrees()).toEqual([['shop', 'main', true], ['bare-head', null, false], ['login', 'fix/login', false]]);
    expect(await look()).toMatchObject({ directoryName: 'shop', isRepository: true, marks: ['AGENTS.md'] });
  });

  test('without a commit too; and none that is gone, moved by hand, or another’s by now', async () => {
    const young = GitRepository.make(at('young'));
    expect(await worktrees(young.path)).toEqual([['young', 'main', true]]);
    for (const name of ['gone', 'moved', 'stolen']) shop.git('worktree', 'add', '--quiet', at(name));
    rmSync(at('gone'), { recursive: true });
    renameSync(at('moved'), at('elsewhere'));
    writeFileSync(at('stolen', '.git'), `gitdir: ${join(young.path, '.git')}\n`);
    expect(await worktrees()).toEqual([['shop', 'main', true]]);
    shop.git('worktree', 'prune');
    expect(await worktrees()).toEqual([['shop', 'main', true]]);
  });

  test('are on their branch while it is rebased or bisected', async () => {
    const login = at('login');
    shop.git('worktree', 'add', '--quiet', '-b', 'login', login);
    const work = GitRepository.at(login);
    work.commit({ 'a.txt': 'login' });
    shop.commit({ 'a.txt': 'main' });
    expect(() => work.git('rebase', '--quiet', 'main')).toThrow('exited 1');
    expect(await worktrees()).toContainEqual(['login', 'login', false]);
    work.git('rebase', '--abort');
    work.git('bisect', 'start', 'HEAD', 'HEAD~1');
    work.git('checkout', '--quiet', '--detach');
    expect(await worktrees()).toContainEqual(['login', 'login', false]);
  });

  test('of flights are none of them', async () => {
    mkdirSync(at('node', 'worktrees'), { recursive: true });
    mkdirSync(at('other', 'worktrees'), { recursive: true });
    shop.git('worktree', 'add', '--quiet', '-b', 'beckon/a', at('node', 'worktrees', 'any'));
    shop.git('worktree', 'add', '--quiet', '-b', 'beckon/b', at('other', 'worktrees', '01j9z6m3t4v8q2x7k5b1c0d9ef'));
    expect(await worktrees()).toEqual([['shop', 'main', true]]);
  });

  test('of a bare repository are those that git made, and the manifest that of its main branch', async () => {
    shop.commit({ '.beckon/project.json': '{"name": "store"}' });
    shop.git('clone', '--quiet', '--bare', shop.path, at('shop.git'));
    const bare = GitRepository.at(at('shop.git'));
    bare.git('worktree', 'add', '--quiet', '-b', 'a', at('a'));
    bare.git('worktree', 'add', '--quiet', at('m'), 'main');
    expect(await look(bare.path)).toMatchObject({ root: bare.path, directoryName: 'shop', manifest: { name: 'store' }, worktrees: [{ top: at('a'), branch: 'a', isMain: false }, { top: at('m'), branch: 'main' }] });
    expect(await finder().around(at('a'))).toBe(bare.path);
  });

  test('behind a link file are those of the repository behind it', async () => {
    mkdirSync(at('linked'));
    shop.git('clone', '--quiet', '--bare', shop.path, at('linked', '.bare'));
    writeFileSync(at('linked', '.git'), 'gitdir: ./.bare\n');
    GitRepository.at(at('linked')).git('worktree', 'add', '--quiet', at('linked', 'main'), 'main');
    expect(await look(at('linked'))).toMatchObject({ root: at('linked'), directoryName: 'linked', worktrees: [{ top: at('linked', 'main'), branch: 'main', isMain: false }] });
    expect(await finder().around(at('linked', 'main'))).toBe(at('linked'));
  });
});

describe('a project that is not there', () => {
  test('is away: its directory, or the repository in it', async () => {
    renameSync(shop.path, at('unmounted'));
    expect(await finder().look(shop.path, true)).toEqual({ away: `its directory "${shop.path}" is not there` });
    mkdirSync(shop.path);
    expect(await finder().look(shop.path, true)).toEqual({ away: `there is no git repository at "${shop.path}"` });
    symlinkSync(at('unmounted'), at('link'));
    expect(await finder().look(at('link'), true)).toHaveProperty('away');
  });
});

describe('a search', () => {
  const below = (path = root, bounds: Partial<SearchBounds> = {}) => finder(bounds).below([path], { mayBeMissing: true });
  const make = (path: string, files: Readonly<Record<string, string>>): void => {
    for (const [name, content] of Object.entries(files)) {
      mkdirSync(join(at(path), name, '..'), { recursive: true });
      writeFileSync(join(at(path), name), content);
    }
  };

  test('finds repositories and directories that are marked or have a manifest, and counts what is neither', async () => {
    make('team/notes', { 'CLAUDE.md': '' });
    make('team/tool', { '.beckon/project.json': '{}' });
    make('team/data', { 'x.csv': '' });
    GitRepository.make(at('team/unmarked'), { 'a.txt': '' });
    const found = await below();
    expect(found.roots).toEqual([shop.path, at('team/notes'), at('team/tool')]);
    expect(found.notes).toEqual([expect.stringContaining('1 repository has neither a manifest nor a file for agents')]);
  });

  test('does not look into repositories, hidden directories, what others built, or through links; nor is a home with a .claude a project', async () => {
    GitRepository.make(at('shop/nested'), { 'AGENTS.md': '' });
    for (const name of ['.hidden/a', 'node_modules/a', 'x/vendor/a', 'home/.claude']) make(name, { 'AGENTS.md': '' });
    mkdirSync(at('outside'));
    make('deep', { 'README.md': '' });
    const outside = mkdtempSync(join(tmpdir(), 'beckon-outside-'));
    writeFileSync(join(outside, 'AGENTS.md'), '');
    symlinkSync(outside, at('deep', 'link'));
    symlinkSync(root, at('deep', 'loop'));
    expect((await below()).roots).toEqual([shop.path]);
    rmSync(outside, { recursive: true });
  });

  test('leads from a worktree to its repository, but only when that knows of it', async () => {
    mkdirSync(at('trees'));
    shop.git('worktree', 'add', '--quiet', at('trees', 'a'));
    mkdirSync(at('lies/b'), { recursive: true });
    writeFileSync(at('lies/b', '.git'), `gitdir: ${join(shop.path, '.git', 'worktrees', 'a')}\n`);
    expect((await below(at('trees'))).roots).toEqual([shop.path]);
    expect((await below(at('lies'))).roots).toEqual([]);
  });

  test('is bounded in depth, in directories, in projects, in the size of one directory, and in time, and says so', async () => {
    make('1/2/3/4', { 'AGENTS.md': '' });
    make('1/2/3/4/5', { 'AGENTS.md': '' });
    expect((await below()).roots).toEqual([at('1/2/3/4'), shop.path]);
    expect(await below(root, { projects: 1 })).toMatchObject({ roots: [shop.path], notes: [expect.stringContaining('1 projects were found: what is beyond was not looked at')] });
    expect((await below(root, { directories: 2 })).notes).toEqual([expect.stringContaining('2 directories were looked at')]);
    expect((await below(root, { entries: 1 })).notes).toEqual([expect.stringContaining(`${root} was not looked into: it has 2 entries`)]);
    expect((await below(root, { ms: -1 })).notes).toEqual([expect.stringContaining('the search took')]);
  });

  test('of a directory that is not there: a note for a root of the config file, an error for one that was named', async () => {
    expect(await below(at('nowhere'))).toEqual({ roots: [], notes: [`there is no directory ${at('nowhere')}`] });
    await expect(finder().below([at('nowhere')], { mayBeMissing: false })).rejects.toMatchObject({ code: 'invalid', message: expect.stringContaining('there is no directory') });
  });

  test('of a directory within a project that was named is that project, marked or not', async () => {
    const plain = GitRepository.make(at('plain'), { 'src/a.txt': '' });
    expect((await finder().below([join(plain.path, 'src')], { mayBeMissing: false })).roots).toEqual([plain.path]);
  });
});

describe('a watch', () => {
  test('hears a worktree come and go, and another branch in it and in the main checkout', async () => {
    const watch = new DirectoryWatch({ clock, log: silentLog });
    try {
      let heard = 0;
      const keep = async (): Promise<void> => watch.keep(shop.path, (await look()).watched, () => (heard += 1));
      const hears = async (what: string, act: () => unknown): Promise<void> => {
        const before = heard;
        act();
        await waitFor(what, () => heard > before, { timeoutMs: 5000 });
        await keep();
      };
      await keep();
      await hears('the first worktree', () => shop.git('worktree', 'add', '--quiet', at('a')));
      await hears('another one', () => shop.git('worktree', 'add', '--quiet', at('b')));
      await hears('a branch in one', () => GitRepository.at(at('a')).git('switch', '--quiet', '-c', 'new'));
      await hears('a branch in the main checkout', () => shop.git('switch', '--quiet', '-c', 'work'));
      await hears('a removal', () => shop.git('worktree', 'remove', at('a')));
      await hears('a directory that is deleted', () => rmSync(at('b'), { recursive: true }));
    } finally {
      watch.stop();
    }
  });

  test('takes no more places than it may, and says so once', async () => {
    const said: string[] = [];
    const watch = new DirectoryWatch({ clock, log: { ...silentLog, warn: (_fields, message) => said.push(message) }, most: 1 });
    watch.keep(shop.path, (await look()).watched, () => undefined);
    watch.keep('/tmp', [{ path: root }, { path: shop.path }], () => undefined);
    expect(said).toEqual([expect.stringContaining('more directories of projects than can be watched')]);
    watch.stop();
  });
});
