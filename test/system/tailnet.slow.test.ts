/**
 * The whole way on a real tailnet: machines of one person become a mesh with one command each, others wait to be let in.
 *
 * It needs root on Linux and headscale, tailscale and tailscaled on PATH, and is skipped without them. To have them, in
 * checkouts of github.com/tailscale/tailscale and github.com/juanfont/headscale, with Go:
 *
 *     CGO_ENABLED=0 go build -o ~/bin ./cmd/tailscale ./cmd/tailscaled
 *     CGO_ENABLED=0 go build -o ~/bin ./cmd/headscale
 *     sudo PATH="$HOME/bin:$PATH" npx vitest run --config scripts/vitest.config.ts --project slow test/system/tailnet
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Json } from '../support/cli.ts';
import { Cluster } from '../support/cluster.ts';
import type { TestNode } from '../support/node-process.ts';
import { because } from '../support/programs.ts';
import { noTailnet, RealTailnet } from '../support/tailnet.ts';
import { waitFor } from '../support/wait-for.ts';

const kinds = [
  ['with a network interface', false],
  ['with userspace networking', true],
] as const;

describe.skipIf(noTailnet !== undefined).each(kinds)(`machines on one tailnet, %s${because(noTailnet)}`, (_what, isUserspace) => {
  let tailnet: RealTailnet;
  let cluster: Cluster;
  let laptop: TestNode;
  let desktop: TestNode;
  let server: TestNode;
  let guest: TestNode;

  const members = async (node: TestNode): Promise<readonly string[]> => ((await node.json(['mesh', 'members']))['members'] as Json[]).map(({ name, owner }) => `${String(name)} of ${String(owner)}`).toSorted();
  const pending = async (node: TestNode): Promise<readonly Json[]> => (await node.json(['mesh', 'pending']))['pending'] as Json[];
  const stateOf = async (node: TestNode, name: string): Promise<unknown> => ((await node.json(['peers']))['peers'] as Json[]).find((peer) => peer['name'] === name)?.['state'];

  beforeAll(async () => {
    tailnet = await RealTailnet.start(
      { name: 'laptop', user: 'ann' },
      { name: 'desktop', user: 'ann', isUserspace },
      { name: 'server', user: 'ann', tag: 'tag:broker', isUserspace },
      { name: 'guest', user: 'bob' },
    );
    cluster = await Cluster.create();
    const node = (name: string): Promise<TestNode> => {
      const { socket, through } = tailnet.host(name);
      return cluster.node(name, { tailscale: socket, through });
    };
    [laptop, desktop, server, guest] = [await node('laptop'), await node('desktop'), await node('server'), await node('guest')];
  });
  afterAll(async () => {
    try {
      await cluster?.[Symbol.asyncDispose]();
    } finally {
      await tailnet?.[Symbol.asyncDispose]();
    }
  });

  test('the first machine makes a mesh, the second enters it with a plain up, and they call each other', async () => {
    const first = await laptop.up();
    expect(first['listen']).toBe('100.64.0.1:7423');
    await laptop.json(['mesh', 'create', 'home']);
    const second = await desktop.up();
    expect(second['listen']).toBe('100.64.0.2:7423');
    expect(await members(desktop)).toEqual(['desktop of ann', 'laptop of ann']);
    await laptop.peer('desktop', 'alive');
    await desktop.peer('laptop', 'alive');
    for (const [from, to] of [[laptop, desktop], [desktop, laptop]] as const) {
      const address = await to.addAgent('echo', ['/bin/cat']);
      await waitFor('the agent', async () => (await from.beckon(['resolve', address])).code === 0, { timeoutMs: 10_000 });
      expect((await from.invoke([address, 'over the tailnet'])).last).toMatchObject({ state: 'completed', output: 'over the tailnet' });
    }
  });

  test('a tagged machine and one of another person wait, and are let in within 10 s of a rule, given at any issuer', async () => {
    const ready = await server.up();
    expect(ready['listen']).toBe('100.64.0.3:7423');
    await guest.up();
    // The owner's second machine lets others in too.
    for (const issuer of [laptop, desktop]) {
      const waiting = await waitFor('both to wait', async () => ((await pending(issuer)).length === 2 ? pending(issuer) : undefined), { timeoutMs: 15_000 });
      expect(waiting).toEqual([
        { name: 'server', nodeId: expect.any(String), address: '100.64.0.3:7423', login: null, tags: ['tag:broker'], since: expect.any(String), why: 'it is tagged tag:broker, and no rule admits that' },
        { name: 'guest', nodeId: expect.any(String), address: '100.64.0.4:7423', login: 'bob', tags: [], since: expect.any(String), why: 'it belongs to bob, and no rule admits that user' },
      ]);
    }
    expect(await members(server)).toEqual([]);
    const second = await guest.beckon(['mesh', 'create', '--json']);
    expect([second.code, second.json]).toEqual([6, { type: 'error', at: expect.any(String), error: expect.objectContaining({ message: expect.stringMatching(/^there is a mesh already: home/) }) }]);
    await desktop.json(['mesh', 'admit', '--tag', 'tag:broker']);
    await waitFor('the server to be in', async () => (await members(server)).includes('server of tag:broker'), { timeoutMs: 10_000 });
    await laptop.json(['mesh', 'admit', 'guest']);
    await waitFor('the guest to be in', async () => (await members(guest)).includes('guest of bob'), { timeoutMs: 10_000 });
    expect(await pending(laptop)).toEqual([]);
    for (const node of [laptop, desktop, server, guest]) {
      await waitFor('all to know all', async () => (await members(node)).join() === 'desktop of ann,guest of bob,laptop of ann,server of tag:broker', { timeoutMs: 10_000 });
    }
  });

  test('a capability granted in the policy of the tailnet lets another person in, and its end shuts them out within seconds, sessions that are open included', async () => {
    const address = await laptop.addAgent('deploy', ['/bin/cat']);
    await guest.peer('laptop', 'alive');
    await waitFor('the agent', async () => (await guest.beckon(['resolve', address])).code === 0, { timeoutMs: 10_000 });
    const tells = async (): Promise<unknown> => (await guest.invoke([address, 'over the tailnet'])).last;
    const reach = { src: ['*'], dst: ['*'], ip: ['*'] };
    const granted = (name: string, values: readonly unknown[]): object => ({ grants: [reach, { src: ['bob@'], dst: ['ann@'], app: { [name]: values } }] });
    const session = async (): Promise<unknown> => ((await guest.json(['peers']))['peers'] as Json[]).find((peer) => peer['name'] === 'laptop')?.['since'];
    const denied = { state: 'failed', error: { code: 'denied', message: expect.stringContaining('no rule allows it') } };
    expect(await tells()).toMatchObject(denied);
    await tailnet.setPolicy({ grants: [reach] });
    const since = await session();

    await tailnet.setPolicy(granted('beckon.internal/cap/policy', [{ allow: [{ agents: ['deploy'], verbs: ['invoke'] }] }]));
    await waitFor('bob to be let in', async () => (await laptop.beckon(['policy', 'check', 'guest', 'invoke', 'deploy'])).code === 0, { timeoutMs: 20_000, pollMs: 50 });
    expect(await tells()).toMatchObject({ state: 'completed', output: 'over the tailnet' });
    expect((await guest.invoke(['echo@laptop/main', 'x'])).code).toBe(5);
    expect((await laptop.json(['policy', 'show']))['rules']).toContainEqual(expect.objectContaining({ effect: 'allow', source: 'capability', where: 'beckon.internal/cap/policy of guest' }));

    await tailnet.setPolicy({ grants: [reach] });
    await waitFor('bob to be shut out', async () => (await laptop.beckon(['policy', 'check', 'guest', 'invoke', 'deploy'])).code === 5, { timeoutMs: 20_000, pollMs: 50 });
    expect(await tells()).toMatchObject(denied);

    // A capability of the organisation's own, named by the file; and a denial there that can't be understood.
    writeFileSync(join(laptop.home, 'policy.toml'), '[[allow]]\nfrom = ["cap:example.com/cap/deployers"]\nagents = ["deploy"]\nverbs = ["invoke"]\n', { mode: 0o600 });
    process.kill(laptop.pid ?? 0, 'SIGHUP');
    await waitFor('the file to be read', async () => ((await laptop.json(['policy', 'show']))['rules'] as Json[]).some((each) => each['source'] === 'file'));
    expect(await tells()).toMatchObject(denied);
    await tailnet.setPolicy(granted('example.com/cap/deployers', [{}]));
    await waitFor('bob to be let in', async () => (await laptop.beckon(['policy', 'check', 'guest', 'invoke', 'deploy'])).code === 0, { timeoutMs: 20_000, pollMs: 50 });
    expect(await tells()).toMatchObject({ state: 'completed' });
    await tailnet.setPolicy({ grants: [reach, { src: ['bob@'], dst: ['ann@'], app: { 'example.com/cap/deployers': [{}], 'beckon.internal/cap/policy': [{ deny: [{ verbs: ['inovke'] }] }] } }] });
    await waitFor('all to be denied to him', async () => (await laptop.beckon(['policy', 'check', 'guest', 'invoke', 'deploy'])).code === 5, { timeoutMs: 20_000, pollMs: 50 });
    expect(await tells()).toMatchObject({ error: { code: 'denied', message: expect.stringContaining('can’t be understood: value 1: deny[0].verbs[0]') } });
    // All of it in one session.
    expect(await session()).toBe(since);
    await tailnet.setPolicy({ grants: [reach] });
  }, 120_000);

  test('tailscale down: unreachable within 30 s; up again: alive within 5 s', async () => {
    for (const name of ['server', 'desktop']) {
      await laptop.peer(name, 'alive');
      await tailnet.tailscale(name, 'down');
      await waitFor(`${name} to be unreachable`, async () => (await stateOf(laptop, name)) === 'unreachable', { timeoutMs: 30_000, pollMs: 250 });
      await tailnet.tailscale(name, 'up');
      await waitFor(`${name} to be back`, async () => (await stateOf(laptop, name)) === 'alive', { timeoutMs: 5_000, pollMs: 100 });
    }
  });
});
