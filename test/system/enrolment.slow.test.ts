/** Entering a mesh by the word of the tailnet, with real nodes on two hosts and tailscaleds that the test plays. */
import { execFileSync } from 'node:child_process';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Json } from '../support/cli.ts';
import { Cluster } from '../support/cluster.ts';
import { FakeTailscaled } from '../support/fake-tailscaled.ts';
import type { FakeMachine } from '../support/fake-tailscaled.ts';
import { connectTwoHosts, noNamespaces } from '../support/netns.ts';
import type { Cable } from '../support/netns.ts';
import type { TestNode } from '../support/node-process.ts';
import { because } from '../support/programs.ts';
import { waitFor } from '../support/wait-for.ts';

const address = (last: number): string => `10.77.31.${last}`;
const machines = {
  laptop: { id: 'n1', name: 'laptop', addresses: [address(1)], user: 'ann@example.com' },
  desktop: { id: 'n2', name: 'desktop', addresses: [address(2)], user: 'ann@example.com' },
  server: { id: 'n3', name: 'server', addresses: [address(3)], tags: ['tag:broker'] },
  guest: { id: 'n4', name: 'guest', addresses: [address(4)], user: 'bob@example.com' },
  router: { id: 'n5', name: 'router', addresses: [address(5)], user: 'ann@example.com', routes: ['10.0.0.0/8'] },
  shared: { id: 'n6', name: 'shared', addresses: [address(6)], user: 'eve@example.com', raw: { ShareeNode: true } },
} satisfies Record<string, FakeMachine>;
type Name = keyof typeof machines;

describe.skipIf(noNamespaces !== undefined)(`machines of one tailnet, some of which belong together${because(noNamespaces)}`, () => {
  let cable: Cable;
  let cluster: Cluster;
  const fakes = new Map<Name, FakeTailscaled>();
  const nodes = new Map<Name, TestNode>();
  const at = (name: Name): TestNode => nodes.get(name) as TestNode;
  const members = async (name: Name): Promise<readonly string[]> => ((await at(name).json(['mesh', 'members']))['members'] as Json[]).map((each) => `${String(each['name'])} of ${String(each['owner'])}`).toSorted();
  const pending = async (name: Name): Promise<readonly Json[]> => (await at(name).json(['mesh', 'pending']))['pending'] as Json[];
  const enters = (name: Name, owner: string, timeoutMs = 10_000): Promise<boolean> =>
    waitFor(`${name} to be a member`, async () => (await members(name)).includes(`${name} of ${owner}`), { timeoutMs, pollMs: 200 });

  beforeAll(async () => {
    cable = connectTwoHosts();
    cluster = await Cluster.create();
    const { left, right } = cable;
    for (const last of [3, 4, 5, 6]) execFileSync('ip', ['-n', right.namespace, 'address', 'add', `${address(last)}/24`, 'dev', 'eth0']);
    for (const name of Object.keys(machines) as Name[]) {
      const tailscale = cluster.path(`${name}.sock`);
      const peers = Object.values(machines).filter((each) => each.name !== name);
      fakes.set(name, await FakeTailscaled.start({ path: tailscale }, { self: machines[name], peers }));
      nodes.set(name, await cluster.node(name, { tailscale, through: name === 'laptop' ? left.through : right.through }));
    }
  });
  afterAll(async () => {
    try {
      await cluster?.[Symbol.asyncDispose]();
      for (const fake of fakes.values()) await fake[Symbol.asyncDispose]();
    } finally {
      cable?.[Symbol.dispose]();
    }
  });

  test('a machine that is alone finds the mesh of its user as soon as there is one', async () => {
    await at('desktop').up();
    expect(await members('desktop')).toEqual([]);
    await at('laptop').up();
    const made = await at('laptop').json(['mesh', 'create', 'home']);
    expect(made).toMatchObject({ mesh: { name: 'home' }, owner: 'ann@example.com' });
    await enters('desktop', 'ann@example.com');
    await at('laptop').peer('desktop', 'alive');
  });

  test('others wait at every issuer, are told why, and are let in by a rule at one of them', async () => {
    await at('server').up();
    await at('guest').up();
    for (const issuer of ['laptop', 'desktop'] as const) {
      await waitFor('both to wait', async () => (await pending(issuer)).length === 2, { timeoutMs: 15_000, pollMs: 200 });
      expect((await pending(issuer)).map(({ name, login, tags, address: where }) => ({ name, login, tags, where }))).toEqual([
        { name: 'server', login: null, tags: ['tag:broker'], where: `${address(3)}:7423` },
        { name: 'guest', login: 'bob@example.com', tags: [], where: `${address(4)}:7423` },
      ]);
    }
    expect(at('guest').log).toMatch(/the mesh home \(on .*\) was asked to let this machine in, and it has to wait: it belongs to bob@example.com, and no rule admits that user/);
    const wrong = await at('laptop').beckon(['mesh', 'admit', 'nobody', '--json']);
    expect(wrong.code).toBe(3);
    const notHere = await at('guest').beckon(['mesh', 'admit', 'server', '--json']);
    expect(notHere.code).toBe(6);
    // Given where the owner's second machine is; the other issuer learns of it.
    await at('desktop').json(['mesh', 'admit', '--tag', 'tag:broker']);
    await enters('server', 'tag:broker');
    await at('laptop').json(['mesh', 'admit', '--user', 'bob@example.com']);
    await enters('guest', 'bob@example.com');
    expect(await pending('laptop')).toEqual([]);
    expect((await at('server').beckon(['mesh', 'invite', '--json'])).code).toBe(5);
  });

  test('a subnet router and a machine of another tailnet are refused, on both sides', async () => {
    await at('router').up();
    await at('shared').up();
    await waitFor('the refusal', () => /router is a subnet router/.test(at('laptop').log), { timeoutMs: 15_000 });
    await waitFor('its reason there', () => /is a subnet router: others reach this port from behind it/.test(at('router').log), { timeoutMs: 15_000 });
    expect(await pending('laptop')).toEqual([]);
    expect(await members('router')).toEqual([]);
    expect(await members('shared')).toEqual([]);
  });

  test('a second mesh is made only on purpose, and then nobody enters by itself', async () => {
    const refused = await at('router').beckon(['mesh', 'create', '--json']);
    expect([refused.code, (refused.json['error'] as Json)['message']]).toEqual([6, expect.stringMatching(/^there is a mesh already: /)]);
    await at('router').down();
    // The same machine without its routes, and new to the mesh.
    for (const name of ['laptop', 'desktop'] as const) {
      const peers = Object.values(machines).filter((each) => each.name !== name).map(({ ...each }) => (each.name === 'router' ? { ...each, routes: [] } : each));
      fakes.get(name)?.change({ peers });
    }
    await at('shared').json(['mesh', 'create', 'theirs', '--new']);
    fakes.get('router')?.change({ peers: Object.values(machines).filter((each) => each.name !== 'router').map((each) => (each.name === 'shared' ? { ...each, raw: {} } : each)) });
    await at('router').up();
    await waitFor('it to enter its own', async () => (await members('router')).includes('router of ann@example.com'), { timeoutMs: 15_000 });
    expect(await members('shared')).toEqual(['shared of eve@example.com']);
  });
});
