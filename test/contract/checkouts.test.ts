/** When a linked worktree counts as gone, on real git. */
import { mkdirSync, mkdtempSync, realpathSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeEach, describe, expect, test } from 'vitest';
import { checkouts } from '../../src/harness/worktree/checkouts.ts';
import type { Checkout } from '../../src/domain/worktree.ts';
import { GitRepository } from '../support/git-repository.ts';

const root = realpathSync(mkdtempSync(join(tmpdir(), 'beckon-checkouts-')));
afterAll(() => rmSync(root, { recursive: true, force: true }));

let home: string;
let repository: GitRepository;
let feature: string;
let count = 0;
beforeEach(() => {
  count += 1;
  home = join(root, String(count));
  repository = GitRepository.make(join(home, 'shop'), { 'sub/a': 'a' });
  feature = join(home, 'trees', 'feature');
  repository.git('worktree', 'add', '--quiet', '-b', 'feature', feature);
});

async function known(directory = feature): Promise<Checkout> {
  const checkout = await checkouts.of(directory);
  if (checkout === undefined) throw new Error(`${directory} is in no linked worktree`);
  return checkout;
}

test('a linked worktree is known from any directory in it', async () => {
  const expected = { top: feature, entry: join(repository.path, '.git', 'worktrees', 'feature'), repository: join(repository.path, '.git') };
  expect(await known()).toMatchObject(expected);
  expect(await known(join(feature, 'sub'))).toMatchObject(expected);
});

test('the repository itself, a bare one, a submodule and a plain directory are none', async () => {
  repository.git('-c', 'protocol.file.allow=always', 'submodule', '--quiet', 'add', GitRepository.make(join(home, 'library'), { lib: '1' }).path, 'vendor');
  mkdirSync(join(home, 'plain'));
  const found = await Promise.all(['shop', 'shop/sub', 'shop/vendor', 'plain'].map((each) => checkouts.of(join(home, each))));
  expect(found).toEqual([undefined, undefined, undefined, undefined]);
});

describe('gone', () => {
  test('git worktree remove', async () => {
    const checkout = await known();
    expect(await checkouts.gone(checkout)).toBeUndefined();
    repository.git('worktree', 'remove', feature);
    expect(await checkouts.gone(checkout)).toBe(`its directory "${feature}" is gone: the git worktree was removed`);
  });

  test('deleted by hand, also with what was around it', async () => {
    const checkout = await known();
    rmSync(join(home, 'trees'), { recursive: true });
    expect(await checkouts.gone(checkout)).toMatch(/is gone: the git worktree was deleted$/);
  });

  test('moved', async () => {
    const checkout = await known();
    repository.git('worktree', 'move', feature, join(home, 'elsewhere'));
    expect(await checkouts.gone(checkout)).toBe(`its directory "${feature}" is gone: the git worktree was moved to "${join(home, 'elsewhere')}"`);
  });
});

describe('away, and it may come back', () => {
  test('with its whole repository', async () => {
    const checkout = await known();
    renameSync(home, `${home}-away`);
    expect(await checkouts.gone(checkout)).toBeUndefined();
    renameSync(`${home}-away`, home);
  });

  test('locked, as git has it for disks that are not always there', async () => {
    const checkout = await known();
    repository.git('worktree', 'lock', feature);
    rmSync(feature, { recursive: true });
    expect(await checkouts.gone(checkout)).toBeUndefined();
  });

  test('on a file system that is not mounted now', async () => {
    const checkout = await known();
    rmSync(feature, { recursive: true });
    expect(await checkouts.gone({ ...checkout, device: checkout.device + 1 })).toBeUndefined();
  });

  test('only a part of it is missing, say because of a branch that does not have it', async () => {
    const checkout = await known(join(feature, 'sub'));
    rmSync(join(feature, 'sub'), { recursive: true });
    expect(await checkouts.gone(checkout)).toBeUndefined();
  });
});
