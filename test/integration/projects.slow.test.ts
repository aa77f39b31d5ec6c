/** The instances of approved projects, as their worktrees change: a whole node, real git. */
import { chmodSync, mkdirSync, mkdtempSync, realpathSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { ScannedProject, ScanResult } from '../../src/broker/api.ts';
import { specOf } from '../support/asking.ts';
import { GitRepository } from '../support/git-repository.ts';
import { LocalNode } from '../support/local-node.ts';
import { waitFor } from '../support/wait-for.ts';

let root: string;
let node: LocalNode;
let shop: GitRepository;
const path = process.env['PATH'] ?? '/usr/bin:/bin';

beforeEach(async () => {
  root = realpathSync(mkdtempSync(join(tmpdir(), 'beckon-projects-')));
  node = new LocalNode('laptop', root);
  shop = GitRepository.make(join(root, 'shop'), { '.beckon/project.json': JSON.stringify({ command: ['./agent.sh'] }), 'agent.sh': '#!/bin/sh\ncat; pwd\n' });
  chmodSync(join(shop.path, 'agent.sh'), 0o755);
  shop.commit({}, 'executable');
});
afterEach(async () => {
  await node[Symbol.asyncDispose]();
  rmSync(root, { recursive: true, force: true });
});

const at = (...names: readonly string[]): string => join(root, ...names);
const scan = (...directories: readonly string[]): Promise<ScanResult> => node.client.scanProjects({ directories: directories.length === 0 ? [shop.path] : directories, cwd: '/', path });

async function only(...directories: readonly string[]): Promise<ScannedProject> {
  const { projects } = await scan(...directories);
  const [project] = projects;
  if (project === undefined || projects.length > 1) throw new Error(`${projects.length} projects`);
  return project;
}

async function approve(...directories: readonly string[]): Promise<readonly string[]> {
  const { projects } = await scan(...directories);
  return (await node.client.approveProjects({ approvals: projects.map(({ root: project, fingerprint }) => ({ root: project, fingerprint })), path })).added;
}

async function addresses(): Promise<string[]> {
  return (await node.client.listAgents({}, { limit: 100 })).items.map((each) => each.registration.address);
}

const become = (...expected: readonly string[]): Promise<unknown> => waitFor(`${expected.join(' ')} to be all`, async () => (await addresses()).join(' ') === expected.toSorted().join(' '), { timeoutMs: 8000 });

const defaults = async (): Promise<string[]> => (await node.client.listAgents({}, { limit: 100 })).items.filter((each) => each.registration.isDefault).map((each) => each.registration.address);

describe('an instance', () => {
  test('follows its worktree to another branch, and is its directory while that is detached', async () => {
    await node.start();
    expect(await approve()).toEqual(['@shop@laptop#main']);
    shop.git('worktree', 'add', '--quiet', '-b', 'one', at('tree'));
    await become('@shop@laptop#main', '@shop@laptop#one');
    expect(await defaults()).toEqual(['@shop@laptop#main']);
    GitRepository.at(at('tree')).git('switch', '--quiet', '-c', 'two');
    await become('@shop@laptop#main', '@shop@laptop#two');
    GitRepository.at(at('tree')).git('switch', '--quiet', '--detach');
    await become('@shop@laptop#main', '@shop@laptop#tree');
    shop.git('switch', '--quiet', '-c', 'work');
    await become('@shop@laptop#work', '@shop@laptop#tree');
    expect(await defaults()).toEqual(['@shop@laptop#work']);
  });

  test('that is at work moves when it has ended, and not before', async () => {
    await node.start();
    writeFileSync(at('shop', 'agent.sh'), `#!/bin/sh\nuntil [ -e '${at('gate')}' ]; do sleep 0.02; done\n`);
    await approve();
    const { flightId } = await node.invoke('shop/main');
    await node.becomes(flightId, 'running');
    shop.git('switch', '--quiet', '-c', 'work');
    // A look that finds it busy leaves it where it is.
    expect((await only()).instances).toEqual([{ address: '@shop@laptop#main', cwd: shop.path, registered: true }]);
    expect(await addresses()).toEqual(['@shop@laptop#main']);
    expect((await node.client.getAgent('shop')).note).toContain('when what runs has ended it becomes @shop@laptop#work');
    // There is room beside the first; but this was asked of the branch that is not there.
    const second = await node.invoke('shop/main');
    expect((await node.client.getFlight(second.flightId)).flight.state).toBe('queued');
    writeFileSync(at('gate'), '');
    await node.becomes(flightId, 'completed');
    await become('@shop@laptop#work');
    await node.becomes(second.flightId, 'failed');
    expect((await node.client.getFlight(second.flightId)).flight).toMatchObject({ run: 0, error: { code: 'unavailable', message: expect.stringContaining('no longer registered') } });
  });

  test('that is described at more length than nodes tell each other is refused, and says so', async () => {
    await node.start();
    const labels = Object.fromEntries(Array.from({ length: 60 }, (_, number) => [`label${number}`, 'x'.repeat(150)]));
    writeFileSync(at('shop', '.beckon', 'project.json'), JSON.stringify({ command: ['cat'], labels }));
    expect(await only()).toMatchObject({ state: 'refused', problem: expect.stringContaining('more than 8192') });
  });

  test('whose worktree is back on its branch starts what waited meanwhile', async () => {
    await node.start();
    writeFileSync(at('shop', 'agent.sh'), `#!/bin/sh\nuntil [ -e '${at('gate')}' ]; do sleep 0.02; done\n`);
    await approve();
    const first = await node.invoke('shop/main');
    await node.becomes(first.flightId, 'running');
    shop.git('switch', '--quiet', '-c', 'topic');
    await only();
    await waitFor('it to be seen', async () => (await node.client.getAgent('shop')).note !== undefined);
    const second = await node.invoke('shop/main');
    shop.git('switch', '--quiet', 'main');
    await node.becomes(second.flightId, 'running');
    writeFileSync(at('gate'), '');
    for (const { flightId } of [first, second]) await node.becomes(flightId, 'completed');
    expect(await addresses()).toEqual(['@shop@laptop#main']);
  });

  test('keeps its sessions and its id when its project is approved anew', async () => {
    await node.start();
    await approve();
    const before = (await node.client.getAgent('shop')).endpoint;
    writeFileSync(at('shop', '.beckon', 'project.json'), JSON.stringify({ command: ['cat'], labels: { team: 'web' } }));
    expect(await only()).toMatchObject({ state: 'changed', command: ['cat'] });
    expect(await approve()).toEqual([]);
    const { endpoint, registration } = await node.client.getAgent('shop');
    expect(endpoint).toEqual({ ...before, argv: ['cat'] });
    expect(registration.labels).toEqual({ team: 'web' });
    expect(await only()).toMatchObject({ state: 'approved' });
  });

  test('that a person removes stays away, with what was held for it, until its project is approved again; the last one takes the project with it', async () => {
    await node.start();
    shop.git('worktree', 'add', '--quiet', at('a'));
    await approve();
    await become('@shop@laptop#main', '@shop@laptop#a');
    await node.client.removeAgent('@shop@laptop#a');
    expect((await only()).instances).toMatchObject([{ address: '@shop@laptop#main', registered: true }, { address: '@shop@laptop#a', registered: false, problem: expect.stringContaining('--yes --only shop') }]);
    expect(await addresses()).toEqual(['@shop@laptop#main']);
    expect(await approve()).toEqual(['@shop@laptop#a']);
    await node.client.removeAgent('@shop@laptop#a');
    await node.client.removeAgent('@shop@laptop#main');
    expect(await only()).toMatchObject({ state: 'new' });
    expect(await addresses()).toEqual([]);
  });

  test('that is isolated runs in worktrees that are no instances', async () => {
    await node.start({ config: `[projects."${shop.path}"]\nisolate = true\n` });
    shop.git('worktree', 'add', '--quiet', at('a'));
    await approve();
    await become('@shop@laptop#main', '@shop@laptop#a');
    const { flightId } = await node.invoke('shop/a');
    await node.becomes(flightId, 'completed');
    expect(await node.outputOf(flightId)).toMatch(/worktrees\/[0-9a-z]{26}\n$/);
    writeFileSync(at('shop', '.beckon', 'again'), '');
    expect((await only()).instances.map(({ address }) => address)).toEqual(['@shop@laptop#main', '@shop@laptop#a']);
    expect(await addresses()).toHaveLength(2);
  });

  test('is called what its node is called', async () => {
    await node.start();
    await node.client.createMesh({ new: false });
    await approve();
    await node.client.renameNode('desk');
    expect(await only()).toMatchObject({ instances: [{ address: '@shop@desk#main', registered: true }] });
    expect(await addresses()).toEqual(['@shop@desk#main']);
  });
});

describe('a project that is away', () => {
  test('and one whose program is not there: the instance is shown with why it can’t be called', async () => {
    await node.start();
    await approve();
    renameSync(at('shop', 'agent.sh'), at('shop', 'agent'));
    expect((await only()).instances).toMatchObject([{ registered: true, problem: expect.stringContaining('agent.sh') }]);
    renameSync(shop.path, at('unmounted'));
    const listed = await node.client.scanProjects({ directories: [], cwd: at('laptop'), path });
    expect(listed.projects).toMatchObject([{ instances: [{ registered: true, problem: expect.stringContaining('does not exist') }] }]);
  });

  test('keeps its instances, which are not available until it is back, and is forgotten only by a word', async () => {
    await node.start();
    shop.git('worktree', 'add', '--quiet', at('a'));
    await approve();
    await become('@shop@laptop#main', '@shop@laptop#a');
    renameSync(shop.path, at('unmounted'));
    expect((await scan(shop.path).catch((error: unknown) => error)) as object).toMatchObject({ code: 'invalid', message: expect.stringContaining('there is no directory') });
    const listed = await node.client.scanProjects({ directories: [], cwd: at('laptop'), path });
    expect(listed.projects).toMatchObject([{ root: shop.path, state: 'approved', problem: expect.stringContaining('is not there'), instances: [{ registered: true }, { registered: true }] }]);
    expect((await node.client.getAgent('@shop@laptop#main')).registration.available).toBe(false);
    expect(await node.client.getAgent('@shop@laptop#main')).toMatchObject({ note: expect.stringContaining('is not there') });
    // Its worktree is of a repository that is away: it may come back as well, and is no project by itself.
    expect((await scan(at('a'))).projects).toEqual([]);
    expect(await addresses()).toHaveLength(2);
    renameSync(at('unmounted'), shop.path);
    await scan();
    expect((await node.client.getAgent('@shop@laptop#main')).registration.available).toBe(true);
    renameSync(shop.path, at('unmounted'));
    expect(await node.client.forgetProject(shop.path)).toEqual({ root: shop.path, removed: ['@shop@laptop#a', '@shop@laptop#main'], heldFailed: 0 });
    expect(await addresses()).toEqual([]);
    await expect(node.client.forgetProject(shop.path)).rejects.toMatchObject({ code: 'not_found' });
  });
});

describe('a clash', () => {
  test('with an agent that was added by hand is refused, and leaves that as it was', async () => {
    await node.start();
    await node.client.addAgent(specOf({ name: 'shop', cwd: shop.path }));
    expect(await only()).toMatchObject({ state: 'refused', problem: '@shop@laptop#main is taken: it was added by hand, with beckon agent add; remove that agent, or call the project otherwise' });
    await expect(approve()).rejects.toMatchObject({ code: 'conflict' });
    expect((await node.client.getAgent('shop')).endpoint?.argv).toEqual(['cat']);
  });

  test('that comes up later leaves that worktree alone', async () => {
    await node.start();
    await approve();
    await node.client.addAgent(specOf({ name: 'shop', workspace: 'a', cwd: shop.path }));
    shop.git('worktree', 'add', '--quiet', at('a'));
    const { instances } = await only();
    expect(instances).toMatchObject([{ address: '@shop@laptop#main', registered: true }, { address: '@shop@laptop#a', registered: false, problem: expect.stringContaining('added by hand') }]);
    expect((await node.client.getAgent('shop/a')).endpoint?.argv).toEqual(['cat']);
    expect((await node.client.diagnose()).find((each) => each.id === 'projects')?.detail).toContain('@shop@laptop#a is taken');
  });

  test('of two projects with one name: the first has it, the second is told what to do', async () => {
    await node.start({ config: `[projects."${at('b', 'shop')}"]\nname = "shop-b"\n` });
    for (const name of ['a', 'b', 'c']) GitRepository.make(at(name, 'shop'), { '.beckon/project.json': '{"command": ["cat"]}' });
    const { projects } = await scan(root);
    expect(projects.map(({ name, state }) => [name, state])).toEqual([['shop', 'new'], ['shop-b', 'new'], ['shop', 'refused'], ['shop', 'refused']]);
    expect(projects[2]?.problem).toContain(`the project "${at('a', 'shop')}" is called shop too; call one otherwise`);
  });
});

describe('a yes', () => {
  test('is for what was shown: what came since is a conflict, and nothing is exposed', async () => {
    await node.start();
    const { fingerprint } = await only();
    writeFileSync(at('shop', '.beckon', 'project.json'), JSON.stringify({ command: ['./evil.sh'] }));
    await expect(node.client.approveProjects({ approvals: [{ root: shop.path, fingerprint }], path })).rejects.toMatchObject({ code: 'conflict', message: `${shop.path} has changed since it was shown` });
    await expect(node.client.approveProjects({ approvals: [{ root: '/etc', fingerprint }], path })).rejects.toMatchObject({ code: 'invalid' });
    expect(await addresses()).toEqual([]);
  });

  test('holds over a restart, and what happened meanwhile is seen', async () => {
    await node.start();
    shop.git('worktree', 'add', '--quiet', at('a'));
    await approve();
    await become('@shop@laptop#main', '@shop@laptop#a');
    await node.stop();
    shop.git('worktree', 'remove', at('a'));
    shop.git('worktree', 'add', '--quiet', at('b'));
    await node.start();
    await become('@shop@laptop#main', '@shop@laptop#b');
  });

  test('with a manifest that has become bad goes on for what was approved', async () => {
    await node.start();
    await approve();
    writeFileSync(at('shop', '.beckon', 'project.json'), '{"command": 7}');
    expect(await only()).toMatchObject({
      ...{ state: 'refused', command: ['./agent.sh'], problem: expect.stringMatching(/project\.json: command: Invalid input.*; what was approved stays in force$/) },
      instances: [{ address: '@shop@laptop#main', registered: true }],
    });
    expect((await node.client.getAgent('shop')).endpoint?.argv).toEqual(['./agent.sh']);
  });
});

describe('the config file', () => {
  test('goes before the manifest, is read anew at each look, and hides its values', async () => {
    await node.start();
    const config = (text: string): void => writeFileSync(at('laptop', 'config.toml'), text);
    config(`roots = ["${root}", "${at('nowhere')}"]\n[projects."${shop.path}"]\nname = "till"\nenv = ["KEY=secret", "HOME"]\npermissions = "edit"\n`);
    const found = await node.client.scanProjects({ directories: [], cwd: '/', path });
    expect(found).toMatchObject({ projects: [{ name: 'till', command: ['./agent.sh'], permissions: 'edit', env: ['KEY=…', 'HOME'], why: ['.beckon/project.json', 'the config file'] }], notes: [`there is no directory ${at('nowhere')}`] });
    await approve();
    expect((await node.client.getAgent('till')).endpoint?.env).toEqual(['KEY=secret', 'HOME']);
    expect((await node.client.diagnose()).find((each) => each.id === 'projects')).toMatchObject({ ok: true, detail: expect.stringContaining(`the root ${at('nowhere')} is no directory`) });
    config(`[projects."${shop.path}"]\nignore = true\n`);
    expect(await only()).toMatchObject({ state: 'ignored', instances: [] });
    expect(await addresses()).toEqual([]);
    config('roots = [1]\n');
    await expect(scan()).rejects.toMatchObject({ code: 'invalid', message: expect.stringContaining('config.toml:1:10: roots[0]') });
  });
});

test('a project that only files for agents speak of has the agent that they are for, when that can be had', async () => {
  await node.start();
  mkdirSync(at('notes'));
  writeFileSync(at('notes', 'CLAUDE.md'), '');
  mkdirSync(at('bin'));
  const scanWith = (bin: string) => node.client.scanProjects({ directories: [at('notes')], cwd: '/', path: bin });
  expect((await scanWith('/nowhere')).projects).toMatchObject([{ state: 'refused', why: ['CLAUDE.md'], problem: expect.stringContaining('CLAUDE.md is for claude, which can’t be had here: Claude Code is not installed') }]);
  for (const program of ['claude-agent-acp', 'codex-acp']) writeFileSync(at('bin', program), '#!/bin/sh\n', { mode: 0o755 });
  mkdirSync(at('laptop', '.claude'), { recursive: true });
  writeFileSync(at('laptop', '.claude', '.credentials.json'), '{}');
  const { projects } = await scanWith(at('bin'));
  expect(projects).toMatchObject([{ state: 'new', name: 'notes', harness: 'claude', command: [], permissions: 'ask', instances: [{ address: '@notes@laptop#notes', cwd: at('notes') }] }]);
});
