import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { fileNames, writeTaskFiles } from '../../../src/harness/task-files.ts';

describe('names of task files', () => {
  const hostile = fc.oneof(fc.string({ unit: 'binary', maxLength: 300 }), fc.array(fc.constantFrom('..', '/', '\\', 'a', 'A', '.', '\0', '-2', 'é', 'e\u0301', '\ud800'), { maxLength: 8 }).map((parts) => parts.join('')));

  test('whatever is asked for, each is a base name of its own that a file system takes', () => {
    fc.assert(
      fc.property(fc.array(hostile, { maxLength: 12 }), (wanted) => {
        const names = fileNames(wanted);
        expect(names).toHaveLength(wanted.length);
        expect(new Set(names.map((name) => name.normalize('NFC').toLowerCase())).size).toBe(names.length);
        for (const name of names) {
          expect(name).not.toMatch(/[/\\\p{Cc}]/u);
          expect(['', '.', '..']).not.toContain(name);
          expect(Buffer.byteLength(name)).toBeLessThanOrEqual(255);
        }
      }),
      { numRuns: 500 },
    );
  });

  test.each([
    [['../../etc/passwd'], ['passwd']],
    [['C:\\x\\report.txt'], ['report.txt']],
    [['..', '.', '', '/'], ['file', 'file-2', 'file-3', 'file-4']],
    [['a.txt', 'A.TXT', 'a.txt', 'a-2.txt'], ['a.txt', 'A-2.TXT', 'a-3.txt', 'a-2-2.txt']],
    [['.env', '.env'], ['.env', '.env-2']],
  ])('%j become %j', (wanted, names) => {
    expect(fileNames(wanted)).toEqual(names);
  });
});

describe('files of a task', () => {
  let temporary: string;
  beforeEach(async () => {
    temporary = await mkdtemp(join(tmpdir(), 'beckon-test-'));
  });
  afterEach(() => rm(temporary, { recursive: true, force: true }));

  test('are readable by the user alone, in a directory of their own, until they are removed', async () => {
    const written = await writeTaskFiles(temporary, [{ name: 'a.bin', bytes: Uint8Array.of(0, 255) }, { name: '../a.bin', bytes: new Uint8Array() }]);
    expect((await stat(written.directory)).mode & 0o777).toBe(0o700);
    expect((await stat(join(written.directory, 'a.bin'))).mode & 0o777).toBe(0o600);
    expect([...(await readFile(join(written.directory, 'a.bin')))]).toEqual([0, 255]);
    expect(await readdir(written.directory)).toEqual(['a-2.bin', 'a.bin']);
    await written.remove();
    expect(await readdir(temporary)).toEqual([]);
  });

  test('that can’t be written are one clear error', async () => {
    await expect(writeTaskFiles(join(temporary, 'none'), [{ name: 'a', bytes: new Uint8Array() }])).rejects.toMatchObject({ code: 'unavailable', message: expect.stringContaining('ENOENT') });
  });
});
