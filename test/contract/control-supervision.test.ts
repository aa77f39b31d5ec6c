/** `service` and `uninstall`, with a supervisor that only keeps books; test/system/service-systemd has a real one. */
import type { PassThrough } from 'node:stream';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Belongings } from '../../src/domain/belongings.ts';
import { unavailable } from '../../src/domain/errors.ts';
import type { EntryPlan, Supervised, Supervision, Supervisor } from '../../src/domain/supervision-port.ts';
import { FakeNode } from '../support/fake-node.ts';
import { fakeStatus } from '../support/fake-records.ts';
import { waitFor } from '../support/wait-for.ts';

let node: FakeNode;
beforeEach(async () => {
  node = await new FakeNode().start();
});
afterEach(() => node.stop());

interface Books {
  readonly supervision: Supervision;
  readonly done: string[];
}

/** @param state of what the supervisor runs; @param over of what an install would find */
function books(state: Supervised, over: Partial<EntryPlan> & { readonly isInstalled?: boolean; readonly cannot?: string } = {}): Books {
  const done: string[] = [];
  const act = (what: string) => (): Promise<void> => {
    done.push(what);
    return over.cannot === what ? Promise.reject(unavailable(`it can not ${what}`)) : Promise.resolve();
  };
  const supervisor: Supervisor = {
    kind: 'systemd',
    scope: 'user',
    entryPath: '/u/beckon.service',
    environmentPath: '/s/service.env',
    render: () => '[Unit]\n',
    stateDirOf: () => undefined,
    enable: act('enable'),
    start: act('start'),
    stop: act('stop'),
    disable: act('disable'),
    forget: act('forget'),
    look: () => Promise.resolve(state),
    lastWords: () => Promise.resolve(['{"type":"ready","node":"laptop"}', 'error: config.toml:3: unknown key "x"', 'hint: known are: y']),
    outlivesLogout: () => Promise.resolve(false),
  };
  const entry = { supervisor, user: 'ada', stateDir: '/s', socketPath: node.socketPath, isChangeable: true };
  const plan: EntryPlan = { ...entry, entryText: '[Unit]\n', environmentText: 'PATH="/bin"\n', variables: ['PATH'], entry: 'absent', environment: 'absent', notes: [], ...over };
  const supervision: Supervision = {
    plan: () => Promise.resolve(plan),
    write: act('write'),
    installed: () => Promise.resolve(over.isInstalled === true ? plan : undefined),
    isCurrent: () => Promise.resolve(true),
    filesOf: () => Promise.resolve(['/u/beckon.service', '/s/service.env']),
    remove: async () => {
      await act('remove')();
      return ['/u/beckon.service', '/s/service.env'];
    },
  };
  return { supervision, done };
}

const running: Supervised = { state: 'running', isEnabled: true, pid: fakeStatus.pid };
const stopped: Supervised = { state: 'stopped', isEnabled: true };
const nowhere = '/nowhere/control.sock';

