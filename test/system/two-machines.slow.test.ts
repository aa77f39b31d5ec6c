/** The main job as two people's machines would have it: two hosts, a cable, real git, real programs. */
import { execFileSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Json } from '../support/cli.ts';
import { Cluster, waitsFor } from '../support/cluster.ts';
import { connectTwoHosts, noNamespaces } from '../support/netns.ts';
import type { Cable } from '../support/netns.ts';
import type { TestNode } from '../support/node-process.ts';
import { because } from '../support/programs.ts';
import { waitFor } from '../support/wait-for.ts';

describe.skipIf(noNamespaces !== undefined)(`two machines on one network${because(noNamespaces)}`, () => {
  let cable: Cable;
  let cluster: Cluster;
  let laptop: TestNode;
  let desktop: TestNode;
  const fabric = '@fabric@laptop#feature-x';
  let invocationId = '';

  beforeAll(async () => {
    cable = connectTwoHosts();
    cluster = await Cluster.create();
    const { left, right } = cable;
    laptop = await cluster.node('laptop', { listen: `${left.address}:7423`, gossipListen: `${left.address}:7424`, through: left.through });
    desktop = await cluster.node('desktop', { listen: `${right.address}:7423`, gossipListen: `${right.address}:7424`, through: right.through });
    const repository = cluster.path('fabric');
    mkdirSync(repository);
    const git = (...args: string[]): void => void execFileSync('git', ['-c', 'user.name=Ann', '-c', 'user.email=ann@example.com', ...args], { cwd: repository, stdio: 'pipe' });
    git('init', '--quiet', '--initial-branch=feature-x');
    git('commit', '--quiet', '--allow-empty', '--message=begin');
    cluster.program('weave', `IFS= read -r task\necho "on $(git branch --show-current): $task"\n${waitsFor(cluster.path('go-on'))}\necho done`);
  });
  afterAll(async () => {
    try {
      await cluster?.[Symbol.asyncDispose]();
    } finally {
      cable?.[Symbol.dispose]();
    }
  });

  test('a machine enters the mesh with one command and a token', async () => {
    await laptop.up({ detach: true });
    await laptop.json(['mesh', 'create', 'home']);
    const { token, expiresAt } = await laptop.json(['mesh', 'invite']);
    expect(Date.parse(String(expiresAt))).toBeGreaterThan(Date.now());
    const ready = await desktop.up({ detach: true, flags: ['--join', '-'], stdin: `${String(token)}\n` });
    expect(ready).toMatchObject({ type: 'ready', node: 'desktop', listen: '10.77.31.2:7423' });
    await laptop.peer('desktop', 'alive');
    await desktop.peer('laptop', 'alive');
    for (const node of [laptop, desktop]) {
      const { members } = await node.json(['mesh', 'members']);
      expect((members as Json[]).map(({ name }) => String(name)).toSorted()).toEqual(['desktop', 'laptop']);
      const owners = new Set((members as Json[]).map(({ owner }) => String(owner)));
      expect(owners.size, 'a machine invited without --for belongs to the inviter').toBe(1);
    }
  });

  test("each machine lists the other's agents by their full address", async () => {
    await laptop.json(['agent', 'add', '--', cluster.path('weave')], { cwd: cluster.path('fabric') });
    await desktop.addAgent('scribe', ['/bin/cat']);
    for (const node of [laptop, desktop]) {
      const agents = await waitFor(`both agents at ${node.name}`, async () => {
        const listed = (await node.json(['agents']))['agents'] as Json[];
        return listed.length === 2 ? listed : undefined;
      });
      expect(agents.map(({ address, node: where, harness, available }) => ({ address, where, harness, available }))).toEqual(
        expect.arrayContaining([
          { address: fabric, where: 'laptop', harness: 'command', available: true },
          { address: '@scribe@desktop#main', where: 'desktop', harness: 'command', available: true },
        ]),
      );
    }
  });

  test('an invocation of an agent on the other machine streams line by line while the agent still runs', async () => {
    const run = desktop.start(['invoke', fabric, 'say hello', '--json']);
    const first = await run.event('output');
    expect(first).toMatchObject({ stream: 'stdout', text: 'on feature-x: say hello\n' });
    invocationId = String(run.events[0]?.['invocationId']);
    for (const node of [desktop, laptop]) {
      expect((await node.json(['flight', 'show', invocationId]))['flight']).toMatchObject({ state: 'running', target: fabric });
    }
    expect(run.isOver).toBe(false);
    cluster.open('go-on');
    const { code, events } = await run.ended;
    expect(code).toBe(0);
    expect(events.map(({ type }) => String(type))).toEqual(['accepted', 'received', 'started', 'output', 'output', 'finished']);
    expect(events.every(({ at }) => !Number.isNaN(Date.parse(String(at))))).toBe(true);
    expect(events[0]).toMatchObject({ invocationId: expect.stringMatching(/^inv_/), flightId: expect.stringMatching(/^flt_/), target: fabric, deduplicated: false });
    const [one, two] = events.filter(({ type }) => type === 'output').map(({ seq }) => Number(seq));
    expect(two).toBe((one ?? 0) + 1);
    expect(events.at(-1)).toMatchObject({ state: 'completed', output: 'on feature-x: say hello\ndone\n', truncated: false, exitCode: 0 });
  });

  test('for people the answer is on stdout and everything else on stderr', async () => {
    const { code, text, stderr } = await desktop.beckon(['invoke', 'fabric@laptop/feature-x', 'say hello']);
    expect({ code, text }).toEqual({ code: 0, text: 'on feature-x: say hello\ndone\n' });
    expect(stderr).toContain(fabric);
  });

  test('a trace has the entries of both machines in one order, the same from either', async () => {
    const [here, there] = [await desktop.json(['trace', invocationId]), await laptop.json(['trace', invocationId])];
    const entries = here['entries'] as Json[];
    expect(new Set(entries.map(({ node }) => String(node)))).toEqual(new Set(['desktop', 'laptop']));
    const clock = entries.map(({ hlc }) => String(hlc));
    expect(clock).toEqual(clock.toSorted());
    const seen = (trace: Json): unknown[] => (trace['entries'] as Json[]).map(({ node, hlc, what }) => ({ node, hlc, what }));
    expect(seen(there)).toEqual(seen(here));
    expect([here['gaps'], there['gaps']]).toEqual([[], []]);
    const [accepted, last] = [entries[0], entries.findLastIndex(({ node }) => node === 'laptop')];
    expect(accepted).toMatchObject({ node: 'desktop' });
    expect(last).toBeGreaterThan(0);
  });

  test('peers and ping say how the other machine is reached', async () => {
    expect(await laptop.peer('desktop', 'alive')).toMatchObject({ address: expect.stringContaining('10.77.31.2'), version: expect.stringMatching(/\d/) });
    const { code, text } = await desktop.beckon(['ping', 'laptop', '-c', '1']);
    expect(code).toBe(0);
    expect(text).toMatch(/laptop/);
    expect((await desktop.beckon(['ping', 'nobody'])).code).toBe(3);
  });

  test('a machine behind a cut cable is unreachable within 30 s, alive within 5 s of its return, and then does what was held for it', async () => {
    cable.pull();
    const slowly = { timeoutMs: 30_000, pollMs: 1000 };
    const cutAt = performance.now();
    const run = desktop.start(['invoke', fabric, 'after the cut', '--json'], { timeoutMs: 80_000 });
    await run.event('accepted');
    await Promise.all([desktop.peer('laptop', 'unreachable', slowly), laptop.peer('desktop', 'unreachable', slowly)]);
    expect(performance.now() - cutAt).toBeLessThan(31_000);
    expect((await run.event('held'))['why']).toMatch(/laptop/);
    const ping = await desktop.beckon(['ping', 'laptop', '-c', '1']);
    expect(ping.code).toBe(4);
    cable.plug();
    const quickly = { timeoutMs: 5000 };
    const backAt = performance.now();
    await Promise.all([desktop.peer('laptop', 'alive', quickly), laptop.peer('desktop', 'alive', quickly)]);
    expect(performance.now() - backAt).toBeLessThan(5500);
    const { code, events } = await run.ended;
    expect({ code, output: events.at(-1)?.['output'] as unknown }).toEqual({ code: 0, output: 'on feature-x: after the cut\ndone\n' });
  });
});
