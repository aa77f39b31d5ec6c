import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Check } from '../../src/domain/checks.ts';
import { unavailable } from '../../src/domain/errors.ts';
import type { HostOptions } from '../support/cli-host.ts';
import { FakeNode } from '../support/fake-node.ts';

let node: FakeNode;
beforeEach(async () => {
  node = await new FakeNode().start();
});
afterEach(() => node.stop());

const here: Check = { id: 'permissions', ok: true, detail: 'fine', hint: '' };

test('a line a check, those of the machine and those of the node; all well exits 0', async () => {
  const { code, json } = await node.run(['doctor', '--json'], { examine: async () => [here] });
  expect(code).toBe(0);
  expect(json).toEqual({
    checks: [here, { id: 'node', ok: true, detail: 'laptop runs Beckon 1.2.3', hint: '' }, { id: 'database', ok: true, detail: 'sound', hint: '' }],
  });
});

test('one that is not well exits 1, and says what to do next', async () => {
  node.broker.checks = [{ id: 'clock', ok: false, detail: 'desktop is 2m ahead', hint: 'set it\u001b[2J' }];
  const { code, stdout, stderr } = await node.run(['doctor'], { examine: async () => [here] });
  expect(code).toBe(1);
  expect(stdout.split('\n')).toEqual([
    'ok    permissions  fine',
    'ok    node         laptop runs Beckon 1.2.3',
    'FAIL  clock        desktop is 2m ahead',
    expect.stringMatching(/^ {17}next: set it/),
    '',
  ]);
  expect(stdout).not.toContain('\u001b');
  expect(stderr).toContain('1 of 3 checks failed');
});

test('--fix is passed on, and each thing done is named', async () => {
  const asked: unknown[] = [];
  const examine = async (options: object): Promise<readonly Check[]> => {
    asked.push(options);
    return [{ ...here, fixed: ['chmod 0600 /x'] }];
  };
  const { stdout } = await node.run(['doctor', '--fix'], { examine });
  expect(asked).toEqual([{ fix: true, isRunning: true }]);
  expect(stdout).toMatch(/fixed: chmod 0600 \/x/);
});

test('works with the node down: the machine is looked at, and its word on the node stands', async () => {
  const asked: unknown[] = [];
  const absent: Check = { id: 'node', ok: false, detail: 'no node runs here', hint: 'beckon up' };
  const examine = async (options: object): Promise<readonly Check[]> => {
    asked.push(options);
    return [here, absent];
  };
  const { code, json } = await node.run(['doctor', '--json'], { socketPath: '/nowhere/control.sock', examine });
  expect([code, json['checks']]).toEqual([1, [here, absent]]);
  expect(asked).toEqual([{ fix: false, isRunning: false }]);
});

test('a node that can not check itself is a check that failed', async () => {
  node.broker.diagnose = () => Promise.reject(unavailable('the store is closed', 'wait'));
  const { code, json } = await node.run(['doctor', '--json'], { examine: async () => [here] });
  expect(code).toBe(1);
  expect(json['checks'].at(-1)).toMatchObject({ ok: false, detail: 'the node could not check itself: the store is closed', hint: 'wait' });
});

describe('on a machine that others take for a copy', () => {
  const made = { nodeId: 'k51new', was: 'k51old', agents: ['@a@laptop#main'], aside: '/state/set-aside/copy-1' };
  const down = { socketPath: '/nowhere/control.sock', examine: async () => [here] };

  /** A host that counts how often it was made anew. */
  function copied(): { readonly rekeyed: () => number; readonly copy: NonNullable<HostOptions['copy']> } {
    let count = 0;
    return { rekeyed: () => count, copy: { refusedBecause: async () => 'refused by desktop: two machines', rekey: async () => ((count += 1), made) } };
  }

  test.each([
    ['a yes', ['--fix'], 'y', 1],
    ['a no', ['--fix'], 'n', 0],
    ['nobody to ask', ['--fix'], undefined, 0],
    ['--yes', ['--fix', '--yes'], undefined, 1],
    ['no --fix', ['--yes'], 'y', 0],
  ] as const)('with %s it is done or left alone', async (answer, flags, key, times) => {
    const { rekeyed, copy } = copied();
    const { stdout, stderr } = await node.run(['doctor', ...flags], { ...down, copy, ...(key === undefined ? {} : { readKey: async () => key }) });
    expect(rekeyed()).toBe(times);
    if (key !== undefined && flags.includes('--fix' as never)) expect(stderr).toContain('refused by desktop: two machines');
    expect(stderr.includes('beckon doctor --fix --yes')).toBe(answer === 'nobody to ask');
    if (times === 0) return;
    expect(stdout).toMatch(/^ok {4}clone/m);
    expect(stdout).toContain('fixed: it is k51new now, and was k51old');
    expect(stdout).toContain('fixed: its agents are registered anew: @a@laptop#main');
    expect(stdout).toContain('fixed: the old database and keys are kept in /state/set-aside/copy-1');
    expect(stdout).toMatch(/next: start it: beckon up --detach/);
  });

  test('a program that reads JSON is asked nothing, and nothing is done without --yes', async () => {
    const { rekeyed, copy } = copied();
    await node.run(['doctor', '--fix', '--json'], { ...down, copy, readKey: async () => 'y' });
    expect(rekeyed()).toBe(0);
    const { json } = await node.run(['doctor', '--fix', '--yes', '--json'], { ...down, copy });
    expect(rekeyed()).toBe(1);
    expect(json['checks'][0]).toMatchObject({ id: 'clone', ok: true, fixed: [expect.any(String), expect.any(String), expect.any(String)] });
  });
});
