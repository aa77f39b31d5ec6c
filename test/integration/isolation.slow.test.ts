/** Isolated agents on another node: their work is shown, fetched and discarded from where they were invoked. */
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { FlightId } from '../../src/domain/ids.ts';
import { GitRepository } from '../support/git-repository.ts';
import { LocalPair } from '../support/local-node.ts';
import type { LocalNode } from '../support/local-node.ts';
import { SessionHarness } from '../support/session-harness.ts';
import { waitFor } from '../support/wait-for.ts';

let pair: LocalPair;
let harness: SessionHarness;
let laptop: LocalNode;
let desktop: LocalNode;
let home: string;
let repository: GitRepository;
let clone: GitRepository;
let count = 0;

beforeAll(async () => {
  harness = new SessionHarness();
  pair = await new LocalPair().start([harness]);
  ({ laptop, desktop } = pair);
}, 60_000);
afterAll(() => pair[Symbol.asyncDispose]());

beforeEach(() => {
  count += 1;
  home = join(pair.root, `work ${count}`);
  repository = GitRepository.make(join(home, 'shop'), { 'prices.txt': 'one\ntwo\nthree\n', 'sub/keep.txt': 'x\n' });
  clone = repository.clone(join(home, 'clone'));
});

/** An agent of the desktop that runs its task as a script, known on the laptop. */
async function agent(more: { readonly cwd?: string; readonly argv?: readonly string[]; readonly isolate?: boolean; readonly harness?: string } = {}): Promise<string> {
  const address = await desktop.addAgent(`worker${count}-${readdirSync(home).length}`, { argv: ['sh', '-e'], cwd: repository.path, isolate: true, ...more });
  await pair.knows(laptop, address);
  return address;
}

const who = 'git config user.name robot; git config user.email r@x; ';
const work = `${who}sed -i s/two/2/ prices.txt; git commit -qam "by the agent"; echo new > "new file.txt"; printf '\\0\\1' > data.bin; pwd`;

async function worked(script = work, address?: string): Promise<FlightId> {
  const { flightId } = await laptop.invoke(address ?? (await agent()), script);
  await laptop.becomes(flightId, 'completed');
  return flightId;
}

const worktreesOf = (node: LocalNode): string[] => {
  const directory = join(node.home, 'worktrees');
  return existsSync(directory) ? readdirSync(directory) : [];
};

async function isolation(node: LocalNode, id: FlightId): Promise<Record<string, unknown>> {
  return (await node.cli('flight', 'show', id, '--json')).json['flight']['isolation'] as Record<string, unknown>;
}

