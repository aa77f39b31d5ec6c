import { describe, expect, test } from 'vitest';
import type { DetachedNode, GivenFlags, RunningNode } from '../../../src/cli/host.ts';
import { CliProcess } from '../../support/cli-host.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { waitFor } from '../../support/wait-for.ts';

const ready = { node: 'laptop', nodeId: 'k51x', listen: '127.0.0.1:7423', gossipListen: null, socket: '/run/control.sock' };

function fakeNode(): { node: RunningNode; stops: boolean[]; reloads: () => number; down: () => void } {
  const stopped = Promise.withResolvers<void>();
  const stops: boolean[] = [];
  let reloads = 0;
  const node: RunningNode = {
    ready,
    notes: ['it listens on this machine only'],
    stopped: stopped.promise,
    stop: (force) => {
      stops.push(force);
      if (force) stopped.resolve();
      return stopped.promise;
    },
    reload: () => {
      reloads += 1;
      return Promise.resolve();
    },
  };
  return { node, stops, reloads: () => reloads, down: () => stopped.resolve() };
}

test('up prints one ready line, passes on what was given, and nothing else', async () => {
  const { node, down } = fakeNode();
  let given: GivenFlags = {};
  const ran = new CliProcess({
    socketPath: '/nowhere',
    stdin: 'token-from-stdin\n',
    run: (options) => {
      given = options.given;
      return Promise.resolve(node);
    },
  });
  const ended = ran.run('up', '--name', 'Laptop', '--listen', '127.0.0.1:0', '--seed', 'a:1', '--seed', 'b:2', '--join', '-', '--tailscale', 'off');
  await waitFor('the ready line', () => ran.stdout !== '');
  down();
  expect(await ended).toBe(0);
  expect(ran.json).toEqual({ type: 'ready', at: expect.any(String), ...ready });
  expect(given).toEqual({ name: 'laptop', listen: ['127.0.0.1:0'], seeds: ['a:1', 'b:2'], join: 'token-from-stdin', tailscale: 'off' });
  expect(ran.stderr).toMatch(/^it listens on this machine only\nlaptop is up and has joined;/);
});

test.each([['10.0.0.7', '10.0.0.7:7424'], ['off', 'off'], ['auto', 'auto'], ['[fd7a::1]:9000', '[fd7a::1]:9000']])('where it is to gossip is handed on: %s', async (typed, handed) => {
  const { node, down } = fakeNode();
  let given: GivenFlags = {};
  const ran = new CliProcess({ socketPath: '/nowhere', run: (options) => ((given = options.given), Promise.resolve(node)) });
  const ended = ran.run('up', '--gossip-listen', typed);
  await waitFor('the ready line', () => ran.stdout !== '');
  down();
  expect([await ended, given.gossipListen]).toEqual([0, handed]);
});

test.each([['127.0.0.1', '127.0.0.1:7425'], ['off', 'off'], ['[fd7a::1]:9000', '[fd7a::1]:9000']])('where it is to tell its metrics is handed on: %s', async (typed, handed) => {
  const { node, down } = fakeNode();
  let given: GivenFlags = {};
  const ran = new CliProcess({ socketPath: '/nowhere', run: (options) => ((given = options.given), Promise.resolve(node)) });
  const ended = ran.run('up', '--metrics', typed);
  await waitFor('the ready line', () => ran.stdout !== '');
  down();
  expect([await ended, given.metrics]).toEqual([0, handed]);
});

test('a first signal drains, a second one forces', async () => {
  const { node, stops } = fakeNode();
  const ran = new CliProcess({ socketPath: '/nowhere', run: () => Promise.resolve(node) });
  const ended = ran.run('up');
  await waitFor('the ready line', () => ran.stdout !== '');
  ran.signal('SIGTERM');
  ran.signal('SIGINT');
  expect(await ended).toBe(0);
  expect(stops).toEqual([false, true]);
});

test('with --drain one signal forces too, when its time is over, and not before', async () => {
  const { node, stops } = fakeNode();
  const clock = new FakeClock();
  const ran = new CliProcess({ socketPath: '/nowhere', clock, run: () => Promise.resolve(node) });
  const ended = ran.run('up', '--drain', '60s');
  await waitFor('the ready line', () => ran.stdout !== '');
  await clock.advance(120_000);
  ran.signal('SIGTERM');
  await clock.advance(59_999);
  expect(stops).toEqual([false]);
  await clock.advance(1);
  expect(await ended).toBe(0);
  expect(stops).toEqual([false, true]);
});

test('up --detach passes --drain on', async () => {
  const seen: { args?: readonly string[] } = {};
  const ran = new CliProcess({ socketPath: '/nowhere', spawn: detached([`${JSON.stringify({ type: 'ready', ...ready })}\n`], seen) });
  expect(await ran.run('up', '--detach', '--drain', '2m', '--json')).toBe(0);
  expect(seen.args).toEqual(['up', '--json', '--drain=120000ms']);
});

const detached = (stdout: readonly string[], seen: { args?: readonly string[]; stdin?: string }, code: number | null = null) => (args: readonly string[], stdin: string): Promise<DetachedNode> => {
  Object.assign(seen, { args, stdin });
  return Promise.resolve({ stdout: ReadableStream.from(stdout) as unknown as AsyncIterable<string>, exited: Promise.resolve(code), release: () => undefined });
};

