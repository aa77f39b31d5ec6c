/** Letting go of a flight, and ending one: by signal, by key, by a lost line. */
import { execFileSync } from 'node:child_process';
import { closeSync, constants, openSync } from 'node:fs';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { codeOf } from '../../src/domain/system-error.ts';
import type { Ended, Run } from '../support/cli.ts';
import { Cluster } from '../support/cluster.ts';
import type { TestNode } from '../support/node-process.ts';
import { processesNaming } from '../support/processes.ts';
import { because } from '../support/programs.ts';
import { controlC, noTerminal } from '../support/terminal.ts';
import { waitFor } from '../support/wait-for.ts';

let cluster: Cluster;
let laptop: TestNode;
let desktop: TestNode;
beforeAll(async () => {
  ({ cluster, laptop, desktop } = await Cluster.meshed('laptop', 'desktop'));
});
afterAll(() => cluster?.[Symbol.asyncDispose]());

/** Of the agent of this test, in the command lines of it and its child. */
let mark = '';
let address = '';
let number = 0;
beforeEach(async () => {
  number += 1;
  mark = cluster.path(`agent-${number}`);
  execFileSync('mkfifo', [`${mark}-gate`]);
  // Two processes, neither of which starts others: cat waits until somebody opens the gate.
  cluster.program(`agent-${number}`, `echo working\ncat '${mark}-gate'\necho finished`);
  address = await desktop.addAgent(`agent-${number}`, [mark]);
  await waitFor('the agent at the laptop', async () => (await laptop.beckon(['resolve', address])).code === 0);
});

const isGone = (): Promise<true> => waitFor(`${mark} and its child to be gone`, () => agentProcesses().length === 0) as Promise<true>;
const agentProcesses = (): ReturnType<typeof processesNaming> => processesNaming(mark).filter(({ command }) => !/main\.(ts|js)/.test(command));

async function running(flags: readonly string[] = [], terminal = false): Promise<{ readonly run: Run; readonly id: string }> {
  const run = laptop.start(['invoke', address, 'go', ...flags], { terminal, ...(terminal ? { typing: true, env: { NO_COLOR: '1' } } : {}) });
  await run.says(/working/);
  // The agent and its child.
  await waitFor('the agent to have its child', () => agentProcesses().length === 2);
  const shown = terminal ? run.stdout.toString() : `${run.stdout.toString()}${run.stderr}`;
  const [id = ''] = /inv_[0-9A-Z]{26}/.exec(shown) ?? [];
  return { run, id };
}

/** Once somebody waits at it: it opens for nobody who comes later. */
async function openGate(): Promise<void> {
  const gate = await waitFor('somebody at the gate', () => openIfRead());
  closeSync(gate);
}

/** @returns undefined while nobody reads it (ENXIO, fifo(7)) */
function openIfRead(): number | undefined {
  try {
    return openSync(`${mark}-gate`, constants.O_WRONLY | constants.O_NONBLOCK);
  } catch (error) {
    if (codeOf(error) === 'ENXIO') return undefined;
    throw error;
  }
}

/** The flight goes on by itself and ends well. */
async function goesOn(id: string): Promise<void> {
  expect((await laptop.json(['flight', 'show', id]))['flight']).toMatchObject({ state: 'running' });
  await openGate();
  expect((await laptop.beckon(['flight', 'wait', id])).code).toBe(0);
  expect((await laptop.beckon(['flight', 'output', id])).text).toBe('working\nfinished\n');
}

async function wasCancelled(id: string, { code }: Ended): Promise<void> {
  expect(code).toBe(7);
  await isGone();
  for (const node of [laptop, desktop]) expect((await node.json(['flight', 'show', id]))['flight']).toMatchObject({ state: 'cancelled', output: 'working\n' });
}

describe('without a terminal', () => {
  test.each(['SIGINT', 'SIGTERM'] as const)('%s cancels: exit 7, and nothing of the agent is left on the other node', async (signal) => {
    const { run, id } = await running(['--json']);
    run.signal(signal);
    const ended = await run.ended;
    await wasCancelled(id, ended);
    expect(ended.events.at(-1)).toMatchObject({ type: 'finished', state: 'cancelled', output: 'working\n', ended: 2 });
  });

  test('SIGINT with --on-signal detach lets go: exit 10, and the flight goes on', async () => {
    const { run, id } = await running(['--on-signal', 'detach']);
    run.signal('SIGINT');
    expect((await run.ended).code).toBe(10);
    await goesOn(id);
  });

  test('SIGHUP lets go: exit 10, and the flight goes on', async () => {
    const { run, id } = await running();
    run.signal('SIGHUP');
    expect((await run.ended).code).toBe(10);
    await goesOn(id);
  });

  test('SIGINT cancels what is held for a node that is down, at once, since it was never sent', async () => {
    await desktop.down();
    const run = laptop.start(['invoke', address, 'go', '--json']);
    await run.event('held');
    run.signal('SIGINT');
    const { code, events } = await run.ended;
    expect(code).toBe(7);
    expect(events.at(-1)).toMatchObject({ type: 'finished', state: 'cancelled' });
    await desktop.up();
    await laptop.peer('desktop', 'alive');
    await laptop.beckon(['ping', 'desktop', '-c', '1']);
    expect(agentProcesses()).toEqual([]);
    expect((await desktop.beckon(['flight', 'show', String(events[0]?.['invocationId'])])).code, 'the owner never heard of it').toBe(3);
  });
});

describe('flight cancel', () => {
  test('ends the whole group of the agent and counts what it ended; a second one is a conflict that names the state', async () => {
    const { run, id } = await running();
    const cancelled = await laptop.json(['flight', 'cancel', id]);
    expect(cancelled).toMatchObject({ flightId: `flt_${id.slice(4)}`, state: 'cancelled', confirmed: true, ended: 2 });
    await wasCancelled(id, await run.ended);
    const again = await laptop.beckon(['flight', 'cancel', id, '--json']);
    expect(again.code).toBe(6);
    expect(again.json).toMatchObject({ error: { code: 'conflict', message: expect.stringContaining('cancelled') } });
  });
});

describe.skipIf(noTerminal !== undefined)(`on a terminal${because(noTerminal)}`, () => {
  const question = /etach.*ancel.*eep/s;

  test('Ctrl-C asks; d lets go: exit 10, and the flight goes on', async () => {
    const { run, id } = await running([], true);
    run.write(controlC);
    await run.says(question);
    run.write('d');
    expect((await run.ended).code).toBe(10);
    await goesOn(id);
  });

  test('Ctrl-C asks; k keeps waiting for the answer', async () => {
    const { run } = await running([], true);
    run.write(controlC);
    await run.says(question);
    run.write('k');
    await run.says(/keep\b(?!.*\?)/s);
    await openGate();
    const { code, text } = await run.ended;
    expect(code).toBe(0);
    expect(text).toMatch(/working[^]*finished/);
  });

  test('Ctrl-C again cancels, and says that it is confirmed: exit 7', async () => {
    const { run, id } = await running([], true);
    run.write(controlC);
    await run.says(question);
    run.write(controlC);
    const ended = await run.ended;
    await wasCancelled(id, ended);
    expect(ended.text).toMatch(/confirmed/);
  });

  test('the line lost lets go: the flight goes on, and nothing of the command is left', async () => {
    const { run, id } = await running([], true);
    // The terminal is gone with the program that made it; the kernel sends SIGHUP.
    run.signal('SIGKILL');
    await run.ended;
    await waitFor('the command to be gone', () => processesNaming(address).length === 0);
    await goesOn(id);
  });
});