describe('an isolated flight', () => {
  test('works in a worktree of its own, which is kept; the project stays as it was', async () => {
    repository.write({ 'prices.txt': 'not committed\n', 'notes.txt': 'mine' });
    const id = await worked(`${work}; cat prices.txt`, await agent({ cwd: join(repository.path) }));
    const branch = `beckon/${id.slice(-8).toLowerCase()}`;
    const path = join(desktop.home, 'worktrees', id.slice(4).toLowerCase());
    expect(await laptop.outputOf(id)).toBe(`${path}\none\n2\nthree\n`);
    expect(await isolation(desktop, id)).toEqual({ head: repository.head, branch, dirty: 2, state: 'kept', path });
    expect(await isolation(laptop, id)).toEqual({ head: repository.head, branch, dirty: 2, state: 'kept' });
    expect([repository.status, repository.git('branch', '--show-current')]).toEqual([['?? notes.txt', ' M prices.txt'].toSorted(), 'main']);
    const shown = (await laptop.cli('flight', 'show', id)).stdout;
    expect(shown).toMatch(/worktree +kept on desktop\n +began at [0-9a-f]{12} on branch beckon\/\w{8}; 2 changed or untracked files were not in it/);
    const facts = (await laptop.client.trace(id)).entries.filter(({ fact }) => fact.what === 'flight.started').map(({ fact }) => fact.detail);
    expect(facts).toEqual([expect.objectContaining({ head: repository.head.slice(0, 12), branch, dirty: '2' }), expect.objectContaining({ branch })]);
  });

  test('has the agent’s own place in the repository', async () => {
    const id = await worked('pwd; ls', await agent({ cwd: join(repository.path, 'sub') }));
    expect(await laptop.outputOf(id)).toMatch(/worktrees\/\w+\/sub\nkeep\.txt\n$/);
  });

  test('several at once do not meet', async () => {
    const address = await agent();
    const ids = await Promise.all([1, 2, 3, 4].map(async (number) => (await laptop.invoke(address, `echo ${number} >> prices.txt; cat prices.txt`)).flightId));
    for (const id of ids) await laptop.becomes(id, 'completed');
    const outputs = await Promise.all(ids.map((id) => laptop.outputOf(id)));
    expect(outputs).toEqual([1, 2, 3, 4].map((number) => `one\ntwo\nthree\n${number}\n`));
    for (const id of ids) await laptop.client.settleWorktree({ id, verb: 'discarded' });
    expect([repository.worktrees.length, repository.branches]).toEqual([1, ['main']]);
  });

  test('that changed nothing leaves nothing', async () => {
    const before = worktreesOf(desktop);
    const id = await worked('cat prices.txt');
    await waitFor('its worktree to go', async () => (await isolation(laptop, id))['state'] === 'unchanged');
    await waitFor('its branch to go', () => repository.branches.length === 1);
    expect(worktreesOf(desktop)).toEqual(before);
    const { code, stdout, stderr } = await laptop.cli('flight', 'diff', id);
    expect([code, stdout, stderr]).toEqual([0, '', 'nothing was changed\n']);
    expect((await laptop.cli('flight', 'discard', id)).code).toBe(0);
  });

  test('fails before it starts, with git’s own words, when no worktree can be made; nothing is left', async () => {
    const before = worktreesOf(desktop);
    const hook = join(repository.path, '.git', 'hooks', 'post-checkout');
    writeFileSync(hook, '#!/bin/sh\necho "no room for dependencies" >&2\nexit 1\n');
    chmodSync(hook, 0o755);
    const { flightId } = await laptop.invoke(await agent(), work);
    const flight = await laptop.becomes(flightId, 'failed');
    expect(flight.error).toMatchObject({ code: 'unavailable', message: expect.stringContaining('no room for dependencies') });
    expect(flight.startedAtMs).toBeUndefined();
    expect([worktreesOf(desktop), repository.branches]).toEqual([before, ['main']]);
    expect((await laptop.cli('flight', 'diff', flightId)).code).toBe(6);
  });

  test('that is cancelled while its worktree is made never starts, and leaves nothing', async () => {
    const before = worktreesOf(desktop);
    const hook = join(repository.path, '.git', 'hooks', 'post-checkout');
    writeFileSync(hook, `#!/bin/sh\necho $$ > '${home}/pid'; exec sleep 1000\n`);
    chmodSync(hook, 0o755);
    const { flightId } = await laptop.invoke(await agent(), work);
    await waitFor('the hook', () => existsSync(join(home, 'pid')));
    expect(await laptop.client.cancelFlight(flightId, 10_000)).toMatchObject({ confirmed: true, flight: { state: 'cancelled' } });
    expect((await laptop.flight(flightId)).startedAtMs).toBeUndefined();
    expect([worktreesOf(desktop), repository.branches]).toEqual([before, ['main']]);
  });
});

