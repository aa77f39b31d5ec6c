/** flight diff, fetch and discard, as they are typed and printed. */
import { mkdtempSync, readdirSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { BrokerError, unavailable } from '../../src/domain/errors.ts';
import { FakeNode } from '../support/fake-node.ts';
import { GitRepository } from '../support/git-repository.ts';

let node: FakeNode;
let directory: string;
let repository: GitRepository;
const escape = '\u001b[31m';
const patch = `diff --git a/new.txt b/new.txt
new file mode 100644
index 0000000000000000000000000000000000000000..587be6b4c3f93f93c489c0111bba5596147a26cb
--- /dev/null
+++ b/new.txt
@@ -0,0 +1 @@
+x
`;

beforeEach(async () => {
  directory = realpathSync(mkdtempSync(join(tmpdir(), 'beckon-fetching-')));
  repository = GitRepository.make(join(directory, 'shop'), { 'a.txt': 'a\n' });
  node = await new FakeNode().start();
  node.broker.work.patch = new TextEncoder().encode(patch);
  node.broker.work.summary = { files: [{ path: 'new.txt', added: 1, removed: 0 }, { path: `da${escape}ta.bin` }], fileCount: 5 };
  await node.run(['invoke', 'fabric', 'hello']);
});
afterEach(async () => {
  await node.stop();
  rmSync(directory, { recursive: true, force: true });
});

describe('flight diff', () => {
  test('is the patch to the byte, whatever it holds, when no terminal reads it', async () => {
    node.broker.work.patch = Uint8Array.from({ length: 1000 }, (_, index) => index % 256);
    const { code, bytes } = await node.run(['flight', 'diff', 'last']);
    expect(code).toBe(0);
    expect(Buffer.from(bytes).equals(Buffer.from(node.broker.work.patch))).toBe(true);
  });

  test('passes no control sequence on to a terminal, unless --raw', async () => {
    node.broker.work.patch = new TextEncoder().encode(`+${escape}red`);
    expect((await node.run(['flight', 'diff', 'last'], { terminal: true })).stdout).toBe('+␛[31mred\n');
    expect((await node.run(['flight', 'diff', 'last', '--raw'], { terminal: true })).stdout).toBe(`+${escape}red`);
  });

  test('as a document says what was left out', async () => {
    node.broker.work.summary = { ...node.broker.work.summary, nested: ['vendor'] };
    const { json } = await node.run(['flight', 'diff', 'last', '--json']);
    expect(json).toEqual({
      flightId: expect.stringMatching(/^flt_/), head: 'a'.repeat(40), dirty: 2, tree: 'b'.repeat(40), patch, truncated: false,
      files: [{ path: 'new.txt', added: 1, removed: 0 }, { path: `da${escape}ta.bin`, added: null, removed: null }], filesOmitted: 3, nested: ['vendor'],
    });
    node.broker.work.patch = new Uint8Array([0x2b, 0xe9, 0x0a]);
    expect((await node.run(['flight', 'diff', 'last', '--json'])).json).toMatchObject({ patch: '+\ufffd\n', base64: Buffer.from([0x2b, 0xe9, 0x0a]).toString('base64') });
  });

  test('as a list names files harmlessly, and how many more there are', async () => {
    const { stdout, stderr } = await node.run(['flight', 'diff', 'last', '--stat'], { terminal: true });
    expect(stdout).not.toContain(escape);
    expect(stdout).toMatch(/new\.txt +1 +0\n/);
    expect(stdout).toMatch(/da␛\[31mta\.bin +binary +binary\n/);
    expect(stderr).toContain('and 3 more');
  });

  test('that is cut is not printed for git to choke on; as a document it says so', async () => {
    node.broker.work.summary = { truncated: true };
    const { code, stdout, stderr } = await node.run(['flight', 'diff', 'last']);
    expect([code, stdout]).toEqual([11, '']);
    expect(stderr).toContain('longer than the 64 MiB');
    expect((await node.run(['flight', 'diff', 'last', '--stat'])).code).toBe(0);
    expect((await node.run(['flight', 'diff', 'last', '--json'])).json).toMatchObject({ truncated: true });
    expect((await node.run(['flight', 'fetch', 'last', '--into', repository.path])).code).toBe(11);
    expect(node.broker.work.settled).toEqual([]);
  });

  test('ends quietly when its reader has enough', async () => {
    node.broker.work.patch = new Uint8Array(100_000).fill(0x2b);
    const { code, stderr } = await node.run(['flight', 'diff', 'last'], { readsBytes: 50 });
    expect([code, stderr]).toEqual([0, '']);
  });
});

describe('flight fetch', () => {
  test('applies, stages, and has the worktree let go as it was seen', async () => {
    const { code, json } = await node.run(['flight', 'fetch', 'last', '--json'], { cwd: repository.path });
    expect([code, json]).toEqual([0, { flightId: expect.stringMatching(/^flt_/), applied: true, into: repository.path, files: 5, added: 1, removed: 0, state: 'fetched' }]);
    expect(repository.status).toEqual(['A  new.txt']);
    expect(node.broker.work.settled).toEqual([{ id: expect.stringMatching(/^flt_/), verb: 'fetched', tree: 'b'.repeat(40), by: expect.stringMatching(/^uid:/) }]);
  });

  test('stands, when the owner can’t let its worktree go, and says what is left to do', async () => {
    const settle = node.broker.work.settle.bind(node.broker.work);
    node.broker.work.settle = () => Promise.reject(unavailable('desktop is not reachable'));
    const { code, stdout, stderr } = await node.run(['flight', 'fetch', 'last'], { cwd: repository.path });
    expect([code, stdout]).toEqual([0, `applied to ${repository.path} and staged: 5 files\n`]);
    expect(stderr).toContain('its worktree is kept: desktop is not reachable');
    expect(stderr).toMatch(/beckon flight discard \w{6}/);
    node.broker.work.settle = settle;
  });

  test('with --keep says nothing to the owner', async () => {
    expect((await node.run(['flight', 'fetch', 'last', '--keep', '--json'], { cwd: repository.path })).json).toMatchObject({ state: 'kept' });
    expect(node.broker.work.settled).toEqual([]);
  });

  test('of nothing applies nothing', async () => {
    Object.assign(node.broker.work, { patch: new Uint8Array(), summary: { fileCount: 0 } });
    const { code, stdout } = await node.run(['flight', 'fetch', 'last'], { cwd: repository.path });
    expect([code, stdout]).toEqual([0, 'nothing was changed\n']);
    expect(node.broker.work.settled).toHaveLength(1);
  });

  test('is not led into another repository by variables of the environment, and leaves nothing behind', async () => {
    const other = GitRepository.make(join(directory, 'other'), { 'b.txt': 'b\n' });
    const env = { PATH: '/usr/bin:/bin', HOME: directory, GIT_DIR: join(other.path, '.git'), GIT_WORK_TREE: other.path, GIT_INDEX_FILE: join(other.path, '.git', 'index') };
    const left = (): string[] => readdirSync(tmpdir()).filter((name) => name.startsWith('beckon-fetch-'));
    const before = left();
    expect((await node.run(['flight', 'fetch', 'last'], { cwd: repository.path, env })).code).toBe(0);
    expect([repository.status, other.status]).toEqual([['A  new.txt'], []]);
    expect(left().filter((name) => !before.includes(name))).toEqual([]);
  });

  test('without git says so', async () => {
    const { code, stderr } = await node.run(['flight', 'fetch', 'last'], { cwd: repository.path, env: { PATH: directory } });
    expect(code).toBe(4);
    expect(stderr).toContain('git can’t be started');
  });

  test('in a repository without a commit brings new files', async () => {
    const unborn = GitRepository.make(join(directory, 'unborn'));
    expect((await node.run(['flight', 'fetch', 'last'], { cwd: unborn.path })).code).toBe(0);
    expect(unborn.status).toEqual(['A  new.txt']);
  });
});

describe('flight discard', () => {
  test('says what went, and how commits are had back', async () => {
    const { code, stdout, stderr } = await node.run(['flight', 'discard', 'last']);
    expect([code, stdout]).toEqual([0, expect.stringMatching(/^flt_\w+: its worktree and its branch beckon\/b1c00001 are gone\n$/)]);
    expect(stderr).toContain(`on desktop: git branch rescue ${'c'.repeat(12)}`);
  });

  test('what the node refuses is an error with its code', async () => {
    node.broker.work.failure = new BrokerError('unavailable', 'desktop, which has the worktree, is not reachable');
    expect(await node.run(['flight', 'discard', 'last', '--json'])).toMatchObject({ code: 4, json: { type: 'error', error: { code: 'unavailable' } } });
    node.broker.work.failure = new BrokerError('conflict', 'it did not run in a worktree of its own');
    expect((await node.run(['flight', 'diff', 'last'])).code).toBe(6);
  });
});
