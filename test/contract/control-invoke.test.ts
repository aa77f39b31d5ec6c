import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { ReadKey } from '../../src/cli/host.ts';
import { maxKeyLength } from '../../src/domain/invocation.ts';
import type { CliProcess } from '../support/cli-host.ts';
import { FakeNode } from '../support/fake-node.ts';
import { waitFor } from '../support/wait-for.ts';

let node: FakeNode;
beforeEach(async () => {
  node = await new FakeNode().start();
});
afterEach(() => node.stop());

const invoke = (task: string, ...flags: string[]): Promise<CliProcess & { code: number }> => node.run(['invoke', 'fabric', task, ...flags]);
const taskOf = (index = 0): string => new TextDecoder().decode(node.broker.invoked[index]?.task.text);

describe('the answer', () => {
  test('is on stdout, the target and the rest on stderr', async () => {
    const { code, stdout, stderr } = await invoke('echo hello');
    expect([code, stdout]).toEqual([0, 'hello\n']);
    expect(stderr).toMatch(/^@fabric@laptop#main {2}inv_\w+\n$/);
  });

  test('with -q nothing else is said', async () => {
    const { stdout, stderr } = await invoke('echo hello', '-q');
    expect([stdout, stderr]).toEqual(['hello\n', '']);
  });

  test("the agent's stderr goes to stderr", async () => {
    const { stdout, stderr } = await invoke('exit 0', '-q');
    expect([stdout, stderr]).toEqual(['', 'on stderr\n']);
  });

  test('bytes pass as they are when stdout is no terminal', async () => {
    expect(Buffer.from((await invoke('bytes 1b5d303b78 07ff0d0a')).bytes).toString('hex')).toBe('1b5d303b7807ff0d0a');
  });

  test('on a terminal control sequences are shown and not obeyed, also when a character is cut', async () => {
    const task = 'invoke fabric'.split(' ');
    const { stdout } = await node.run([...task, 'bytes 1b5b324a c3 a90d 0a'], { terminal: true });
    expect(stdout).toBe('␛[2Jé\n');
    const raw = await node.run([...task, '--raw', 'bytes 1b5b324a'], { terminal: true });
    expect(raw.stdout).toBe('\u001b[2J');
  });

  test('of 5 MB arrives whole', async () => {
    expect((await invoke('big 5000000')).bytes).toHaveLength(5_000_000);
  });

  test('held work says for whom it waits and until when', async () => {
    const { code, stderr } = await invoke('held a while');
    expect(code).toBe(0);
    expect(stderr).toMatch(/waiting for laptop: laptop is unreachable; held until \d{4}-\d\d-\d\d /);
  });

  test('a reader that goes away ends it quietly', async () => {
    const { stderr } = await node.run(['invoke', 'fabric', '-q', 'big 500000'], { readsBytes: 10 });
    expect(stderr).toBe('');
    const listed = await node.run(['flights'], { readsBytes: 10 });
    expect([listed.code, listed.stderr]).toEqual([0, '']);
  });
});

describe('what the agent does besides answering', () => {
  const script = `tell ${JSON.stringify([
    { kind: 'plan', steps: [{ text: 'look', state: 'running' }, { text: 'mend', state: 'pending' }] },
    { kind: 'thought', text: 'where is it?' },
    'I look',
    { kind: 'tool', call: '1', title: 'Read a\u001b[2J.ts', tool: 'read', state: 'running' },
    { kind: 'tool', call: '1', title: 'Read a.ts', tool: 'read', state: 'running' },
    { kind: 'tool', call: '1', title: 'Read a.ts', tool: 'read', state: 'done' },
    { kind: 'plan', steps: [{ text: 'look', state: 'done' }, { text: 'mend', state: 'pending' }] },
    { kind: 'diff', path: 'a.ts', patch: '--- a.ts\n+++ a.ts\n-old\n+new\n+newer' },
    { kind: 'usage', inputTokens: 1, outputTokens: 7 },
    { kind: 'usage', inputTokens: 12345, contextTokens: 50, contextSize: 200, cost: { amount: 0.0421, currency: 'USD' } },
    { kind: 'unknown' },
    ' and mend\n',
  ])}`;
  const said = ['[>] look', '[ ] mend', '● Read a␛[2J.ts', '● Read a.ts … done', '[x] look', '± a.ts  +2 -1', 'usage: 12,345 tokens in, 7 tokens out, context 25 % of 200, 0.0421 USD'];

  test('is told on stderr, a line each, and never in the answer', async () => {
    const { stdout, stderr } = await invoke(script);
    expect(stdout).toBe('I look and mend\n');
    expect(stderr.split('\n').slice(1, -1)).toEqual(said);
  });

  test('is not told with -q', async () => {
    const { stdout, stderr } = await invoke(script, '-q');
    expect([stdout, stderr]).toEqual(['I look and mend\n', '']);
  });

  test('on a terminal begins on a line of its own, and the answer ends with one line end', async () => {
    const { stdout, stderr } = await node.run(['invoke', 'fabric', script], { terminal: true });
    expect(stdout).toBe('I look and mend\n');
    expect(stderr.split('\n').slice(1, 5)).toEqual(['[>] look', '[ ] mend', '', '● Read a␛[2J.ts']);
  });

  test('with --json is an object of its kind, thoughts too', async () => {
    const { events } = await invoke(script, '--json');
    expect(events.slice(3, -1).map(({ type, seq }) => `${seq} ${type}`)).toEqual([
      '2 plan', '3 thought', '4 output', '5 tool', '6 tool', '7 tool', '8 plan', '9 diff', '10 usage', '11 usage', '12 unknown', '13 output',
    ]);
    expect(events[6]).toEqual({ type: 'tool', at: expect.any(String), seq: 5, call: '1', title: 'Read a\u001b[2J.ts', tool: 'read', state: 'running' });
    expect(events[12]).toEqual({ type: 'usage', at: expect.any(String), seq: 11, inputTokens: 12345, contextTokens: 50, contextSize: 200, cost: { amount: 0.0421, currency: 'USD' } });
  });
});

describe('the exit code is how the flight ended', () => {
  test.each([
    ['exit 0', 0],
    ['exit 7', 1],
    ['signal SIGKILL', 1],
    ['error deadline', 1],
    ['error denied', 5],
    ['error unavailable', 4],
    ['error overload', 11],
    ['error not_found', 3],
    ['end cancelled', 7],
    ['end expired', 8],
    ['end indeterminate', 9],
  ])('%s: %i, also for flight follow and flight wait', async (script, expected) => {
    expect((await invoke(script)).code).toBe(expected);
    expect((await invoke(script, '--json')).code).toBe(expected);
    expect((await node.run(['flight', 'follow', 'last'])).code).toBe(expected);
    expect((await node.run(['flight', 'wait', 'last'])).code).toBe(expected);
  });
});

describe('--json', () => {
  test('gives the pinned events, first to last', async () => {
    const { events } = await invoke('bytes 6869 ff', '--json');
    expect(events.map(({ type }) => type)).toEqual(['accepted', 'received', 'started', 'output', 'output', 'finished']);
    expect(events.every(({ at }) => /^\d{4}-.*\.\d{3}Z$/.test(at as string))).toBe(true);
    expect(events[0]).toMatchObject({ invocationId: expect.stringMatching(/^inv_/), flightId: expect.stringMatching(/^flt_/), target: '@fabric@laptop#main', deduplicated: false });
    expect(events[3]).toMatchObject({ seq: 2, stream: 'stdout', text: 'hi' });
    expect(events[4]).toMatchObject({ seq: 3, stream: 'stdout', base64: '/w==' });
    expect(events[5]).toMatchObject({ state: 'completed', output: 'hi\ufffd', base64: 'aGn/', truncated: false, exitCode: 0 });
  });

  test('finished carries 64 KiB of output and says that it is cut', async () => {
    const last = (await invoke('big 100000', '--json')).events.at(-1);
    expect([last?.['output'].length, last?.['truncated']]).toEqual([65_536, true]);
  });

  test('nothing accepted: one error event', async () => {
    const { events, code } = await node.run(['invoke', 'fab ric', 'x', '--json']);
    expect(code).toBe(2);
    expect(events).toEqual([{ type: 'error', at: expect.any(String), error: { code: 'invalid', message: expect.any(String), hint: expect.any(String), detail: { column: '4' } } }]);
  });

  test('--detach gives only accepted; without --json the invocation id alone', async () => {
    expect((await invoke('hang', '--detach', '--json')).events.map(({ type }) => type)).toEqual(['accepted']);
    expect((await invoke('hang', '--detach')).stdout).toMatch(/^inv_\w+\n$/);
  });

  test('the same key again is deduplicated', async () => {
    await invoke('echo a', '--key', 'k');
    expect((await invoke('echo a', '--key', 'k', '--json')).events[0]?.['deduplicated']).toBe(true);
    expect(node.broker.invoked).toHaveLength(1);
  });
});

describe('the task', () => {
  test('is stdin when there is none, and when it is a dash', async () => {
    await node.run(['invoke', 'fabric'], { stdin: 'echo from stdin' });
    await node.run(['invoke', 'fabric', '-'], { stdin: 'echo again' });
    expect([taskOf(0), taskOf(1)]).toEqual(['echo from stdin', 'echo again']);
  });

  test('of no bytes is a task', async () => {
    expect((await node.run(['invoke', 'fabric', ''], { stdinIsTerminal: true })).code).toBe(0);
    expect(taskOf()).toBe('');
  });

  test('missing on a terminal is a usage error that shows how', async () => {
    const { code, stderr } = await node.run(['invoke', 'fabric'], { stdinIsTerminal: true });
    expect([code, stderr]).toEqual([2, 'error: the task is missing\nhint: say what to do: beckon invoke fabric "run the tests"\n']);
  });

  test('in several words is a usage error that shows the quoted form', async () => {
    const { code, stderr } = await node.run(['invoke', 'fabric', 'run', 'the', 'tests']);
    expect([code, stderr]).toEqual([2, 'error: the task is one argument, and these are several\nhint: quote it: beckon invoke fabric "run the tests"\n']);
  });

  test('takes files along, stdin among them', async () => {
    const path = join(node.directory, 'notes.txt');
    writeFileSync(path, 'some notes');
    await node.run(['invoke', 'fabric', 'echo', '-f', path, '-f', '-'], { stdin: 'a diff' });
    expect(node.broker.invoked[0]?.task.files.map(({ name, bytes }) => [name, Buffer.from(bytes).toString()])).toEqual([
      ['notes.txt', 'some notes'],
      ['stdin', 'a diff'],
    ]);
  });

  test.each([
    [['-f', '/nowhere/x'], /does not exist/],
    [['-f', '/'], /is a directory/],
    [['-f', '-', '-f', '-'], /only once/],
    [['--hold', 'soon'], /--hold: "soon" is not a duration/],
    [['--continue', '--session', 's'], /exclude each other/],
    [['--on-signal', 'panic'], /--on-signal/],
    [['--all', '--any'], /--any chooses one/],
    [['--yes'], /--yes goes with --all/],
  ])('%j is refused before anything is sent', async (flags, why) => {
    const { code, stderr } = await node.run(['invoke', 'fabric', 'echo', ...flags]);
    expect(code).toBe(2);
    expect(stderr).toMatch(why);
    expect(node.broker.invoked).toHaveLength(0);
  });

  test('of 16 MiB is taken, and one byte more is not', async () => {
    const most = 16 * 1024 * 1024;
    const fits = await node.run(['invoke', 'fabric', '--detach'], { stdin: Buffer.alloc(most, 'a') });
    expect(fits.code).toBe(0);
    expect(node.broker.invoked[0]?.task.text).toHaveLength(most);
    const tooLarge = await node.run(['invoke', 'fabric'], { stdin: Buffer.alloc(most + 1, 'a') });
    expect([tooLarge.code, node.broker.invoked.length]).toEqual([2, 1]);
  });

  test('a key may be as long as the node takes them, and no longer', async () => {
    const most = 'k'.repeat(maxKeyLength);
    expect((await invoke('echo', '--key', most)).code).toBe(0);
    expect(node.broker.invoked[0]?.key).toBe(most);
    const { code, stderr } = await invoke('echo', '--key', `${most}k`);
    expect([code, node.broker.invoked.length]).toEqual([2, 1]);
    expect(stderr).toContain(`1 to ${maxKeyLength} characters`);
  });

  test('flags reach the node as they were meant', async () => {
    await invoke('echo', '--hold', '5m', '--run-limit', '1h', '--idle-limit', '10m', '--rerunnable', '--session', 's1', '--any', '--any-owner', '--harness', 'acp', '--cap', 'x', '--label', 'a=b');
    expect(node.broker.invoked[0]).toMatchObject({
      holdMs: 300_000,
      runLimitMs: 3_600_000,
      idleLimitMs: 600_000,
      rerunnable: true,
      noHold: false,
      session: { mode: 'named', name: 's1' },
      selector: { address: 'fabric', any: true, anyOwner: true, harness: 'acp', capabilities: ['x'], labels: { a: 'b' } },
    });
    await invoke('echo', '--no-hold', '--continue');
    expect(node.broker.invoked[1]).toMatchObject({ noHold: true, session: { mode: 'continue' } });
  });
});

describe('signals', () => {
  const keys = (...pressed: string[]): ReadKey => async (signal) => pressed.shift() ?? (await new Promise<undefined>((resolve) => signal.addEventListener('abort', () => resolve(undefined))));

  const begin = async (flags: readonly string[] = [], readKey?: ReadKey): Promise<{ ran: CliProcess; ended: Promise<number> }> => {
    const ran = node.process({ terminal: readKey !== undefined, ...(readKey === undefined ? {} : { readKey }) });
    const ended = ran.run('invoke', 'fabric', 'hang', ...flags);
    await waitFor('the agent to work', () => ran.stdout.includes('working'));
    return { ran, ended };
  };

  test.each(['SIGINT', 'SIGTERM'] as const)('without a terminal %s cancels and exits 7', async (signal) => {
    const { ran, ended } = await begin();
    ran.signal(signal);
    expect(await ended).toBe(7);
    expect(node.broker.cancelled).toHaveLength(1);
    expect(ran.stderr).toContain('the cancel is confirmed');
  });

  test('--on-signal detach lets go and exits 10', async () => {
    const { ran, ended } = await begin(['--on-signal', 'detach']);
    ran.signal('SIGTERM');
    expect(await ended).toBe(10);
    expect(node.broker.cancelled).toHaveLength(0);
    expect(ran.stderr).toMatch(/it goes on: beckon flight follow \w{6}/);
  });

  test('SIGHUP lets go, on a terminal too', async () => {
    const { ran, ended } = await begin([], keys());
    ran.signal('SIGHUP');
    expect(await ended).toBe(10);
    expect(node.broker.cancelled).toHaveLength(0);
  });

  test('a cancel that the owner does not confirm exits 10 and says that the request stands', async () => {
    node.broker.answersCancel = false;
    const { ran, ended } = await begin(['--json']);
    ran.signal('SIGINT');
    expect(await ended).toBe(10);
    expect(ran.events.at(-1)).toMatchObject({ type: 'cancel_requested', confirmed: false, why: expect.stringContaining('its node has not answered') });
  });

  test('twice before the node has answered says that nothing was cancelled', async () => {
    const asked = Promise.withResolvers<void>();
    node.broker.invoke = async () => {
      asked.resolve();
      return await new Promise(() => undefined);
    };
    const ran = node.process();
    const ended = ran.run('invoke', 'fabric', 'hang');
    await asked.promise;
    ran.signal('SIGINT');
    ran.signal('SIGINT');
    expect(await ended).toBe(10);
    expect(ran.stderr).toContain('let go before the node had answered, and nothing was cancelled');
  });

  test.each([
    ['d', 10, 0, 'detach'],
    ['c', 7, 1, 'cancel'],
    ['\u0003', 7, 1, 'cancel'],
  ])('on a terminal it asks, and %j answers', async (key, code, cancels, word) => {
    const { ran, ended } = await begin([], keys('x', key));
    ran.signal('SIGINT');
    expect(await ended).toBe(code);
    expect(node.broker.cancelled).toHaveLength(cancels);
    expect(ran.stderr).toContain(`(d)etach, (c)ancel or (k)eep waiting? ${word}\n`);
  });

  test('keep goes on to the end', async () => {
    const { ran, ended } = await begin([], keys('k'));
    ran.signal('SIGINT');
    await waitFor('the answer', () => ran.stderr.includes('? keep\n'));
    await node.run(['flight', 'cancel', 'last']);
    expect(await ended).toBe(7);
  });

  test('Ctrl-C again, while it asks, cancels', async () => {
    const { ran, ended } = await begin([], keys());
    ran.signal('SIGINT');
    await waitFor('the question', () => ran.stderr.includes('(k)eep waiting? '));
    ran.signal('SIGINT');
    expect(await ended).toBe(7);
    expect(node.broker.cancelled).toHaveLength(1);
  });

  test('flight follow and flight wait only let go', async () => {
    await invoke('hang', '--detach');
    for (const command of ['follow', 'wait']) {
      const ran = node.process();
      const ended = ran.run('flight', command, 'last');
      await waitFor('it to listen', () => (command === 'follow' ? ran.stdout.includes('working') : true) && ran.signal('SIGINT'));
      expect(await ended).toBe(10);
    }
    expect(node.broker.cancelled).toHaveLength(0);
  });

  test('a node that goes away in the middle exits 4 and says that nothing is lost', async () => {
    const { ran, ended } = await begin();
    await node.server.stop();
    expect(await ended).toBe(4);
    expect(ran.stderr).toContain('the node here went away');
  });
});
