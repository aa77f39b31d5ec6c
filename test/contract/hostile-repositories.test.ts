/** Repositories as an enemy may have made them, on real git: looking at one runs nothing of it, waits for nothing, believes nothing of others. */
import { execFileSync } from 'node:child_process';
import { appendFileSync, existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { createSystemClock } from '../../src/app/system-clock.ts';
import { createProjectProbe } from '../../src/discovery/project.ts';
import { repositoryAt } from '../../src/discovery/repository.ts';
import { createProjectFinder } from '../../src/discovery/projects.ts';
import { checkouts } from '../../src/harness/worktree/checkouts.ts';
import { loginState } from '../../src/harness/acp/login.ts';
import { gitPath, GitRepository } from '../support/git-repository.ts';
import { fetchingBy, program } from '../support/hostile-repository.ts';
import { agentIn, fresh, place } from './worktree-fixture.ts';

describe('whether a worktree could be made for an agent', () => {
  test('is found out without fetching what the repository lacks by a program that it names', async () => {
    const { home, repository, worktrees } = place();
    const proof = join(home, 'proof');
    fetchingBy(repository, proof);
    expect(await worktrees.check(agentIn(repository.path))).toMatchObject({ available: false });
    expect(existsSync(proof)).toBe(false);
    // The attack is one.
    expect(() => repository.git('rev-parse', 'HEAD^{commit}')).toThrow('exited 128');
    expect(existsSync(proof)).toBe(true);
  });

  test.each(['PATH', 'GIT_TRACE2', 'GIT_SSH_COMMAND'])('is found out without the %s that its manifest asks for', async (name) => {
    const { home, repository, worktrees } = place();
    const [proof, bin] = [join(home, 'proof'), join(home, 'bin')];
    mkdirSync(bin);
    program(join(bin, 'git'), `#!/bin/sh\ntouch ${proof}\n`);
    if (name === 'GIT_SSH_COMMAND') fetchingBy(repository, proof);
    const value = name === 'PATH' ? bin : name === 'GIT_TRACE2' ? proof : `touch ${proof}; false`;
    const { available } = await worktrees.check(agentIn(repository.path, { env: [`${name}=${value}`] }));
    expect([available, existsSync(proof)]).toEqual([name !== 'GIT_SSH_COMMAND', false]);
  });

  test('is asked of no git that lies in the repository, whatever PATH has', async () => {
    const { home, repository, worktrees } = place();
    const proof = join(home, 'proof');
    program(join(repository.path, 'git'), `#!/bin/sh\ntouch ${proof}\n`);
    expect(await worktrees.check(agentIn(repository.path, { path: `.:${gitPath}` }))).toEqual({ available: true });
    expect(existsSync(proof)).toBe(false);
  });
});

describe('a `.git` that is no file', () => {
  test.each(['a pipe', 'a device'])('%s is not waited for', async (what) => {
    const directory = fresh();
    mkdirSync(directory, { recursive: true });
    if (what === 'a pipe') execFileSync('mkfifo', [join(directory, '.git')]);
    else symlinkSync('/dev/zero', join(directory, '.git'));
    expect(await checkouts.of(directory)).toBeUndefined();
    expect(await repositoryAt(directory)).toBeUndefined();
  });

  test('neither is one behind the file of a worktree, nor in the place of a login', async () => {
    const directory = fresh();
    const entry = join(directory, 'entry');
    mkdirSync(entry, { recursive: true });
    writeFileSync(join(directory, '.git'), `gitdir: ${entry}\n`);
    for (const name of ['commondir', 'gitdir', 'HEAD']) execFileSync('mkfifo', [join(entry, name)]);
    expect(await checkouts.of(directory)).toBeUndefined();
    expect(await repositoryAt(directory)).toBeUndefined();
    const login = { variables: [], files: () => [{ path: join(entry, 'HEAD'), holds: /x/ }], hiddenOn: [], hint: '' };
    expect(await loginState(login, { HOME: directory }, 'linux')).toBe('out');
  });

  test('one of gigabytes costs nothing', async () => {
    const directory = fresh();
    mkdirSync(directory, { recursive: true });
    execFileSync('truncate', ['-s', '8G', join(directory, '.git')]);
    expect(await checkouts.of(directory)).toBeUndefined();
  });
});

test('a `.git` file that leads to the checkout of another directory makes this one no checkout of it', async () => {
  const home = fresh();
  const real = GitRepository.make(join(home, 'real'), { a: '1' });
  real.git('worktree', 'add', '--quiet', '-b', 'feature', join(home, 'feature'));
  mkdirSync(join(home, 'evil', '.beckon'), { recursive: true });
  writeFileSync(join(home, 'evil', '.git'), `gitdir: ${join(real.path, '.git')}\n`);
  writeFileSync(join(home, 'evil', '.beckon', 'project.json'), JSON.stringify({ command: ['./steal'] }));
  expect(await repositoryAt(join(home, 'evil'))).toBeUndefined();
  // One that is kept elsewhere, as git itself makes it.
  execFileSync('git', ['init', '-q', '--separate-git-dir', join(home, 'kept'), join(home, 'apart')], { env: { PATH: gitPath, HOME: home } });
  expect(await repositoryAt(join(home, 'apart'))).toMatchObject({ root: join(home, 'apart') });
});

test('settings that are included from a pipe make git wait for one worktree, and not for each', async () => {
  const home = fresh();
  const repository = GitRepository.make(join(home, 'slow'), { a: '1' });
  for (let count = 0; count < 3; count += 1) repository.git('worktree', 'add', '--quiet', '-b', `b${count}`, join(home, `w${count}`));
  execFileSync('mkfifo', [join(home, 'pipe')]);
  for (const name of ['w0', 'w1', 'w2']) writeFileSync(join(repository.path, '.git', 'worktrees', name, 'HEAD'), 'ref: refs/heads/.invalid\n');
  appendFileSync(join(repository.path, '.git', 'config'), `[include]\npath = ${join(home, 'pipe')}\n`);
  let asked = 0;
  let nowMs = 0;
  const clock = { ...createSystemClock(), monotonic: () => nowMs };
  const probe = { ...createProjectProbe(gitPath), branch: () => ((asked += 1), (nowMs += 5_000), Promise.resolve(undefined)) };
  const finder = createProjectFinder({ clock, probe, home, worktreesDirectory: join(home, 'none'), marks: new Set() });
  expect(await finder.look(repository.path, true)).toMatchObject({ worktrees: [{ branch: 'main' }, {}, {}, {}] });
  expect(asked).toBe(1);
  expect(readFileSync(join(home, 'w0', '.git'), 'utf8')).toContain('gitdir: ');
});
