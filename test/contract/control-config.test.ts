/** `beckon config` on a real control socket, and without one. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { ConfigView } from '../../src/domain/config-view.ts';
import { FakeNode } from '../support/fake-node.ts';

const view: ConfigView = {
  path: '/home/ada/config.toml',
  exists: true,
  settings: [
    { key: 'listen', value: ['a:1'], from: 'environment', where: 'BECKON_LISTEN', overruled: [{ value: ['b:1'], from: 'file', where: '/home/ada/config.toml:2:10' }] },
    { key: 'log_level', value: 'info', from: 'default', where: '', overruled: [], waiting: { value: 'debug', from: 'file', where: '/home/ada/config.toml:1:13', needs: 'reload' } },
    { key: 'name', value: null, from: 'default', where: '', overruled: [], waiting: { value: 'studio', from: 'file', where: '/home/ada/config.toml:3:8', needs: 'restart' } },
    { key: 'seeds', value: ['c:1'], from: 'flag', where: '--seed', overruled: [] },
    { key: 'tailscale', value: 'off', from: 'remembered', where: '--tailscale', overruled: [] },
  ],
  flaws: [],
};
const flaws = [
  { source: '/home/ada/config.toml', line: 3, column: 5, message: 'unknown key "x"', hint: 'known are: …' },
  { source: 'BECKON_NAME', message: '"a b" is not a name', hint: 'for example: BECKON_NAME=laptop' },
];

let node: FakeNode;
beforeEach(async () => {
  node = await new FakeNode().start();
});
afterEach(() => node.stop());

describe('beckon config show', () => {
  test('is what the running node has in force, from whom, and what waits', async () => {
    node.config = view;
    const { code, stdout, stderr } = await node.run(['config', 'show']);
    expect([code, stdout]).toEqual([
      0,
      [
        'SETTING    VALUE    FROM                          WAITING',
        'listen     ["a:1"]  BECKON_LISTEN',
        'log_level  info     default                       after SIGHUP: debug',
        'name       -        default                       after a restart: studio',
        'seeds      ["c:1"]  --seed of this start',
        'tailscale  off      --tailscale of an earlier up',
        '',
      ].join('\n'),
    ]);
    expect(stderr).toBe('listen: ["b:1"] of config.toml:2:10 does not count: BECKON_LISTEN goes before it\n');
  });

  test('is one document with --json', async () => {
    node.config = { ...view, flaws };
    const { code, json, stderr } = await node.run(['config', 'show', '--json']);
    expect([code, json, stderr]).toEqual([0, { path: view.path, exists: true, running: true, settings: view.settings, problems: flaws }, '']);
  });

  test('says that the node goes on with what it has when its file is broken now', async () => {
    node.config = { ...view, flaws };
    const { code, stderr } = await node.run(['config', 'show']);
    expect(code).toBe(0);
    expect(stderr).toContain('error: /home/ada/config.toml:3:5: unknown key "x"\nhint: known are: …\n');
    expect(stderr).toContain('the node goes on with what it read before');
  });

  test('without a node is what the next one finds; it exits 2 when that would not start', async () => {
    await node.server.stop();
    const config = { path: () => view.path, here: () => Promise.resolve({ ...view, flaws }), check: () => Promise.resolve({ exists: true, flaws: [] }) };
    const ran = await node.run(['config', 'show'], { config });
    expect([ran.code, ran.stderr]).toEqual([2, expect.stringContaining('no node runs here: that is what the next one finds')]);
    expect((await node.run(['config', 'show', '--json'], { config })).json).toMatchObject({ running: false, problems: flaws });
  });
});

describe('beckon config check', () => {
  const config = (found: readonly typeof flaws[number][], exists = true) => ({ path: () => view.path, here: () => Promise.resolve({ ...view, exists, flaws: found }), check: () => Promise.resolve({ exists, flaws: found }) });

  test('says all that is wrong, each with its place, and exits 2', async () => {
    const { code, stderr } = await node.run(['config', 'check'], { config: config(flaws) });
    expect([code, stderr]).toEqual([2, 'error: /home/ada/config.toml:3:5: unknown key "x"\nhint: known are: …\nerror: BECKON_NAME: "a b" is not a name\nhint: for example: BECKON_NAME=laptop\n']);
    expect((await node.run(['config', 'check', '--json'], { config: config(flaws) })).json).toEqual({ path: view.path, exists: true, ok: false, problems: flaws });
  });

  test('exits 0 when nothing is, file or no file', async () => {
    expect(await node.run(['config', 'check'], { config: config([]) })).toMatchObject({ code: 0, stderr: '/home/ada/config.toml is understood\n' });
    expect(await node.run(['config', 'check'], { config: config([], false) })).toMatchObject({ code: 0, stderr: 'there is no /home/ada/config.toml: all is as it is by default\n' });
  });

  test('of a file that was named and is not there is not found', async () => {
    expect(await node.run(['config', 'check', 'x.toml'], { config: config([], false) })).toMatchObject({ code: 3, stderr: expect.stringContaining('there is no file /x.toml') });
  });
});

test('beckon config path is where it would be', async () => {
  expect(await node.run(['config', 'path'])).toMatchObject({ code: 0, stdout: '/nowhere/config.toml\n' });
  expect((await node.run(['config', 'path', '--json'])).json).toEqual({ path: '/nowhere/config.toml' });
});