describe('service install', () => {
  test('--dry-run prints the unit, and does nothing', async () => {
    const { supervision, done } = books(stopped);
    const { code, stdout, stderr } = await node.run(['service', 'install', '--dry-run'], { supervision });
    expect([code, stdout, done]).toEqual([0, '[Unit]\n', []]);
    expect(stderr).toContain('nothing was done; it would be /u/beckon.service');
    const asJson = await node.run(['service', 'install', '--dry-run', '--json'], { supervision });
    expect(asJson.json).toMatchObject({ supervisor: 'systemd', scope: 'user', path: '/u/beckon.service', environmentFile: '/s/service.env', variables: ['PATH'], text: '[Unit]\n' });
    expect(asJson.stdout).not.toContain('/bin"');
  });

  test('a node that runs by hand is left at work; the hint is how to hand it over, and to outlive the logout', async () => {
    const { supervision, done } = books(stopped);
    const { code, stderr } = await node.run(['service', 'install'], { supervision });
    expect([code, done]).toEqual([0, ['write', 'enable']]);
    expect(stderr).toContain(`a node runs already, as process ${fakeStatus.pid}, by hand; to hand it over: beckon restart`);
    expect(stderr).toContain('loginctl enable-linger ada');
  });

  test.each([
    ['of another node', { otherOwner: '/other' }, /it runs the node of \/other/],
    ['that Beckon did not write', {}, /Beckon did not write it/],
  ])('a unit %s is never written over', async (_what, over, why) => {
    const { supervision, done } = books(stopped, { entry: 'other', ...over });
    const { code, stderr } = await node.run(['service', 'install'], { supervision });
    expect([code, done]).toEqual([6, []]);
    expect(stderr).toMatch(why);
  });

  test('installed for this user, it is not installed for the machine as well', async () => {
    const { supervision, done } = books(running, { isInstalled: true });
    const { code, stderr } = await node.run(['service', 'install', '--system'], { supervision });
    expect([code, done]).toEqual([6, []]);
    expect(stderr).toContain('as a unit of this user: /u/beckon.service');
  });

  test('a supervisor that does not read the new unit: it is removed again', async () => {
    const { supervision, done } = books(stopped, { cannot: 'enable' });
    expect((await node.run(['service', 'install'], { supervision })).code).toBe(4);
    expect(done).toEqual(['write', 'enable', 'remove']);
  });

  test('a node that fails: with the reason that it gave, and 4', async () => {
    const { supervision } = books({ state: 'failed', isEnabled: true, why: 'it exited with 2' }, { socketPath: nowhere });
    const { code, stderr } = await node.run(['service', 'install'], { supervision });
    expect({ code, stderr }).toEqual({ code: 4, stderr: 'error: the node failed: config.toml:3: unknown key "x"\nhint: known are: y\n' });
  });

  test('an agent at work installs and removes nothing', async () => {
    const { supervision, done } = books(running, { isInstalled: true });
    const env = { BECKON_TOKEN: 'of a flight' };
    for (const words of [['service', 'install'], ['service', 'uninstall'], ['uninstall', '--yes']]) expect((await node.run(words, { supervision, env })).code).toBe(5);
    expect(done).toEqual([]);
  });
});

describe('service uninstall', () => {
  test('drains, stops, and removes, in this order', async () => {
    const { supervision, done } = books(running, { isInstalled: true });
    const { code, json } = await node.run(['service', 'uninstall', '--json'], { supervision });
    expect([code, json]).toEqual([0, { removed: ['/u/beckon.service', '/s/service.env'] }]);
    expect(done).toEqual(['stop', 'disable', 'remove', 'forget']);
  });

  test('work that goes on after the wait: 10, and nothing is removed', async () => {
    const { supervision, done } = books(running, { isInstalled: true });
    const { code, stderr } = await node.run(['service', 'uninstall', '--timeout', '50ms'], { supervision, isAlive: () => true });
    expect([code, done]).toEqual([10, []]);
    expect(stderr).toContain('nothing was removed');
  });

  test('a node that runs by hand is not touched', async () => {
    const { supervision, done } = books(stopped, { isInstalled: true });
    expect((await node.run(['service', 'uninstall'], { supervision, isAlive: () => true })).code).toBe(0);
    expect(done).toContain('remove');
  });
});

describe('service status', () => {
  test('tells a node that the service runs from one that runs beside it', async () => {
    const own = await node.run(['service', 'status', '--json'], books(running, { isInstalled: true }));
    expect(own.json).toMatchObject({ installed: true, enabled: true, lingering: false, state: 'running', runsNode: true, current: true });
    const beside = await node.run(['service', 'status', '--json'], books(stopped, { isInstalled: true }));
    expect(beside.json).toMatchObject({ state: 'stopped', node: { pid: fakeStatus.pid }, runsNode: false });
    const none = await node.run(['service', 'status', '--json'], { ...books(stopped), socketPath: nowhere });
    expect([none.code, none.json]).toEqual([0, { installed: false, node: null }]);
  });
});

