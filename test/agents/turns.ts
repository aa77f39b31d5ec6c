/** What people do with an agent on another of their machines, with a real agent: each call is made from the other node. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { processesOf } from '../support/belongings.ts';
import type { Json, Run } from '../support/cli.ts';
import { Cluster } from '../support/cluster.ts';
import { FakeModel } from '../support/fake-model/server.ts';
import type { TestNode } from '../support/node-process.ts';
import { because } from '../support/programs.ts';
import { notInstalled, place, processesOfAgent, realAgents } from '../support/real-agents.ts';
import type { Placed, RealAgent } from '../support/real-agents.ts';
import { waitFor } from '../support/wait-for.ts';

/** A cold start on a busy machine; a bound on a hang. */
const startMs = 60_000;

const idOf = async (run: Run): Promise<string> => String((await run.event('accepted'))['flightId']);
const waitingOf = async (run: Run): Promise<Json> => run.event('waiting', () => true, startMs);
const stdoutOf = ({ events }: Pick<Run, 'events'>): string => events.filter(({ type, stream }) => type === 'output' && stream === 'stdout').map(({ text }) => String(text)).join('');

/** A file for each agent calls it, so that they run beside each other. */
export function turnsOf(preset: RealAgent['preset']): void {
  const agent = realAgents.find((each) => each.preset === preset);
  if (agent === undefined) throw new Error(`no agent ${preset}`);
  const reason = notInstalled(agent);
  describe.skipIf(reason !== undefined)(`${agent.title}, called from another node${because(reason)}`, () => {
    let cluster: Cluster;
    let model: FakeModel;
    /** Where the work is asked for. */
    let laptop: TestNode;
    /** Where the agents are. */
    let desktop: TestNode;
    /** Here too, and here what they ask is soon denied. */
    let server: TestNode;
    let placed: Placed;
    let impatient: Placed;
    let first = '';

    beforeAll(async () => {
      model = await FakeModel.start();
      ({ cluster, laptop, desktop, server } = await Cluster.meshed('laptop', 'desktop', 'server'));
      await server.down();
      writeFileSync(join(server.home, 'config.toml'), 'request_timeout = "2s"\n');
      await server.up();
      placed = await place(cluster, desktop, agent, model);
      impatient = await place(cluster, server, agent, model, `${agent.preset}-soon`);
      for (const { address } of [placed, impatient]) {
        await waitFor(`${address} to be known at the laptop`, async () => {
          const { agents } = await laptop.json(['agents']);
          return (agents as Json[]).some((each) => each['address'] === address && each['available'] === true);
        });
      }
    });
    afterAll(async () => {
      await cluster?.[Symbol.asyncDispose]();
      await model?.[Symbol.asyncDispose]();
    });

    const invoke = (task: string, ...flags: readonly string[]): Run => laptop.start(['invoke', placed.address, task, '--json', ...flags], { timeoutMs: startMs + 30_000 });
    const flight = async (id: string): Promise<Json> => (await laptop.json(['flight', 'show', id]))['flight'] as Json;
    const answer = async (task: string, ...flags: readonly string[]): Promise<Json> => {
      const { events } = await invoke(task, ...flags).ended;
      return events.at(-1) ?? {};
    };

    test('the first piece of its answer is here before it has said the rest', async () => {
      const gate = `${agent.preset}-stream`;
      const run = invoke(`hold ${gate}`);
      first = await idOf(run);
      const piece = await run.event('output', ({ stream }) => stream === 'stdout', startMs);
      expect(piece).toMatchObject({ text: `holding ${gate}\n` });
      expect(model.gates.waiting(gate)).toBe(1);
      expect(await flight(first)).toMatchObject({ state: 'running' });
      model.gates.open(gate);
      const { code, events } = await run.ended;
      expect({ code, last: events.at(-1) }).toMatchObject({ code: 0, last: { type: 'finished', state: 'completed', output: `holding ${gate}\n${gate} went on` } });
      expect(stdoutOf({ events }), 'the answer, and nothing else').toBe(`holding ${gate}\n${gate} went on`);
    });

    test('a tool call that was approved from the other node is done', async () => {
      const path = join(placed.cwd, 'approved.txt');
      const run = invoke(`write ${path} what was approved`);
      const waiting = await waitingOf(run);
      expect(waiting).toMatchObject({ reason: 'approval', prompt: expect.stringContaining('approved.txt'), request: expect.any(String) });
      const id = await idOf(run);
      expect((await laptop.json(['inbox']))['waiting']).toMatchObject([{ flightId: id, target: placed.address, reason: 'approval', request: waiting['request'] }]);
      expect(existsSync(path), 'before it was approved').toBe(false);
      await laptop.json(['flight', 'approve', id, String(waiting['request'])]);
      const { code, events } = await run.ended;
      expect({ code, last: events.at(-1) }).toMatchObject({ code: 0, last: { state: 'completed', output: expect.stringMatching(/^wrote: /) } });
      expect(readFileSync(path, 'utf8').trimEnd()).toBe('what was approved');
      const { code: stale } = await laptop.beckon(['flight', 'deny', id, String(waiting['request'])]);
      expect(stale, 'another answer comes too late').toBe(6);
      expect((await laptop.json(['inbox']))['waiting']).toEqual([]);
    });

    test('a tool call that was denied is not done, and the agent hears so', async () => {
      const path = join(placed.cwd, 'denied.txt');
      const run = invoke(`write ${path} what was denied`, '--continue');
      const waiting = await waitingOf(run);
      await laptop.json(['flight', 'deny', await idOf(run), String(waiting['request'])]);
      const { events } = await run.ended;
      expect(events.at(-1)).toMatchObject({ type: 'finished', state: expect.stringMatching(/^(completed|failed)$/) });
      expect(existsSync(path)).toBe(false);
    });

    test('a tool call that nobody answers in time is denied', async () => {
      const path = join(impatient.cwd, 'late.txt');
      const run = laptop.start(['invoke', impatient.address, `write ${path} what nobody approved`, '--json'], { timeoutMs: startMs + 30_000 });
      const waiting = await waitingOf(run);
      const { events } = await run.ended;
      expect(events.at(-1)).toMatchObject({ type: 'finished', state: expect.stringMatching(/^(completed|failed)$/) });
      expect(existsSync(path)).toBe(false);
      const { code } = await laptop.beckon(['flight', 'approve', await idOf(run), String(waiting['request'])]);
      expect(code).toBe(6);
    });

    test('a cancel in the middle of its turn leaves no process', async () => {
      const gate = `${agent.preset}-cancel`;
      const run = invoke(`hold ${gate}`);
      await run.event('output', ({ stream }) => stream === 'stdout', startMs);
      const id = await idOf(run);
      expect(processesOf(id).length).toBeGreaterThan(0);
      const cancelled = await laptop.json(['flight', 'cancel', id]);
      expect(cancelled).toMatchObject({ state: 'cancelled', confirmed: true });
      expect(cancelled['ended']).toBeGreaterThan(0);
      expect(processesOf(id)).toEqual([]);
      expect((await run.ended).code).toBe(7);
      await waitFor('its question to the model to be given up', () => model.gates.waiting(gate) === 0);
    });

    test('a cancel while a command of it runs ends the command, too', async () => {
      const sign = join(placed.cwd, 'began');
      const run = invoke(`run touch ${sign}; tail -f /dev/null`);
      const waiting = await waitingOf(run);
      const id = await idOf(run);
      await laptop.json(['flight', 'approve', id, String(waiting['request'])]);
      await waitFor('the command to run', () => existsSync(sign) && processesOf(id).some(({ command }) => command.trim() === 'tail -f /dev/null'), { timeoutMs: 20_000 });
      expect(await laptop.json(['flight', 'cancel', id])).toMatchObject({ state: 'cancelled', confirmed: true });
      expect(processesOf(id)).toEqual([]);
      expect((await run.ended).code).toBe(7);
    });

    test('a second turn goes on with the session: the last one, or the one that is named', async () => {
      const { session } = await flight(first);
      expect(session).toEqual(expect.any(String));
      const spoken = (times: number): Json => ({ state: 'completed', output: `you spoke ${times} times, first: hold ${agent.preset}-stream` });
      expect(await answer('recall', '--session', String(session))).toMatchObject(spoken(2));
      expect(await answer('recall', '--continue')).toMatchObject(spoken(3));
      expect(await answer('recall'), 'without either, a new one').toMatchObject({ output: 'you spoke 1 times, first: recall' });
    });

    test('the session goes on after the owner has restarted', async () => {
      await desktop.down();
      expect(processesOfAgent(placed), 'a node that is down has left no agent').toEqual([]);
      agent.ageSessions?.(placed.home);
      await desktop.up();
      await laptop.peer('desktop', 'alive');
      const { session } = await flight(first);
      expect(await answer('recall', '--session', String(session))).toMatchObject({ state: 'completed', output: `you spoke 4 times, first: hold ${agent.preset}-stream` });
      expect(await answer('recall', '--continue')).toMatchObject({ state: 'completed', output: `you spoke 5 times, first: hold ${agent.preset}-stream` });
    });
  });
}
