/** Projects, their instances, and why agents are gone, as the store keeps them. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { agentIdOf, flightOfInvocation } from '../../src/domain/ids.ts';
import type { Endpoint } from '../../src/domain/invocation.ts';
import type { Project } from '../../src/domain/project.ts';
import type { Registration } from '../../src/domain/registration.ts';
import { rowCounts } from '../support/database.ts';
import { nodeIdFor, openTempStore, Story, textTask } from '../support/temp-store.ts';
import type { TempStore } from '../support/temp-store.ts';

const me = nodeIdFor(1);
const root = '/src/shop';
const dayMs = 86_400_000;

let temp: TempStore;
let story: Story;
beforeEach(async () => {
  temp = await openTempStore(me);
  story = new Story();
});
afterEach(() => temp[Symbol.asyncDispose]());

const project: Omit<Project, 'leftOut' | 'approvedAtMs'> = {
  root,
  definition: { name: 'shop', description: 'été', harness: 'command', argv: ['./agent.sh'], env: ['A=1'], permissions: 'ask', isolate: false, capabilities: [], labels: { a: 'b' }, visibility: 'mesh', defaultWorkspace: 'main' },
  words: { command: ['./agent.sh'], labels: { a: 'b' } },
  wordsHash: 'ab',
  isRepository: true,
  path: '/bin',
  approvedBy: 'uid:501',
};
const endpointAt = (address: string, argv = ['cat']): Endpoint => ({ agentId: agentIdOf(story.ulid()), address, harness: 'command', cwd: root, argv, env: [], path: '/bin', permissions: 'ask', isolate: false });
const registrationOf = (address: string, changes: Partial<Registration> = {}): Registration => ({ address, nodeId: me, harness: 'command', capabilities: [], labels: {}, visibility: 'mesh', description: '', isDefault: false, available: true, ...changes });
const save = () => temp.store.write.saveProject({ stamp: story.stamp(), project });
const put = (address: string, top: string, changes: { argv?: string[]; root?: string; registration?: Partial<Registration> } = {}) =>
  temp.store.write.putInstance({ stamp: story.stamp(), root: changes.root ?? root, top, endpoint: endpointAt(address, changes.argv), registration: registrationOf(address, changes.registration) });
const remove = (address: string, more: { why?: string; isByHand?: boolean } = {}) => temp.store.write.removeAgent({ stamp: story.stamp(), address, ...more });
const main = '@shop@laptop#main';
const feature = '@shop@laptop#feature';

test('an approved project is kept as it was approved, over a restart, and anew when it is approved again', async () => {
  await save();
  await temp.reopen();
  expect(temp.store.read.project(root)).toEqual({ ...project, leftOut: [], approvedAtMs: story.nowMs });
  await temp.store.write.saveProject({ stamp: story.stamp(), project: { ...project, wordsHash: 'cd' } });
  expect(temp.store.read.projects()).toMatchObject([{ wordsHash: 'cd', approvedAtMs: story.nowMs }]);
  expect(temp.store.read.project('/src/other')).toBeUndefined();
});

test('an instance is an agent; put again it is the same agent, run otherwise', async () => {
  await expect(put(main, root)).rejects.toMatchObject({ code: 'not_found' });
  await save();
  await put(main, root);
  const { agentId } = temp.store.read.endpoint(main) ?? {};
  await put(main, root, { argv: ['./other.sh'], registration: { isDefault: true, labels: { a: 'b' }, available: false, unavailableWhy: 'gone' } });
  expect(temp.store.read.endpoint(main)).toMatchObject({ agentId, argv: ['./other.sh'] });
  expect(temp.store.read.ownRegistration(main)).toEqual(registrationOf(main, { isDefault: true, labels: { a: 'b' }, available: false, unavailableWhy: 'gone' }));
  expect(temp.store.read.instancesOf(root)).toEqual([{ address: main, root, top: root }]);
});

test('an address that somebody else has is refused: an agent that was added by hand, identical or not, and another worktree', async () => {
  await save();
  const byHand = endpointAt(feature);
  await temp.store.write.addAgent({ stamp: story.stamp(), endpoint: byHand, registration: registrationOf(feature) });
  await expect(put(feature, '/wt/f')).rejects.toMatchObject({ code: 'conflict' });
  await expect(put(feature, '/wt/f', { argv: ['other'] })).rejects.toMatchObject({ code: 'conflict' });
  await put(main, root);
  await expect(put(main, '/wt/f')).rejects.toMatchObject({ code: 'conflict' });
  expect(temp.store.read.endpoint(feature)).toEqual(byHand);
  expect(temp.store.read.projectInstance(feature)).toBeUndefined();
});

test('one that is removed by hand is left out; the last one takes the project with it', async () => {
  await save();
  await put(main, root);
  await put(feature, '/wt/f');
  await remove(feature, { isByHand: true });
  expect(temp.store.read.project(root)?.leftOut).toEqual(['/wt/f']);
  await remove(main, { why: 'its worktree is gone' });
  expect(temp.store.read.project(root)?.leftOut).toEqual(['/wt/f']);
  await put(main, root);
  await remove(main, { isByHand: true });
  expect(temp.store.read.projects()).toEqual([]);
});

test('a project that is forgotten takes its instances with it, and names what was held for each', async () => {
  await save();
  await put(main, root);
  await put(feature, '/wt/f');
  const invocation = story.invocation({ origin: nodeIdFor(2), owner: me }, { target: main });
  await temp.store.write.receive({ stamp: story.stamp(), invocation, task: textTask(''), queueLimit: 10 });
  expect(await temp.store.write.forgetProject({ stamp: story.stamp(), root, why: 'it was forgotten' })).toEqual({ removed: [{ address: feature, held: [] }, { address: main, held: [flightOfInvocation(invocation.id)] }] });
  expect(temp.store.read.unlistedWhy(main)).toBe('it was forgotten');
  expect(rowCounts(temp.path)).toMatchObject({ agents: 0, agent_endpoints: 0, projects: 0, project_instances: 0 });
  await expect(temp.store.write.forgetProject({ stamp: story.stamp(), root, why: '' })).rejects.toMatchObject({ code: 'not_found' });
});

test('why an agent is gone is known for 30 days, under whatever name its node has, until it is back', async () => {
  await save();
  await put(main, root);
  await remove(main, { why: 'its worktree was removed' });
  expect(temp.store.read.unlistedWhy('@shop@desk#main')).toBe('its worktree was removed');
  expect(temp.store.read.unlistedWhy('@shop#other')).toBeUndefined();
  await put(main, root);
  expect(temp.store.read.unlistedWhy(main)).toBeUndefined();
  await remove(main, { why: 'again' });
  story.nowMs += 31 * dayMs;
  await put(feature, '/wt/f');
  await remove(feature, { why: 'another' });
  expect([temp.store.read.unlistedWhy(main), temp.store.read.unlistedWhy(feature)]).toEqual([undefined, 'another']);
});

test('of what is gone no more than the newest 4,096 are remembered', async () => {
  for (let count = 0; count < 4_100; count += 50) {
    const addresses = Array.from({ length: 50 }, (_, at) => `@a@laptop#${count + at}`);
    await Promise.all(addresses.map((address) => temp.store.write.addAgent({ stamp: story.stamp(), endpoint: endpointAt(address), registration: registrationOf(address) })));
    await Promise.all(addresses.map((address) => remove(address, { why: 'gone' })));
  }
  expect(rowCounts(temp.path)).toMatchObject({ unlisted_agents: 4096 });
  expect([temp.store.read.unlistedWhy('@a#0'), temp.store.read.unlistedWhy('@a#4099')]).toEqual([undefined, 'gone']);
});
