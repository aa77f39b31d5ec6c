/** The log of real nodes: what is in it, what is not, and that nothing waits for it. */
import { readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { makeSmallDisk } from '../chaos/disk.ts';
import { Cluster, waitsFor } from '../support/cluster.ts';
import type { Json } from '../support/cli.ts';
import { searchLogs } from '../support/log-search.ts';
import type { TestNode } from '../support/node-process.ts';
import { because } from '../support/programs.ts';
import { noTerminal } from '../support/terminal.ts';
import { waitFor } from '../support/wait-for.ts';

/** @param mayBeCut a full disk took a piece of a line */
const logged = ({ log }: TestNode, { mayBeCut = false } = {}): Json[] =>
  log
    .split('\n')
    .slice(0, -1)
    .filter((line) => !mayBeCut || line.endsWith('}'))
    .map((line) => JSON.parse(line) as Json);

describe('the logs of two busy nodes', () => {
  test('name what happened, to which work, with whom; and hold no task, output, argument, variable, token or key', async () => {
    const { cluster, laptop, desktop } = await Cluster.meshed('laptop', 'desktop');
    await using _ = cluster;
    /** None of these is a word of Beckon. */
    const texts = new Map<string, string>();
    const text = (of: string): string => {
      texts.set(of, `zebra-${of}-${Math.random().toString(36).slice(2)} and more words`);
      return texts.get(of) ?? '';
    };
    const program = (name: string, body: string): string => cluster.program(name, body);
    const env = ['--env', `SERVICE_KEY=${text('env')}`];
    await desktop.addAgent('echo', ['/bin/cat'], env);
    await desktop.addAgent('fails', [program('fails', `cat >&2; echo '${text('stderr')}' >&2; exit 7`), text('argv')], env);
    await desktop.addAgent('broken', ['/nowhere/broken', text('argument of a missing program')]);
    await desktop.addAgent('waits', [program('waits', `echo '${text('stdout')}'; ${waitsFor(cluster.path('gate'))}`)]);
    // It is no agent of that protocol, and dies saying so.
    await desktop.addAgent('dies', [program('dies', `read -r line; echo '${text('a line that is no message')}'; echo '${text('last words')}' >&2; exit 3`)], ['--harness', 'acp']);
    await waitFor('the agents at the laptop', async () => ((await laptop.json(['agents']))['agents'] as Json[]).length === 5);
    const file = cluster.path('notes.txt');
    writeFileSync(file, text('file'));
    writeFileSync(join(laptop.home, 'config.toml'), `notify = ["${program('tell', `echo "$BECKON_PROMPT $BECKON_ERROR ${text('notifier')}" >&2; exit 9`)}", "${text('argument of the notifier')}"]\nnotify_all = true\n`);
    process.kill(laptop.pid ?? 0, 'SIGHUP');
    await waitFor('the config to be read', () => laptop.log.includes('was read again'));

    const ids: string[] = [];
    const invoke = async (agent: string, flags: readonly string[] = []): Promise<Json> => {
      const { last } = await laptop.invoke([`@${agent}@desktop#main`, text(`task of ${agent}`), ...flags]);
      return last;
    };
    expect(await invoke('echo', ['-f', file])).toMatchObject({ state: 'completed' });
    expect(await invoke('fails')).toMatchObject({ state: 'failed', exitCode: 7 });
    expect(await invoke('broken')).toMatchObject({ error: { code: 'unavailable' } });
    expect(await invoke('dies')).toMatchObject({ state: 'failed' });
    await laptop.invoke(['@nobody@desktop#main', text('task for nobody')]);
    await laptop.beckon(['mesh', 'join', `bkn1.${'A'.repeat(80)}`]);
    const { token } = await laptop.json(['mesh', 'invite']);
    await laptop.invoke(['@waits@desktop#main', text('task that is cut off'), '--detach']).then(({ last }) => ids.push(String(last['flightId'])));
    await waitFor('it to run', async () => ((await laptop.json(['flight', 'show', ids[0] ?? '']))['flight'] as Json)['state'] === 'running');
    await desktop.kill9();
    await desktop.up();
    await laptop.peer('desktop', 'alive');
    await waitFor('its end', async () => ((await laptop.json(['flight', 'show', ids[0] ?? '']))['flight'] as Json)['state'] === 'indeterminate');
    await waitFor('the notifier to have failed', () => laptop.log.includes('a notification could not be shown'));

    for (const node of [laptop, desktop]) {
      const all = readdirSync(join(node.home, 'logs')).map((name) => readFileSync(join(node.home, 'logs', name), 'utf8')).join('');
      expect([...texts].filter(([, each]) => all.includes(each.split(' ')[0] ?? '')).map(([of]) => of)).toEqual([]);
      expect(all.includes(String(token))).toBe(false);
      expect(searchLogs(node.home)).toEqual([]);
    }
    expect(texts.size).toBeGreaterThan(14);

    // It is searched in the right place, and for the right things.
    const [line = ''] = laptop.log.split('\n');
    for (const [of, planted] of [['a task', texts.get('task of fails')], ['what an agent said', texts.get('task of echo')], ['a token', `${ids[0]}.${'m'.repeat(43)}`], ['a token', String(token)]] as const) {
      writeFileSync(join(laptop.home, 'logs', 'node.log.9'), `${line}\n${JSON.stringify({ msg: `it said: ${planted}` })}\n`);
      expect(searchLogs(laptop.home)).toEqual(expect.arrayContaining([expect.stringContaining(`node.log.9 has ${of}`)]));
    }
    rmSync(join(laptop.home, 'logs', 'node.log.9'));

    const lines = [...logged(laptop), ...logged(desktop)];
    const { node: own } = await laptop.json(['status']);
    const { peers } = await laptop.json(['peers']);
    const [peer] = peers as Json[];
    for (const each of lines) expect(each).toMatchObject({ type: 'log', at: expect.stringMatching(/^2.*Z$/), level: expect.stringMatching(/^(debug|info|warn|error)$/), msg: expect.any(String) });
    expect(lines.filter((each) => each['peer'] === 'desktop').map((each) => each['peerId'] as string)).toEqual(expect.arrayContaining([peer?.['nodeId']]));
    expect(lines.filter((each) => each['peer'] !== undefined && each['peerId'] === undefined)).toEqual([]);
    expect(lines.filter((each) => each['flightId'] !== undefined).length).toBeGreaterThan(0);
    expect(lines.filter((each) => each['flightId'] !== undefined && !String(each['invocationId']).startsWith('inv_'))).toEqual([]);
    expect(logged(laptop).filter((each) => each['nodeId'] !== (own as Json)['id'])).toEqual([]);
  });
});

describe('the log of a node in the foreground', () => {
  test('is on its stderr as it is in its file, where that is no terminal; and beckon logs reads it while the node runs and after', async () => {
    await using cluster = await Cluster.create();
    const laptop = await cluster.node('laptop');
    const run = laptop.start(['up', '--listen', laptop.place.listen, '--tailscale', 'off', '--name', 'laptop'], { timeoutMs: 60_000 });
    await run.event('ready');
    const [first] = logged(laptop);
    expect(first).toMatchObject({ level: 'info', name: 'laptop', msg: 'the node is up' });
    const follow = laptop.start(['logs', '-f', '--json', '-n', '1000'], { timeoutMs: 60_000 });
    await follow.event('log', (each) => each['msg'] === 'the node is up');
    await laptop.beckon(['down']);
    const { stderr, code } = await run.ended;
    expect(code).toBe(0);
    await follow.event('log', (each) => each['msg'] === 'the node is down');
    follow.signal('SIGINT');
    expect((await follow.ended).text).toBe(laptop.log);
    const lines = stderr.split('\n').filter((line) => line.startsWith('{'));
    expect(`${lines.join('\n')}\n`).toBe(laptop.log);
    expect((await laptop.beckon(['logs', '--level', 'info'])).text.split('\n').map((each) => each.slice(20, 44))).toEqual(['info  the node is up  na', 'info  the node is down', '']);
  });

  test('is read from the environment how loud it is, and SIGHUP changes that, with no line of another kind', async () => {
    await using cluster = await Cluster.create();
    const laptop = await cluster.node('laptop');
    const config = join(laptop.home, 'config.toml');
    writeFileSync(config, 'log_level = "error"\nlog_size_mb = 1\n');
    await laptop.up({ env: { BECKON_LOG_LEVEL: '' }, detach: true });
    writeFileSync(config, 'log_level = "info"\nlisten = ["127.0.0.1:1"]\nseeds = ["127.0.0.1:2"]\n');
    process.kill(laptop.pid ?? 0, 'SIGHUP');
    await waitFor('the config to be read', () => laptop.log.includes('waits for a restart: seeds'));
    const { settings, running } = await laptop.json(['config', 'show']);
    const of = (key: string): Json | undefined => (settings as Json[]).find((each) => each['key'] === key);
    expect(running).toBe(true);
    expect(of('log_level')).toMatchObject({ value: 'info', from: 'file', where: `${config}:1:13` });
    expect(of('log_size_mb')).toMatchObject({ value: 10, from: 'default' });
    expect(of('listen')).toMatchObject({ value: [laptop.place.listen], from: 'flag', overruled: [{ value: ['127.0.0.1:1'] }] });
    expect(of('seeds')).toMatchObject({ value: null, from: 'default', waiting: { value: ['127.0.0.1:2'], needs: 'restart' } });
    writeFileSync(config, 'log_level = "debug"\nlog_lvl = 1\n');
    process.kill(laptop.pid ?? 0, 'SIGHUP');
    await waitFor('it to be refused', () => laptop.log.includes(`nothing is changed: ${config}:2:1: unknown key`));
    expect((await laptop.json(['config', 'show']))['problems']).toMatchObject([{ source: config, line: 2, column: 1, hint: expect.stringContaining('did you mean log_level?') }]);
    expect(logged(laptop).map((each) => each['level'] as string)).toEqual(['info', 'warn', 'error']);
    expect(statSync(join(laptop.home, 'logs', 'node.log')).mode & 0o777).toBe(0o600);
    await laptop.down();
    expect((await laptop.beckon(['up', '--detach'])).code).toBe(2);
  });
});

test.skipIf(noTerminal !== undefined)(`a node on a terminal shows its log there; SIGHUP is a wish while the terminal is there, and the end when it is gone${because(noTerminal)}`, async () => {
  await using cluster = await Cluster.create();
  const laptop = await cluster.node('laptop');
  const run = laptop.start(['up', '--listen', laptop.place.listen, '--tailscale', 'off', '--name', 'laptop'], { terminal: true, timeoutMs: 60_000 });
  await waitFor('it to be up', () => run.stdout.includes('laptop is up'), { timeoutMs: 20_000 });
  process.kill(laptop.pid ?? 0, 'SIGHUP');
  await waitFor('the config to be read', () => run.stdout.includes('the config file was read again'));
  const shown = run.stdout.toString().split('\r\n');
  expect(shown.filter((line) => line.includes('the node is up'))).toEqual([expect.stringMatching(/^\S+ \S+ .*info .* the node is up /)]);
  expect(shown.filter((line) => line.includes('"level"'))).toEqual([]);
  // What made the terminal is gone, and the terminal with it.
  run.signal('SIGKILL');
  await waitFor('the node to end', () => laptop.pid === undefined, { timeoutMs: 20_000 });
  expect(logged(laptop).map(({ msg }) => String(msg).split(':')[0])).toEqual(['the node is up', 'the config file was read again', 'the node is down']);
});

describe('a disk that the log fills', () => {
  test('stops no work; what was lost is said when there is room again', async ({ skip }) => {
    const cluster = await Cluster.create();
    const [laptop, desktop] = [await cluster.node('laptop'), await cluster.node('desktop')];
    const disk = makeSmallDisk(join(desktop.home, 'logs'), 1);
    try {
      if (typeof disk === 'string') return skip(disk);
      await cluster.join([laptop, desktop]);
      await desktop.addAgent('echo', ['/bin/cat']);
      await waitFor('the agent at the laptop', async () => ((await laptop.json(['agents']))['agents'] as Json[]).length === 1);
      const reload = (): boolean => process.kill(desktop.pid ?? 0, 'SIGHUP');
      disk.fill();
      // What is left of the last page of the file is taken, too.
      let last = 0;
      await waitFor('the log to be full', () => {
        const { length } = desktop.log;
        const isFull = length === last;
        last = length;
        return isFull || !reload();
      }, { timeoutMs: 20_000, pollMs: 100 });
      expect((await laptop.invoke(['echo@desktop', 'hello there'])).last).toMatchObject({ state: 'completed', output: 'hello there' });
      expect((await desktop.json(['status']))['node']).toMatchObject({ name: 'desktop' });
      disk.free();
      await waitFor('what was lost to be told', () => reload() && desktop.log.includes('lines of the log were lost'));
      const lost = logged(desktop, { mayBeCut: true }).find((each) => String(each['msg']).startsWith('lines of the log were lost'));
      expect(lost).toMatchObject({ level: 'warn', code: 'ENOSPC' });
      expect(lost?.['lost']).toBeGreaterThan(0);
      await desktop.down();
    } finally {
      if (desktop.pid !== undefined) await desktop.kill9();
      if (typeof disk !== 'string') disk.remove();
      await cluster[Symbol.asyncDispose]();
    }
  });
});
