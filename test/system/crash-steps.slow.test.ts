/** A node that dies at a labelled step of its store, on either side of a call: the call ends once, in a state that is true. */
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Json } from '../support/cli.ts';
import { Cluster } from '../support/cluster.ts';
import { GitRepository } from '../support/git-repository.ts';
import type { TestNode } from '../support/node-process.ts';
import { waitFor } from '../support/wait-for.ts';

/** What dies before it begins leaves the disk as what dies before its commit does: `store-crash.test.ts` tries both. */
const steps = ['before-commit', 'after-commit'] as const;
let cluster: Cluster;
let laptop: TestNode;
let desktop: TestNode;
/** Of this test's call: the nodes live through all of them. */
let key = '';
let flightsBefore = 0;

beforeAll(async () => {
  const meshed = await Cluster.meshed('laptop', 'desktop');
  ({ cluster, laptop, desktop } = meshed);
  const program = cluster.program('noting', `echo ran >> '${cluster.path('effects')}'\nsleep 0.1\necho done`);
  await desktop.addAgent('noting', [program]);
  // In a linked worktree: whether that is there is looked at before its flights start.
  const repository = GitRepository.make(cluster.path('shop'), { 'a.txt': 'a' });
  repository.git('worktree', 'add', '--quiet', '-b', 'feature', cluster.path('feature'));
  await desktop.addAgent('looked', [program], ['--cwd', cluster.path('feature')]);
  await waitFor('the agents at the laptop', async () => ((await laptop.json(['agents']))['agents'] as Json[]).length === 2, { timeoutMs: 15_000 });
}, 60_000);
afterAll(() => cluster?.[Symbol.asyncDispose]());
beforeEach(async ({ task }) => {
  key = task.id;
  flightsBefore = await flightCount();
  rmSync(cluster.path('effects'), { force: true });
});

const flightCount = async (): Promise<number> => ((await laptop.json(['flights', '--limit', '500']))['flights'] as Json[]).length;
const effects = (): number => (existsSync(cluster.path('effects')) ? readFileSync(cluster.path('effects'), 'utf8').split('\n').length - 1 : 0);

async function dying(node: TestNode, label: string): Promise<void> {
  await node.down();
  await node.up({ env: { BECKON_CRASH_AT: label } });
  const other = node === laptop ? desktop : laptop;
  await other.peer(node.name, 'alive');
  await node.peer(other.name, 'alive');
}

async function revive(node: TestNode): Promise<void> {
  await waitFor(`${node.name} to die`, () => node.pid === undefined, { timeoutMs: 20_000 });
  expect((await node.ended()).signal).toBe('SIGKILL');
  await node.up();
}

/** Its flights are stored as started when they are taken in, or queued until its directory was looked at. */
type Agent = 'noting' | 'looked';

/** The node may die before it answers. */
async function invoke(agent: Agent): Promise<void> {
  await laptop.beckon(['invoke', `@${agent}@desktop#main`, 'x', '--key', key, '--detach', '--json']);
}

/** The same call again: where it ended, and how many there are. */
async function ends(agent: Agent): Promise<{ state: string; flights: number }> {
  const again = async (): Promise<Json | undefined> => {
    const { events, code } = await laptop.invoke([`@${agent}@desktop#main`, 'x', '--key', key, '--hold', '60s'], { timeoutMs: 60_000 });
    const last = events.at(-1);
    return code === 4 || last?.['type'] !== 'finished' ? undefined : last;
  };
  const last = await waitFor('the call to end', again, { timeoutMs: 60_000, pollMs: 200 });
  return { state: last['state'] as string, flights: (await flightCount()) - flightsBefore };
}

/** What ran and was not written down as over may have run: all that can be said is that. */
const beforeTheEnd = ['appendOutput:before-commit', 'appendOutput:after-commit', 'finish:before-commit'];

describe('an owner that dies', () => {
  const writes: readonly (readonly [Agent, string])[] = [['noting', 'receive'], ['noting', 'appendOutput'], ['noting', 'finish'], ['noting', 'acknowledged'], ['looked', 'receive'], ['looked', 'start']];
  const labels = writes.flatMap(([agent, write]) => steps.map((step) => [agent, `${write}:${step}`] as const));
  test.each(labels)('with %s at %s', async (agent, label) => {
    await dying(desktop, label);
    await invoke(agent);
    await revive(desktop);
    const isStart = label === 'start:after-commit' || (agent === 'noting' && label === 'receive:after-commit');
    expect(await ends(agent)).toEqual({ state: isStart || beforeTheEnd.includes(label) ? 'indeterminate' : 'completed', flights: 1 });
    // Started is written before anything is spawned: what died there did not run.
    expect(effects()).toBe(isStart ? 0 : 1);
  }, 90_000);
});

describe('an origin that dies', () => {
  const writes: readonly (readonly [Agent, string])[] = [['noting', 'accept'], ['noting', 'applyEvents'], ['looked', 'receipt']];
  const labels = writes.flatMap(([agent, write]) => steps.map((step) => [agent, `${write}:${step}`] as const));
  test.each(labels)('with %s at %s', async (agent, label) => {
    await dying(laptop, label);
    await invoke(agent);
    await revive(laptop);
    expect(await ends(agent)).toEqual({ state: 'completed', flights: 1 });
    expect(effects()).toBe(1);
  }, 90_000);
});

test('a label that is none keeps the node from starting, and says what one looks like', async () => {
  await desktop.down();
  const ended = await desktop.beckon(['up', '--listen', desktop.place.listen, '--tailscale', 'off'], { env: { BECKON_CRASH_AT: 'accept:sometime' } });
  expect([ended.code, ended.stderr]).toEqual([2, expect.stringContaining('accept:before-commit')]);
});
