/** Turns of one session, of several, and of others beside them, with real agents: who waits for whom. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Json, Run } from '../support/cli.ts';
import { Cluster } from '../support/cluster.ts';
import { FakeModel } from '../support/fake-model/server.ts';
import type { TestNode } from '../support/node-process.ts';
import { because } from '../support/programs.ts';
import { claude, codex, notInstalled, place } from '../support/real-agents.ts';
import type { Placed, RealAgent } from '../support/real-agents.ts';
import { waitFor } from '../support/wait-for.ts';

const reason = notInstalled(claude, codex);
const startMs = 60_000;

describe.skipIf(reason !== undefined)(`sessions with real agents${because(reason)}`, () => {
  let cluster: Cluster;
  let model: FakeModel;
  let laptop: TestNode;
  let desktop: TestNode;
  const placed = new Map<RealAgent, Placed>();

  beforeAll(async () => {
    model = await FakeModel.start();
    ({ cluster, laptop, desktop } = await Cluster.meshed('laptop', 'desktop'));
    for (const agent of [claude, codex]) placed.set(agent, await place(cluster, desktop, agent, model));
    await desktop.addAgent('echo', ['/bin/cat']);
    await waitFor('all to be known at the laptop', async () => ((await laptop.json(['agents']))['agents'] as Json[]).length === 3);
  });
  afterAll(async () => {
    await cluster?.[Symbol.asyncDispose]();
    await model?.[Symbol.asyncDispose]();
  });

  const invoke = (agent: RealAgent, task: string, { from = laptop, flags = [] as readonly string[] } = {}): Run =>
    from.start(['invoke', placed.get(agent)?.address ?? '', task, '--json', ...flags], { timeoutMs: 120_000 });
  const stateOf = async (run: Run): Promise<unknown> => ((await desktop.json(['flight', 'show', String((await run.event('accepted'))['flightId'])]))['flight'] as Json)['state'];
  const answers = (run: Run): Promise<Json> => run.event('output', ({ stream }) => stream === 'stdout', startMs);

  test.each([claude, codex])('two turns for one session of $title at once run one after the other, in the order in which they came', async (agent) => {
    const begun = await invoke(agent, 'say begun').ended;
    const session = String(begun.events.find(({ type }) => type === 'started')?.['session']);
    const gate = `${agent.preset}-order`;
    const one = invoke(agent, `hold ${gate}`, { flags: ['--session', session] });
    await answers(one);
    // One from each node.
    const two = invoke(agent, 'say two', { flags: ['--session', session] });
    await two.event('received');
    const three = invoke(agent, 'recall', { from: desktop, flags: ['--session', session] });
    await three.event('received');
    expect(await Promise.all([one, two, three].map(stateOf))).toEqual(['running', 'queued', 'queued']);
    expect(model.turns.filter(({ prompt }) => ['say two', 'recall'].includes(prompt.users.at(-1) ?? ''))).toEqual([]);
    model.gates.open(gate);
    const [first, second, third] = await Promise.all([one, two, three].map(async (run) => (await run.ended).events));
    expect(third?.at(-1)).toMatchObject({ state: 'completed', output: 'you spoke 4 times, first: say begun' });
    const at = (events: readonly Json[] | undefined, type: string): number => Date.parse(String(events?.find((each) => each['type'] === type)?.['at']));
    expect(at(second, 'started')).toBeGreaterThanOrEqual(at(first, 'finished'));
    expect(at(third, 'started')).toBeGreaterThanOrEqual(at(second, 'finished'));
    model.asked.splice(0);
  });

  test('turns of two sessions, and of two agents, run side by side', async () => {
    const runs = [invoke(claude, 'hold beside'), invoke(claude, 'hold beside'), invoke(codex, 'hold beside'), invoke(codex, 'hold beside')];
    await waitFor('all four to be in their answers', () => model.gates.waiting('beside') === 4, { timeoutMs: startMs });
    expect(await Promise.all(runs.map(stateOf))).toEqual(['running', 'running', 'running', 'running']);
    model.gates.open('beside');
    for (const run of runs) expect((await run.ended).events.at(-1)).toMatchObject({ state: 'completed', output: 'holding beside\nbeside went on' });
  });

  test('slow agents delay nobody: not the link, not the output of another', async () => {
    const alive = async (): Promise<Json> => laptop.peer('desktop', 'alive');
    const echo = async (): Promise<number> => {
      const { events } = await laptop.start(['invoke', 'echo@desktop', 'hello', '--json']).ended;
      expect(events.at(-1)).toMatchObject({ state: 'completed', output: 'hello' });
      return Date.parse(String(events.at(-1)?.['at'])) - Date.parse(String(events[0]?.['at']));
    };
    const sample = async (): Promise<number[]> => {
      const took: number[] = [];
      for (let count = 0; count < 10; count += 1) took.push(await echo());
      return took.toSorted((a, b) => a - b);
    };
    const since = (await alive())['since'];
    const calm = await sample();
    const slow = [invoke(claude, 'hold slow'), invoke(codex, 'hold slow')];
    for (const run of slow) await answers(run);
    // One that starts, and one with 4 MiB to say.
    const [starting, flooding] = [invoke(claude, 'hold slow'), invoke(codex, 'flood 4096')];
    const busy = await sample();
    expect(slow.map(({ isOver }) => isOver), 'all that time').toEqual([false, false]);
    const peer = await alive();
    expect(peer['since'], 'the link was never in doubt').toBe(since);
    model.gates.open('slow');
    for (const run of [...slow, starting]) expect((await run.ended).code).toBe(0);
    const flooded = (await flooding.ended).events.at(-1);
    expect(flooded).toMatchObject({ state: 'completed', truncated: true });
    const middle = (took: readonly number[]): string => `p50 ${took[5]} ms, worst ${took.at(-1)} ms`;
    console.log(`calls of an echo on the other node: ${middle(calm)} alone; ${middle(busy)} beside two slow agents, one that starts, and 4 MiB of output; round trip ${String(peer['rttMs'])} ms`);
  });
});