test('up --detach passes its flags on, the token by stdin only, and prints the line of its child', async () => {
  const seen: { args?: readonly string[]; stdin?: string } = {};
  const line = JSON.stringify({ type: 'ready', ...ready });
  const ran = new CliProcess({ socketPath: '/nowhere', spawn: detached([line.slice(0, 10), `${line.slice(10)}\n`], seen) });
  expect(await ran.run('up', '--detach', '--join', 'secret', '--name', 'n', '--json')).toBe(0);
  expect(ran.stdout).toBe(`${line}\n`);
  expect(seen).toEqual({ args: ['up', '--json', '--name=n', '--join=-'], stdin: 'secret' });
});

test('a name that nobody was there to give is told where it was asked for', async () => {
  const ran = new CliProcess({ socketPath: '/nowhere', spawn: detached([`${JSON.stringify({ type: 'ready', ...ready })}\n`], {}) });
  expect(await ran.run('up', '--detach', '--name', 'studio')).toBe(0);
  expect(ran.stderr).toMatch(/laptop is up.*\nwarning: it is still called laptop, the name studio was not given: .*beckon mesh rename studio\n$/);
});

test('what the child failed with is what up --detach fails with', async () => {
  const error = { code: 'denied', message: 'the token was used', hint: 'make another' };
  const ran = new CliProcess({ socketPath: '/nowhere', spawn: detached([`${JSON.stringify({ type: 'error', error })}\n`], {}) });
  expect([await ran.run('up', '--detach'), ran.stderr]).toEqual([5, 'error: the token was used\nhint: make another\n']);
});

test('a child that ends without a word is reported with its log', async () => {
  const ran = new CliProcess({ socketPath: '/nowhere', spawn: detached([], {}, 70) });
  expect([await ran.run('up', '--detach'), ran.stderr]).toEqual([70, 'error: the node ended before it was ready, with 70\nhint: its last words are in /nowhere/stderr.log\n']);
});

test('a node whose ready line nobody reads goes on: up --detach may have been interrupted', async () => {
  const { node, stops, down } = fakeNode();
  const ran = new CliProcess({ socketPath: '/nowhere', readsBytes: 0, run: () => Promise.resolve(node) });
  let code: number | undefined;
  const ended = ran.run('up').then((ended) => {
    code = ended;
  });
  await waitFor('the line for people', () => ran.stderr.includes('laptop is up'));
  expect([code, stops]).toEqual([undefined, []]);
  down();
  await ended;
  expect(code).toBe(0);
});

test.each([
  ['no terminal', {}],
  ['its terminal still there', { terminal: true, hasTerminal: true }],
])('SIGHUP with %s has the node read its config again, and go on', async (_what, options) => {
  const { node, stops, reloads, down } = fakeNode();
  const ran = new CliProcess({ socketPath: '/nowhere', run: () => Promise.resolve(node), ...options });
  const ended = ran.run('up');
  await waitFor('the ready line', () => ran.stdout !== '');
  ran.signal('SIGHUP');
  expect([reloads(), stops]).toEqual([1, []]);
  down();
  expect(await ended).toBe(0);
});

test('SIGHUP while the node starts has it read its config again as soon as it is up', async () => {
  const { node, stops, reloads, down } = fakeNode();
  const starting = Promise.withResolvers<RunningNode>();
  const ran = new CliProcess({ socketPath: '/nowhere', run: () => starting.promise });
  const ended = ran.run('up');
  await waitFor('it to listen', () => ran.signal('SIGHUP'));
  expect(reloads()).toBe(0);
  starting.resolve(node);
  await waitFor('the ready line', () => ran.stdout !== '');
  await waitFor('the config to be read', () => reloads() === 1);
  down();
  expect([await ended, stops]).toEqual([0, []]);
});

test('SIGHUP of a terminal that is gone ends the node as SIGTERM does', async () => {
  const { node, stops, reloads, down } = fakeNode();
  const ran = new CliProcess({ socketPath: '/nowhere', run: () => Promise.resolve(node), terminal: true, hasTerminal: false });
  const ended = ran.run('up');
  await waitFor('the ready line', () => ran.stdout !== '');
  ran.signal('SIGHUP');
  expect([reloads(), stops]).toEqual([0, [false]]);
  down();
  expect(await ended).toBe(0);
});

describe('the log of a node in the foreground', () => {
  const logged = (level: string, fields: object, msg: string): string => `${JSON.stringify({ level, at: '2026-03-01T14:05:09.123Z', type: 'log', nodeId: 'k51', ...fields, msg })}\n`;
  const lines = [logged('warn', { peer: 'desk\u001btop' }, 'it is gone'), logged('info', {}, 'and back')];
  const up = async (argv: readonly string[], options: object): Promise<string> => {
    const { node, down } = fakeNode();
    const ran = new CliProcess({
      socketPath: '/nowhere',
      ...options,
      run: ({ onLogLine }) => {
        for (const line of lines) onLogLine?.(line);
        return Promise.resolve({ ...node, notes: [] });
      },
    });
    const ended = ran.run('up', ...argv);
    await waitFor('the ready line', () => ran.stdout !== '');
    down();
    await ended;
    return ran.stderr;
  };

  test('is lines for people on a terminal', async () => {
    const [first = '', second = ''] = (await up([], { terminal: true })).split('\n');
    expect([first.slice(20), second.slice(20)]).toEqual(['warn  it is gone  peer=desk␛top', 'info  and back']);
  });

  test('is passed on as it is elsewhere, and left to its files with --json', async () => {
    expect(await up([], {})).toContain(lines.join(''));
    expect(await up(['--json'], {})).toBe('');
  });
});
