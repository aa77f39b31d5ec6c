/** `mesh rename` and `mesh leave`, over a real socket. */
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

test.each([['y', 0, [false, true]], ['n', 6, [false]]] as const)('on a terminal it is asked first: %s', async (key, code, confirmed) => {
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
