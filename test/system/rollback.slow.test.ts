/** A database that was put back to an older state: nothing that ran runs again, and everyone is told the truth. */
import { copyFileSync, cpSync, existsSync, readFileSync, rmSync, statSync } from 'node:fs';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Json } from '../support/cli.ts';
import { Cluster } from '../support/cluster.ts';
import type { TestNode } from '../support/node-process.ts';
import { waitFor } from '../support/wait-for.ts';

let cluster: Cluster;
let laptop: TestNode;
let desktop: TestNode;
let agent: string;

beforeEach(async () => {
  const meshed = await Cluster.meshed('laptop', 'desktop');
  ({ cluster, laptop, desktop } = meshed);
  // Writes down that it ran; a task that begins with "wait" ends when the gate opens.
  const program = cluster.program('noting', `task=$(cat)\necho "$task" >> '${cluster.path('effects')}'\ncase $task in wait*) until [ -e '${cluster.path('gate')}' ]; do sleep 0.05; done;; esac\necho "did $task"`);
  agent = await desktop.addAgent('noting', [program]);
  await waitFor('the agent at the laptop', async () => ((await laptop.json(['agents']))['agents'] as Json[]).length === 1, { timeoutMs: 15_000 });
});
afterEach(async () => {
  cluster?.open('gate');
  await cluster?.[Symbol.asyncDispose]();
});

const effects = (): string[] => (existsSync(cluster.path('effects')) ? readFileSync(cluster.path('effects'), 'utf8').split('\n').slice(0, -1) : []);
const sorted = (names: readonly string[]): string[] => [...names].sort();

async function begin(from: TestNode, task: string): Promise<string> {
  return (await from.json(['invoke', agent, task, '--detach']))['invocationId'] as string;
}

async function stateAt(node: TestNode, id: string): Promise<string> {
  return (await node.json(['flight', 'show', id]))['flight'].state as string;
}

async function becomes(node: TestNode, ids: readonly string[], state: string): Promise<void> {
  for (const id of ids) await waitFor(`${id} to be ${state} at ${node.name}`, async () => (await stateAt(node, id)) === state, { timeoutMs: 20_000, pollMs: 100 });
}

async function began(count: number): Promise<void> {
  await waitFor(`${count} effects`, () => effects().length === count, { timeoutMs: 20_000 });
}

function putBack(node: TestNode, copy: string): void {
  for (const suffix of ['-wal', '-shm']) rmSync(`${node.databasePath}${suffix}`, { force: true });
  copyFileSync(copy, node.databasePath);
}

test('an owner restored from a backup runs nothing again; what it had received since is indeterminate at the origin', async () => {
  const done = [await begin(laptop, 'one'), await begin(laptop, 'two')];
  await becomes(laptop, done, 'completed');
  const running = [await begin(laptop, 'wait 1'), await begin(laptop, 'wait 2'), await begin(laptop, 'wait 3'), await begin(laptop, 'wait 4')];
  await began(6);
  const queued = [await begin(laptop, 'three'), await begin(laptop, 'four')];
  const own = await begin(desktop, 'own');
  await waitFor('all to be at the owner', async () => ((await desktop.json(['status']))['flights'].queued as number) === 3);
  const copy = cluster.path('copy.db');
  const report = await desktop.json(['backup', copy]);
  expect(report).toMatchObject({ path: copy, flights: { completed: 2, running: 4, queued: 3 }, bytes: statSync(copy).size });

  cluster.open('gate');
  await becomes(laptop, [...running, ...queued], 'completed');
  await becomes(desktop, [own], 'completed');
  const since: string[] = [];
  for (const name of ['five', 'six', 'seven', 'eight', 'nine']) since.push(await begin(laptop, name));
  await becomes(laptop, since, 'completed');
  rmSync(cluster.path('gate'));
  const cut = [await begin(laptop, 'wait 5'), await begin(laptop, 'wait 6'), await begin(laptop, 'wait 7'), await begin(laptop, 'wait 8')];
  await began(18);
  const never = [await begin(laptop, 'ten')];
  await waitFor('the receipt', async () => (await laptop.json(['flight', 'show', never[0] ?? '']))['receipts'].received !== undefined);
  await desktop.kill9();
  putBack(desktop, copy);
  await desktop.up();
  await laptop.peer('desktop', 'alive');

  await becomes(laptop, [...cut, ...never], 'indeterminate');
  await becomes(desktop, [...running, ...queued, own], 'indeterminate');
  for (const id of [...done, ...running, ...queued, ...since]) expect([id, await stateAt(laptop, id)]).toEqual([id, 'completed']);
  // The node is as good as before.
  cluster.open('gate');
  expect((await laptop.invoke([agent, 'after'])).last).toMatchObject({ state: 'completed', output: 'did after\n' });
  const ran = effects();
  expect(sorted(ran)).toEqual(sorted(['one', 'two', 'three', 'four', 'own', 'five', 'six', 'seven', 'eight', 'nine', 'after', ...[1, 2, 3, 4, 5, 6, 7, 8].map((n) => `wait ${n}`)]));
  expect(desktop.log).toContain('put back to an older state');
}, 120_000);

