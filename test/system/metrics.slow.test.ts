/** Two real nodes at work, watched by a real Prometheus; its dashboard, its alerts, and what promtool says of all of it. */
import { spawn, spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Cluster, freePort, waitsFor } from '../support/cluster.ts';
import { dashboardAnnotations, dashboardQueries, dashboardVariables } from '../support/dashboard.ts';
import type { TestNode } from '../support/node-process.ts';
import { because, findProgram, missing } from '../support/programs.ts';
import { waitFor } from '../support/wait-for.ts';
import { root } from '../unit/repo/source.ts';

const absent = missing('prometheus', 'promtool');
const rules = join(root, 'docker', 'prometheus');

interface Sample {
  readonly metric: Readonly<Record<string, string>>;
  readonly value: readonly [number, string];
}

/** Asks every second, by the rules that are in the tree. */
class Prometheus {
  readonly #url: string;
  readonly #child: ReturnType<typeof spawn>;
  readonly #said: string[] = [];

  constructor(directory: string, port: number, targets: readonly string[]) {
    mkdirSync(directory);
    const config = join(directory, 'prometheus.yml');
    const jobs = `scrape_configs:\n  - job_name: beckon\n    static_configs:\n      - targets: ${JSON.stringify(targets)}\n`;
    writeFileSync(config, `global: { scrape_interval: 1s, evaluation_interval: 1s }\nrule_files: [${JSON.stringify(join(rules, 'alerts.yml'))}]\n${jobs}`);
    this.#url = `http://127.0.0.1:${port}/api/v1`;
    const flags = [`--config.file=${config}`, `--storage.tsdb.path=${join(directory, 'data')}`, `--web.listen-address=127.0.0.1:${port}`];
    this.#child = spawn(findProgram('prometheus') ?? '', flags, { stdio: ['ignore', 'ignore', 'pipe'] });
    this.#child.stderr?.on('data', (chunk: Buffer) => this.#said.push(chunk.toString()));
  }

  async api<Data>(path: string, query: Readonly<Record<string, string>> = {}): Promise<Data> {
    const answer = (await (await fetch(`${this.#url}/${path}?${new URLSearchParams(query).toString()}`)).json()) as { status: string; data: Data; error?: string };
    if (answer.status !== 'success') throw new Error(`${path} ${JSON.stringify(query)}: ${answer.error}`);
    return answer.data;
  }

  async query(query: string): Promise<readonly Sample[]> {
    return (await this.api<{ result: readonly Sample[] }>('query', { query })).result;
  }

  async number(query: string): Promise<number> {
    return Number((await this.query(query))[0]?.value[1] ?? Number.NaN);
  }

