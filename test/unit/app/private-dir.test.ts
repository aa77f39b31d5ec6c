import { chmod, mkdir, mkdtemp, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { ensurePrivateDir } from '../../../src/app/private-dir.ts';
import { because, notLinux } from '../../support/programs.ts';

describe('a private directory', () => {
  let root: string;
  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), 'beckon-private-'));
  });
  afterEach(() => rm(root, { recursive: true, force: true }));

  test('is made with all above it, for the user alone, and making it again changes nothing', async () => {
    await ensurePrivateDir(join(root, 'a', 'b'));
    await ensurePrivateDir(join(root, 'a', 'b'));
    for (const each of ['a', 'a/b']) expect((await stat(join(root, each))).mode & 0o777).toBe(0o700);
  });

  test('that others may read but not write is accepted as it is', async () => {
    const path = join(root, 'readable');
    await mkdir(path);
    await chmod(path, 0o755);
    await ensurePrivateDir(path);
    expect((await stat(path)).mode & 0o777).toBe(0o755);
  });

  test.each([[0o770], [0o702], [0o1777]])('of mode %o is refused by name, with the cure', async (mode) => {
    const path = join(root, 'open');
    await mkdir(path);
    await chmod(path, mode);
    await expect(ensurePrivateDir(path)).rejects.toMatchObject({ code: 'denied', message: expect.stringContaining(path), hint: `chmod 700 ${path}` });
  });

  test('of another user is refused by name', async () => {
    const other = (process.getuid?.() ?? 0) + 1;
    await expect(ensurePrivateDir(root, other)).rejects.toMatchObject({ code: 'denied', message: expect.stringMatching(/belongs to user/) });
  });

  test('is never a symbolic link, wherever that points', async () => {
    const target = join(root, 'target');
    await mkdir(target, { mode: 0o700 });
    for (const [name, to] of [['link', target], ['dangling', join(root, 'none')]] as const) {
      await symlink(to, join(root, name));
      await expect(ensurePrivateDir(join(root, name))).rejects.toMatchObject({ code: 'denied', message: expect.stringContaining('symbolic link') });
      await expect(ensurePrivateDir(join(root, `${name}/`))).rejects.toMatchObject({ code: 'denied' });
    }
  });

  test('is never a file, nor below one', async () => {
    await writeFile(join(root, 'file'), '');
    await expect(ensurePrivateDir(join(root, 'file'))).rejects.toMatchObject({ code: 'invalid', message: expect.stringContaining('not a directory') });
    await expect(ensurePrivateDir(join(root, 'file', 'below'))).rejects.toMatchObject({ code: 'invalid' });
  });

  test.skipIf(notLinux !== undefined)(`in a place where none can be made is said to be unusable, at once${because(notLinux)}`, async () => {
    await expect(ensurePrivateDir('/proc/beckon/state')).rejects.toMatchObject({ code: 'unavailable', message: expect.stringContaining('/proc/beckon/state') });
  });
});
