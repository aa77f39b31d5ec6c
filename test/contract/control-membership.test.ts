/** `mesh rename`, `mesh remove` and `mesh leave`, over a real socket. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { conflict } from '../../src/domain/errors.ts';
import { FakeNode } from '../support/fake-node.ts';

let node: FakeNode;

beforeEach(async () => {
  node = await new FakeNode().start();
});

afterEach(async () => {
  await node.stop();
});

test('rename says what it is called and what it was', async () => {
  const ran = await node.run(['mesh', 'rename', 'studio']);
  expect([ran.code, ran.stdout]).toEqual([0, 'this node is studio now; it was laptop\n']);
  expect(JSON.parse((await node.run(['mesh', 'rename', 'studio', '--json'])).stdout)).toEqual({ name: 'studio', was: 'laptop' });
  expect(node.broker.renamed).toEqual(['studio', 'studio']);
  node.broker.failure = conflict('another node of this mesh is called studio', 'take another name');
  expect((await node.run(['mesh', 'rename', 'studio'])).code).toBe(6);
});

test('leave tells what ended, and who could not be told', async () => {
  const ran = await node.run(['mesh', 'leave', '--timeout', '2s', '--force']);
  expect([ran.code, ran.stdout]).toEqual([0, 'this node has left home; its agents and its history are still here\n']);
  expect(ran.stderr).toContain('2 invocations for other nodes ended unfinished');
  expect(ran.stderr).toContain('not reached: server; desktop will tell them');
  expect(node.broker.leaves).toEqual([{ force: true, confirmed: false, waitMs: 2000 }]);
  expect(JSON.parse((await node.run(['mesh', 'leave', '--json'])).stdout)).toEqual({ left: true, running: 0, told: ['desktop'], untold: ['server'], ended: 2 });
});

test('what leaving costs is refused without a yes where nobody can answer', async () => {
  node.broker.losses = ['3 invocations of this node for others would end unfinished'];
  const ran = await node.run(['mesh', 'leave']);
  expect(ran.code).toBe(6);
  expect(ran.stderr).toContain('3 invocations');
  expect(ran.stderr).toContain('beckon mesh leave --yes');
  expect((await node.run(['mesh', 'leave', '--yes'])).code).toBe(0);
  expect(node.broker.leaves.map(({ confirmed }) => confirmed)).toEqual([false, true]);
});

test.each([['y', 0, [false, true]], ['n', 7, [false]]] as const)('on a terminal it is asked first: %s', async (key, code, confirmed) => {
  node.broker.losses = ['3 invocations of this node for others would end unfinished'];
  const ran = await node.run(['mesh', 'leave'], { terminal: true, stdinIsTerminal: true, readKey: () => Promise.resolve(key) });
  expect(ran.stderr).toContain('Leave home all the same?');
  expect(ran.code).toBe(code);
  expect(node.broker.leaves.map((each) => each.confirmed)).toEqual(confirmed);
});

test('while work still runs it says so, goes on, and exits 10', async () => {
  node.broker.stillRunning = 2;
  const ran = await node.run(['mesh', 'leave', '--timeout', '10ms']);
  expect(ran.code).toBe(10);
  expect(ran.stderr).toContain('2 running flights');
  expect((await node.run(['mesh', 'leave', '--force'])).code).toBe(0);
});

test('remove says whom it removed, who knows of it, and who stays of those that it had let in', async () => {
  const ran = await node.run(['mesh', 'remove', 'desktop']);
  expect([ran.code, ran.stdout]).toEqual([0, 'desktop is removed: its key never comes into this mesh again\n']);
  expect(ran.stderr).toContain('told: server');
  expect(ran.stderr).toContain('not reached now: attic');
  expect(ran.stderr).toContain('Those that it let in stay: server');
  const { stdout } = await node.run(['mesh', 'remove', 'desktop', '--json']);
  expect(JSON.parse(stdout)).toEqual({ removed: { name: 'desktop', nodeId: expect.stringMatching(/^k51/) }, told: ['server'], untold: ['attic'] });
  expect(node.broker.removals.map((each) => each.replace(/\d+$/, 'N'))).toEqual(['desktop by uid:N', 'desktop by uid:N']);
  node.broker.wasRemoved = true;
  const again = await node.run(['mesh', 'remove', 'desktop']);
  expect([again.code, again.stdout]).toEqual([0, expect.stringContaining('desktop was removed already, by ada on laptop')]);
});

test.each([['y', 0, 1], ['n', 7, 0]] as const)('who can answer is asked whether to remove it: %s', async (key, code, removals) => {
  const ran = await node.run(['mesh', 'remove', 'desktop'], { terminal: true, stdinIsTerminal: true, readKey: () => Promise.resolve(key) });
  expect(ran.stderr).toContain('Remove desktop, of ');
  expect([ran.code, node.broker.removals.length]).toEqual([code, removals]);
});

test('with --yes nobody is asked', async () => {
  const ran = await node.run(['mesh', 'remove', 'desktop', '--yes'], { terminal: true, stdinIsTerminal: true, readKey: () => Promise.reject(new Error('asked')) });
  expect([ran.code, node.broker.removals.length]).toEqual([0, 1]);
});

test('a node that was removed says so in its status, and in JSON its mesh is null', async () => {
  node.broker.removed = { meshName: 'home', by: 'ada on laptop', atMs: Date.UTC(2026, 0, 15) };
  expect((await node.run(['status'])).stdout).toMatch(/mesh +none: removed from home by ada on laptop on .*beckon mesh leave/);
  expect(JSON.parse((await node.run(['status', '--json'])).stdout)).toMatchObject({ mesh: null, removed: { mesh: 'home', by: 'ada on laptop', at: '2026-01-15T00:00:00.000Z' } });
});
