/** Isolated agents from outside: their work outlives a node that is killed; nothing of one flight's surroundings reaches another. */
import { copyFileSync, existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { Cluster, waitsFor } from '../support/cluster.ts';
import { GitRepository } from '../support/git-repository.ts';
import { waitFor } from '../support/wait-for.ts';

const files = { 'prices.txt': 'one\ntwo\nthree\n' };
const isolated = (repository: GitRepository): string[] => ['--isolate', '--cwd', repository.path];

test('kill -9 of the owner in the middle: the worktree is kept, and what is in it is seen and fetched from the other node', async () => {
  const { cluster, laptop, desktop } = await Cluster.meshed('laptop', 'desktop');
  await using _ = cluster;
  const repository = GitRepository.make(cluster.path('my shop'), files);
  const clone = repository.clone(cluster.path('clone'));
  const program = cluster.program('worker', `sed -i s/two/2/ prices.txt; git -c user.name=r -c user.email=r@x commit -qam half; echo more > more.txt; touch '${cluster.path('half')}'; ${waitsFor(cluster.path('never'))}`);
  const address = await desktop.addAgent('worker', [program], isolated(repository));
  await waitFor('the agent at the laptop', async () => (await laptop.json(['agents']))['agents'].some((each: { address: string }) => each.address === address));
  const { invocationId } = await laptop.json(['invoke', address, 'go', '--detach']);
  await waitFor('some work', () => existsSync(cluster.path('half')));
  await desktop.kill9();
  const { code, stderr } = await laptop.beckon(['flight', 'diff', String(invocationId)]);
  expect(code).toBe(4);
  expect(stderr).toContain('nothing is lost meanwhile');
  await desktop.up();
  await laptop.peer('desktop', 'alive');
  expect((await laptop.beckon(['flight', 'wait', String(invocationId)])).code).toBe(9);
  const { flight } = await laptop.json(['flight', 'show', String(invocationId)]);
  expect(flight).toMatchObject({ state: 'indeterminate', isolation: { head: repository.head, state: 'kept', dirty: 0 } });
  expect((await laptop.json(['flight', 'diff', String(invocationId)]))['files']).toEqual([{ path: 'more.txt', added: 1, removed: 0 }, { path: 'prices.txt', added: 1, removed: 1 }]);
  expect((await laptop.beckon(['flight', 'fetch', String(invocationId)], { cwd: clone.path })).code).toBe(0);
  expect([clone.status, clone.read('prices.txt')]).toEqual([['A  more.txt', 'M  prices.txt'], 'one\n2\nthree\n']);
  expect([readdirSync(join(desktop.home, 'worktrees')), repository.branches, repository.worktrees.length]).toEqual([[], ['main'], 1]);
}, 60_000);

test('kill -9 of the node while it makes a worktree: the flight had not started, and runs after all, in one of its own', async () => {
  await using cluster = await Cluster.create();
  const node = await cluster.node('laptop');
  await node.up();
  const repository = GitRepository.make(cluster.path('shop'), files);
  const hook = cluster.program('hook', `touch '${cluster.path('making')}'; [ -e '${cluster.path('go')}' ] || exec sleep 1000`);
  copyFileSync(hook, join(repository.path, '.git/hooks/post-checkout'));
  const address = await node.addAgent('worker', ['sh', '-c', 'echo done > done.txt; cat prices.txt'], isolated(repository));
  const { invocationId } = await node.json(['invoke', address, 'go', '--detach']);
  await waitFor('git to be at it', () => existsSync(cluster.path('making')));
  await node.kill9();
  const left = cluster.processes.filter(({ command }) => command.includes('sleep 1000') || command.includes('git'));
  for (const { pid } of left) process.kill(pid, 'SIGKILL');
  cluster.open('go');
  await node.up();
  expect((await node.beckon(['flight', 'wait', String(invocationId)])).code).toBe(0);
  const { flight } = await node.json(['flight', 'show', String(invocationId)]);
  expect(flight).toMatchObject({ state: 'completed', run: 1, output: 'one\ntwo\nthree\n', isolation: { state: 'kept' } });
  expect(repository.worktrees.length).toBe(2);
  expect((await node.json(['flight', 'discard', String(invocationId)]))['state']).toBe('discarded');
  expect([repository.worktrees.length, repository.branches]).toEqual([1, ['main']]);
}, 60_000);

describe('what a flight has around it', () => {
  test('is fixed when its agent is added: nothing of another flight, of who invokes, or of the node is in it', async () => {
    await using cluster = await Cluster.create();
    const node = await cluster.node('laptop');
    await node.up({ env: { SECRET_OF_NODE: 'n', PASSED: 'by name' } });
    const repository = GitRepository.make(cluster.path('shop'), files);
    const program = cluster.program('show', 'env | sort; echo "cwd=$PWD"; export LEFT=behind; cd /; umask 0; echo changed > "$OLDPWD/mine.txt"');
    const one = await node.addAgent('one', [program], [...isolated(repository), '--env', 'PASSED', '--env', 'MINE=one']);
    const two = await node.addAgent('two', [program], ['--cwd', repository.path, '--env', 'MINE=two']);
    const see = async (address: string): Promise<Map<string, string>> => {
      const { last } = await node.invoke([address, ''], { env: { SECRET_OF_CALLER: 'c', PATH: `${process.env['PATH']}:/caller` }, cwd: '/' });
      return new Map(String(last['output']).split('\n').filter((line) => line.includes('=')).map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]));
    };
    const [first, again, other] = [await see(one), await see(one), await see(two)];
    const names = ['BECKON_DEPTH', 'BECKON_FLIGHT_ID', 'BECKON_HOME', 'BECKON_INVOCATION_ID', 'BECKON_ROOT_INVOCATION_ID', 'BECKON_RUN', 'BECKON_TARGET', 'BECKON_TOKEN', 'MINE', 'PATH', 'PASSED', 'cwd'];
    expect([...first.keys()]).toEqual(expect.arrayContaining(names));
    const everybody = /^(BECKON_\w+|MINE|PASSED|PATH|HOME|USER|LOGNAME|SHELL|LANG|LC_\w+|TMPDIR|SSH_AUTH_SOCK|GPG_AGENT_INFO|GNUPGHOME|PWD|OLDPWD|SHLVL|_|cwd)$/;
    for (const seen of [first, again, other]) expect([...seen.keys()].filter((name) => !everybody.test(name))).toEqual([]);
    expect([first.get('PASSED'), first.get('MINE'), other.get('MINE'), other.has('PASSED')]).toEqual(['by name', 'one', 'two', false]);
    expect(first.get('PATH')).not.toContain('/caller');
    // Each has its own flight, token and directory; the second of one agent begins where the first did.
    for (const name of ['BECKON_FLIGHT_ID', 'BECKON_TOKEN', 'cwd']) expect(new Set([first.get(name), again.get(name), other.get(name)]).size).toBe(3);
    expect(other.get('cwd')).toBe(repository.path);
    for (const seen of [first, again]) expect(seen.get('cwd')).toMatch(/worktrees\/[0-9a-z]{26}$/);
  }, 60_000);

  test('opens its own work to it, and no other flight’s', async () => {
    await using cluster = await Cluster.create();
    const node = await cluster.node('laptop');
    await node.up();
    const repository = GitRepository.make(cluster.path('shop'), files);
    const worker = await node.addAgent('worker', ['sh', '-c', 'echo work > work.txt'], isolated(repository));
    const foreign = String((await node.invoke([worker, ''])).events[0]?.['flightId']);
    const beckon = join(import.meta.dirname, '../../scripts/beckon');
    const nosy = cluster.program('nosy', [
      `echo mine > mine.txt; '${beckon}' flight diff $BECKON_FLIGHT_ID --stat`,
      `for verb in diff fetch discard; do '${beckon}' flight $verb ${foreign} >/dev/null 2>&1; echo "$verb $?"; done`,
    ].join('\n'));
    const { last } = await node.invoke([await node.addAgent('nosy', [nosy], isolated(repository)), '']);
    expect(last['output']).toMatch(/mine\.txt +1 +0\ndiff 5\nfetch 5\ndiscard 5\n$/);
    expect((await node.json(['flight', 'show', foreign]))['flight']['isolation']).toMatchObject({ state: 'kept' });
  }, 60_000);
});
