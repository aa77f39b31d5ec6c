/** `mesh issuer` and `mesh recovery`, over a real socket. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { conflict, denied } from '../../src/domain/errors.ts';
import { FakeNode } from '../support/fake-node.ts';

let node: FakeNode;

beforeEach(async () => {
  node = await new FakeNode().start();
});

afterEach(async () => {
  await node.stop();
});

test('issuer add says who lets others in now, and what that means', async () => {
  const ran = await node.run(['mesh', 'issuer', 'add', 'desktop']);
  expect([ran.code, ran.stdout]).toEqual([0, 'desktop, of ada, lets others in from now on\n']);
  expect(ran.stderr).toContain('remove members');
  expect(JSON.parse((await node.run(['mesh', 'issuer', 'add', 'desktop', '--json'])).stdout)).toMatchObject({ name: 'desktop', owner: 'ada', already: true });
  node.broker.failure = denied('the key of the mesh is not on this machine');
  expect((await node.run(['mesh', 'issuer', 'add', 'desktop'])).code).toBe(5);
});

test('export takes the passphrase from the first line of stdin, and the place from where it is typed', async () => {
  const ran = await node.run(['mesh', 'recovery', 'export', 'home.recovery'], { stdin: 'correct horse battery\nand more\n', cwd: '/media' });
  expect([ran.code, ran.stdout]).toEqual([0, 'the key of home is in /media/home.recovery, read back and good; it knows 3 members\n']);
  expect(ran.stderr).toContain('whoever has the file and the passphrase has the mesh');
  expect(node.broker.recoveries).toEqual([{ path: '/media/home.recovery', passphrase: 'correct horse battery', move: false }]);
  const moved = await node.run(['mesh', 'recovery', 'export', '/x', '--move', '--json'], { stdin: 'correct horse battery' });
  expect(JSON.parse(moved.stdout)).toEqual({ path: '/x', meshName: 'home', members: 3, moved: true });
});

test('at a terminal it is asked for twice, never shown, and two that differ do nothing', async () => {
  const typed = ['correct horse battery', 'correct horse battery'];
  const asked = { stdinIsTerminal: true, terminal: true, readSecret: () => Promise.resolve(typed.shift()) };
  const ran = await node.run(['mesh', 'recovery', 'export', '/x'], asked);
  expect([ran.code, ran.stderr.includes('horse'), ran.stdout.includes('horse')]).toEqual([0, false, false]);
  expect(ran.stderr).toMatch(/Passphrase: \nOnce more: \n/);
  typed.push('correct horse battery', 'correct horse buttery');
  expect((await node.run(['mesh', 'recovery', 'export', '/x'], asked)).code).toBe(2);
  typed.length = 0;
  expect((await node.run(['mesh', 'recovery', 'export', '/x'], asked)).code).toBe(7);
  expect((await node.run(['mesh', 'recovery', 'export', '/x'])).code).toBe(2);
  expect(node.broker.recoveries).toHaveLength(1);
});

test('import asks once, and says what this machine is now and what to do next', async () => {
  const ran = await node.run(['mesh', 'recovery', 'import', 'home.recovery'], { stdin: 'correct horse battery', cwd: '/media' });
  expect([ran.code, ran.stdout]).toEqual([0, 'attic is a member of home now, owned by ada; it lets others in, and has the key of the mesh\n']);
  expect(ran.stderr).toContain('beckon mesh remove NODE');
  const { stdout } = await node.run(['mesh', 'recovery', 'import', '/x', '--json'], { stdin: 'correct horse battery' });
  expect(JSON.parse(stdout)).toEqual({ mesh: { id: 'a'.repeat(26), name: 'home' }, node: 'attic', owner: 'ada', members: 2, wasMember: false });
  expect(node.broker.recoveries[0]).toEqual({ path: '/media/home.recovery', passphrase: 'correct horse battery' });
});

test.each([[denied('the passphrase is not that of this recovery file'), 5], [conflict('this node is in the mesh work'), 6]] as const)('%s exits so', async (failure, code) => {
  node.broker.failure = failure;
  const ran = await node.run(['mesh', 'recovery', 'import', '/x'], { stdin: 'correct horse battery' });
  expect([ran.code, ran.stderr.includes('horse')]).toEqual([code, false]);
});

test('issuer rm says that it stays a member, who is renewed by others, and what else there is to do when its key is in other hands', async () => {
  const ran = await node.run(['mesh', 'issuer', 'rm', 'desktop']);
  expect([ran.code, ran.stdout]).toEqual([0, 'desktop lets nobody in any more, and stays a member\n']);
  expect(ran.stderr).toContain('server');
  const compromised = await node.run(['mesh', 'issuer', 'rm', 'desktop', '--compromised']);
  expect(compromised.stderr).toContain('beckon mesh root renew');
  expect(JSON.parse((await node.run(['mesh', 'issuer', 'rm', 'desktop', '--json'])).stdout)).toEqual({ name: 'desktop', nodeId: expect.any(String), already: false, renewedByOthers: ['server'], compromised: false });
  expect(node.broker.rootCalls).toEqual(['desktop', 'desktop compromised', 'desktop']);
  node.broker.failure = denied('the key of the mesh is not on this machine');
  expect((await node.run(['mesh', 'issuer', 'rm', 'desktop'])).code).toBe(5);
});

test('root list, renew and retire say which root counts, until when, and where its key is', async () => {
  const one = await node.run(['mesh', 'root', 'list']);
  expect(one.stdout).toMatch(/ROOT +STATE +UNTIL +ISSUERS +SIGNED BY +KEY\na1a1a1a1a1a1a1a1 +in use +2046-01-01 +2 +the first/);
  const made = await node.run(['mesh', 'root', 'renew']);
  expect([made.code, made.stdout]).toEqual([0, 'b2b2b2b2b2b2b2b2 follows a1a1a1a1a1a1a1a1: both count, and members take it as they hear of it\n']);
  expect(made.stderr).toContain('beckon mesh recovery export');
  expect(JSON.parse((await node.run(['mesh', 'root', 'list', '--json'])).stdout)).toEqual({
    roots: [
      { fingerprint: 'a1'.repeat(32), state: 'in_use', notBefore: '2026-01-01T00:00:00.000Z', notAfter: '2046-01-01T00:00:00.000Z', issuers: 2, keyHere: true },
      { fingerprint: 'b2'.repeat(32), state: 'accepted', signedBy: 'a1'.repeat(32), notBefore: '2036-01-01T00:00:00.000Z', notAfter: '2056-01-01T00:00:00.000Z', issuers: 2, keyHere: true },
    ],
  });
  expect(JSON.parse((await node.run(['mesh', 'root', 'renew', '--json'])).stdout)).toMatchObject({ root: { state: 'accepted' }, signedBy: 'a1'.repeat(32) });
  const retired = await node.run(['mesh', 'root', 'retire']);
  expect([retired.code, retired.stdout]).toEqual([0, 'a1a1a1a1a1a1a1a1 counts no more: all leads to b2b2b2b2b2b2b2b2\n']);
  expect((await node.run(['mesh', 'root', 'retire', '--force'])).stderr).toContain('attic');
  expect(JSON.parse((await node.run(['mesh', 'root', 'retire', '--json'])).stdout)).toEqual({ kept: 'b2'.repeat(32), retired: ['a1'.repeat(32)], lost: [] });
  expect(node.broker.rootCalls).toEqual(['retire', 'retire by force', 'retire']);
});
