/** The work in a worktree as one patch, on real git. */
import { chmodSync, existsSync, readdirSync, readFileSync, renameSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { GitRepository } from '../support/git-repository.ts';
import { agentIn, fresh, nameOf, never, patchOf, place, summaryOf, worktreesIn } from './worktree-fixture.ts';

async function workIn(name?: string, files?: Record<string, string | Uint8Array>) {
  const at = place(name, files);
  const made = await at.worktrees.make(agentIn(at.repository.path), nameOf(), never);
  return { ...at, made, inside: GitRepository.at(at.worktrees.pathOf(made)) };
}
/** Applies it elsewhere: the files there are then those of the worktree. */
function applied(repository: GitRepository, home: string, patch: string): GitRepository {
  const clone = repository.clone(join(home, 'clone'));
  clone.gitWith(Buffer.from(patch, 'latin1'), 'apply', '--whitespace=nowarn');
  return clone;
}

test('has commits, changes, new, deleted, renamed, binary and executable files, and none that are ignored', async () => {
  const lines = Array.from({ length: 50 }, (_, index) => `line ${index}`).join('\n');
  const { home, repository, worktrees, made, inside } = await workIn('shop', { 'prices.txt': 'one\ntwo\n', 'old.txt': 'old\n', 'moved.txt': lines, '.gitignore': 'build/\n', 'bin.dat': new Uint8Array([0, 1, 2]) });
  inside.commit({ 'committed.txt': 'by the agent\n' });
  const binary = Uint8Array.from({ length: 3000 }, (_, index) => (index * 7919) % 256);
  inside.write({ 'prices.txt': 'one\n2\n', 'ünï cödé/new file.txt': 'new\n', 'bin.dat': binary, 'run.sh': '#!/bin/sh\n', 'latin1.txt': new Uint8Array([0xe9, 0x0a]), 'build/out': 'ignored', 'no-newline': 'x' });
  chmodSync(join(inside.path, 'run.sh'), 0o755);
  symlinkSync('prices.txt', join(inside.path, 'link'));
  rmSync(join(inside.path, 'old.txt'));
  renameSync(join(inside.path, 'moved.txt'), join(inside.path, 'renamed.txt'));
  const seen = (): unknown => [inside.status, repository.status, repository.branches, repository.head, repository.git('count-objects', '-v')];
  const before = seen();
  const snapshot = await worktrees.snapshot(made);
  expect(snapshot.summary).toMatchObject({ head: made.head, dirty: 0, truncated: false, nested: [], fileCount: 10 });
  expect(snapshot.summary.files).toEqual(expect.arrayContaining([{ path: 'prices.txt', added: 1, removed: 1 }, { path: 'bin.dat' }, { path: 'renamed.txt', added: 0, removed: 0 }, { path: 'ünï cödé/new file.txt', added: 1, removed: 0 }]));
  const there = applied(repository, home, await patchOf(snapshot));
  const same = (name: string): boolean => readFileSync(join(there.path, name)).equals(readFileSync(join(inside.path, name)));
  const names = ['committed.txt', 'prices.txt', 'ünï cödé/new file.txt', 'bin.dat', 'run.sh', 'latin1.txt', 'renamed.txt', 'link', 'no-newline'];
  expect(names.filter((name) => !same(name))).toEqual([]);
  expect(statSync(join(there.path, 'run.sh')).mode & 0o100).toBe(0o100);
  expect([existsSync(join(there.path, 'old.txt')), existsSync(join(there.path, 'moved.txt')), existsSync(join(there.path, 'build'))]).toEqual([false, false, false]);
  // It was only looked at.
  expect(seen()).toEqual(before);
  expect(readdirSync(join(worktrees.pathOf(made), '..')).filter((name) => name.startsWith('.'))).toEqual([]);
});

test('is the same whatever the user has configured', async () => {
  const { worktrees, made, inside, repository } = await workIn();
  inside.write({ 'prices.txt': 'one\n2\nthree\n', '.gitattributes': '*.txt diff=shout\n' });
  const before = await patchOf(await worktrees.snapshot(made));
  const settings = { 'diff.noprefix': 'true', 'diff.mnemonicPrefix': 'true', 'color.ui': 'always', 'color.diff': 'always', 'diff.external': '/bin/false', 'diff.shout.textconv': '/bin/false', 'diff.shout.command': '/bin/false', 'core.fsmonitor': '/bin/false', 'diff.context': '0', 'core.safecrlf': 'true', 'core.autocrlf': 'input', 'diff.renames': 'false', 'core.pager': '/bin/false' };
  for (const [name, value] of Object.entries(settings)) repository.git('config', name, value);
  expect(await patchOf(await worktrees.snapshot(made))).toBe(before);
});

test('of nothing is empty, and names the same state as long as nothing changes', async () => {
  const { worktrees, made, inside } = await workIn();
  const first = await summaryOf(worktrees, made);
  expect(first).toMatchObject({ patchBytes: 0, files: [], fileCount: 0 });
  const again = await summaryOf(worktrees, made);
  inside.write({ x: 'x' });
  const changed = await summaryOf(worktrees, made);
  expect([again.tree === first.tree, changed.tree === first.tree]).toEqual([true, false]);
});

test('shows work in the middle of a merge, with the markers that are in the file', async () => {
  const { worktrees, made, inside } = await workIn();
  inside.commit({ 'prices.txt': 'mine\n' });
  inside.git('checkout', '--quiet', '-b', 'theirs', made.head);
  inside.commit({ 'prices.txt': 'theirs\n' });
  inside.git('checkout', '--quiet', made.branch);
  expect(() => inside.git('merge', 'theirs')).toThrow('exited 1');
  expect(await patchOf(await worktrees.snapshot(made))).toContain('+<<<<<<< HEAD');
});

test('above its limit is cut and says so', async () => {
  const { directory, made, inside } = await workIn();
  inside.write({ big: `${'x'.repeat(99)}\n`.repeat(30_000) });
  const worktrees = worktreesIn(directory, { mostPatchBytes: 1_000_000 });
  expect(await summaryOf(worktrees, made)).toMatchObject({ truncated: true, patchBytes: 1_000_000, fileCount: 1 });
});

test('names repositories in it, of which it has no content: a clone, and a submodule with work of its own', async () => {
  const { home, repository, worktrees } = place();
  const library = GitRepository.make(join(home, 'library'), { lib: '1' });
  repository.git('-c', 'protocol.file.allow=always', 'submodule', '--quiet', 'add', library.path, 'vendor/lib');
  repository.commit({});
  const made = await worktrees.make(agentIn(repository.path), nameOf(), never);
  const inside = GitRepository.at(worktrees.pathOf(made));
  // As git has it: a new worktree has submodules empty.
  expect(readdirSync(join(inside.path, 'vendor/lib'))).toEqual([]);
  expect((await summaryOf(worktrees, made)).nested).toEqual([]);
  inside.git('-c', 'protocol.file.allow=always', 'submodule', '--quiet', 'update', '--init');
  writeFileSync(join(inside.path, 'vendor/lib/lib'), 'changed');
  library.clone(join(inside.path, 'cloned'));
  expect((await summaryOf(worktrees, made)).nested.toSorted()).toEqual(['cloned', 'vendor/lib']);
  await worktrees.remove(made, 'goes');
  expect([existsSync(inside.path), repository.worktrees.length]).toEqual([false, 1]);
});

test('a worktree without its .git file is still itself, not a part of what is around it', async () => {
  const at = fresh();
  const outer = GitRepository.make(join(at, 'outer'), { 'dot file': 'mine' });
  const repository = GitRepository.make(join(at, 'inner'), { a: '1\n' });
  const worktrees = worktreesIn(join(outer.path, 'state'));
  const made = await worktrees.make(agentIn(repository.path), nameOf(), never);
  rmSync(join(worktrees.pathOf(made), '.git'));
  writeFileSync(join(worktrees.pathOf(made), 'a'), '2\n');
  expect((await summaryOf(worktrees, made)).files).toEqual([{ path: 'a', added: 1, removed: 1 }]);
  await worktrees.remove(made, 'goes');
  expect([existsSync(worktrees.pathOf(made)), repository.worktrees.length, repository.branches]).toEqual([false, 1, ['main']]);
});

test('of one that is gone, or whose repository is, says so', async () => {
  const { worktrees, made, repository } = await workIn();
  rmSync(repository.path, { recursive: true });
  await expect(worktrees.snapshot(made)).rejects.toMatchObject({ code: 'unavailable', message: expect.stringContaining('the git repository of its worktree is gone') });
  await worktrees.remove(made, 'goes');
  await expect(worktrees.snapshot(made)).rejects.toMatchObject({ code: 'unavailable', message: expect.stringContaining('is gone') });
  await worktrees.remove(made, 'goes');
});
