/** Projects of a machine, as two nodes and git itself see them. */
import { rmSync, writeFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { Cluster, waitsFor } from '../support/cluster.ts';
import type { Json } from '../support/cli.ts';
import { GitRepository } from '../support/git-repository.ts';
import type { TestNode } from '../support/node-process.ts';
import { waitFor } from '../support/wait-for.ts';

const agent = '#!/bin/sh\nread -r task\necho "on $(git branch --show-current): $task"\n';

function shop(cluster: Cluster, manifest: object = { description: 'the shop', command: ['./agent.sh'] }, program = agent): GitRepository {
  const repository = GitRepository.make(cluster.path('shop'));
  repository.write({ '.beckon/project.json': JSON.stringify(manifest), 'agent.sh': program });
  repository.git('add', '--all');
  repository.git('update-index', '--chmod=+x', 'agent.sh');
  repository.git('commit', '--quiet', '--message', 'a shop');
  repository.git('checkout', '--quiet', '--force', '.');
  repository.git('config', 'core.fileMode', 'true');
  repository.git('reset', '--quiet', '--hard');
  return repository;
}

async function addresses(node: TestNode): Promise<readonly string[]> {
  return ((await node.json(['agents']))['agents'] as Json[]).map((each) => String(each['address'])).toSorted();
}

/** @returns how long it took from `since` on, ms */
async function until(what: string, since: number, look: () => Promise<boolean>): Promise<number> {
  await waitFor(what, look, { timeoutMs: 20_000, pollMs: 20 });
  return Math.round(performance.now() - since);
}

describe('a worktree of an approved project', () => {
  test('can be called from another node within seconds of git worktree add, and is gone there after git worktree remove, with what was held for it', async () => {
    const { cluster, laptop, desktop } = await Cluster.meshed('laptop', 'desktop');
    await using _ = cluster;
    const repository = shop(cluster, { command: ['./agent.sh'] }, `#!/bin/sh\nread -r task\n[ "$task" = wait ] && { ${waitsFor(cluster.path('gate'))}; }\necho "on $(git branch --show-current): $task"\n`);

    const shown = await desktop.json(['agent', 'scan', repository.path]);
    expect(shown).toMatchObject({ projects: [{ root: repository.path, name: 'shop', state: 'new', harness: 'command', command: ['./agent.sh'], why: ['.beckon/project.json'], instances: [{ address: '@shop@desktop#main', cwd: repository.path, registered: false }] }], added: [], removed: [] });
    expect(await addresses(desktop)).toEqual([]);
    expect(await desktop.json(['agent', 'scan', repository.path, '--yes', '--only', 'shop'])).toMatchObject({ projects: [{ state: 'approved', instances: [{ registered: true }] }], added: ['@shop@desktop#main'], removed: [] });

    const address = '@shop@desktop#fix/login';
    let since = performance.now();
    repository.git('worktree', 'add', '--quiet', '-b', 'fix/login', cluster.path('shop-login'));
    const addedMs = await until('the worktree to be known', since, async () => (await addresses(laptop)).includes(address));
    expect((await laptop.invoke([address, 'go'])).last).toMatchObject({ state: 'completed', output: 'on fix/login: go\n' });
    // Where the agent works is where `.` finds it.
    expect(await desktop.json(['resolve', '.'], { cwd: cluster.path('shop-login') })).toMatchObject({ target: address });

    // Four run, which is what an agent runs at once, and one is held behind them at its owner.
    const invoked = await Promise.all(Array.from({ length: 5 }, () => laptop.json(['invoke', address, 'wait', '--detach'])));
    const ids = invoked.map((each) => String(each['flightId']));
    const shownAs = async (id: string) => (await laptop.json(['flight', 'show', id]))['flight'] as Json;
    await waitFor('four to run', async () => (await Promise.all(ids.map(shownAs))).filter((each) => each['state'] === 'running').length === 4);
    const held = (await Promise.all(ids.map(shownAs))).find((each) => each['state'] === 'queued');
    since = performance.now();
    repository.git('worktree', 'remove', '--force', cluster.path('shop-login'));
    const removedMs = await until('the worktree to be gone', since, async () => !(await addresses(laptop)).includes(address));
    const failed = await waitFor('what was held to fail', async () => {
      const flight = await shownAs(String(held?.['id']));
      return flight['state'] === 'failed' ? flight : undefined;
    });
    expect(failed['error']).toMatchObject({ code: 'unavailable', message: expect.stringMatching(/no longer registered on its node: its directory ".*shop-login" is gone: the git worktree was removed/), detail: { reason: 'agent_offline' } });
    // What ran goes on to its end.
    cluster.open('gate');
    for (const id of ids.filter((each) => each !== held?.['id'])) await waitFor('what ran to end', async () => (await shownAs(id))['state'] === 'completed');
    expect((await laptop.invoke([address, 'again'])).last).toMatchObject({ type: 'error', error: { code: 'not_found' } });
    process.stderr.write(`git worktree add: known on the other node after ${addedMs} ms; remove: gone there after ${removedMs} ms\n`);
    expect(addedMs).toBeLessThan(10_000);
    expect(removedMs).toBeLessThan(10_000);
  }, 90_000);

  test('that went while its node slept: what the other node held for it fails with that reason', async () => {
    const { cluster, laptop, desktop } = await Cluster.meshed('laptop', 'desktop');
    await using _ = cluster;
    const repository = shop(cluster);
    repository.git('worktree', 'add', '--quiet', '-b', 'old', cluster.path('shop-old'));
    await desktop.json(['agent', 'scan', repository.path, '--yes']);
    const address = '@shop@desktop#old';
    await waitFor('it to be known', async () => (await addresses(laptop)).includes(address));
    await desktop.down();
    const held = await laptop.json(['invoke', address, 'later', '--detach']);
    // Deleted by hand, as people do.
    rmSync(cluster.path('shop-old'), { recursive: true });
    await desktop.up();
    const failed = await waitFor('what was held to fail', async () => {
      const { flight } = await laptop.json(['flight', 'show', String(held['flightId'])]);
      return (flight as Json)['state'] === 'failed' ? (flight as Json) : undefined;
    });
    expect(failed['error']).toMatchObject({ message: expect.stringMatching(/its directory ".*shop-old" is gone: the git worktree was deleted/), detail: { reason: 'agent_offline' } });
    expect((await laptop.json(['deliveries', '--invocation', String(held['invocationId'])]))['deliveries']).toMatchObject([{ status: 'rejected', failureReason: 'agent_offline' }]);
  }, 60_000);
});

test('what a repository says later is not in force before another yes, and is shown until then', async () => {
  await using cluster = await Cluster.create();
  const node = await cluster.node('laptop');
  await node.up();
  const repository = shop(cluster);
  await node.json(['agent', 'scan', repository.path, '--yes']);
  const evil = cluster.program('evil', 'echo evil');
  writeFileSync(`${repository.path}/.beckon/project.json`, JSON.stringify({ command: [evil], permissions: 'full' }));
  const scanned = await node.json(['agent', 'scan', repository.path]);
  expect(scanned['projects']).toMatchObject([{ state: 'changed', command: [evil], problem: expect.stringContaining('changed since it was approved: command, description, permissions; not in force until it is approved') }]);
  expect((await node.invoke(['shop', 'go'])).last).toMatchObject({ output: 'on main: go\n' });
  expect(((await node.json(['agents']))['agents'] as Json[])[0]).toMatchObject({ note: expect.stringContaining('not in force until') });
  const { checks } = await node.json(['doctor']).catch(() => ({ checks: [] as Json[] }));
  expect((checks as Json[]).find((each) => each['id'] === 'projects')).toMatchObject({ ok: true, detail: expect.stringContaining('that is not in force'), hint: expect.stringContaining('agent scan') });
  // A yes to what was shown is not one to what has come since.
  await node.json(['agent', 'scan', repository.path, '--yes']);
  expect((await node.invoke(['shop', 'go'])).last).toMatchObject({ output: 'evil\n' });
  expect(await node.json(['agent', 'scan', '--forget', repository.path])).toMatchObject({ root: repository.path, removed: ['@shop@laptop#main'] });
  expect(await addresses(node)).toEqual([]);
}, 60_000);
