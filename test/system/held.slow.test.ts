/** Nodes that stop, crash and come back, in the middle of work. */
import { readFileSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { runsPerAgent } from '../../src/broker/active-runs.ts';
import type { Json } from '../support/cli.ts';
import { Cluster, waitsFor } from '../support/cluster.ts';
import { rowCounts, settledRowCounts } from '../support/database.ts';
import type { TestNode } from '../support/node-process.ts';
import { waitFor } from '../support/wait-for.ts';

let cluster: Cluster;
/** Where the work is asked for. */
let laptop: TestNode;
/** Where it is done. */
let desktop: TestNode;
beforeAll(async () => {
  ({ cluster, laptop, desktop } = await Cluster.meshed('laptop', 'desktop'));
  await desktop.addAgent('echo', ['/bin/cat']);
  const steps = (name: string): string =>
    cluster.program(name, `IFS= read -r task\necho "$task" >> '${cluster.path('runs')}'\necho before\n${waitsFor(cluster.path(`${name}-gate`))}\necho after`);
  for (const name of ['crossing', 'crashing', 'queueing']) await desktop.addAgent(name, [steps(name)]);
  await desktop.addAgent('failing', [cluster.program('failing', `echo before\n${waitsFor(cluster.path('crossing-gate'))}\nexit 7`)]);
  writeFileSync(cluster.path('runs'), '');
  await waitFor('the agents at the laptop', async () => ((await laptop.json(['agents']))['agents'] as Json[]).length === 5);
});
afterAll(() => cluster?.[Symbol.asyncDispose]());

const runsOf = (task: string): number => readFileSync(cluster.path('runs'), 'utf8').split('\n').filter((line) => line === task).length;

async function flight(node: TestNode, id: string): Promise<Json> {
  return (await node.json(['flight', 'show', id]))['flight'] as Json;
}

function ended(node: TestNode, id: string): Promise<Json> {
  return waitFor(`the end of ${id} at ${node.name}`, async () => {
    const seen = await flight(node, id);
    return /^(completed|failed|indeterminate)$/.test(String(seen['state'])) ? seen : undefined;
  }, { timeoutMs: 20_000, pollMs: 50 });
}

describe('while the owner is down', () => {
  beforeAll(async () => {
    await desktop.down();
    await waitFor('the laptop to notice', async () => {
      const [peer] = (await laptop.json(['peers']))['peers'] as Json[];
      return peer?.['state'] !== 'alive';
    });
  });

  test('an invocation that must not wait is refused before it is accepted', async () => {
    const [before] = await settledRowCounts(laptop.databasePath);
    const { code, events } = await laptop.invoke(['echo@desktop', 'now', '--no-hold']);
    expect(code).toBe(4);
    expect(events).toMatchObject([{ type: 'error', error: { code: 'unavailable', message: expect.stringContaining('desktop'), hint: expect.any(String) } }]);
    expect(rowCounts(laptop.databasePath)).toEqual(before);
  });

  test('an invocation says that it is held, waits, and runs by itself when the owner is back; the waiting caller gets the output', async () => {
    const forScripts = laptop.start(['invoke', '@echo@desktop#main', 'hello', '--json']);
    const forPeople = laptop.start(['invoke', '@echo@desktop#main', 'hello']);
    const held = await forScripts.event('held');
    expect(held).toMatchObject({ why: expect.stringContaining('desktop') });
    expect(Date.parse(String(held['until']))).toBeGreaterThan(Date.now() + 23 * 3_600_000);
    await forPeople.says(/desktop/, 'stderr');
    await forPeople.says(/held|waits|waiting/i, 'stderr');
    expect([forScripts.isOver, forPeople.isOver, forPeople.stdout.length]).toEqual([false, false, 0]);
    const { deliveries } = await laptop.json(['deliveries', '--status', 'deferred']);
    expect(deliveries).toMatchObject([{ attempts: expect.any(Number) }, { attempts: expect.any(Number) }]);

    await desktop.up();
    const [scripted, read] = await Promise.all([forScripts.ended, forPeople.ended]);
    expect(scripted.code).toBe(0);
    expect(scripted.events.map(({ type }) => String(type))).toEqual(['accepted', 'held', 'received', 'started', 'output', 'finished']);
    expect(scripted.events.at(-1)).toMatchObject({ state: 'completed', output: 'hello' });
    expect({ code: read.code, text: read.text }).toEqual({ code: 0, text: 'hello' });
  });
});

describe('kill -9', () => {
  test('of the origin while the agent runs: after its restart it has the whole flight, output and exit code', async () => {
    await laptop.peer('desktop', 'alive');
    const good = laptop.start(['invoke', '@crossing@desktop#main', 'cross', '--json']);
    const bad = laptop.start(['invoke', '@failing@desktop#main', 'cross', '--json']);
    await Promise.all([good.event('output'), bad.event('output')]);
    const [goodId, badId] = [good, bad].map((run) => String(run.events[0]?.['invocationId'])) as [string, string];
    await laptop.kill9();
    expect((await good.ended).code, 'the caller is told that the node is gone').toBe(4);
    await bad.ended;
    cluster.open('crossing-gate');
    await Promise.all([ended(desktop, goodId), ended(desktop, badId)]);

    await laptop.up();
    expect(await ended(laptop, goodId)).toMatchObject({ state: 'completed', output: 'before\nafter\n', exitCode: 0 });
    expect((await laptop.beckon(['flight', 'output', goodId])).text).toBe('before\nafter\n');
    expect((await laptop.beckon(['flight', 'wait', goodId])).code).toBe(0);
    const { receipts } = await laptop.json(['flight', 'show', goodId]);
    const at = { at: expect.any(String) as unknown };
    expect(receipts).toMatchObject({ accepted: at, received: at, started: at, finished: at });
    expect(await ended(laptop, badId)).toMatchObject({ state: 'failed', output: 'before\n', exitCode: 7 });
    expect((await laptop.beckon(['flight', 'wait', badId])).code).toBe(1);
    expect(runsOf('cross')).toBe(1);
  });

  test('of the owner while the agent runs: indeterminate, and never run again', async () => {
    await laptop.peer('desktop', 'alive');
    const run = laptop.start(['invoke', '@crashing@desktop#main', 'crash', '--json']);
    await run.event('output');
    await desktop.kill9();
    await desktop.up();
    const { code, events } = await run.ended;
    expect(code).toBe(9);
    expect(events.at(-1)).toMatchObject({ type: 'finished', state: 'indeterminate', output: 'before\n', error: { message: expect.any(String) } });
    const id = String(events[0]?.['invocationId']);
    expect(await flight(desktop, id)).toMatchObject({ state: 'indeterminate', run: 1 });
    expect((await laptop.beckon(['flight', 'wait', id])).code).toBe(9);
    // Whatever else was queued for the agent would have run before this one.
    cluster.open('crashing-gate');
    expect((await laptop.invoke(['@crashing@desktop#main', 'afterwards'])).code).toBe(0);
    expect([runsOf('crash'), runsOf('afterwards')]).toEqual([1, 1]);
  });

  test('of the owner while work is queued there: the queued runs once after the restart, what ran is indeterminate', async () => {
    await laptop.peer('desktop', 'alive');
    const tasks = Array.from({ length: runsPerAgent + 2 }, (_, index) => `queued-${index}`);
    const ids: string[] = [];
    for (const task of tasks) {
      const { code, text } = await laptop.beckon(['invoke', '@queueing@desktop#main', task, '--detach']);
      expect(code).toBe(0);
      ids.push(text.trim());
    }
    await waitFor('as many as the agent takes to run, and the rest to be queued at the owner', async () => {
      const { flights } = await desktop.json(['flights', '--agent', '@queueing@desktop#main']);
      return (flights as Json[]).length === ids.length && tasks.reduce((sum, task) => sum + runsOf(task), 0) === runsPerAgent;
    });
    await desktop.kill9();
    cluster.open('queueing-gate');
    await desktop.up();
    const outcomes = await Promise.all(ids.map((id) => ended(laptop, id)));
    const expected = tasks.map((_, index) => (index < runsPerAgent ? 'indeterminate' : 'completed'));
    expect(outcomes.map(({ state }) => String(state))).toEqual(expected);
    expect(tasks.map(runsOf)).toEqual(tasks.map(() => 1));
  });
});
