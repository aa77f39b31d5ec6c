import { chmod, mkdir, mkdtemp, realpath, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { readOwnConfigFile } from '../../../src/app/own-config-file.ts';
import { flawOfAbove, refuseUnsafeAbove } from '../../../src/app/safe-above.ts';

const ann = 1000;
const trusted = new Set([0, ann]);

test.each<[string, { uid: number; gid: number; mode: number }, RegExp | undefined]>([
  ['root’s', { uid: 0, gid: 0, mode: 0o755 }, undefined],
  ['root’s, for anybody, with the sticky bit', { uid: 0, gid: 0, mode: 0o1777 }, undefined],
  ['root’s, for anybody', { uid: 0, gid: 0, mode: 0o777 }, /anybody/],
  ['root’s, for a group', { uid: 0, gid: 50, mode: 0o2775 }, /its group \(50\)/],
  ['root’s, for root’s group', { uid: 0, gid: 0, mode: 0o775 }, undefined],
  ['her own', { uid: ann, gid: 100, mode: 0o700 }, undefined],
  ['her own, for a group', { uid: ann, gid: 100, mode: 0o770 }, /its group \(100\)/],
  ['her own, for the group that is her alone', { uid: ann, gid: ann, mode: 0o775 }, undefined],
  ['her own, for anybody', { uid: ann, gid: ann, mode: 0o707 }, /anybody/],
  ['another user’s', { uid: 1001, gid: 1001, mode: 0o755 }, /belongs to user 1001/],
  ['another user’s, with the sticky bit', { uid: 1001, gid: 1001, mode: 0o1777 }, /belongs to user 1001/],
])('a directory above that is %s', (_what, above, why) => {
  const flaw = flawOfAbove('/srv', above, trusted);
  if (why === undefined) expect(flaw).toBeUndefined();
  else expect(flaw).toMatchObject({ why: expect.stringMatching(why), hint: expect.stringMatching(/chmod [og]-w \/srv|chown 1000 \/srv/) });
});

describe('the way to a directory', () => {
  let root: string;
  beforeEach(async () => {
    root = await realpath(await mkdtemp(join(tmpdir(), 'beckon-above-')));
  });
  afterEach(() => rm(root, { recursive: true, force: true }));

  test('is refused by the directory that others may write to, however far above, also where nothing is yet', async () => {
    await mkdir(join(root, 'open', 'closed'), { recursive: true });
    await chmod(join(root, 'open'), 0o777);
    for (const below of ['closed', 'closed/a', 'b/c/d']) {
      await expect(refuseUnsafeAbove(join(root, 'open', below), 'the directory')).rejects.toMatchObject({ code: 'denied', message: expect.stringContaining(`${join(root, 'open')}, above it`), hint: `chmod o-w ${join(root, 'open')}` });
    }
    await chmod(join(root, 'open'), 0o1777);
    await refuseUnsafeAbove(join(root, 'open', 'closed', 'a'), 'the directory');
  });

  test('goes through links to where they lead', async () => {
    await mkdir(join(root, 'open', 'target'), { recursive: true });
    await chmod(join(root, 'open'), 0o777);
    await symlink(join(root, 'open', 'target'), join(root, 'link'));
    await expect(refuseUnsafeAbove(join(root, 'link', 'state'), 'the directory')).rejects.toMatchObject({ code: 'denied', message: expect.stringContaining(`${join(root, 'open')}, above it`) });
    await symlink(join(root, 'round'), join(root, 'round'));
    await refuseUnsafeAbove(join(root, 'round', 'state'), 'the directory');
  });

  test('of a config file counts as much as the file: others can change neither', async () => {
    const path = join(root, 'config.toml');
    expect((await readOwnConfigFile(path)).flaws).toEqual([]);
    await writeFile(path, 'name = "laptop"\n', { mode: 0o600 });
    expect(await readOwnConfigFile(path)).toMatchObject({ flaws: [], settings: { name: 'laptop' } });
    await chmod(path, 0o666);
    expect(await readOwnConfigFile(path)).toMatchObject({ settings: {}, flaws: [{ source: path, message: 'others may change it: its mode is 0666', hint: `chmod go-w ${path}` }] });
    await chmod(path, 0o644);
    expect((await readOwnConfigFile(path)).flaws).toEqual([]);
    await mkdir(join(root, 'open'));
    await chmod(join(root, 'open'), 0o777);
    await writeFile(join(root, 'open', 'dotfile.toml'), '', { mode: 0o644 });
    await symlink(join(root, 'open', 'dotfile.toml'), join(root, 'linked.toml'));
    expect((await readOwnConfigFile(join(root, 'linked.toml'))).flaws).toMatchObject([{ message: expect.stringContaining('anybody may put something else in its place') }]);
  });

  test('of a config file of another user is nobody’s word', async () => {
    const path = join(root, 'config.toml');
    await writeFile(path, '', { mode: 0o600 });
    const uid = process.getuid?.() ?? 0;
    if (uid === 0) expect((await readOwnConfigFile(path, 4711)).flaws).toEqual([]);
    else expect((await readOwnConfigFile(path, uid + 1)).flaws).toMatchObject([{ message: expect.stringContaining('belongs to user') }]);
  });
});
