/**
 * Five machines, and what each says of the others while some are stopped, killed, cut off, or lose what they send: in one
 * run, one fault on another's heels, with every change of state that any of them told.
 */
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { kill } from '../support/belongings.ts';
import type { Json, Run } from '../support/cli.ts';
import { Cluster } from '../support/cluster.ts';
import { connectHosts, noLan } from '../support/lan.ts';
import type { Lan } from '../support/lan.ts';
import type { Host } from '../support/netns.ts';
import type { TestNode } from '../support/node-process.ts';
import { because } from '../support/programs.ts';
import { waitFor } from '../support/wait-for.ts';

/** Promised in README. */
const goneWithinMs = 30_000;
const backWithinMs = 5_000;
/** What the observation itself may take on a busy machine. */
const leewayMs = 1_500;

const names = ['laptop', 'desktop', 'server', 'tablet', 'phone'] as const;
type Name = (typeof names)[number];

/** What one node told of one peer, in order. */
interface Told {
  readonly atMs: number;
  readonly state: string;
  readonly why: string;
}

class Watcher {
  readonly #run: Run;
  readonly #sinceMs = Date.now();

  constructor(node: TestNode) {
    this.#run = node.start(['peers', '--watch', '--json'], { timeoutMs: 400_000 });
  }

