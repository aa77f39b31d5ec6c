/** inbox, flight reply, approve, deny and delivery redrive, as they are typed and printed. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { FakeNode } from '../support/fake-node.ts';
import { waitFor } from '../support/wait-for.ts';

let node: FakeNode;
beforeEach(async () => {
  node = await new FakeNode().start();
});
afterEach(() => node.stop());

const uid = process.getuid?.() ?? 0;

async function asked(script = 'ask approval may I \u001b[31mpush\u001b[0m?'): Promise<string> {
  await node.run(['invoke', 'fabric', script, '--detach']);
  const { json } = await node.run(['inbox', '--json']);
  return json['waiting'][0].request as string;
}

test('inbox has the pinned keys, and names who could not be asked', async () => {
  const request = await asked();
  const { code, json } = await node.run(['inbox', '--json']);
  expect(code).toBe(0);
  expect(json['waiting']).toEqual([
    { flightId: expect.stringMatching(/^flt_/), invocationId: expect.stringMatching(/^inv_/), target: '@fabric@laptop#main', reason: 'approval', request, prompt: 'may I \u001b[31mpush\u001b[0m?', choices: ['once'], since: expect.any(String), until: expect.any(String), node: 'laptop', nodeId: expect.any(String) },
  ]);
  expect(json['gaps']).toEqual([{ node: 'desktop', why: 'it is not reachable', nodeId: expect.any(String) }]);
});

test('inbox for people shows what to paste, and passes no control sequence of an agent on', async () => {
  const request = await asked();
  const { stdout, stderr } = await node.run(['inbox'], { terminal: true });
  const lines = stdout.split('\n');
  expect(lines[0]).toContain('waits for approval');
  expect(stdout).not.toContain('\u001b[31m');
  const pasted = lines.filter((line) => line.startsWith('  beckon ')).map((line) => line.trim().split(' ').slice(1));
  expect(pasted.map((words) => words[1])).toEqual(['approve', 'deny']);
  expect(stderr).toContain('desktop: it is not reachable');
  expect((await node.run(pasted[1] ?? [])).code).toBe(0);
  expect(node.broker.replies).toEqual([{ request: request.slice(-6), reply: { kind: 'denied' }, by: `uid:${uid}` }]);
});

test('an empty inbox says so on stderr', async () => {
  const { code, stdout, stderr } = await node.run(['inbox']);
  expect([code, stdout]).toEqual([0, '']);
  expect(stderr).toContain('nothing waits for you');
});

test('approve, deny and reply print what became of it', async () => {
  const request = await asked();
  const { code, json } = await node.run(['flight', 'approve', 'last', request, '--json']);
  expect([code, json]).toEqual([0, { flightId: expect.stringMatching(/^flt_/), request, state: expect.any(String), confirmed: true }]);
  await asked('ask input which one?');
  expect((await node.run(['flight', 'reply', 'last', 'the second'])).stdout).toContain('is answered');
  await asked('ask input which one?');
  expect((await node.run(['flight', 'reply', 'last', '-'], { stdin: 'from stdin' })).code).toBe(0);
  expect(node.broker.replies.slice(1).map((each) => each.reply)).toEqual([{ kind: 'text', text: 'the second' }, { kind: 'text', text: 'from stdin' }]);
});

test('a reply that the owner has not confirmed exits 10 and says that it stands', async () => {
  const request = await asked();
  node.broker.answersCancel = false;
  const { code, stderr } = await node.run(['flight', 'deny', 'last', request]);
  expect([code, stderr]).toEqual([10, expect.stringContaining('the reply is stored')]);
  expect((await node.run(['flight', 'deny', 'last', request, '--json'])).json).toMatchObject({ confirmed: false });
});

test('what waits for nothing is a conflict; a missing or malformed request is a usage error', async () => {
  await node.run(['invoke', 'fabric', 'echo hi', '--detach']);
  expect((await node.run(['flight', 'approve', 'last', 'ABCD'])).code).toBe(6);
  expect((await node.run(['flight', 'approve', 'last'])).code).toBe(2);
  expect((await node.run(['flight', 'approve', 'last', '!'])).code).toBe(2);
  expect((await node.run(['flight', 'reply', 'last'])).code).toBe(2);
  expect((await node.run(['flight', 'reply', 'last', 'two', 'words'])).code).toBe(2);
});

test('invoke shows the request even with --quiet, and flight show has it', async () => {
  const ran = node.process();
  const ended = ran.run('invoke', 'fabric', 'ask approval may I?', '-q');
  await waitFor('the request', () => ran.stderr.includes('waiting for approval: may I?\n'));
  expect(ran.stderr).toMatch(/ {2}beckon flight approve [0-9A-Z]{6} [0-9A-Z]{6}\n {2}beckon flight deny /);
  expect((await node.run(['flight', 'show', 'last'])).stdout).toContain('approval: may I?');
  expect((await node.run(['flight', 'approve', 'last', 'last'])).code).toBe(0);
  expect(await ended).toBe(0);
});

test('delivery redrive prints the new invocation alone, and asks for --yes where it may have run', async () => {
  const { stdout: old } = await node.run(['invoke', 'fabric', 'end indeterminate', '--detach']);
  const refused = await node.run(['delivery', 'redrive', 'last']);
  expect([refused.code, refused.stderr]).toEqual([6, expect.stringContaining('--yes')]);
  const { code, stdout } = await node.run(['delivery', 'redrive', 'last', '--yes']);
  expect([code, stdout]).toEqual([0, expect.stringMatching(/^inv_[0-9A-Z]{26}\n$/)]);
  expect(node.broker.invoked.at(-1)?.redriveOf).toBe(old.trim());
  const { events } = await node.run(['delivery', 'redrive', 'last', '--yes', '--json']);
  expect(events).toEqual([{ type: 'accepted', at: expect.any(String), invocationId: expect.any(String), flightId: expect.any(String), target: '@fabric@laptop#main', deduplicated: false }]);
});
