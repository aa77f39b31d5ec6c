/** The node as a service of a real systemd: one machine, from its installation to its end. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Json } from '../support/cli.ts';
import { because } from '../support/programs.ts';
import { noSystemd, SystemdMachine } from '../support/systemd-machine.ts';
import type { Said } from '../support/systemd-machine.ts';
import { waitFor } from '../support/wait-for.ts';

const state = '/home/ada/.local/state/beckon';
const unit = '/home/ada/.config/systemd/user/beckon.service';

describe.skipIf(noSystemd !== undefined)(`a node that systemd runs${because(noSystemd)}`, () => {
  let machine: SystemdMachine;
  const systemctl = (...words: readonly string[]): Said => machine.asAda(['systemctl', '--user', ...words]);
  const property = (name: string): string => systemctl('show', 'beckon.service', `--property=${name}`, '--value').stdout.trim();
  const pid = (): number => Number((machine.json(['status'])['node'] as Json)['pid']);
  const processes = (): string[] => machine.asRoot('ps', '-eo', 'args').stdout.split('\n').filter((line) => / up --drain /.test(line));
  const flights = (): Json[] => machine.json(['flights'])['flights'] as Json[];
  const isUp = (): boolean => machine.asAda(['beckon', 'status', '--json']).code === 0;

  beforeAll(async () => {
    machine = await SystemdMachine.create();
    await machine.boot();
    // Packages are fetched and unpacked, on a machine that may have other tests to run.
  }, 600_000);
  afterAll(() => machine?.[Symbol.asyncDispose]());

  test('where systemd of this user does not run, nothing is half installed', () => {
    const { code, stderr } = machine.asAda(['beckon', 'service', 'install'], { XDG_RUNTIME_DIR: '' });
    expect({ code, stderr }).toMatchObject({ code: 4, stderr: expect.stringMatching(/Failed to connect to bus.*\nhint: log in as this user/) });
    expect(machine.json(['service', 'status'])).toEqual({ installed: false, node: null });
  });

  test('one command installs it and starts it, and a second one changes nothing', async () => {
    machine.asRoot('loginctl', 'enable-linger', 'ada');
    await waitFor('her own systemd', () => systemctl('is-system-running').stdout.startsWith('running'), { timeoutMs: 15_000, pollMs: 100 });
    const first = machine.asAda(['beckon', 'service', 'install']);
    expect(first).toMatchObject({ code: 0, stdout: `installed: ${unit}\n` });
    expect(first.stderr).toContain(`captured in ${state}/service.env: LANG, PATH, SHELL`);
    expect(machine.json(['service', 'status'])).toMatchObject({ installed: true, scope: 'user', enabled: true, lingering: true, state: 'running', pid: pid(), runsNode: true, current: true });
    const before = pid();
    expect(machine.asAda(['beckon', 'service', 'install'])).toMatchObject({ code: 0, stdout: 'it is installed already, and nothing has changed\n' });
    expect(pid()).toBe(before);
    expect(machine.asAda(['systemd-analyze', '--user', 'verify', unit])).toMatchObject({ code: 0, stdout: '', stderr: '' });
  });

  test('killed, it is started again at once and goes on with its work, and nothing of the killed one is left', async () => {
    machine.beckon(['agent', 'add', 'slow', '--workspace', 'main', '--cwd', '/home/ada', '--', 'sh', '-c', 'sleep 3600; echo no']);
    machine.beckon(['agent', 'add', 'quick', '--workspace', 'main', '--cwd', '/home/ada', '--', 'cat']);
    for (const task of ['1', '2', '3', '4']) machine.beckon(['invoke', 'slow/main', task, '--detach']);
    machine.beckon(['invoke', 'slow/main', 'queued behind the four that run', '--detach']);
    await waitFor('four to run', () => flights().filter((each) => each['state'] === 'running').length === 4, { pollMs: 100 });
    const before = pid();
    machine.asRoot('kill', '-KILL', String(before));
    await waitFor('what was queued to run', () => isUp() && flights().some((each) => each['state'] === 'running'), { timeoutMs: 20_000, pollMs: 50 });
    const [died, started] = ['InactiveEnterTimestampMonotonic', 'ExecMainStartTimestampMonotonic'].map((name) => Number(property(name)) / 1_000);
    expect((started ?? Infinity) - (died ?? 0), 'ms; the rest of the five seconds is the start of a node, which takes as long as this machine is busy').toBeLessThan(2_000);
    expect(pid()).not.toBe(before);
    expect(flights().map((each) => String(each['state']))).toEqual(['running', 'indeterminate', 'indeterminate', 'indeterminate', 'indeterminate']);
    const sleeping = machine.asRoot('pgrep', '--count', '--full', '^sleep 3600').stdout.trim();
    expect(sleeping, 'of the one that runs now').toBe('1');
    machine.beckon(['flight', 'cancel', 'last']);
  });

  test('stopping waits for what runs, and takes its processes along', async () => {
    machine.beckon(['agent', 'add', 'brief', '--workspace', 'main', '--cwd', '/home/ada', '--', 'sh', '-c', 'sleep 3; echo done']);
    const id = machine.beckon(['invoke', 'brief/main', 'x', '--detach']).trim();
    await waitFor('it to run', () => flights()[0]?.['state'] === 'running', { pollMs: 100 });
    expect(systemctl('stop', 'beckon.service')).toMatchObject({ code: 0 });
    expect(property('Result')).toBe('success');
    expect(processes()).toEqual([]);
    machine.beckon(['up', '--detach']);
    expect(pid()).toBe(Number(property('MainPID')));
    expect(machine.json(['flight', 'show', id])['flight']).toMatchObject({ state: 'completed', output: 'done\n' });
  });

  test('after a reboot it is up by itself', async () => {
    const { id } = machine.json(['status'])['node'] as Json;
    await machine.reboot();
    await waitFor('the node', isUp, { timeoutMs: 15_000, pollMs: 100 });
    expect(machine.json(['status'])['node']).toMatchObject({ id });
    expect(machine.json(['service', 'status'])).toMatchObject({ state: 'running', runsNode: true });
  });

  test('beckon restart goes through systemd', () => {
    const before = pid();
    const { type, node } = machine.json(['restart']);
    expect({ type, node }).toEqual({ type: 'ready', node: 'tester' });
    expect(pid()).not.toBe(before);
    expect(pid()).toBe(Number(property('MainPID')));
  });

  test('a config file that is wrong fails it once, with the reason in its journal and in what start says', async () => {
    const config = '/home/ada/.config/beckon/config.toml';
    machine.asAda(['sh', '-c', `mkdir -p ~/.config/beckon && echo 'notfy = ["x"]' > ${config}`]);
    machine.beckon(['down']);
    const { code, stderr } = machine.asAda(['beckon', 'up', '--detach']);
    expect({ code, stderr }).toMatchObject({ code: 4, stderr: expect.stringContaining(`error: the node failed: ${config}:1`) });
    expect(stderr).toContain('unknown key "notfy"');
    expect([property('ActiveState'), property('ExecMainStatus'), property('NRestarts')]).toEqual(['failed', '2', '0']);
    expect(machine.asAda(['journalctl', '--user', '--user-unit=beckon.service', '--output=cat', '--lines=20']).stdout).toContain('unknown key "notfy"');
    expect(machine.json(['service', 'status'])).toMatchObject({ state: 'failed', why: 'it exited with 2', node: null, runsNode: false });
    machine.asAda(['rm', config]);
    expect(machine.asAda(['beckon', 'service', 'install'])).toMatchObject({ code: 0 });
    expect(pid()).toBe(Number(property('MainPID')));
  });

  test('what may mend itself is tried again, less often than what was killed', async () => {
    machine.beckon(['down']);
    // An address of a network that this machine does not have yet.
    machine.asAda(['sh', '-c', `echo '{"listen":["192.0.2.7:7423"]}' > ${state}/up.json`]);
    const { code, stderr } = machine.asAda(['beckon', 'up', '--detach']);
    expect({ code, stderr }).toMatchObject({ code: 4, stderr: expect.stringMatching(/the node failed.*192\.0\.2\.7:7423: this machine has no such address/) });
    expect(property('NRestarts')).toBe('0');
    machine.asRoot('ip', 'address', 'add', '192.0.2.7/32', 'dev', 'lo');
    await waitFor('the next try', isUp, { timeoutMs: 30_000, pollMs: 200 });
    expect(property('NRestarts')).toBe('1');
    expect(pid()).toBe(Number(property('MainPID')));
    machine.asAda(['sh', '-c', `echo '{}' > ${state}/up.json`]);
  });

  test('another shell with another environment brings it up to date, and interrupts nothing', () => {
    const before = pid();
    const { code, stdout, stderr } = machine.asAda(['beckon', 'service', 'install'], { ANTHROPIC_API_KEY: 'sk-secret', PATH: '/home/ada/else:/usr/local/bin:/usr/bin:/bin' });
    expect({ code, stdout }).toEqual({ code: 0, stdout: `brought up to date: ${unit}\n` });
    expect(stderr).toContain('what changed is in force after: beckon restart');
    expect(pid()).toBe(before);
    expect(machine.asRoot('stat', '-c', '%a %U', `${state}/service.env`).stdout).toBe('600 ada\n');
    expect(machine.read(unit)).not.toContain('sk-secret');
    expect(systemctl('show', 'beckon.service').stdout).not.toContain('sk-secret');
    const third = machine.asAda(['beckon', 'service', 'install'], { PATH: '/home/ada/else:/usr/local/bin:/usr/bin:/bin' });
    expect(third).toMatchObject({ stdout: 'it is installed already, and nothing has changed\n', stderr: expect.stringContaining('this shell has no ANTHROPIC_API_KEY: as captured before') });
  });

  test('uninstalled, nothing runs and nothing starts again; what it stored stays', async () => {
    const { removed } = machine.json(['service', 'uninstall']);
    expect(removed).toEqual([unit, `${state}/service.env`]);
    expect(processes()).toEqual([]);
    expect(property('LoadState')).toBe('not-found');
    expect(machine.asAda(['sh', '-c', 'ls ~/.config/systemd/user/default.target.wants']).stdout).toBe('');
    await machine.reboot();
    await waitFor('her own systemd', () => systemctl('is-system-running').stdout.startsWith('running'), { timeoutMs: 15_000, pollMs: 100 });
    expect(processes()).toEqual([]);
    expect(machine.read(`${state}/beckon.db`).length).toBeGreaterThan(0);
    expect(machine.json(['service', 'uninstall'])).toEqual({ removed: [] });
  });

  test('any path and any value arrive as they are', async () => {
    const home = `/home/ada/a "q" 'q' $HOME \${X} %n %% [x]* \\ ü`;
    const values = { OPENAI_API_KEY: `" ' $HOME \\ \` %h #x = \\" end\\`, OPENAI_ODD: 'two\nlines \\\n', OPENAI_EMPTY: '' };
    machine.asAda(['mkdir', '-m', '700', home]);
    const env = { BECKON_HOME: home, ...values };
    expect(machine.asAda(['beckon', 'service', 'install'], env)).toMatchObject({ code: 0 });
    expect(machine.asAda(['systemd-analyze', '--user', 'verify', unit])).toMatchObject({ code: 0, stdout: '', stderr: '' });
    writeFileSync(join(machine.root, 'home/ada/show'), '#!/usr/bin/env -S sh\nenv -0\n', { mode: 0o755 });
    const names = Object.keys(values).flatMap((name) => ['--env', name]);
    machine.beckon(['agent', 'add', 'show', '--workspace', 'main', '--cwd', '/home/ada', ...names, '--', '/home/ada/show'], { BECKON_HOME: home });
    const given = machine.beckon(['invoke', 'show/main', ''], { BECKON_HOME: home });
    const found = Object.fromEntries(given.split('\0').map((each) => [each.slice(0, each.indexOf('=')), each.slice(each.indexOf('=') + 1)]));
    expect(found).toMatchObject(values);
    expect(found['BECKON_HOME']).toBe(home);
    expect(machine.asAda(['beckon', 'service', 'install'])).toMatchObject({ code: 6, stderr: expect.stringContaining('it runs the node of') });
    expect(machine.json(['service', 'uninstall'], { BECKON_HOME: home })['removed']).toEqual([unit, `${home}/service.env`]);
  });

  test('of the machine, it runs as who called sudo, with the environment of their shell, from boot on', async () => {
    machine.asRoot('loginctl', 'disable-linger', 'ada');
    const refused = machine.asAda(['beckon', 'service', 'install', '--system']);
    expect(refused).toMatchObject({ code: 5, stderr: expect.stringContaining('sudo') });
    expect(machine.asRoot('beckon', 'service', 'install', '--system')).toMatchObject({ code: 5, stderr: expect.stringContaining('every agent would be root') });
    expect(machine.asAda(['sudo', 'beckon', 'service', 'install'])).toMatchObject({ code: 5, stderr: expect.stringContaining('without sudo') });
    const installed = machine.asAda(['sudo', 'beckon', 'service', 'install', '--system']);
    expect(installed).toMatchObject({ code: 0, stdout: 'installed: /etc/systemd/system/beckon.service\n' });
    expect(machine.read('/etc/beckon/service.env')).toContain('PATH="/home/ada/bin:/usr/local/bin:/usr/bin:/bin"');
    expect(machine.asRoot('stat', '-c', '%a %U', '/etc/beckon/service.env').stdout).toBe('600 root\n');
    const system = machine.read('/etc/systemd/system/beckon.service');
    expect(system).toMatch(/^User=ada$/m);
    expect(system).toMatch(/^After=.*network-online\.target.* tailscaled\.service$/m);
    expect(machine.asRoot('systemd-analyze', 'verify', '/etc/systemd/system/beckon.service')).toMatchObject({ code: 0, stdout: '', stderr: '' });
    await machine.reboot();
    await waitFor('the node', isUp, { timeoutMs: 15_000, pollMs: 100 });
    expect(machine.asRoot('ps', '-o', 'user=', '-p', String(pid())).stdout.trim()).toBe('ada');
    expect(machine.json(['service', 'status'])).toMatchObject({ scope: 'system', user: 'ada', state: 'running', runsNode: true, current: true });
    const before = pid();
    expect(machine.asAda(['beckon', 'restart'])).toMatchObject({ code: 5, stderr: expect.stringContaining('sudo systemctl restart beckon') });
    expect(pid(), 'nothing was stopped').toBe(before);
    expect(machine.asAda(['sudo', 'beckon', 'service', 'uninstall', '--json'])).toMatchObject({ code: 0, stdout: `${JSON.stringify({ removed: ['/etc/systemd/system/beckon.service', '/etc/beckon/service.env'] })}\n` });
    expect(processes()).toEqual([]);
  });
});
