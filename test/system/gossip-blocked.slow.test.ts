/** Two machines whose firewalls let the network port through and the gossip port not. */
import { execFileSync } from 'node:child_process';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Json } from '../support/cli.ts';
import { Cluster } from '../support/cluster.ts';
import { connectHosts, noLan } from '../support/lan.ts';
import type { Lan } from '../support/lan.ts';
import type { Host } from '../support/netns.ts';
import type { TestNode } from '../support/node-process.ts';
import { because } from '../support/programs.ts';
import { waitFor } from '../support/wait-for.ts';

const nft = ({ namespace }: Host, rule: string): void => void execFileSync('ip', ['netns', 'exec', namespace, 'nft', rule]);

describe.skipIf(noLan !== undefined)(`the gossip port is blocked${because(noLan)}`, () => {
  let lan: Lan;
  let cluster: Cluster;
  let laptop: TestNode;
  let desktop: TestNode;

  beforeAll(async () => {
    lan = connectHosts(2);
    for (const host of lan.hosts) nft(host, 'add rule inet faults out tcp dport 7424 drop');
    cluster = await Cluster.create();
    const [left, right] = lan.hosts;
    if (left === undefined || right === undefined) throw new Error('two hosts');
    laptop = await cluster.node('laptop', { listen: `${left.address}:7423`, gossipListen: `${left.address}:7424`, through: left.through });
    desktop = await cluster.node('desktop', { listen: `${right.address}:7423`, gossipListen: `${right.address}:7424`, through: right.through });
    await laptop.up({ detach: true });
    await laptop.json(['mesh', 'create', 'home']);
    const { token } = await laptop.json(['mesh', 'invite']);
    await desktop.up({ detach: true, flags: ['--join', '-'], stdin: `${String(token)}\n` });
    await laptop.peer('desktop', 'alive');
    await desktop.peer('laptop', 'alive');
    cluster.program('sleeper', 'sleep 30');
  });
  afterAll(async () => {
    try {
      await cluster?.[Symbol.asyncDispose]();
    } finally {
      lan?.[Symbol.dispose]();
    }
  });

  const seen = async (): Promise<Json | undefined> => ((await laptop.json(['agents', '--node', 'desktop']))['agents'] as Json[])[0];
  const gossip = async (): Promise<Json | undefined> => {
    const { json } = await laptop.beckon(['doctor', '--json']);
    return (json['checks'] as Json[]).find(({ id }) => id === 'gossip');
  };

  test('agents, and how busy they are, are known all the same, within seconds', async () => {
    await desktop.json(['agent', 'add', 'sleeper', '--', cluster.path('sleeper')], { cwd: cluster.path('.') });
    await waitFor('the agent to be known', async () => (await seen()) !== undefined, { timeoutMs: 15_000, pollMs: 300 });
    await laptop.beckon(['invoke', '--detach', 'sleeper', 'x']);
    await waitFor('its load to be known', async () => ((await seen())?.['presence'] as Json | undefined)?.['running'] === 1, { timeoutMs: 15_000, pollMs: 300 });
  });

  test('doctor says so, and that it is well once the port is open', async () => {
    const blocked = await waitFor('doctor to say so', async () => {
      const found = await gossip();
      return found?.['ok'] === false ? found : undefined;
    }, { timeoutMs: 60_000, pollMs: 1000 });
    expect(blocked).toMatchObject({ detail: expect.stringMatching(/7424; 0 of 1/), hint: expect.stringMatching(/firewall/) });
    for (const host of lan.hosts) lan.heal(host);
    await waitFor('them to be neighbours', async () => String((await gossip())?.['detail']).includes('1 of 1'), { timeoutMs: 90_000, pollMs: 1000 });
  });
});