describe('restart and up --detach', () => {
  test('where it is installed, the supervisor starts the node, and no process beside it', async () => {
    const { supervision, done } = books(running, { isInstalled: true });
    const entry = await supervision.installed();
    // Gone with the shutdown, and there again when it was started.
    const changing = Object.create(entry ?? {}, { socketPath: { get: () => (done.includes('start') ? node.socketPath : nowhere) } }) as EntryPlan;
    const { code, stdout } = await node.run(['restart', '--json'], { supervision: { ...supervision, installed: () => Promise.resolve(changing) } });
    expect([code, done]).toEqual([0, ['start']]);
    expect(stdout).toBe('{"type":"ready","node":"laptop"}\n');
  });

  test('what only root can start again is not stopped', async () => {
    const { supervision } = books(running, { isInstalled: true, isChangeable: false });
    expect((await node.run(['restart'], { supervision })).code).toBe(5);
  });

  test.each(['config', 'policy'])('a node that could not start again, for its %s file, is not stopped', async (id) => {
    const { supervision, done } = books(running, { isInstalled: true });
    const examine = () => Promise.resolve([{ id, ok: false, detail: `${id}.toml:1:3: unknown key "alow"`, hint: 'did you mean allow?' }]);
    const { code, stderr } = await node.run(['restart'], { supervision, examine });
    expect([code, done]).toEqual([2, []]);
    expect(stderr).toMatch(/nothing was stopped, since it could not be started again: .*unknown key "alow"\nhint: did you mean allow/);
    expect((await node.run(['status'])).code).toBe(0);
  });
});

describe('uninstall', () => {
  test('by sudo it does nothing: what root has is not what is meant', async () => {
    const { code, stderr } = await node.run(['uninstall', '--yes'], { env: { SUDO_USER: 'ada' } });
    expect([code, stderr]).toEqual([5, expect.stringContaining('without sudo')]);
  });

  const belongings: Belongings = {
    found: [
      { what: 'database', path: '/s/beckon.db', bytes: 4_200_000 },
      { what: 'keys', path: '/s/trust', bytes: 700 },
    ],
    left: ['/s/notes.txt'],
    worktrees: [],
  };
  const removing = (removed: Belongings[], over: Partial<Belongings> = {}) => ({
    find: () => Promise.resolve({ ...belongings, ...over }),
    remove: (what: Belongings) => {
      removed.push(what);
      return Promise.resolve(what.found.map(({ path }) => path));
    },
  });

  test('says each path, and what stays; nothing goes without a yes', async () => {
    const removed: Belongings[] = [];
    const { supervision, done } = books(stopped, { isInstalled: true });
    const { code, stdout, stderr } = await node.run(['uninstall'], { socketPath: nowhere, supervision, belongings: removing(removed, { mesh: 'home', worktrees: ['/s/worktrees/x'] }) });
    expect([code, removed, done]).toEqual([2, [], []]);
    for (const path of ['/u/beckon.service', '/s/service.env', '/s/beckon.db', '/s/trust']) expect(stdout).toContain(path);
    expect(stdout).toContain('4.2 MB');
    expect(stderr).toMatch(/stays.*\/s\/notes\.txt[^]*1 worktree has work[^]*a member of home[^]*beckon mesh leave first[^]*nothing was done/);
  });

  test.each([
    ['y', 0, 1],
    ['n', 7, 0],
    ['', 7, 0],
  ])('asked in a terminal, %j ends with %i', async (answer, code, count) => {
    const removed: Belongings[] = [];
    const asked = node.process({ socketPath: nowhere, stdinIsTerminal: true, belongings: removing(removed) });
    const ended = asked.run('uninstall');
    await waitFor('the question', () => /Remove all of this/.test(asked.stderr));
    (asked.host.stdin as PassThrough).write(`${answer}\n`);
    expect([await ended, removed.length]).toEqual([code, count]);
  });

  test('while a node runs nothing is removed, unless --force stops it first', async () => {
    const removed: Belongings[] = [];
    const refused = await node.run(['uninstall', '--yes'], { belongings: removing(removed) });
    expect([refused.code, removed]).toEqual([6, []]);
    expect(refused.stderr).toContain('beckon down');
    const { code, json } = await node.run(['uninstall', '--yes', '--force', '--json'], { belongings: removing(removed) });
    expect([code, json]).toEqual([0, { removed: ['/s/beckon.db', '/s/trust'], left: ['/s/notes.txt'], worktrees: [], mesh: 'home' }]);
  });
});