describe('flight diff', () => {
  test('is what git apply takes, with commits, new and binary files', async () => {
    const id = await worked();
    const { code, bytes } = await laptop.cli('flight', 'diff', id);
    expect(code).toBe(0);
    clone.gitWith(bytes, 'apply');
    expect(clone.status).toEqual([' M prices.txt', '?? "new file.txt"', '?? data.bin'].toSorted());
    expect(clone.read('prices.txt')).toBe('one\n2\nthree\n');
  });

  test('as a document, and as a list', async () => {
    const id = await worked();
    const { json } = await laptop.cli('flight', 'diff', id, '--json');
    expect(json).toEqual({
      flightId: id, head: repository.head, dirty: 0, tree: expect.stringMatching(/^[0-9a-f]{40}$/), patch: expect.stringContaining('diff --git a/prices.txt b/prices.txt'), truncated: false,
      files: expect.arrayContaining([{ path: 'prices.txt', added: 1, removed: 1 }, { path: 'new file.txt', added: 1, removed: 0 }, { path: 'data.bin', added: null, removed: null }]),
    });
    expect((await laptop.cli('flight', 'diff', id, '--stat')).stdout.split('\n').map((line) => line.trim().split(/ {2,}/))).toEqual(expect.arrayContaining([['FILE', 'ADDED', 'REMOVED'], ['data.bin', 'binary', 'binary'], ['prices.txt', '1', '1']]));
  });

  test('of many megabytes arrives whole', async () => {
    const id = await worked(`awk 'BEGIN { for (i = 0; i < 300000; i++) print "line number " i " of a large file" }' > large.txt`);
    const { bytes } = await laptop.cli('flight', 'diff', id);
    expect(bytes.length).toBeGreaterThan(9_000_000);
    clone.gitWith(bytes, 'apply');
    expect(clone.read('large.txt').length).toBeGreaterThan(9_000_000);
  });

  test('can be seen while the flight runs, and its worktree is not let go of then', async () => {
    const address = await agent();
    const { flightId } = await laptop.invoke(address, `echo half > half.txt; until [ -e '${home}/go' ]; do sleep 0.05; done`);
    await waitFor('some work', async () => (await laptop.cli('flight', 'diff', flightId)).stdout.includes('half.txt'));
    for (const verb of ['fetch', 'discard']) expect((await laptop.cliIn(clone.path, 'flight', verb, flightId)).code).toBe(6);
    expect(clone.status).toEqual([]);
    writeFileSync(join(home, 'go'), '');
    await laptop.becomes(flightId, 'completed');
    expect((await laptop.cli('flight', 'discard', flightId)).code).toBe(0);
  });

  test('of a flight that is not isolated is a conflict that says what is', async () => {
    const id = await worked('true', await agent({ isolate: false }));
    for (const verb of ['diff', 'discard']) {
      const { code, stderr } = await laptop.cli('flight', verb, id);
      expect(code).toBe(6);
      expect(stderr).toContain('--isolate');
    }
    expect((await desktop.cli('flight', 'show', id, '--json')).json['flight']).not.toHaveProperty('isolation');
  });
});

describe('flight fetch', () => {
  test('stages the work in the repository here, and the worktree goes', async () => {
    const before = worktreesOf(desktop);
    const id = await worked();
    const { code, stdout } = await laptop.cliIn(join(clone.path, 'sub'), 'flight', 'fetch', id);
    expect([code, stdout]).toEqual([0, `applied to ${clone.path} and staged: 3 files\n`]);
    expect(clone.status).toEqual(['A  "new file.txt"', 'A  data.bin', 'M  prices.txt'].toSorted());
    expect([worktreesOf(desktop), repository.branches]).toEqual([before, ['main']]);
    for (const node of [laptop, desktop]) expect(await isolation(node, id)).toMatchObject({ state: 'fetched' });
    expect(await isolation(desktop, id)).not.toHaveProperty('path');
    expect((await laptop.cli('flight', 'diff', id)).stderr).toContain('fetched already');
    expect((await laptop.cliIn(clone.path, 'flight', 'fetch', id)).code).toBe(6);
  });

  test('merges with what went on here since', async () => {
    clone.commit({ 'prices.txt': 'zero\none\ntwo\nthree\n' });
    const id = await worked('sed -i s/three/3/ prices.txt');
    expect((await laptop.cliIn('/', 'flight', 'fetch', id, '--into', clone.path, '--json')).json).toEqual({ flightId: id, applied: true, into: clone.path, files: 1, added: 1, removed: 1, state: 'fetched' });
    expect(clone.read('prices.txt')).toBe('zero\none\ntwo\n3\n');
  });

  const obstacles: Readonly<Record<string, () => void>> = {
    'a commit': () => void clone.commit({ 'prices.txt': 'one\nzwei\nthree\n' }),
    'a change that is not committed': () => clone.write({ 'prices.txt': 'one\nzwei\nthree\n' }),
    'a file that git does not know': () => clone.write({ 'new file.txt': 'mine' }),
  };
  test.each(Object.entries(obstacles))('that meets %s changes nothing, and the worktree is kept', async (_what, obstruct) => {
    obstruct();
    const [status, head, prices] = [clone.status, clone.head, clone.read('prices.txt')];
    const id = await worked();
    const { code, stderr } = await laptop.cliIn(clone.path, 'flight', 'fetch', id);
    expect(code).toBe(6);
    expect(stderr).toContain('where nothing was changed');
    expect([clone.status, clone.head, clone.read('prices.txt')]).toEqual([status, head, prices]);
    expect(await isolation(laptop, id)).toMatchObject({ state: 'kept' });
    expect((await laptop.cli('flight', 'diff', id)).code).toBe(0);
  });

  test('with --keep it can be done again elsewhere', async () => {
    const id = await worked();
    expect((await laptop.cliIn(clone.path, 'flight', 'fetch', id, '--keep')).code).toBe(0);
    const other = repository.clone(join(home, 'other'));
    expect((await laptop.cliIn(other.path, 'flight', 'fetch', id)).code).toBe(0);
    expect(other.status).toEqual(clone.status);
  });

  test('outside of any repository is refused before anything is asked', async () => {
    const { code, stderr } = await laptop.cliIn(home, 'flight', 'fetch', 'last');
    expect(code).toBe(2);
    expect(stderr).toContain('is in no git repository');
    expect((await laptop.cliIn(home, 'flight', 'fetch', 'last', '--into', 'nowhere')).code).toBe(2);
  });

  test('lets nothing go that was not in the diff: what came since, and repositories inside', async () => {
    const id = await worked();
    const { path } = await isolation(desktop, id);
    const summary = (await laptop.cli('flight', 'diff', id, '--json')).json;
    writeFileSync(join(String(path), 'late.txt'), 'late');
    await expect(laptop.client.settleWorktree({ id, verb: 'fetched', tree: String(summary['tree']) })).rejects.toMatchObject({ code: 'conflict', message: expect.stringContaining('has changed since') });
    GitRepository.make(join(String(path), 'inner'), { secret: 'work' });
    const fetched = await laptop.cliIn(clone.path, 'flight', 'fetch', id);
    expect(fetched.code).toBe(0);
    expect(fetched.stderr).toContain('its worktree is kept: its worktree has repositories of its own whose content is in no diff: inner');
    expect(readFileSync(join(String(path), 'inner', 'secret'), 'utf8')).toBe('work');
  });
});

