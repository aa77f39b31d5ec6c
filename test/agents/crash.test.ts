/** A node that is killed while real agents run: its next start ends all that they left, and says so. */
import { spawn } from 'node:child_process';
import { accessSync, constants, existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { kill, processesOf } from '../support/belongings.ts';
import type { Json, Run } from '../support/cli.ts';
import { Cluster } from '../support/cluster.ts';
import { FakeModel } from '../support/fake-model/server.ts';
import type { TestNode } from '../support/node-process.ts';
import { isRunning, runningProcesses } from '../support/processes.ts';
import { because, notLinux } from '../support/programs.ts';
import { claude, codex, notInstalled, place, processesOfAgent } from '../support/real-agents.ts';
import type { Placed } from '../support/real-agents.ts';
import { waitFor } from '../support/wait-for.ts';

const reason = notLinux ?? notInstalled(claude, codex);
const lastPid = '/proc/sys/kernel/ns_last_pid';
const startMs = 60_000;

describe.skipIf(reason !== undefined)(`a node that is killed while agents run${because(reason)}`, () => {
  let cluster: Cluster;
  let model: FakeModel;
  let laptop: TestNode;
  let desktop: TestNode;
  let placed: { readonly claude: Placed; readonly codex: Placed };

  beforeAll(async () => {
    model = await FakeModel.start();
    ({ cluster, laptop, desktop } = await Cluster.meshed('laptop', 'desktop'));
    placed = { claude: await place(cluster, desktop, claude, model), codex: await place(cluster, desktop, codex, model) };
    await waitFor('both to be known at the laptop', async () => ((await laptop.json(['agents']))['agents'] as Json[]).length === 2);
  });
  afterAll(async () => {
    await cluster?.[Symbol.asyncDispose]();
    await model?.[Symbol.asyncDispose]();
  });

  const invoke = (agent: Placed, task: string): Run => laptop.start(['invoke', agent.address, task, '--json'], { timeoutMs: 120_000 });
  const idOf = async (run: Run): Promise<string> => String((await run.event('accepted'))['flightId']);
  const hold = async (agent: Placed, gate: string): Promise<Run> => {
    const run = invoke(agent, `hold ${gate}`);
    await run.event('output', ({ stream }) => stream === 'stdout', startMs);
    return run;
  };

  test('no process of theirs is left after its next start, and each flight says what is true', async () => {
    const sign = join(placed.claude.cwd, 'began');
    const working = invoke(placed.claude, `run touch ${sign}; tail -f /dev/null`);
    const held = await hold(placed.codex, 'crash');
    const asking = invoke(placed.codex, `write ${join(placed.codex.cwd, 'asked.txt')} text`);
    const { request } = await working.event('waiting', () => true, startMs);
    await laptop.json(['flight', 'approve', await idOf(working), String(request)]);
    await asking.event('waiting', () => true, startMs);
    await waitFor('the command to run', () => existsSync(sign) && processesOf(sign).length > 0, { timeoutMs: 20_000 });

    // They stand still: none of them can see that its node is gone, and end by itself.
    const left = [...processesOfAgent(placed.claude), ...processesOfAgent(placed.codex)];
    for (const { pid } of left) kill(pid, 'SIGSTOP');
    await desktop.kill9();
    expect(left.filter(({ pid }) => isRunning(pid))).toEqual(left);
    await desktop.up();
    expect([...processesOfAgent(placed.claude), ...processesOfAgent(placed.codex)]).toEqual([]);

    for (const run of [working, held, asking]) {
      const { code, events } = await run.ended;
      expect({ code, last: events.at(-1) }).toMatchObject({ code: 9, last: { type: 'finished', state: 'indeterminate' } });
      for (const node of [laptop, desktop]) {
        const { flight } = await node.json(['flight', 'show', await idOf(run)]);
        expect(flight).toMatchObject({ state: 'indeterminate' });
      }
    }
    const counts = await Promise.all([working, held, asking].map(async (run) => ((await desktop.json(['flight', 'show', await idOf(run)]))['flight'] as Json)['ended']));
    expect(counts.reduce((sum: number, count) => sum + Number(count), 0), 'how many processes were ended').toBe(left.length);
    expect((await laptop.json(['inbox']))['waiting'], 'a request does not outlive its run').toEqual([]);
  });

  const noPid = canChoosePid() ? undefined : `${lastPid} can't be written`;
  test.skipIf(noPid !== undefined)(`an unrelated process that got the number of a dead agent lives on${because(noPid)}`, async () => {
    const held = await hold(placed.codex, 'number');
    const id = await idOf(held);
    const own = new Set(processesOf(id).map(({ pid }) => pid));
    const leader = runningProcesses().find(({ pid, group }) => own.has(pid) && pid === group)?.pid ?? 0;
    expect(leader).toBeGreaterThan(0);
    await desktop.kill9();
    kill(-leader, 'SIGKILL');
    const bystander = await startAs(leader, cluster.directory);
    try {
      await desktop.up();
      expect(isRunning(leader)).toBe(true);
      expect((await held.ended).code).toBe(9);
      expect(((await desktop.json(['flight', 'show', id]))['flight'] as Json)['state']).toBe('indeterminate');
    } finally {
      bystander();
    }
  });
});

function canChoosePid(): boolean {
  try {
    accessSync(lastPid, constants.W_OK);
    return process.getuid?.() === 0;
  } catch (error) {
    if (error instanceof Error) return false;
    throw error;
  }
}

/** A process of somebody else with that number, leading a group and a session of its own as an agent does. @returns ends it */
async function startAs(pid: number, cwd: string): Promise<() => void> {
  const child = await waitFor(`the number ${pid} to be free`, () => {
    writeFileSync(lastPid, String(pid - 1));
    const started = spawn('sleep', ['600'], { detached: true, stdio: 'ignore', cwd });
    if (started.pid === pid) return started;
    started.kill('SIGKILL');
    return undefined;
  }, { timeoutMs: 20_000 });
  return () => void child.kill('SIGKILL');
}
