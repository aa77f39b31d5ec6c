/** Agents that call agents: what the token of a flight opens, and where chains end. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Json } from '../support/cli.ts';
import { beckonPath } from '../support/cli.ts';
import { Cluster } from '../support/cluster.ts';
import type { TestNode } from '../support/node-process.ts';
import { waitFor } from '../support/wait-for.ts';

describe('agents that call agents', () => {
  let cluster: Cluster;
  let laptop: TestNode;
  let desktop: TestNode;

  beforeAll(async () => {
    ({ cluster, laptop, desktop } = await Cluster.meshed('laptop', 'desktop'));
    await laptop.addAgent('ping', ['/bin/sh', '-c', `exec ${beckonPath} invoke pong@desktop/main 'your turn'`]);
    await desktop.addAgent('pong', ['/bin/sh', '-c', `exec ${beckonPath} invoke ping@laptop/main 'your turn'`]);
    await desktop.addAgent('echo', ['/bin/cat']);
    // Runs its task as a command line of beckon, and says how that ended.
    await laptop.addAgent('hand', [cluster.program('hand', `eval "set -- $(cat)"\n${beckonPath} "$@" 2>&1; echo "exit $?"`)]);
    for (let level = 0; level < 12; level += 1) {
      await laptop.addAgent(`level${level}`, ['/bin/sh', '-c', `exec ${beckonPath} invoke level${level + 1}@laptop/main deeper`]);
    }
    await waitFor('the agents to be known everywhere', async () => {
      const seen = await Promise.all([laptop, desktop].map(async (node) => ((await node.json(['agents']))['agents'] as Json[]).length));
      return seen.every((count) => count === 16);
    });
  });
  afterAll(() => cluster?.[Symbol.asyncDispose]());

  const hand = async (command: string): Promise<string> => (await laptop.beckon(['invoke', 'hand@laptop/main', command])).text;

  test('a cycle over two nodes ends at once, with the chain in the error, after one flight each', async () => {
    const before = { laptop: await count(laptop), desktop: await count(desktop) };
    const { code, last, events } = await laptop.invoke(['ping@laptop/main', 'start']);
    expect(code).toBe(1);
    expect(last).toMatchObject({ type: 'finished', state: 'failed', exitCode: 1 });
    const told = events.filter(({ type, stream }) => type === 'output' && stream === 'stderr').map(({ text }) => String(text)).join('');
    expect(told).toContain('@ping@laptop#main is at work on this already: @ping@laptop#main → @pong@desktop#main → @ping@laptop#main');
    // ping, and what it asked of pong; pong. The third was never accepted.
    expect(await count(laptop) - before.laptop).toBe(2);
    expect(await count(desktop) - before.desktop).toBe(1);
  });

  test('a chain without a cycle ends at the depth limit', async () => {
    const before = await count(laptop);
    const { code, events } = await laptop.invoke(['level0@laptop/main', 'go'], { timeoutMs: 60_000 });
    expect(code).toBe(1);
    expect(events.map(({ text }) => String(text)).join('')).toContain('agents may call each other 8 deep');
    expect(await count(laptop) - before).toBe(9);
  }, 90_000);

  test('what an agent invokes is a child of its flight, asked for by the agent', async () => {
    const text = await hand('invoke echo@desktop/main hello --json');
    expect(text).toContain('exit 0');
    const accepted = JSON.parse(text.split('\n')[0] ?? '') as Json;
    for (const node of [laptop, desktop]) {
      const { flight } = await node.json(['flight', 'show', String(accepted['flightId'])]);
      expect(flight).toMatchObject({ caller: 'agent:@hand@laptop#main', state: 'completed' });
    }
  });

  test('an agent sees its own flight and its children, and nothing else', async () => {
    const strange = (await laptop.beckon(['invoke', 'echo@desktop/main', 'x', '--detach'])).text.trim();
    await laptop.beckon(['flight', 'wait', strange]);
    for (const command of ['show', 'output', 'wait', 'follow', 'cancel']) expect(await hand(`flight ${command} ${strange}`)).toMatch(/is not for @hand@laptop#main[\s\S]*exit 5/);
    expect(await hand(`trace ${strange}`)).toContain('exit 5');
    expect(await hand('flight show $BECKON_FLIGHT_ID')).toContain('exit 0');
    expect(await hand('trace $BECKON_INVOCATION_ID')).toContain('exit 0');
    const listed = JSON.parse((await hand('flights --json')).split('\n')[0] ?? '') as Json;
    expect((listed['flights'] as Json[]).map(({ target }) => String(target))).toEqual(['@hand@laptop#main']);
    expect(await hand('flights --node desktop')).toContain('exit 5');
  });

  test.each(['status', 'agents', 'peers', 'resolve echo', 'agent show echo@desktop/main'])('an agent may: %s', async (command) => {
    expect(await hand(command)).toContain('exit 0');
  });

  test.each([
    'agent add mine --workspace main -- /bin/cat',
    'agent rm echo@desktop/main',
    'mesh create other --new',
    'mesh invite',
    'mesh join bkn1.x',
    'down',
    'down --force',
    'restart',
    'deliveries',
  ])('an agent may not: %s', async (command) => {
    const text = await hand(command);
    expect(text).toContain('exit 5');
    expect(text).toContain('an agent at work may not do this');
    expect((await laptop.beckon(['status'])).code).toBe(0);
  });

  test('an agent that shows a token that is none, or of a flight that has ended, is told so', async () => {
    await laptop.addAgent('tell', ['/bin/sh', '-c', 'echo $BECKON_TOKEN']);
    const old = (await laptop.beckon(['invoke', 'tell@laptop/main', ''])).text.trim();
    for (const [shown, why] of [['flt_nonsense', /is not one of this node/], [old, /is of a flight that does not run: it is completed/]] as const) {
      const ended = await laptop.beckon(['status'], { env: { BECKON_TOKEN: shown } });
      expect([ended.code, ended.stderr]).toEqual([5, expect.stringMatching(why)]);
      expect(ended.stderr).toContain('unset BECKON_TOKEN');
    }
  });
});

async function count(node: TestNode): Promise<number> {
  const { flights } = await node.json(['status']);
  return Object.values(flights as Record<string, number>).reduce((sum, each) => sum + each, 0);
}