describe('flight discard', () => {
  test('removes worktree and branch, and says how to get commits back', async () => {
    const before = worktreesOf(desktop);
    const id = await worked();
    const { json, code } = await laptop.cli('flight', 'discard', id, '--json');
    expect([code, json]).toEqual([0, { flightId: id, state: 'discarded', branch: `beckon/${id.slice(-8).toLowerCase()}`, tip: expect.stringMatching(/^[0-9a-f]{40}$/) }]);
    expect([worktreesOf(desktop), repository.branches, repository.git('cat-file', '-t', String(json['tip']))]).toEqual([before, ['main'], 'commit']);
    expect((await laptop.cli('flight', 'discard', id)).code).toBe(0);
    expect((await laptop.cliIn(clone.path, 'flight', 'fetch', id)).code).toBe(6);
    const facts = (await laptop.client.trace(id)).entries.filter(({ fact }) => fact.what === 'flight.worktree').map(({ nodeName, fact }) => [nodeName, `${fact.detail['state']} by ${fact.detail['by']}`]);
    expect(Object.fromEntries(facts)).toEqual({ desktop: `discarded by uid:${process.getuid?.() ?? 0} on laptop`, laptop: 'discarded by owner' });
  });

  test('does not need the agent: its work outlives it', async () => {
    const address = await agent();
    const id = await worked(work, address);
    await desktop.client.removeAgent(address);
    expect((await laptop.cli('flight', 'diff', id, '--stat')).code).toBe(0);
    expect((await laptop.cli('flight', 'discard', id)).code).toBe(0);
    expect(repository.branches).toEqual(['main']);
  });

  test('on the owner is seen at the origin', async () => {
    const id = await worked();
    expect((await desktop.cli('flight', 'discard', id)).code).toBe(0);
    expect(await isolation(laptop, id)).toMatchObject({ state: 'discarded' });
    expect((await laptop.client.getFlight(id)).isolation).toMatchObject({ state: 'discarded' });
  });

  test('of one that somebody removed by hand is said as it is', async () => {
    const id = await worked();
    const { path } = await isolation(desktop, id);
    repository.git('worktree', 'remove', '--force', '--force', String(path));
    expect(await isolation(laptop, id)).toMatchObject({ state: 'gone' });
    expect((await laptop.cli('flight', 'diff', id)).stderr).toContain('its worktree is gone');
    // What was committed is still on its branch, until that goes too.
    expect(repository.branches).toContain(`beckon/${id.slice(-8).toLowerCase()}`);
    expect((await laptop.cli('flight', 'discard', id)).code).toBe(0);
    expect(repository.branches).toEqual(['main']);
  });
});

test('an isolated agent without a repository is not available, and invoking it is refused with the reason', async () => {
  mkdirSync(join(home, 'plain'));
  const address = await agent({ cwd: join(home, 'plain') });
  const { json } = await laptop.cli('agents', '--json');
  expect((json['agents'] as Record<string, unknown>[]).find((each) => each['address'] === address)).toMatchObject({ available: false, unavailableWhy: expect.stringContaining('needs a git repository') });
  const { code, stderr } = await laptop.cli('invoke', address, 'x');
  expect(code).toBe(4);
  expect(stderr).toContain('needs a git repository');
});

