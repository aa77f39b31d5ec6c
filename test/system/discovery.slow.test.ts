/** Finding the few machines that run a node among the many that do not: two hosts, a cable, one tailscaled that the test plays. */
import { execFileSync } from 'node:child_process';
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Cluster } from '../support/cluster.ts';
import type { Json } from '../support/cli.ts';
import { FakeTailscaled } from '../support/fake-tailscaled.ts';
import type { FakeMachine } from '../support/fake-tailscaled.ts';
import { connectTwoHosts, noNamespaces } from '../support/netns.ts';
import type { Cable } from '../support/netns.ts';
import { TestNode } from '../support/node-process.ts';
import { because } from '../support/programs.ts';
import { waitFor } from '../support/wait-for.ts';

const names = ['amber', 'basil', 'cedar', 'dahlia', 'elder'];
const moved = (index: number): string => `10.77.31.${21 + index}`;
const blackHoles = Array.from({ length: 195 }, (_, index) => `10.77.96.${index + 1}`);
/** The real ones spread among the others. */
const everywhere = [...blackHoles.slice(0, 30), moved(0), ...blackHoles.slice(30, 90), moved(1), moved(2), ...blackHoles.slice(90, 194), moved(3), ...blackHoles.slice(194), moved(4)];
const machine = (address: string, index: number): FakeMachine => ({ id: `n${index}`, name: `m${index}`, addresses: [address], user: 'ann' });

describe.skipIf(noNamespaces !== undefined)(`a laptop among 200 machines, 195 of which swallow packets${because(noNamespaces)}`, () => {
  let cable: Cable;
  let cluster: Cluster;
  let others: TestNode[];
  let laptop: TestNode;
  let fake: FakeTailscaled;
  let socket: string;

  const on = (through: readonly string[], ...command: readonly string[]): void => {
    const [program = '', ...args] = [...through, ...command];
    execFileSync(program, args, { stdio: 'pipe' });
  };
  /** Another address of the same laptop: what members know of it leads nowhere. */
  const laptopAt = (place: { readonly listen: string } | { readonly tailscale: string }): TestNode => {
    rmSync(join(laptop.home, 'up.json'), { force: true });
    return new TestNode({ name: 'laptop', home: laptop.home, listen: '', through: cable.left.through, ...place });
  };

  beforeAll(async () => {
    cable = connectTwoHosts();
    cluster = await Cluster.create();
    const { left, right } = cable;
    for (const last of [101, 102, 103]) on(left.through, 'ip', 'address', 'add', `10.77.31.${last}/24`, 'dev', 'eth0');
    for (let last = 11; last <= 25; last += 1) on(right.through, 'ip', 'address', 'add', `10.77.31.${last}/24`, 'dev', 'eth0');
    // A host that forwards nothing drops what is for others, without a word.
    on(left.through, 'ip', 'route', 'add', '10.77.96.0/24', 'via', right.address);
    on(right.through, 'sh', '-c', 'echo 0 > /proc/sys/net/ipv4/ip_forward');
    laptop = await cluster.node('laptop', { listen: `${left.address}:7423`, through: left.through });
    others = [];
    for (const [index, name] of names.entries()) others.push(await cluster.node(name, { listen: `10.77.31.${11 + index}:7423`, through: right.through }));
    await cluster.join([laptop, ...others]);
    await laptop.down();
    for (const node of others) await node.down();
    // All have moved: no address that a member knows of another is right.
    others = names.map((name, index) => new TestNode({ name, home: cluster.path(name), listen: `${moved(index)}:7423`, through: right.through }));
    for (const node of others) await node.up();
    socket = cluster.path('tailscaled.sock');
    fake = await FakeTailscaled.start({ path: socket }, { self: { id: '1', name: 'laptop', addresses: ['10.77.31.101'], user: 'ann' }, peers: everywhere.map(machine) });
  });
  afterAll(async () => {
    try {
      await fake?.[Symbol.asyncDispose]();
      await cluster?.[Symbol.asyncDispose]();
    } finally {
      cable?.[Symbol.dispose]();
    }
  });

  const alive = async (node: TestNode): Promise<number> => {
    const { peers } = await node.json(['peers']);
    return (peers as Json[]).filter(({ state }) => state === 'alive').length;
  };

  /** Of one processor, percent, over the next seconds. */
  async function loadOf(pid: number, seconds: number): Promise<number> {
    const ticks = (): number => {
      const fields = readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ')[1]?.split(' ') ?? [];
      return Number(fields[11]) + Number(fields[12]);
    };
    const before = ticks();
    await delay(seconds * 1000);
    return (ticks() - before) / seconds;
  }

  const places = [
    ['tailnet', () => ({ place: { tailscale: socket }, flags: [] })],
    ['seed', () => ({ place: { listen: '10.77.31.102:7423' }, flags: everywhere.flatMap((address) => ['--seed', address]) })],
  ] as const;
  test.each(places)('has links to the five that are nodes within 5 s, and is quiet afterwards (named by %s)', async (source, how) => {
    const { place, flags } = how();
    laptop = laptopAt(place);
    const ready = await laptop.up({ flags });
    const startMs = performance.now();
    expect(ready['listen']).toBe(source === 'tailnet' ? '10.77.31.101:7423' : '10.77.31.102:7423');
    await waitFor('five links', async () => (await alive(laptop)) === 5, { timeoutMs: 5_000, pollMs: 50 });
    const linkedMs = Math.round(performance.now() - startMs);
    const { peers } = await laptop.json(['peers']);
    // One of the five may have come here first: it was told where this node is when they last met.
    const sources = new Set((peers as Json[]).filter(({ state }) => state === 'alive').map((peer) => peer['source']));
    expect(sources).toContain(source);
    expect([...sources].filter((each) => each !== source && each !== 'inbound')).toEqual([]);
    await delay(10_000);
    const load = await loadOf(laptop.pid ?? 0, 5);
    process.stdout.write(`${source}: five links after ${linkedMs} ms; ${load.toFixed(1)} % of a processor from 10 s to 15 s\n`);
    expect(load).toBeLessThan(10);
    await laptop.down();
  });

  test('listens where its tailnet is, also when that changes, and nowhere else', async () => {
    laptop = laptopAt({ tailscale: socket });
    await laptop.up();
    const reaches = (address: string): boolean => {
      try {
        on(cable.right.through, 'bash', '-c', `exec 3<>/dev/tcp/${address}/7423`);
        return true;
      } catch (error) {
        if (error instanceof Error) return false;
        throw error;
      }
    };
    expect(['10.77.31.1', '10.77.31.101', '10.77.31.103'].filter(reaches)).toEqual(['10.77.31.101']);
    fake.change({ self: { id: '1', name: 'laptop', addresses: ['10.77.31.103'], user: 'ann' } });
    await waitFor('the port to have moved', () => reaches('10.77.31.103'));
    expect(['10.77.31.1', '10.77.31.101'].filter(reaches)).toEqual([]);
    fake.change({ state: 'Stopped' });
    await waitFor('links in spite of it', async () => (await alive(laptop)) === 5);
    expect(reaches('10.77.31.103')).toBe(true);
    await laptop.down();
  });
});
