/** Sharing and `invoke --all` from argument to answer, over a real socket, with a person or without one. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { connect } from '../../src/client/index.ts';
import type { ReadKey } from '../../src/cli/host.ts';
import { startMs, desktop } from '../support/fake-records.ts';
import { FakeNode } from '../support/fake-node.ts';
import { waitFor } from '../support/wait-for.ts';

let node: FakeNode;
beforeEach(async () => {
  node = await new FakeNode().start();
});
afterEach(() => node.stop());

const keys = (...pressed: string[]): ReadKey => async (signal) => pressed.shift() ?? (await new Promise<undefined>((resolve) => signal.addEventListener('abort', () => resolve(undefined))));

function manyMatch(count: number): readonly string[] {
  const targets = Array.from({ length: count }, (_, index) => `@fabric@laptop#w${index}`);
  node.broker.targets = targets;
  node.broker.candidates = targets.map((address) => ({ address, chosen: true, why: 'matches' }));
  return targets;
}

describe('more than five', () => {
  test('are invoked without a word when there are five, and with --yes however many', async () => {
    manyMatch(5);
    expect((await node.run(['invoke', 'fabric', 'hi', '--all'])).code).toBe(0);
    manyMatch(7);
    expect((await node.run(['invoke', 'fabric', 'hi', '--all', '--yes'])).code).toBe(0);
    expect(node.broker.askedAll.map(({ confirmed, selector }) => [confirmed, selector.all])).toEqual([[false, true], [true, true]]);
  });

  test.each([[[]], [['--json']]])('without a terminal they are a usage error that lists them all and says what to do: %j', async (flags) => {
    const targets = manyMatch(30);
    const { code, stdout, stderr } = await node.run(['invoke', 'fabric', 'hi', '--all', ...flags], flags.length > 0 ? { readKey: keys('y'), terminal: true } : {});
    expect(code).toBe(2);
    for (const text of [...targets, '--yes']) expect(stdout + stderr).toContain(text);
    expect(node.broker.invoked).toEqual([]);
  });

  test('are shown to the person at the terminal, whose yes is for those and no others', async () => {
    const targets = manyMatch(6);
    const { code, stderr } = await node.run(['invoke', 'fabric', 'hi', '--all'], { readKey: keys('y'), terminal: true });
    expect(code).toBe(0);
    for (const target of targets) expect(stderr).toContain(`  ${target}\n`);
    expect(stderr).toContain('invoke all 6? (y)es or (n)o yes');
    expect(node.broker.askedAll.at(-1)).toMatchObject({ confirmed: false, expected: targets });
  });

  test.each(['n', '\r', '\u0003'])('are not invoked when the answer is %j', async (key) => {
    manyMatch(6);
    const { code, stderr } = await node.run(['invoke', 'fabric', 'hi', '--all'], { readKey: keys(key), terminal: true });
    expect([code, stderr]).toEqual([7, expect.stringContaining('nothing was invoked')]);
    expect(node.broker.invoked).toEqual([]);
  });
});

describe('what is shown of a group', () => {
  test('lines never mix, and control sequences of one do not reach the terminal or hide its address', async () => {
    const { stdout, code } = await node.run(['invoke', 'fabric', `bytes ${Buffer.from('one\u001b[2K\rtwo\npart').toString('hex')} ${Buffer.from('ial\n').toString('hex')}`, '--all'], { terminal: true, readKey: keys() });
    expect(code).toBe(0);
    expect(stdout).not.toContain('\u001b');
    expect(stdout).not.toContain('\r');
    expect(stdout.split('\n').filter((line) => line !== '').toSorted()).toEqual([
      expect.stringMatching(/^@fabric@desktop#main \| one.*two$/), '@fabric@desktop#main | partial', expect.stringMatching(/^@fabric@laptop#main \| one.*two$/), '@fabric@laptop#main | partial',
    ]);
  });

  test('without a terminal, and with --raw, the bytes of a line are as they are', async () => {
    const bytes = Buffer.from([0x61, 0x1b, 0x5b, 0x32, 0x4b, 0xff, 0x0a]);
    for (const options of [{}, { terminal: true, readKey: keys() }]) {
      const ran = await node.run(['invoke', 'fabric', `bytes ${bytes.toString('hex')}`, '--all', '--raw'], options);
      expect(Buffer.from(ran.bytes).includes(Buffer.concat([Buffer.from('@fabric@laptop#main | '), bytes]))).toBe(true);
    }
  });

  test('each has its own colour on a terminal', async () => {
    const { stdout } = await node.run(['invoke', 'fabric', `bytes ${Buffer.from('x\n').toString('hex')}`, '--all'], { terminal: true, readKey: keys(), env: { PATH: '/bin', TERM: 'xterm' } });
    const colours = stdout.split('\n').flatMap((line) => /^.\[(\d+)m@fabric/.exec(line)?.[1] ?? []);
    expect(new Set(colours).size).toBe(2);
  });

  test('a line without an end is no memory without end', async () => {
    const { stdout } = await node.run(['invoke', 'fabric', 'big 200000', '--all']);
    expect(Math.max(...stdout.split('\n').map((line) => line.length))).toBeLessThan(110_000);
    expect(stdout.replaceAll(/@fabric@\w+#main \| |\n/g, '')).toBe('a'.repeat(400_000));
  });

  test('who waits is said with the commands that answer it, even with -q', async () => {
    const ran = node.process();
    const ended = ran.run('invoke', 'fabric', 'ask approval delete it?', '--all', '-q');
    await waitFor('both to ask', () => ran.stderr.split('waiting for approval: delete it?').length === 3);
    expect(ran.stderr).toMatch(/@fabric@laptop#main \| {3}beckon flight approve /);
    ran.signal('SIGTERM');
    expect(await ended).toBe(7);
  });

  test('--detach prints the id of the group alone; in JSON all of it', async () => {
    const { stdout, code } = await node.run(['invoke', 'fabric', 'hang', '--all', '--detach']);
    expect([code, stdout]).toEqual([0, 'grp_01J9Z6M3T4V8Q2X7K5B1C0GRP1\n']);
    const { events } = await node.run(['invoke', 'fabric', 'hang', '--all', '--detach', '--json']);
    expect(events).toMatchObject([
      { type: 'group', at: new Date(startMs).toISOString(), groupId: 'grp_01J9Z6M3T4V8Q2X7K5B1C0GRP1', targets: node.broker.targets },
      { type: 'accepted', target: '@fabric@laptop#main', flightId: expect.stringMatching(/^flt_/), invocationId: expect.stringMatching(/^inv_/) },
      { type: 'accepted', target: '@fabric@desktop#main' },
    ]);
  });
});

describe('a signal', () => {
  const begin = async (flags: readonly string[], readKey?: ReadKey) => {
    const ran = node.process({ terminal: readKey !== undefined, ...(readKey === undefined ? {} : { readKey }) });
    const ended = ran.run('invoke', 'fabric', 'hang', '--all', ...flags);
    await waitFor('both to work', () => ran.stdout.split('working').length === 3);
    return { ran, ended };
  };

  test('cancels all of it, and each says how it ended', async () => {
    const { ran, ended } = await begin(['--json']);
    ran.signal('SIGTERM');
    expect(await ended).toBe(7);
    expect(node.broker.cancelled).toHaveLength(2);
    expect(ran.events.filter(({ type }) => type === 'finished').map(({ target, state }) => `${target} ${state}`).toSorted()).toEqual(['@fabric@desktop#main cancelled', '@fabric@laptop#main cancelled']);
    expect(ran.events.at(-1)).toMatchObject({ type: 'group_finished', groupId: expect.stringMatching(/^grp_/), state: 'cancelled', completed: 0, of: 2 });
    const told = await begin([]);
    told.ran.signal('SIGTERM');
    expect(await told.ended).toBe(7);
    expect(told.ran.stderr).toMatch(/\n0 of 2 completed\n {2}@fabric@laptop#main {2}cancelled(; processes ended: \d+)?\n/);
  });

  test('lets all of it go, with the command that waits for it, when that is wanted', async () => {
    const { ran, ended } = await begin([], keys('d'));
    ran.signal('SIGINT');
    expect(await ended).toBe(10);
    expect(ran.stderr).toContain('it goes on: beckon flight follow grp_');
    expect(node.broker.cancelled).toEqual([]);
    const other = await begin(['--json', '--on-signal', 'detach']);
    other.ran.signal('SIGTERM');
    expect([await other.ended, other.ran.events.at(-1)]).toEqual([10, expect.objectContaining({ type: 'detached', groupId: expect.stringMatching(/^grp_/) })]);
  });

  test('loses nothing of a line that had begun', async () => {
    const ran = node.process();
    const ended = ran.run('invoke', 'fabric', 'hang half a line', '--all', '--on-signal', 'detach');
    await waitFor('both to work', () => ran.stdout.split('working').length === 3);
    ran.signal('SIGTERM');
    expect(await ended).toBe(10);
    expect(ran.stdout.split('\n').filter((line) => line.endsWith('half a line')).toSorted()).toEqual(['@fabric@desktop#main | half a line', '@fabric@laptop#main | half a line']);
  });

  test('that no owner confirms leaves the requests standing, exit 10', async () => {
    node.broker.answersCancel = false;
    const { ran, ended } = await begin(['--json']);
    ran.signal('SIGTERM');
    expect([await ended, ran.events.at(-1)]).toEqual([10, expect.objectContaining({ type: 'cancel_requested', confirmed: false })]);
  });
});

describe('sharing', () => {
  test('says with whom it is shared now', async () => {
    const all = await node.run(['agent', 'share', 'fabric']);
    expect([all.code, all.stdout]).toEqual([0, '@fabric@laptop#main is shared with all members\n']);
    const some = await node.run(['agent', 'share', 'fabric', '--with', 'bob', '--with', 'desktop', '--json']);
    expect(some.json).toEqual({ address: '@fabric@laptop#main', shares: [{ with: 'person', name: 'bob' }, { with: 'node', name: 'desktop', nodeId: desktop }], changed: false });
    expect(node.broker.shared.map(({ parties, by }) => [parties, by])).toEqual([[[], `uid:${process.getuid?.()}`], [['bob', 'desktop'], `uid:${process.getuid?.()}`]]);
    const { json } = await node.run(['agent', 'show', 'fabric', '--json']);
    expect(json['agent'].shares).toEqual([{ with: 'all' }, { with: 'node', name: 'desktop', nodeId: desktop }, { with: 'person', name: 'bob' }]);
    expect((await node.run(['agent', 'show', 'fabric'])).stdout).toMatch(/shared with +all members, the node desktop, bob/);
  });

  test('says what ended with it, and what goes on', async () => {
    const { stdout, stderr, code } = await node.run(['agent', 'unshare', 'fabric']);
    expect([code, stdout]).toEqual([0, '@fabric@laptop#main is shared with nobody\n']);
    expect(stderr).toBe('2 queued invocations of theirs failed: denied\n1 of theirs runs and goes on: to end one, beckon flight cancel\n');
    expect((await node.run(['agent', 'unshare', 'fabric', '--json'])).json).toEqual({ address: '@fabric@laptop#main', shares: [], changed: true, ended: 2, running: 1 });
  });
});

describe('the SDK', () => {
  test('invokes all that match as calls of one group', async () => {
    using beckon = await connect({ socketPath: node.socketPath });
    const group = await beckon.invokeAll('fabric', 'echo', { key: 'k' });
    expect([group.groupId, group.deduplicated, [...group.calls.keys()]]).toEqual(['grp_01J9Z6M3T4V8Q2X7K5B1C0GRP1', false, node.broker.targets]);
    expect((await group.results()).map(({ target, state }) => [target, state])).toEqual(node.broker.targets.map((target) => [target, 'completed']));
    expect(node.broker.askedAll).toMatchObject([{ key: 'k', confirmed: true, selector: { address: 'fabric', all: true } }]);
  });

  test('ends all of it when its caller’s signal aborts', async () => {
    using beckon = await connect({ socketPath: node.socketPath });
    const abort = new AbortController();
    const group = await beckon.invokeAll('fabric', 'hang', { signal: abort.signal });
    abort.abort();
    expect((await group.results()).map(({ state }) => state)).toEqual(['cancelled', 'cancelled']);
    await expect(beckon.invokeAll('fabric', 'x', { signal: abort.signal })).rejects.toMatchObject({ code: 'cancelled' });
  });
});
