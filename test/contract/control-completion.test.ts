/** What `__complete` answers a shell, over a real socket. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { AgentSpec } from '../../src/client/types.ts';
import { BrokerError } from '../../src/domain/errors.ts';
import { CliProcess } from '../support/cli-host.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { FakeNode } from '../support/fake-node.ts';

let node: FakeNode;
beforeEach(async () => {
  node = await new FakeNode().start();
  for (const [name, labels] of [['fabric', { team: 'web', note: 'two words; $(rm -rf /)' }], ['review', { team: 'infra' }]] as const) {
    const spec = { name, labels, capabilities: [], argv: name === 'review' ? ['nowhere'] : ['cat'] };
    await node.broker.addAgent(spec as unknown as AgentSpec);
  }
});
afterEach(() => node.stop());

const lines = async (shell: string, ...words: string[]): Promise<string[]> => {
  const { code, stdout, stderr } = await node.run(['__complete', shell, '--', ...words]);
  expect([code, stderr]).toEqual([0, '']);
  return stdout.split('\n').slice(0, -1);
};
const valuesOf = async (...words: string[]): Promise<string[]> => (await lines('zsh', ...words)).map((line) => line.split('\t')[0] ?? '');

describe('what the node knows', () => {
  test('addresses in the form that was begun, with what is known of each', async () => {
    expect(await lines('zsh', 'invoke', 'f')).toEqual(['fabric@laptop/main\there, command']);
    expect(await lines('fish', 'invoke', '@')).toEqual(['@fabric@laptop#main\there, command', '@review@laptop#main\there, command, not available: nowhere is not on PATH']);
    expect(await lines('fish', 'invoke', "'@r")).toHaveLength(1);
    expect(await lines('bash', ' \t\n"\'@><=;|&(:', 'beckon invoke fabric@l')).toEqual(['@laptop/main']);
  });

  test('nodes, flights and what they wait for', async () => {
    expect(await lines('zsh', 'ping', '')).toEqual(['desktop\talive', 'laptop\there']);
    const { events } = await node.run(['invoke', 'fabric', 'ask', '--json', '--detach']);
    const [{ flightId = '', invocationId = '' } = {}] = events;
    expect(await valuesOf('flight', 'show', '')).toEqual(['last', flightId]);
    expect(await valuesOf('trace', 'inv_')).toEqual([invocationId]);
    expect((await lines('zsh', 'flight', 'show', 'flt_'))[0]).toMatch(/^flt_\w+\t\w+, @fabric@laptop#main, /);
  });

  test('whom an agent can be shared with: persons, and nodes', async () => {
    expect(await lines('zsh', 'agent', 'share', 'fabric', '--with', '')).toEqual(['ada\ta person', 'laptop\there', 'desktop\talive']);
    expect(await valuesOf('agent', 'unshare', 'f')).toEqual(['fabric@laptop/main']);
  });

  test('a value that a shell would not take for one word is not offered', async () => {
    expect(await valuesOf('agents', '--label', '')).toEqual(['team=infra', 'team=web']);
    expect(await valuesOf('agents', '--label=team=w')).toEqual(['--label=team=web']);
  });

  test('files and directories are the shell’s own', async () => {
    expect(await lines('bash', ' ', 'beckon invoke x -f ')).toEqual([':files']);
    expect(await lines('zsh', 'agent', 'add', '--cwd', '')).toEqual([':directories']);
  });
});

describe('without an answer', () => {
  test('no node: commands all the same, nothing else, and not a word of it', async () => {
    const alone = new CliProcess({ socketPath: '/nowhere/control.sock' });
    expect(await alone.run('__complete', 'fish', '--', 'invoke', '')).toBe(0);
    expect([alone.stdout, alone.stderr]).toEqual(['', '']);
    const commands = new CliProcess({ socketPath: '/nowhere/control.sock' });
    expect(await commands.run('__complete', 'fish', '--', 'statu')).toBe(0);
    expect(commands.stdout).toMatch(/^status\t/);
  });

  test('a refusal is no candidate', async () => {
    node.broker.failure = new BrokerError('denied', 'no');
    expect(await valuesOf('invoke', '')).toEqual([]);
  });

  test('a node that says nothing is not waited for', async () => {
    node.broker.listAgents = () => new Promise(() => undefined);
    const clock = new FakeClock();
    const asking = node.process({ clock });
    const ended = asking.run('__complete', 'zsh', '--', 'invoke', '');
    let isOver = false;
    void ended.then(() => (isOver = true));
    for (let turn = 0; turn < 100 && !isOver; turn += 1) await clock.advance(100);
    expect([await ended, asking.stdout]).toEqual([0, '']);
  });
});

test('each shell has its script, and another shell is a usage error', async () => {
  for (const shell of ['bash', 'zsh', 'fish']) expect((await node.run(['completion', shell])).stdout).toContain(`__complete ${shell} --`);
  expect((await node.run(['completion', 'bash', '--json'])).json).toMatchObject({ shell: 'bash', script: expect.stringContaining('complete -F') });
  expect((await node.run(['completion', 'tcsh'])).code).toBe(2);
});