test('a whole directory that was put back is noticed by what peers saw, before what it had queued is started', async () => {
  const running = [await begin(laptop, 'wait 1'), await begin(laptop, 'wait 2'), await begin(laptop, 'wait 3'), await begin(laptop, 'wait 4')];
  await began(4);
  const queued = [await begin(laptop, 'one'), await begin(desktop, 'own')];
  await waitFor('both to be queued', async () => ((await desktop.json(['status']))['flights'].queued as number) === 2);
  await desktop.kill9();
  // As a snapshot of the disk would be: no copy that knows that it is one.
  cpSync(desktop.home, cluster.path('snapshot'), { recursive: true, filter: (path) => !path.includes('/run') });
  await desktop.up();
  await becomes(laptop, running, 'indeterminate');
  await becomes(desktop, queued, 'completed');
  await becomes(laptop, queued.slice(0, 1), 'completed');
  await desktop.kill9();
  rmSync(desktop.home, { recursive: true });
  cpSync(cluster.path('snapshot'), desktop.home, { recursive: true });
  await desktop.up();
  await laptop.peer('desktop', 'alive');
  await becomes(desktop, queued, 'indeterminate');
  expect(sorted(effects())).toEqual(sorted(['wait 1', 'wait 2', 'wait 3', 'wait 4', 'one', 'own']));
  expect(await stateAt(laptop, queued[0] ?? '')).toBe('completed');
  expect(desktop.log).toContain('put back to an older state');
  expect(laptop.log).toContain('the store of a peer was put back to an older state');
}, 120_000);

test('an origin restored from a backup sends nothing that it may have sent since', async () => {
  await desktop.down();
  await laptop.peer('desktop', 'unreachable');
  const held = [await begin(laptop, 'one'), await begin(laptop, 'two')];
  const copy = cluster.path('copy.db');
  await laptop.json(['backup', copy]);
  await desktop.up();
  await becomes(laptop, held, 'completed');
  await laptop.kill9();
  putBack(laptop, copy);
  await laptop.up();
  await becomes(laptop, held, 'indeterminate');
  await laptop.peer('desktop', 'alive');
  expect((await laptop.invoke([agent, 'after'])).last).toMatchObject({ state: 'completed' });
  expect(sorted(effects())).toEqual(sorted(['one', 'two', 'after']));
}, 120_000);

test('a backup is made while the node is down, too, and never over something', async () => {
  await desktop.down();
  const copy = cluster.path('copy.db');
  expect(await desktop.beckon(['backup', copy])).toMatchObject({ code: 0, stderr: '', text: expect.stringContaining(copy) });
  expect(statSync(copy).mode & 0o777).toBe(0o600);
  const again = await desktop.beckon(['backup', copy, '--json']);
  expect([again.code, again.json['error'].code]).toEqual([6, 'conflict']);
});
