import { mkdir, mkdtemp, readFile, readdir, realpath, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import type { Endpoint } from '../../src/domain/invocation.ts';
import type { Answer } from '../../src/domain/request.ts';
import { acpAgent, acpHarness } from '../support/acp-endpoint.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { isRunning } from '../support/processes.ts';
import { waitFor } from '../support/wait-for.ts';
import { Collected, requestOf, type RequestOptions } from './harness.ts';

const root = await realpath(await mkdtemp(join(tmpdir(), 'beckon-acp-')));
const temporary = join(root, 'tmp');
const project = join(root, 'project');
await mkdir(temporary);
await mkdir(project);
const harness = acpHarness({ environment: { TMPDIR: temporary, HOME: root, LANG: 'C.UTF-8', SECRET: 'of the node' } });
afterAll(async () => {
  await harness.close();
  await rm(root, { recursive: true, force: true });
});

const agent = acpAgent(project);

async function outcome(endpoint: Endpoint, options: RequestOptions = {}, answer: Answer = { kind: 'timeout' }) {
  const sink = new Collected();
  sink.answer = () => Promise.resolve(answer);
  const end = await harness.start(requestOf(endpoint, options), sink).ended;
  return { end, sink, stdout: sink.text() };
}

describe('what an agent says in a turn', () => {
  test('its answer is its words, and nothing but them', async () => {
    const { stdout, sink } = await outcome(agent, { task: 'think hmm so\nplan one|two\nsay héllo\nstderr noise\nraw noise too\nsay wörld' });
    expect(stdout).toBe('héllo\nwörld\n');
    expect(sink.text('stderr')).toBe('');
  });

  test('it is told the trace that its turn is a part of, and nothing where there is none', async () => {
    const flightEnv = { TRACEPARENT: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01', TRACESTATE: 'a=1' };
    expect((await outcome(agent, { task: 'meta', flightEnv })).stdout).toBe(JSON.stringify({ traceparent: flightEnv.TRACEPARENT, tracestate: 'a=1' }));
    expect((await outcome(agent, { task: 'meta' })).stdout).toBe('null');
  });

  test('thoughts come in pieces and are told in one; plans whole; usage as it is counted', async () => {
    const { sink } = await outcome(agent, { task: 'think I should look first\nplan look|do it\nusage' });
    expect(sink.reports).toEqual([
      { kind: 'thought', text: 'I should look first ' },
      { kind: 'plan', steps: [{ text: 'look', state: 'running' }, { text: 'do it', state: 'pending' }] },
      { kind: 'usage', contextTokens: 1000, contextSize: 200_000, cost: { amount: 0.25, currency: 'USD' } },
      { kind: 'usage', inputTokens: 10, outputTokens: 5 },
    ]);
  });

  test('a tool is told of when its state changes', async () => {
    const { sink } = await outcome(agent, { task: 'tool Look it up' });
    const tool = { kind: 'tool', call: 'call-1', title: 'Look it up', tool: 'search' };
    expect(sink.reports.slice(0, 3)).toEqual([{ ...tool, state: 'pending' }, { ...tool, state: 'running' }, { ...tool, state: 'done' }]);
  });

  test('what it says after the use of a tool begins a paragraph of its own', async () => {
    expect((await outcome(agent, { task: 'message Let me look.\ntool Look\nmessage It is\nmessage  there.' })).stdout).toBe('Let me look.\n\nIt is there.');
  });

  test('a thought is told while the agent goes on thinking', async () => {
    const sink = new Collected();
    const run = harness.start(requestOf(agent, { task: 'think for long\nhang' }), sink);
    await waitFor('the thought', () => sink.reports.length > 0);
    await run.stop(5000);
  });
});

describe('what an agent gets', () => {
  test('its directory, its small environment, and no more', async () => {
    const endpoint = { ...agent, env: ['EXTRA=1'] };
    const { stdout } = await outcome(endpoint, { task: 'cwd\nenvironment', flightEnv: { BECKON_FLIGHT_ID: 'flt_x' } });
    expect(stdout).toBe(`${project}\nBECKON_FLIGHT_ID EXTRA HOME LANG PATH TMPDIR\n`);
  });

  test('its files, named or with their text as it can take them, and gone afterwards', async () => {
    const files = [{ name: 'notes.txt', bytes: Buffer.from('read me') }, { name: 'picture.png', bytes: Buffer.of(0xff, 0) }];
    const named = JSON.parse((await outcome(agent, { task: 'files', files })).stdout);
    expect(named).toEqual([expect.objectContaining({ type: 'resource_link', name: 'notes.txt', size: 7 }), expect.objectContaining({ type: 'resource_link', name: 'picture.png' })]);
    expect(named[0].uri).toMatch(new RegExp(`^file://${temporary}/beckon-files-.*/notes.txt$`));
    const embedded = JSON.parse((await outcome(acpAgent(project, '--embeds'), { task: 'files', files })).stdout);
    expect(embedded).toEqual([{ type: 'resource', resource: { uri: expect.stringContaining('/notes.txt'), text: 'read me' } }, expect.objectContaining({ type: 'resource_link', name: 'picture.png' })]);
    expect((await readdir(temporary)).filter((name) => name.startsWith('beckon-files'))).toEqual([]);
  });

  test('a task of several megabytes', async () => {
    const task = 'x'.repeat(4_000_000);
    expect((await outcome(acpAgent(project, '--always', 'echo'), { task })).sink.bytes('stdout').length).toBe(task.length);
  });
});

describe('what an agent may do', () => {
  const once: Answer = { kind: 'approved', by: 'ada' };

  test('with `ask` people see what it wants to change, and their yes is for once', async () => {
    await writeFile(join(project, 'a.txt'), 'old\n');
    const { sink, stdout } = await outcome(agent, { task: 'edit a.txt new' }, once);
    expect(sink.asked).toEqual([{ reason: 'approval', prompt: 'Write a.txt\nchange: a.txt (+1 −1)', choices: ['Always', 'Yes', 'No'] }]);
    expect(sink.reports.find((report) => report.kind === 'diff')).toEqual({ kind: 'diff', path: 'a.txt', patch: '--- a.txt\n+++ a.txt\n@@ -1,1 +1,1 @@\n-old\n+new\n' });
    expect(stdout).toBe('Write a.txt: once\n');
    expect(await readFile(join(project, 'a.txt'), 'utf8')).toBe('new\n');
  });

  test.each([
    ['denied', { kind: 'denied', by: 'ada' }, 'no'],
    ['not answered in time', { kind: 'timeout' }, 'no'],
    ['of a run that is being ended', { kind: 'ended' }, 'cancelled'],
  ] as const)('a request %s is a no', async (_how, answer, told) => {
    const { stdout } = await outcome(agent, { task: 'run rm -rf build' }, answer);
    expect(stdout).toBe(`rm -rf build: ${told}\n`);
  });

  test('with `edit` it edits in its directory without asking, and asks for all else', async () => {
    const free = { ...agent, permissions: 'edit' as const };
    const { sink, stdout } = await outcome(free, { task: 'edit b.txt mine\nrun make' }, { kind: 'denied', by: 'ada' });
    expect(stdout).toBe('Write b.txt: once\nmake: no\n');
    expect(sink.asked.map((each) => each.prompt)).toEqual(['make']);
    expect((await outcome(free, { task: 'edit ../outside.txt x' })).stdout).toBe('Write ../outside.txt: no\n');
    await symlink(root, join(project, 'link'));
    expect((await outcome(free, { task: 'edit link/outside.txt x' })).stdout).toBe('Write link/outside.txt: no\n');
    expect(await readdir(root)).not.toContain('outside.txt');
  });

  test('with `full` nobody is asked', async () => {
    const { sink, stdout } = await outcome({ ...agent, permissions: 'full' }, { task: 'run make\nedit ../x x' });
    expect(stdout).toBe('make: once\nWrite ../x: once\n');
    expect(sink.asked).toEqual([]);
  });

  test('its own modes go with the permissions, where they are known', async () => {
    const mode = async (permissions: Endpoint['permissions']) => (await outcome({ ...acpAgent(project, '--modes'), permissions }, { task: 'mode' })).stdout.trim();
    expect(await Promise.all([mode('ask'), mode('full')])).toEqual(['acceptEdits', 'bypassPermissions']);
  });

  test('its questions are asked one field at a time, again when the answer does not fit', async () => {
    const sink = new Collected();
    const said = ['blue', 'Green', 'some', '3'];
    sink.answer = () => Promise.resolve({ kind: 'text', text: said.shift() ?? '', by: 'ada' });
    await harness.start(requestOf(agent, { task: 'question What shall I paint?' }), sink).ended;
    expect(JSON.parse(sink.text())).toEqual({ action: 'accept', content: { colour: 'green', count: 3 } });
    expect(sink.asked.map(({ reason, prompt, choices }) => [reason, prompt, choices])).toEqual([
      ['input', 'What shall I paint?\nColour', ['red', 'green']],
      ['input', '“blue” does not fit.\nWhat shall I paint?\nColour', ['red', 'green']],
      ['input', 'How many', []],
      ['input', '“some” does not fit.\nHow many', []],
    ]);
  });

  test('a question that nobody answers is declined', async () => {
    expect(JSON.parse((await outcome(agent, { task: 'question Which?' })).stdout)).toEqual({ action: 'decline' });
  });
});

describe('an agent that is stopped', () => {
  test('is asked to end its turn first, and is gone with what it started', async () => {
    const clock = new FakeClock();
    const sink = new Collected();
    const run = acpHarness({ environment: { TMPDIR: temporary }, clock }).start(requestOf(agent, { task: 'say begun\nhang' }), sink);
    await waitFor('the turn', () => sink.text().includes('begun'));
    let ended: number | undefined;
    void run.stop(5000).then((count) => {
      ended = count;
    });
    await waitFor('the agent to be gone', async () => {
      if (!isRunning(sink.marks[0]?.pid ?? 0)) await clock.advance(100);
      return ended;
    });
    expect(ended).toBe(1);
    // It ended its turn by itself: nobody waited for the time when that is given up.
    expect(clock.monotonic()).toBeLessThan(1500);
    expect(await run.ended).toEqual({ error: expect.objectContaining({ code: 'cancelled' }) });
  });

  test('keeps what it said before', async () => {
    const sink = new Collected();
    const run = harness.start(requestOf(agent, { task: 'flood 500\nhang' }), sink);
    await waitFor('the turn', () => sink.bytes('stdout').length === 500_000);
    await run.stop(0);
    await run.ended;
    expect(sink.bytes('stdout').length).toBe(500_000);
  });

  test('one that talks into a sink that takes nothing can be stopped', async () => {
    const gate = Promise.withResolvers<undefined>();
    let taken = 0;
    const sink = new Collected(async () => {
      taken += 1;
      if (taken === 5) await gate.promise;
    });
    const run = harness.start(requestOf(agent, { task: 'flood 100000' }), sink);
    await waitFor('the sink to be full', () => taken === 5);
    const stopping = run.stop(0);
    gate.resolve(undefined);
    expect(await stopping).toBe(1);
    await run.ended;
  });
});