describe('a session', () => {
  test('goes on in one worktree; what is fetched is all of it; the next turn begins anew, at the same place', async () => {
    const address = await agent({ harness: 'talking', argv: [] });
    const first = (await laptop.invoke(address, 'one')).flightId;
    const { sessionId } = await laptop.becomes(first, 'completed');
    const cwd = harness.turn('one')?.request.endpoint.cwd ?? '';
    expect(cwd).toBe(join(desktop.home, 'worktrees', sessionId?.slice(4).toLowerCase() ?? ''));
    writeFileSync(join(cwd, 'one.txt'), '1');
    const second = (await laptop.invoke(address, 'hold two', { session: { mode: 'continue' } })).flightId;
    await waitFor('the second turn', () => harness.turn('hold two') !== undefined);
    expect(harness.turn('hold two')?.request.endpoint.cwd).toBe(cwd);
    // Somebody is at work in it.
    await expect(laptop.client.settleWorktree({ id: first, verb: 'discarded' })).rejects.toMatchObject({ code: 'conflict', message: expect.stringContaining(second) });
    writeFileSync(join(cwd, 'two.txt'), '2');
    harness.release('hold two');
    await laptop.becomes(second, 'completed');
    expect((await laptop.cliIn(clone.path, 'flight', 'fetch', second)).code).toBe(0);
    expect(clone.status).toEqual(['A  one.txt', 'A  two.txt']);
    expect(await isolation(desktop, first)).toMatchObject({ state: 'fetched' });
    expect(harness.endedSessions).toEqual([sessionId]);
    const head = repository.commit({ 'three.txt': '3' });
    const third = (await laptop.invoke(address, 'three', { session: { mode: 'continue' } })).flightId;
    await laptop.becomes(third, 'completed');
    expect(harness.turn('three')?.request.endpoint.cwd).toBe(cwd);
    expect(await isolation(laptop, third)).toMatchObject({ head, state: 'kept' });
    // The work of the third turn is not touched by what is said of the first.
    await laptop.cli('flight', 'discard', first);
    expect(existsSync(cwd)).toBe(true);
    await laptop.cli('flight', 'discard', third);
    expect(existsSync(cwd)).toBe(false);
  });

  test('whose worktree somebody removed by hand begins anew, and what is said of the old one does not touch the new', async () => {
    const address = await agent({ harness: 'talking', argv: [] });
    const [first, second] = [(await laptop.invoke(address, 'four')).flightId, async () => (await laptop.invoke(address, 'five', { session: { mode: 'continue' } })).flightId];
    await laptop.becomes(first, 'completed');
    const cwd = harness.turn('four')?.request.endpoint.cwd ?? '';
    rmSync(cwd, { recursive: true });
    const later = await second();
    await laptop.becomes(later, 'completed');
    expect(harness.turn('five')?.request.endpoint.cwd).toBe(cwd);
    expect([await isolation(laptop, first), await isolation(laptop, later)]).toMatchObject([{ state: 'gone' }, { state: 'kept' }]);
    expect((await laptop.cli('flight', 'discard', first)).code).toBe(0);
    expect([existsSync(cwd), (await laptop.cli('flight', 'diff', later)).code]).toEqual([true, 0]);
  });

  test('whose worktree somebody removed by hand goes on in a new one, in which nothing of the old process is', async () => {
    const address = await agent({ harness: 'talking', argv: [] });
    const first = (await laptop.invoke(address, 'before')).flightId;
    const { sessionId } = await laptop.becomes(first, 'completed');
    const cwd = harness.turn('before')?.request.endpoint.cwd ?? '';
    rmSync(cwd, { recursive: true });
    const second = (await laptop.invoke(address, 'after', { session: { mode: 'continue' } })).flightId;
    await laptop.becomes(second, 'completed');
    expect(harness.turn('after')?.request.endpoint.cwd).toBe(cwd);
    expect(harness.endedSessions).toContain(sessionId);
    expect(await isolation(laptop, first)).toMatchObject({ state: 'gone' });
    expect(await isolation(laptop, second)).toMatchObject({ state: 'kept' });
    expect((await laptop.cli('flight', 'discard', second)).code).toBe(0);
    expect(existsSync(cwd)).toBe(false);
  });
});
