/** `agents` and `agents --watch` as people and scripts see them, over a real socket. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { AgentView } from '../../src/client/types.ts';
import { notFound } from '../../src/domain/errors.ts';
import { controlC } from '../support/terminal.ts';
import { FakeNode } from '../support/fake-node.ts';
import { agentView, desktop, startMs } from '../support/fake-records.ts';
import { waitFor } from '../support/wait-for.ts';

let node: FakeNode;
beforeEach(async () => {
  node = await new FakeNode().start();
});
afterEach(() => node.stop());

const iso = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;

/** Of the desktop, as the laptop knows it. */
function there(name: string, changes: Partial<AgentView> = {}): AgentView {
  const { endpoint: _hidden, ...view } = agentView(name, undefined);
  const registration = { ...view.registration, address: `@${name}@desktop#main`, nodeId: desktop };
  return { ...view, registration, nodeName: 'desktop', state: 'alive', lastSeenMs: startMs, ...changes };
}
const many = (count: number): AgentView[] => Array.from({ length: count }, (_each, number) => there(`agent${String(number).padStart(4, '0')}`));

describe('agents', () => {
  test('every filter reaches the node', async () => {
    const { code } = await node.run(['agents', 'fab*', '--node', 'desktop', '--harness', 'claude', '--cap', 'review', '--cap', 'go', '--label', 'team=web', '--owner', 'ada', '--available', '--json']);
    expect(code).toBe(0);
    expect(node.broker.agentFilters).toEqual([{ pattern: 'fab*', node: 'desktop', harness: 'claude', capabilities: ['review', 'go'], labels: { team: 'web' }, owner: 'ada', availableOnly: true }]);
  });

  test('a filter that can’t be meant is refused before the node is asked', async () => {
    for (const argv of [['--label', 'web'], ['--cap', 'a b'], ['--node', '@x'], ['one', 'two']]) expect((await node.run(['agents', ...argv])).code).toBe(2);
    expect(node.broker.agentFilters).toEqual([]);
  });

  test('what was not found says whether anything was asked for', async () => {
    expect((await node.run(['agents'])).stderr).toContain('no agents yet');
    expect((await node.run(['agents', '--available'])).stderr).toBe('no agent matches\n');
  });
});

describe('agents --watch', () => {
  test('for scripts: all that there are, then an object for each that is added, changed or removed', async () => {
    const [one, two] = [there('one'), there('two')];
    node.broker.agentChanges = [
      { atMs: startMs, agents: [one], gone: [] },
      { atMs: startMs + 1, agents: [{ ...one, state: 'unreachable' }, two], gone: [] },
      { atMs: startMs + 2, agents: [], gone: [{ nodeId: desktop, address: two.registration.address }] },
    ];
    const { code, events } = await node.run(['agents', '--watch', '--json', '--node', 'desktop']);
    expect(code).toBe(0);
    expect(node.broker.agentFilters).toMatchObject([{ node: 'desktop' }]);
    const at = expect.stringMatching(iso) as string;
    expect(events).toEqual([
      { type: 'snapshot', at, agents: [expect.objectContaining({ address: '@one@desktop#main', node: 'desktop', harness: 'command', state: 'alive', available: true })] },
      expect.objectContaining({ type: 'agent', at, change: 'changed', address: '@one@desktop#main', state: 'unreachable' }),
      expect.objectContaining({ type: 'agent', at, change: 'added', address: '@two@desktop#main', state: 'alive' }),
      { type: 'agent', at, change: 'removed', address: '@two@desktop#main', node: 'desktop', nodeId: desktop },
    ]);
  });

  test('an update of thousands comes as one', async () => {
    node.broker.agentChanges = [{ atMs: startMs, agents: many(1201), gone: [] }, { atMs: startMs, agents: [], gone: many(1100).map(({ registration }) => registration) }];
    const { events } = await node.run(['agents', '--watch', '--json']);
    expect(events[0]?.['agents']).toHaveLength(1201);
    expect(events.slice(1).map(({ change }) => change as string)).toEqual(Array(1100).fill('removed'));
  });

  test('an unknown node is an error, as without --watch', async () => {
    node.broker.watchFailure = notFound('no node nix is a member of this mesh');
    expect((await node.run(['agents', '--watch', '--json', '--node', 'nix'])).code).toBe(3);
  });

  test('on a terminal: what fits, in place, and the screen that was there comes back', async () => {
    node.broker.watchForever = true;
    node.broker.agentChanges = [{ atMs: startMs, agents: many(300), gone: [] }];
    let press = (_key: string): void => undefined;
    const watching = node.process({ terminal: true, readKey: () => new Promise((resolve) => (press = resolve)) });
    Object.assign(watching.host.stdout, { rows: 10, columns: 66 });
    const ended = watching.run('agents', '--watch');
    await waitFor('the first screen', () => watching.stdout.includes('q ends this'));
    const screen = linesOf(watching.stdout);
    expect(screen).toHaveLength(10);
    expect(screen.every((line) => line.length <= 66)).toBe(true);
    expect(screen.slice(-2)).toEqual(['and 293 more', '300 agents on 1 node, 300 available  q ends this']);
    expect(screen[1]).toMatch(/^@agent0000@d… +desktop +alive +- +now/);
    Object.assign(watching.host.stdout, { rows: 20, columns: 200 });
    watching.host.stdout.emit('resize');
    await waitFor('the second screen', () => watching.stdout.includes('and 283 more'));
    press('x');
    await new Promise((resolve) => setImmediate(resolve));
    press('q');
    expect(await ended).toBe(0);
    expect(watching.stdout.startsWith('\u001b[?1049h')).toBe(true);
    expect(watching.stdout.endsWith('\u001b[?25h\u001b[?1049l')).toBe(true);
  });

  test.each(['SIGINT', controlC] as const)('ends with Ctrl-C, as a signal and as a key: %j', async (way) => {
    node.broker.watchForever = true;
    node.broker.agentChanges = [{ atMs: startMs, agents: [], gone: [] }];
    const watching = node.process({ terminal: true, ...(way === 'SIGINT' ? {} : { readKey: () => Promise.resolve(way) }) });
    const ended = watching.run('agents', '--watch');
    await waitFor('the screen', () => watching.stdout.includes('no agents'));
    if (way === 'SIGINT') watching.signal(way);
    expect(await ended).toBe(0);
  });
});

/** Of the screen as it was drawn last. */
function linesOf(stdout: string): string[] {
  const last = stdout.split('\u001b[H').at(-1) ?? '';
  // eslint-disable-next-line no-control-regex
  return last.replaceAll(/\u001b\[[?0-9]*[a-zA-Z]/g, '').split('\r\n');
}
