/** Many invoked at once, over two nodes in this process: all or none, one key, one end. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { InvokeAllRequest } from '../../src/client/types.ts';
import { requestOf, selectorOf, specOf } from '../support/asking.ts';
import { LocalPair } from '../support/local-node.ts';
import { waitFor } from '../support/wait-for.ts';

let pair: LocalPair;
let shell: readonly string[];

beforeAll(async () => {
  pair = await new LocalPair().start();
  shell = ['/bin/sh', '-c', 'read -r task; echo "did $task"; [ "$task" != fail ]'];
  for (const node of [pair.laptop, pair.desktop]) await node.addAgent('tests', { argv: shell });
  await pair.laptop.addAgent('gate', { argv: ['/bin/sh', '-c', 'sleep 600'] });
  await pair.desktop.addAgent('gate', { argv: ['/bin/sh', '-c', 'sleep 600'] });
  await pair.desktop.addAgent('half', { argv: ['/bin/cat'] });
  await pair.laptop.addAgent('half', { argv: ['/nowhere/x'] });
  for (const name of ['tests', 'gate', 'half']) await pair.knows(pair.laptop, `@${name}@desktop#main`);
}, 30_000);
afterAll(() => pair?.[Symbol.asyncDispose]());

function request(address: string, task: string, changes: Partial<InvokeAllRequest> = {}): InvokeAllRequest {
  return { ...requestOf(address, `${task}\n`, { selector: selectorOf(address, { all: true }) }), confirmed: false, ...changes };
}

const count = async (): Promise<number> => (await pair.laptop.client.listFlights({}, { limit: 1000 })).items.length;

test('one request goes to all that match, each a flight of one group, in the order of their addresses', async () => {
  const { groupId, flights, deduplicated } = await pair.laptop.client.invokeAll(request('tests', 'one'));
  expect(deduplicated).toBe(false);
  expect(flights.map(({ target, groupId: of, state }) => [target, of, state])).toEqual([['@tests@desktop#main', groupId, 'queued'], ['@tests@laptop#main', groupId, 'queued']]);
  for (const { id } of flights) {
    await pair.laptop.becomes(id, 'completed');
    expect(await pair.laptop.outputOf(id)).toBe('did one\n');
  }
  const listed = await pair.laptop.client.listFlights({ group: groupId }, { limit: 10 });
  expect(listed.items.map(({ id }) => id).toSorted()).toEqual(flights.map(({ id }) => id).toSorted());
  expect((await pair.laptop.client.listFlights({ group: groupId.slice(-8), state: 'failed' }, { limit: 10 })).items).toEqual([]);
  // A page at a time.
  const first = await pair.laptop.client.listFlights({ group: groupId }, { limit: 1 });
  const second = await pair.laptop.client.listFlights({ group: groupId }, { limit: 1, after: first.next ?? '' });
  expect([first.items[0]?.id, second.items[0]?.id, second.next]).toEqual([listed.items[0]?.id, listed.items[1]?.id, undefined]);
  // Its owner knows the flight, and not with which others it was invoked.
  const remote = flights.find(({ target }) => target === '@tests@desktop#main');
  expect((await pair.desktop.flight(remote?.id ?? '')).groupId).toBeUndefined();
});

describe('accepted is all or nothing', () => {
  test('when one can not run, nothing is accepted, and the error names it', async () => {
    const before = await count();
    await expect(pair.laptop.client.invokeAll(request('half', 'x'))).rejects.toMatchObject({
      code: 'unavailable', message: expect.stringMatching(/^nothing was accepted: .*@half@laptop#main/), candidates: [{ address: '@half@laptop#main', state: 'here' }],
    });
    expect(await count()).toBe(before);
  });

  test('when one node can not be reached and nothing may wait', async () => {
    const before = await count();
    await pair.desktop.stop();
    await pair.laptop.loses(pair.desktop);
    await expect(pair.laptop.client.invokeAll(request('tests', 'x', { noHold: true }))).rejects.toMatchObject({ code: 'unavailable', candidates: [{ address: '@tests@desktop#main' }] });
    expect(await count()).toBe(before);
    // Held, it is accepted with the rest and done when that node is back.
    const { flights } = await pair.laptop.client.invokeAll(request('tests', 'held'));
    await pair.laptop.becomes(flights[1]?.id ?? ('' as never), 'completed');
    expect((await pair.laptop.flight(flights[0]?.id ?? '')).state).toBe('queued');
    await pair.desktop.start();
    await pair.laptop.becomes(flights[0]?.id ?? ('' as never), 'completed', 30_000);
  }, 60_000);

  test.each<[string, Partial<InvokeAllRequest>, string]>([
    ['of no name that is known', { selector: { ...request('nobody', '').selector } }, 'not_found'],
    ['in one session', { session: { mode: 'named', name: 'ses' } }, 'invalid'],
    ['that chooses one', { selector: { ...request('tests', '').selector, any: true } }, 'invalid'],
    ['other than those agreed to', { expected: ['@tests@laptop#main'] }, 'conflict'],
    ['as one more than is there', { expected: ['@tests@laptop#main', '@tests@desktop#main', '@tests@server#main'] }, 'conflict'],
    ['of a task that is too large for all', { task: { text: new Uint8Array(16 * 1024 * 1024 + 1), files: [] } }, 'invalid'],
  ])('nor when it is for agents %s', async (_what, changes, code) => {
    const before = await count();
    await expect(pair.laptop.client.invokeAll({ ...request('tests', 'x'), ...changes })).rejects.toMatchObject({ code });
    expect(await count()).toBe(before);
  });
});

describe('a key', () => {
  test('stands for the whole group: again it is the first, whatever has come or gone since', async () => {
    const first = await pair.laptop.client.invokeAll(request('tests', 'keyed', { key: 'k' }));
    await pair.laptop.client.addAgent(specOf({ name: 'tests', workspace: 'new', harness: 'command', argv: shell }));
    const before = await count();
    const again = await pair.laptop.client.invokeAll(request('tests', 'keyed', { key: 'k' }));
    expect([again.deduplicated, again.groupId, again.flights.map(({ id }) => id)]).toEqual([true, first.groupId, first.flights.map(({ id }) => id)]);
    await pair.laptop.client.removeAgent('tests@laptop/new');
    expect(await count()).toBe(before);
  });

  test('asked for twice at once is accepted once', async () => {
    const before = await count();
    const both = await Promise.all([1, 2, 3].map(() => pair.laptop.client.invokeAll(request('tests', 'at once', { key: 'at once' }))));
    expect(new Set(both.map(({ groupId }) => groupId)).size).toBe(1);
    expect(both.filter(({ deduplicated }) => !deduplicated)).toHaveLength(1);
    expect(await count()).toBe(before + 2);
  });

  test('stands for no other request, of a group or of one agent', async () => {
    await pair.laptop.client.invokeAll(request('tests', 'mine', { key: 'other' }));
    await expect(pair.laptop.client.invokeAll(request('tests', 'yours', { key: 'other' }))).rejects.toMatchObject({ code: 'conflict' });
    const { code } = await pair.laptop.cli('invoke', 'tests', 'mine', '--key', 'other');
    expect(code).toBe(6);
  });
});

describe('on the command line', () => {
  test('each line is whole and begins with its address; it ends as the worst of them', async () => {
    const { code, stdout, stderr } = await pair.laptop.cli('invoke', 'tests', 'fail', '--all');
    expect(stdout.split('\n').toSorted()).toEqual(['', '@tests@desktop#main | did fail', '@tests@laptop#main | did fail']);
    expect(code).toBe(1);
    expect(stderr).toContain('0 of 2 completed\n  @tests@desktop#main  failed: ');
    expect(stderr).toContain('@tests@laptop#main | error: the agent failed');
  });

  test('a group is shown, waited for and cancelled as a whole', async () => {
    const { stdout } = await pair.laptop.cli('invoke', 'gate', 'x', '--all', '--detach', '-q');
    const id = stdout.trim();
    expect(id).toMatch(/^grp_[0-9A-Z]{26}$/);
    await waitFor('both to run', async () => (await pair.laptop.client.getGroup(id)).flights.every(({ state }) => state === 'running'));
    expect((await pair.laptop.cli('flight', 'wait', id, '--timeout', '100ms')).code).toBe(10);
    const cancelled = await pair.laptop.cli('flight', 'cancel', id.slice(-8), '--json');
    expect([cancelled.code, cancelled.json]).toMatchObject([0, { groupId: id, state: 'cancelled', confirmed: true, flights: [{ target: '@gate@desktop#main', state: 'cancelled' }, { target: '@gate@laptop#main' }] }]);
    expect((await pair.laptop.cli('flight', 'wait', id)).code).toBe(7);
    expect((await pair.laptop.cli('flight', 'cancel', id)).code).toBe(6);
    const shown = await pair.laptop.cli('flight', 'show', id, '--json');
    expect(shown.json).toMatchObject({ group: { id, state: 'cancelled', completed: 0, of: 2 }, flights: [{ group: id, owner: 'desktop' }, { group: id, owner: 'laptop' }] });
    const followed = await pair.laptop.cli('flight', 'follow', id);
    expect([followed.code, followed.stderr]).toEqual([7, expect.stringContaining('0 of 2 completed')]);
    expect((await pair.laptop.cli('flight', 'output', id)).stderr).toContain(`beckon flights --group ${id}`);
    expect((await pair.laptop.cli('flights', '--group', id)).stdout.match(/flt_/g)).toHaveLength(2);
    expect((await pair.laptop.cli('flights', '--group', id, '--node', 'desktop')).code).toBe(2);
    expect((await pair.desktop.cli('flight', 'show', id)).code).toBe(3);
  });

  test('in JSON each line says whose it is, between the group and its end', async () => {
    const running = pair.laptop.cli('invoke', 'gate', 'x', '--all', '--json', '--hold', '1h');
    const found = await waitFor('both to run', async () => {
      const { items } = await pair.laptop.client.listFlights({ state: 'running', agent: 'gate' }, { limit: 10 });
      return items.length === 2 ? items : undefined;
    });
    const { flights } = await pair.laptop.client.getGroup(found[0]?.groupId ?? '');
    for (const { id } of flights) await pair.laptop.client.cancelFlight(id, 10_000);
    const { code, events } = await running;
    expect([code, events[0]?.['type'], events.at(-1)]).toEqual([7, 'group', expect.objectContaining({ type: 'group_finished', state: 'cancelled', completed: 0, of: 2 })]);
    for (const each of events.slice(1, -1)) expect(each).toMatchObject({ invocationId: expect.stringMatching(/^inv_/), target: expect.stringMatching(/^@gate@/) });
  });
});