  /** Resolves when it has told of all that its node knows; what happens from then on is told as it happens. */
  async ready(): Promise<void> {
    await waitFor('the watcher to begin', () => this.#run.events.length >= names.length - 1, { timeoutMs: 20_000 });
  }

  /** Changes of state; the first sight of a peer is none. */
  moves(peer: Name, sinceMs = this.#sinceMs): Told[] {
    return this.#run.events
      .filter(({ type, name, from }) => type === 'peer' && name === peer && from !== undefined)
      .map(({ at, state, why }) => ({ atMs: Date.parse(String(at)), state: String(state), why: String(why) }))
      .filter(({ atMs }) => atMs >= sinceMs);
  }

  /** Resolves with how long after `sinceMs` that was told. */
  async told(peer: Name, state: string, sinceMs: number, withinMs: number): Promise<number> {
    const what = `${peer} to be told ${state}`;
    const found = await waitFor(what, () => this.moves(peer, sinceMs).find((each) => each.state === state), { timeoutMs: withinMs + leewayMs, pollMs: 50 });
    return found.atMs - sinceMs;
  }

  async stop(): Promise<void> {
    this.#run.signal('SIGINT');
    await this.#run.ended;
  }
}

describe.skipIf(noLan !== undefined)(`five machines on one network${because(noLan)}`, () => {
  let lan: Lan;
  let cluster: Cluster;
  const node = {} as Record<Name, TestNode>;
  const host = {} as Record<Name, Host>;
  const watch = {} as Record<Name, Watcher>;
  let beganMs = 0;
  const seen: Record<string, number> = {};

  const others = (...without: readonly Name[]): Name[] => names.filter((name) => !without.includes(name));
  /** All of these tell the same of that peer in time; the longest that it took is kept. */
  const allTell = async (what: string, observers: readonly Name[], peer: Name, state: string, sinceMs: number, withinMs: number): Promise<void> => {
    const took = await Promise.all(observers.map(async (name) => watch[name].told(peer, state, sinceMs, withinMs)));
    seen[`${what}: ${state}`] = Math.max(seen[`${what}: ${state}`] ?? 0, ...took);
    expect(Math.max(...took)).toBeLessThan(withinMs);
  };

  beforeAll(async () => {
    lan = connectHosts(names.length);
    cluster = await Cluster.create();
    for (const [index, name] of names.entries()) {
      const at = lan.hosts[index];
      if (at === undefined) throw new Error('no host');
      host[name] = at;
      node[name] = await cluster.node(name, { listen: `${at.address}:7423`, gossipListen: `${at.address}:7424`, through: at.through });
    }
    await cluster.join(names.map((name) => node[name]));
    for (const name of names) for (const peer of others(name)) await node[name].peer(peer, 'alive');
    for (const name of names) watch[name] = new Watcher(node[name]);
    await Promise.all(names.map(async (name) => watch[name].ready()));
    beganMs = Date.now();
  });
  afterAll(async () => {
    try {
      await Promise.all(Object.values(watch).map((each) => each.stop()));
      await cluster?.[Symbol.asyncDispose]();
    } finally {
      lan?.[Symbol.dispose]();
    }
    process.stdout.write(`seen, ms: ${JSON.stringify(seen)}\n`);
  });

  test('one stands still for a minute, one is killed, one is cut off: each is unreachable within 30 s for all others, and alive within 5 s of being back', async () => {
    const stoppedMs = Date.now();
    const tabletPid = node.tablet.pid ?? 0;
    kill(tabletPid, 'SIGSTOP');
    const killedMs = Date.now();
    await node.phone.kill9();
    const observers = others('tablet', 'phone');
    await Promise.all([allTell('killed', observers, 'phone', 'unreachable', killedMs, goneWithinMs), allTell('stopped', observers, 'tablet', 'unreachable', stoppedMs, goneWithinMs)]);
    for (const name of observers) expect(watch[name].moves('tablet').at(-1)?.why).toMatch(/does not answer|nothing heard/);

    await node.phone.up({ env: { NODE_OPTIONS: `--import ${fileURLToPath(new URL('../support/jumping-clock.ts', import.meta.url))}`, JUMP_FILE: cluster.path('jump') } });
    const readyMs = Date.now();
    watch.phone = new Watcher(node.phone);
    await watch.phone.ready();
    for (const name of observers) {
      const alive = await watch[name].told('phone', 'alive', killedMs, readyMs - killedMs + backWithinMs);
      expect(alive).toBeLessThan(readyMs - killedMs + backWithinMs);
    }

    const cutMs = Date.now();
    lan.pull(host.server);
    const left = others('tablet', 'server');
    await Promise.all([allTell('cut off', left, 'server', 'unreachable', cutMs, goneWithinMs), ...left.map((peer) => allTell('cut off, of others', ['server'], peer, 'unreachable', cutMs, goneWithinMs))]);
    const pluggedMs = Date.now();
    lan.plug(host.server);
    await Promise.all([allTell('cut off', left, 'server', 'alive', pluggedMs, backWithinMs), ...left.map((peer) => allTell('cut off, of others', ['server'], peer, 'alive', pluggedMs, backWithinMs))]);

    await waitFor('the minute to be over', () => Date.now() - stoppedMs >= 60_000, { timeoutMs: 61_000, pollMs: 100 });
    const resumedMs = Date.now();
    kill(tabletPid, 'SIGCONT');
    await allTell('stopped', others('tablet'), 'tablet', 'alive', resumedMs, backWithinMs);
    const own = (await node.tablet.json(['peers']))['peers'] as Json[];
    expect(own.map(({ state }) => String(state))).toEqual(['alive', 'alive', 'alive', 'alive']);
  });

  test('a link that is dead in one direction: its two ends say so and who reaches the other, nobody else notices; one that can be dialled from one side is enough', async () => {
    const lostMs = Date.now();
    lan.lose(host.laptop, [host.desktop], 'all');
    await Promise.all([allTell('lost one way', ['laptop'], 'desktop', 'unreachable', lostMs, goneWithinMs), allTell('lost one way', ['desktop'], 'laptop', 'unreachable', lostMs, goneWithinMs)]);
    const named = (peer: Name) => async (): Promise<boolean> =>
      /, but (phone|server|tablet)(, (phone|server|tablet))* (and (phone|server|tablet) )?reach(es)? it$/.test(String((await node.laptop.json(['peers']))['peers'].find(({ name }: Json) => name === peer)?.['why']));
    await waitFor('the words', named('desktop'), { timeoutMs: 10_000, pollMs: 500 });
    const healedMs = Date.now();
    lan.lose(host.laptop, [host.desktop], 'new connections');
    await Promise.all([allTell('lost one way', ['laptop'], 'desktop', 'alive', healedMs, backWithinMs), allTell('lost one way', ['desktop'], 'laptop', 'alive', healedMs, backWithinMs)]);
    expect(await node.laptop.peer('desktop', 'alive')).toMatchObject({ path: 'inbound' });
    lan.heal(host.laptop);
  });

  test('a wall clock that jumps by 8 hours, there and back, loses nobody; sessions and registry are current within 5 s', async () => {
    const jump = async (hours: number): Promise<void> => {
      const jumpedMs = Date.now();
      writeFileSync(cluster.path('jump'), String(hours * 3_600_000));
      kill(node.phone.pid ?? 0, 'SIGUSR2');
      const agent = `after-${hours}`;
      await Promise.all([node.phone.addAgent(agent, ['/bin/cat']), node.laptop.addAgent(agent, ['/bin/cat'])]);
      const knows = async (at: Name, owner: Name): Promise<boolean> =>
        ((await node[at].json(['agents']))['agents'] as Json[]).some(({ address, state }) => address === `@${agent}@${owner}#main` && (state === 'alive' || state === 'here'));
      await waitFor('both to know both', async () => (await knows('laptop', 'phone')) && (await knows('phone', 'laptop')), { timeoutMs: backWithinMs + leewayMs, pollMs: 100 });
      expect((await node.laptop.invoke([`${agent}@phone/main`, 'hello'])).last).toMatchObject({ state: 'completed', output: 'hello' });
      // Longer than silence would take to make a suspect.
      await waitFor('it to be over', () => Date.now() - jumpedMs > 12_000, { timeoutMs: 13_000, pollMs: 100 });
      for (const name of others('phone')) expect(watch[name].moves('phone', jumpedMs)).toEqual([]);
      const own = (await node.phone.json(['peers']))['peers'] as Json[];
      expect(own.map(({ state }) => String(state))).toEqual(['alive', 'alive', 'alive', 'alive']);
    };
    await jump(8);
    await jump(0);
  });

  test('nobody moved more than there and back, and who was never in trouble not at all', () => {
    const there = ['suspect', 'unreachable', 'alive'];
    const states = (at: Name, peer: Name): string[] => watch[at].moves(peer, beganMs).map(({ state }) => state);
    const pairs: (readonly [Name, Name, readonly string[]])[] = [
      ['laptop', 'tablet', there],
      ['desktop', 'tablet', there],
      ['server', 'tablet', there],
      ['laptop', 'phone', there],
      ['desktop', 'phone', there],
      ['laptop', 'server', there],
      ['desktop', 'server', there],
      ['phone', 'server', there],
      ['server', 'laptop', there],
      ['server', 'desktop', there],
      ['server', 'phone', [...there, ...there]],
      ['laptop', 'desktop', there],
      ['desktop', 'laptop', there],
      // Its own minute was no reason to suspect anybody.
      ['tablet', 'laptop', []],
      ['tablet', 'desktop', []],
      ['tablet', 'server', []],
      ['phone', 'laptop', []],
      ['phone', 'desktop', []],
    ];
    const moved = pairs.map(([at, peer]) => `${at} of ${peer}: ${states(at, peer).join(' ')}`);
    expect(moved).toEqual(pairs.map(([at, peer, expected]) => `${at} of ${peer}: ${expected.join(' ')}`));
  });
});
