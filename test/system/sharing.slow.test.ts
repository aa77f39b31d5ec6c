/** Two people in one mesh: ada with laptop and desktop, bob with studio. What bob reaches of ada's is what she shares. */
import { existsSync, readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { runsPerAgent } from '../../src/broker/active-runs.ts';
import { acpAgentFile } from '../support/acp-endpoint.ts';
import { beckonPath } from '../support/cli.ts';
import type { Json } from '../support/cli.ts';
import { Cluster, waitsFor } from '../support/cluster.ts';
import { rowCounts, settledRowCounts } from '../support/database.ts';
import type { TestNode } from '../support/node-process.ts';
import { waitFor } from '../support/wait-for.ts';

let cluster: Cluster;
let laptop: TestNode;
let desktop: TestNode;
let studio: TestNode;

beforeAll(async () => {
  cluster = await Cluster.create();
  [laptop, desktop, studio] = [await cluster.node('laptop'), await cluster.node('desktop'), await cluster.node('studio')];
  await cluster.join([laptop, desktop, studio], { studio: 'bob' });
  const noting = (name: string): string => cluster.program(name, `IFS= read -r task\necho "$task" >> '${cluster.path(name)}.tasks'\necho "${name} did $task"`);
  await laptop.addAgent('deploy', [noting('deploy')]);
  await laptop.addAgent('other', [noting('other')]);
  await laptop.addAgent('held', [noting('held')]);
  await laptop.addAgent('twice', [noting('twice')]);
  for (const name of ['busy', 'crashing']) await laptop.addAgent(name, [cluster.program(name, `IFS= read -r task\necho "$task" >> '${cluster.path(name)}.tasks'\n${waitsFor(cluster.path(`${name}-gate`))}\necho "did $task"`)]);
  await laptop.addAgent('talks', [process.execPath, acpAgentFile, '--store', laptop.home, '--always', 'count'], ['--harness', 'acp']);
  const calls = (name: string, target: string): string => cluster.program(name, `exec ${beckonPath} invoke ${target} 'from ${name}'`);
  await studio.addAgent('asker', [calls('asker', 'other@laptop/main')]);
  await desktop.addAgent('proxy', [calls('proxy', 'other@laptop/main')]);
  await waitFor('the agents to be known everywhere', async () => {
    const seen = await Promise.all([laptop, desktop, studio].map(async (node) => ((await node.json(['agents']))['agents'] as Json[]).length));
    return seen.every((count) => count === 9);
  }, { timeoutMs: 20_000 });
}, 60_000);
afterAll(() => cluster?.[Symbol.asyncDispose]());

const tasks = (name: string): string[] => (existsSync(cluster.path(`${name}.tasks`)) ? readFileSync(cluster.path(`${name}.tasks`), 'utf8').trim().split('\n') : []);
const share = (agent: string, ...flags: string[]): Promise<Json> => laptop.json(['agent', 'share', agent, ...flags]);
const unshare = (agent: string, ...flags: string[]): Promise<Json> => laptop.json(['agent', 'unshare', agent, ...flags]);
const denied = { type: 'finished', state: 'failed', error: { code: 'denied' } };

async function accepted(node: TestNode, ...args: string[]): Promise<string> {
  return String((await node.json(['invoke', ...args, '--detach']))['flightId']);
}

async function flight(node: TestNode, id: string): Promise<Json> {
  return (await node.json(['flight', 'show', id]))['flight'] as Json;
}

function becomes(node: TestNode, id: string, ...states: string[]): Promise<Json> {
  return waitFor(`${id} to be ${states.join(' or ')} at ${node.name}`, async () => {
    const seen = await flight(node, id);
    return states.includes(String(seen['state'])) ? seen : undefined;
  }, { timeoutMs: 20_000, pollMs: 50 });
}

describe('an agent that is not shared', () => {
  test('is not what its bare name means to another person, and nothing is accepted', async () => {
    const [before] = await settledRowCounts(studio.databasePath);
    const { code, last } = await studio.invoke(['@deploy', 'bare']);
    expect(code).toBe(3);
    expect(last).toMatchObject({ type: 'error', error: { code: 'not_found', hint: expect.stringContaining('deploy@laptop/main'), candidates: [{ address: '@deploy@laptop#main', why: expect.stringContaining('--any-owner') }] } });
    expect(rowCounts(studio.databasePath)).toEqual(before);
  });

  test('is denied to another person by every way of naming it, exit 5, stored nowhere but at home, and never runs', async () => {
    const [{ audit: _refusals, ...before } = {}] = await settledRowCounts(laptop.databasePath);
    for (const args of [['@deploy', '--any-owner'], ['deploy@laptop'], ['deploy@laptop/main']]) {
      const { code, last } = await studio.invoke([...args, 'named']);
      expect([args, code]).toEqual([args, 5]);
      expect(last).toMatchObject({ ...denied, error: { message: expect.stringContaining('bob (studio) may not invoke @deploy@laptop#main'), hint: expect.stringContaining('beckon agent share deploy@laptop/main --with bob') } });
    }
    const { audit: _more, ...after } = rowCounts(laptop.databasePath);
    expect(after).toEqual(before);
    expect(tasks('deploy')).toEqual([]);
  });

  test('is not reached by the bare name when the other person has one of that name either', async () => {
    await studio.addAgent('deploy', ['/bin/cat']);
    for (const args of [[], ['--any-owner'], ['--any', '--any-owner']]) {
      const { code, events } = await studio.invoke(['@deploy', 'mine', ...args]);
      expect([code, events[0]?.['target']]).toEqual([0, '@deploy@studio#main']);
    }
    await studio.json(['agent', 'rm', 'deploy@studio/main']);
    expect(tasks('deploy')).toEqual([]);
  });

  test('is not shared by anybody but its own node', async () => {
    for (const node of [studio, desktop]) {
      const { code, json } = await node.beckon(['agent', 'share', 'deploy@laptop/main', '--json']);
      expect([code, json['error']]).toEqual([6, expect.objectContaining({ hint: 'on laptop: beckon agent share deploy@laptop/main' })]);
    }
  });
});

test('after share it runs, by person, by node and for all; after unshare it is denied again at once', async () => {
  for (const [index, flags] of [['--with', 'bob'], ['--with', 'studio'], []].entries()) {
    expect(await share('deploy', ...flags)).toMatchObject({ address: '@deploy@laptop#main', changed: true });
    expect(await share('deploy', ...flags)).toMatchObject({ changed: false });
    expect((await studio.invoke(['deploy@laptop/main', `shared ${index}`])).last).toMatchObject({ state: 'completed', output: `deploy did shared ${index}\n` });
    expect((await studio.invoke(['other@laptop/main', 'x'])).code).toBe(5);
    expect(await unshare('deploy', ...flags)).toMatchObject({ shares: [], changed: true });
    const { code, last } = await studio.invoke(['deploy@laptop/main', 'late']);
    expect([code, last]).toEqual([5, expect.objectContaining({ state: 'failed' })]);
  }
  expect(tasks('deploy')).toEqual(['shared 0', 'shared 1', 'shared 2']);
  const { code, json } = await laptop.beckon(['agent', 'unshare', 'deploy', '--with', 'bob', '--json']);
  expect([code, json['error']]).toEqual([3, expect.objectContaining({ message: '@deploy@laptop#main is not shared with bob: it is shared with nobody' })]);
});

test('a session that is open already ends with the share, and is there again with the next', async () => {
  await share('talks', '--with', 'bob');
  const first = await studio.invoke(['talks@laptop/main', 'one']);
  const session = String(first.events.find(({ type }) => type === 'started')?.['session']);
  expect(session).toMatch(/^ses_/);
  expect((await studio.invoke(['talks@laptop/main', 'two', '--session', session])).last).toMatchObject({ state: 'completed' });
  await unshare('talks', '--with', 'bob');
  for (const how of [['--continue'], ['--session', session]]) expect((await studio.invoke(['talks@laptop/main', 'three', ...how])).last).toMatchObject(denied);
  await share('talks');
  const again = await studio.invoke(['talks@laptop/main', 'four', '--continue']);
  expect(again.events.find(({ type }) => type === 'started')).toMatchObject({ session });
  // The owner's own people have their own sessions.
  expect((await laptop.invoke(['talks@laptop/main', 'x', '--session', session])).last).toMatchObject({ type: 'error', error: { code: 'denied' } });
});

test('unshare ends what that person has queued behind a busy agent at once, and neither what runs nor what others have queued', async () => {
  await share('busy', '--with', 'bob');
  const running = await accepted(studio, 'busy@laptop/main', 'bob runs');
  await becomes(studio, running, 'running');
  for (let count = 1; count < runsPerAgent; count += 1) await accepted(laptop, 'busy@laptop/main', `ada runs ${count}`);
  await waitFor('the agent to be busy', () => tasks('busy').length === runsPerAgent);
  const own = await accepted(laptop, 'busy@laptop/main', 'ada waits');
  const queued = [await accepted(studio, 'busy@laptop/main', 'bob waits 1'), await accepted(studio, 'busy@laptop/main', 'bob waits 2')];
  for (const id of queued) await waitFor('its receipt', async () => (await flight(studio, id))['receivedAt']);
  expect(await unshare('busy')).toEqual(expect.objectContaining({ ended: 2, running: 1, shares: [] }));
  for (const id of queued) {
    // As the owner has it, and as the origin hears of it, while the agent is still busy.
    expect(await flight(laptop, id)).toMatchObject({ state: 'failed', error: { code: 'denied' } });
    expect(await becomes(studio, id, 'failed')).toMatchObject({ error: { code: 'denied' }, verdictBy: 'owner' });
    expect((await studio.beckon(['flight', 'wait', id])).code).toBe(5);
  }
  expect(await flight(laptop, running)).toMatchObject({ state: 'running' });
  cluster.open('busy-gate');
  expect(await becomes(studio, running, 'completed', 'failed')).toMatchObject({ state: 'completed' });
  expect(await becomes(laptop, own, 'completed', 'failed')).toMatchObject({ state: 'completed' });
  expect(tasks('busy').filter((task) => task.startsWith('bob'))).toEqual(['bob runs']);
});

test('a child of a flight has the right of the node that calls, and of nobody behind it', async () => {
  expect((await studio.invoke(['asker', 'x'])).code).toBe(1);
  expect(tasks('other')).toEqual([]);
  await desktop.json(['agent', 'share', 'proxy', '--with', 'bob']);
  // Her own desktop calls: that bob asked for it is what she allowed there.
  expect((await studio.invoke(['proxy@desktop/main', 'x'])).last).toMatchObject({ state: 'completed', output: 'other did from proxy\n' });
  await share('other', '--with', 'bob');
  expect((await studio.invoke(['asker', 'x'])).last).toMatchObject({ state: 'completed', output: 'other did from asker\n' });
});

test('a redrive is judged as it is made: denied while it is, done once it is shared', async () => {
  const first = await accepted(studio, 'twice@laptop/main', 'again');
  await becomes(studio, first, 'failed');
  const redrive = async (id: string): Promise<string> => String((await studio.json(['delivery', 'redrive', id]))['flightId']);
  const second = await redrive(first);
  expect(await becomes(studio, second, 'completed', 'failed')).toMatchObject({ error: { code: 'denied' } });
  await share('twice', '--with', 'bob');
  expect(await becomes(studio, await redrive(second), 'completed', 'failed')).toMatchObject({ state: 'completed' });
  expect(tasks('twice')).toEqual(['again']);
});

describe('with the node of the agent down', () => {
  test('share and unshare work; held work is judged as it is when it arrives, and what was queued is ended at the start', async () => {
    await share('crashing', '--with', 'bob');
    await share('held', '--with', 'bob');
    for (let count = 0; count < runsPerAgent; count += 1) await accepted(laptop, 'crashing@laptop/main', `ada ${count}`);
    await waitFor('the agent to be busy', () => tasks('crashing').length === runsPerAgent);
    const queued = await accepted(studio, 'crashing@laptop/main', 'bob waits');
    await waitFor('its receipt', async () => (await flight(studio, queued))['receivedAt']);
    await laptop.kill9();
    await studio.peer('laptop', 'unreachable', { timeoutMs: 40_000 });
    const held = await accepted(studio, 'held@laptop/main', 'bob is held');
    expect(await unshare('crashing')).toMatchObject({ changed: true, ended: 0 });
    expect(await unshare('held')).toMatchObject({ changed: true });
    expect(await share('deploy', '--with', 'person:bob')).toMatchObject({ shares: [{ with: 'person', name: 'bob' }] });
    await laptop.up();
    for (const id of [queued, held]) expect(await becomes(studio, id, 'completed', 'failed')).toMatchObject({ state: 'failed', error: { code: 'denied' } });
    expect((await studio.invoke(['deploy@laptop/main', 'after'])).code).toBe(0);
    expect([tasks('held'), tasks('crashing').filter((task) => task.startsWith('bob'))]).toEqual([[], []]);
  }, 90_000);
});