  async stop(): Promise<void> {
    const ended = new Promise((resolve) => this.#child.once('exit', resolve));
    if (this.#child.exitCode !== null) throw new Error(`prometheus ended by itself: ${this.#said.join('').slice(-2000)}`);
    this.#child.kill('SIGKILL');
    await ended;
  }
}

function promtool(args: readonly string[], input = ''): { readonly status: number | null; readonly text: string } {
  const { status, stdout, stderr } = spawnSync(findProgram('promtool') ?? '', args, { cwd: rules, input, encoding: 'utf8' });
  return { status, text: `${stdout}${stderr}` };
}

describe.skipIf(absent !== undefined)(`metrics${because(absent)}`, () => {
  let cluster: Cluster;
  let laptop: TestNode;
  let desktop: TestNode;
  let prometheus: Prometheus;
  const ports: Record<string, number> = {};

  const page = async (node: TestNode): Promise<string> => (await fetch(`http://127.0.0.1:${ports[node.name]}/metrics`)).text();
  /** Who asks twice within half a second is told the same: the first answer may be from before. */
  const newPage = async (node: TestNode): Promise<string> => {
    const told = await page(node);
    return waitFor('a newer page', async () => {
      const next = await page(node);
      return next === told ? undefined : next;
    }, { pollMs: 50 });
  };

  beforeAll(async () => {
    cluster = await Cluster.create();
    const watched = async (name: string): Promise<TestNode> => {
      const node = await cluster.node(name);
      ports[name] = await freePort();
      writeFileSync(join(node.home, 'config.toml'), `metrics_listen = "127.0.0.1:${ports[name]}"\n`);
      return node;
    };
    [laptop, desktop] = [await watched('laptop'), await watched('desktop')];
    for (const node of [laptop, desktop]) Object.assign(node.place, { gossipListen: `127.0.0.1:${await freePort()}` });
    await cluster.join([laptop, desktop]);
    for (const node of [laptop, desktop]) await node.addAgent('echo', ['/bin/cat']);
    // Busy for as long as the test lasts, with more in the queue.
    await desktop.addAgent('slow', ['sh', '-c', waitsFor(cluster.path('gate'))], ['--concurrency', '1']);
    for (const key of ['one', 'two']) await waitFor('the agent to be known', async () => (await laptop.beckon(['invoke', '@slow@desktop#main', key, '--detach'])).code === 0, { timeoutMs: 20_000, pollMs: 200 });
    prometheus = new Prometheus(cluster.path('prometheus'), await freePort(), Object.values(ports).map((port) => `127.0.0.1:${port}`));
  });

  afterAll(async () => {
    await prometheus?.stop();
    cluster?.open('gate');
    await cluster?.[Symbol.asyncDispose]();
  });

  test('a real Prometheus scrapes both nodes, and every query of the dashboard has an answer', async () => {
    await waitFor('both to be up', async () => (await prometheus.number('sum(up{job="beckon"})')) === 2, { timeoutMs: 20_000, pollMs: 200 });
    const interval = '20s';
    let open = dashboardQueries(interval);
    expect(open.length).toBeGreaterThan(40);
    await waitFor('an answer to each query', async () => {
      // Both ways, so that rates of all of it are there.
      await Promise.all([laptop.invoke(['@echo@desktop#main', 'there']), desktop.invoke(['@echo@laptop#main', 'and back'])]);
      const asked = await Promise.all(open.map(async (each) => ({ each, found: (await prometheus.query(each.query)).some(({ value }) => value[1] !== 'NaN') })));
      open = asked.filter(({ found }) => !found).map(({ each }) => each);
      if (open.length > 0) throw new Error(`nothing for ${open.map(({ where, query }) => `${where}: ${query}`).join('; ')}`);
      return true;
    }, { timeoutMs: 60_000, pollMs: 500 });
    for (const { metric, label } of dashboardVariables()) expect(await prometheus.api(`label/${label}/values`, { 'match[]': metric })).toEqual(['desktop', 'laptop']);
  });

  test('what it has of them is what they did', async () => {
    const accepts = 'beckon_accepts_total{outcome="accepted"}';
    const before = Number((await newPage(laptop)).split('\n').find((line) => line.startsWith(accepts))?.split(' ')[1]);
    expect(before).toBeGreaterThan(1);
    for (let count = 0; count < 3; count += 1) await laptop.invoke(['@echo@desktop#main', `call ${count}`]);
    const at = (query: string, node: string): Promise<number> => prometheus.number(`(${query}) * on (instance) group_left (node) beckon_node_info{node="${node}", mesh="home"}`);
    // Both were asked at some moment of the last second, which may have been in the middle of a call.
    await waitFor('three more, and all of them over', async () => {
      const [accepted, running] = [await at(accepts, 'laptop'), await at('beckon_flights{state="running"}', 'desktop')];
      const work = [await at('beckon_runs', 'desktop'), await at('beckon_queue_depth', 'desktop'), await at('beckon_agent_queue_depth{agent="@slow@desktop#main"}', 'desktop'), await at('beckon_queue_depth', 'laptop')];
      expect({ accepted, running, work }).toEqual({ accepted: before + 3, running: 1, work: [1, 1, 1, 0] });
      return true;
    }, { timeoutMs: 15_000, pollMs: 200 });
    expect(await at('beckon_queue_oldest_age_seconds', 'desktop')).toBeGreaterThan(0);
    expect([await at('beckon_peer_up{peer="desktop"}', 'laptop'), await at('beckon_peer_up{peer="laptop"}', 'desktop')]).toEqual([1, 1]);
    expect(await at('beckon_peer_round_trip_seconds{peer="desktop"}', 'laptop')).toBeLessThan(10);
    const days = (await at('beckon_certificate_expiry_timestamp_seconds - time()', 'laptop')) / 86_400;
    expect(days).toBeGreaterThan(85);
    expect(days).toBeLessThan(91);
    expect(await at('beckon_gossip_neighbours', 'laptop')).toBe(1);
    expect(await at('beckon_scrape_incomplete', 'laptop')).toBe(0);
    expect(await prometheus.query('ALERTS{alertstate="firing"}')).toEqual([]);
  });

  test('promtool has nothing to say against what is told, nor against the rules, and fires each as it is meant', async () => {
    for (const node of [laptop, desktop]) expect(promtool(['check', 'metrics'], await page(node))).toEqual({ status: 0, text: '' });
    // That it would say something.
    expect(promtool(['check', 'metrics'], '# TYPE beckon_x counter\nbeckon_x 1\n').status).not.toBe(0);
    expect(promtool(['check', 'rules', 'alerts.yml'])).toMatchObject({ status: 0, text: expect.stringContaining('SUCCESS: 17 rules found') as string });
    expect(promtool(['check', 'config', 'prometheus.yml'])).toMatchObject({ status: 0 });
    expect(promtool(['test', 'rules', 'alerts.test.yml'])).toMatchObject({ status: 0 });
  });

  test('a dead letter fires its alert, and a peer that is gone is seen as such', async () => {
    await desktop.kill9();
    await laptop.peer('desktop', 'unreachable', { timeoutMs: 40_000 });
    expect((await laptop.invoke(['@echo@desktop#main', 'too late', '--hold', '1s'])).last).toMatchObject({ state: 'expired' });
    expect(await newPage(laptop)).toMatch(/^beckon_delivery_transitions_total\{state="dead"\} 1$/m);
    await waitFor('the alert', async () => (await prometheus.query('ALERTS{alertname="BeckonDeadLetters", alertstate="firing"}')).length === 1, { timeoutMs: 40_000, pollMs: 200 });
    for (const { query } of dashboardAnnotations()) expect((await prometheus.query(query)).map(({ metric }) => metric['alertname'])).toContain('BeckonDeadLetters');
    expect(await prometheus.number('beckon_peer_up{peer="desktop"}')).toBe(0);
    expect(await prometheus.query('ALERTS{alertname="BeckonPeerDown", alertstate="pending"}')).toHaveLength(1);
    expect(await prometheus.query('ALERTS{alertname="BeckonNodeDown", alertstate="pending"}')).toHaveLength(1);
    expect(await prometheus.number('sum(beckon_dead_letters)')).toBe(1);
  });
});
