/** Which processes a new start ends of what a dead node left: real ones, each in a session of its own as agents are. */
import { spawn } from 'node:child_process';
import { afterEach, describe, expect, test } from 'vitest';
import { createSystemClock } from '../../src/app/system-clock.ts';
import type { FlightProcess } from '../../src/domain/harness-port.ts';
import { flightIdOf } from '../../src/domain/ids.ts';
import { OrphanSweep } from '../../src/harness/orphans.ts';
import { markOf } from '../../src/harness/process-mark.ts';
import { processTable } from '../../src/harness/process-table.ts';
import { kill, killAll } from '../support/belongings.ts';
import { isRunning, processesNaming } from '../support/processes.ts';
import { because, notLinux } from '../support/programs.ts';
import { waitFor } from '../support/wait-for.ts';

const flightId = flightIdOf('01J9Z6M3T4V8Q2X7K5B1C0D9EF');
const otherFlight = flightIdOf('01J9Z6M3T4V8Q2X7K5B1C0D9EG');
const graceMs = 300;
/** In the command line of all that a test starts. */
const sign = `beckon-orphan-${process.pid}`;

const orphans = new OrphanSweep({ clock: createSystemClock(), readProcesses: processTable(process.platform) });

/** A shell that leads its own session. */
async function started(script: string, env: Record<string, string> = { BECKON_FLIGHT_ID: flightId }): Promise<FlightProcess & { readonly pids: readonly number[] }> {
  const child = spawn('/bin/bash', ['-c', `${script}\n: ${sign}`], { detached: true, stdio: ['ignore', 'pipe', 'ignore'], env: { PATH: process.env['PATH'] ?? '', ...env } });
  const mark = markOf(child.pid ?? 0);
  if (mark === undefined) throw new Error('no mark');
  let text = '';
  child.stdout.setEncoding('utf8').on('data', (piece: string) => (text += piece));
  const line = await waitFor('its processes', () => /^([\d ]+)\n/.exec(text)?.[1]);
  return { flightId, ...mark, pids: line.trim().split(' ').map(Number) };
}

/** `exec -a`, so that what is left is found by the sign. */
const sleep = `(exec -a ${sign} sleep 600)`;

describe.skipIf(notLinux !== undefined)(`orphans${because(notLinux)}`, () => {
  afterEach(() => killAll(processesNaming(sign)));

  test('the recorded process is ended with its children, also with those that made groups and sessions of their own', async () => {
    const left = await started(`${sleep} & set -m; ${sleep} & set +m; setsid bash -c 'exec -a ${sign} sleep 600' & echo $$ $!; wait`);
    await waitFor('all to run', () => processesNaming(sign).filter(({ command }) => command.trim() === `${sign} 600`).length === 3);
    expect((await orphans.sweep([left], graceMs)).get(flightId)).toBe(4);
    expect(left.pids.filter(isRunning)).toEqual([]);
    expect(processesNaming(sign)).toEqual([]);
  });

  test('one that ignores TERM is killed after the grace', async () => {
    const left = await started(`trap '' TERM; echo $$; while :; do sleep 0.1; done`);
    expect((await orphans.sweep([left], graceMs)).get(flightId)).toBeGreaterThanOrEqual(1);
    expect(isRunning(left.pid)).toBe(false);
  });

  test('when the recorded process has ended, what it left in its session is ended, in whatever group', async () => {
    const left = await started(`set -m; ${sleep} & echo $$ $!; exit`);
    await waitFor('the first to be gone', () => !isRunning(left.pid));
    expect(await orphans.sweep([left], graceMs)).toEqual(new Map([[flightId, 1]]));
    expect(left.pids.filter(isRunning)).toEqual([]);
  });

  test('several of one flight count together; of those that are gone nothing is said', async () => {
    const [one, two, gone] = [await started('echo $$; exec sleep 600'), await started('echo $$; exec sleep 600'), await started('echo $$')];
    await waitFor('the third to be gone', () => !isRunning(gone.pid));
    expect(await orphans.sweep([one, two, { ...gone, flightId: otherFlight }], graceMs)).toEqual(new Map([[flightId, 2]]));
  });

  test.each([
    ['another boot', (left: FlightProcess) => ({ ...left, bootId: '00000000-0000-0000-0000-000000000000' })],
    ['another start time: an unrelated process that got the same number', (left: FlightProcess) => ({ ...left, startedAt: String(Number(left.startedAt) - 1) })],
    ['another flight in its environment', (left: FlightProcess) => ({ ...left, flightId: otherFlight })],
  ])('a process is left alone when one thing does not match: %s', async (_name, changed) => {
    const left = await started(`${sleep} & echo $$ $!; wait`);
    expect(await orphans.sweep([changed(left)], graceMs)).toEqual(new Map());
    expect(left.pids.filter(isRunning)).toEqual(left.pids);
  });

  test('a process with no flight in its environment is left alone', async () => {
    const left = await started('echo $$; exec sleep 600', {});
    expect(await orphans.sweep([left], graceMs)).toEqual(new Map());
    expect(isRunning(left.pid)).toBe(true);
    kill(left.pid, 'SIGKILL');
  });

  test('what is left of a session is left alone when it is another flight’s', async () => {
    const left = await started(`set -m; ${sleep} & echo $$ $!; exit`, { BECKON_FLIGHT_ID: otherFlight });
    await waitFor('the first to be gone', () => !isRunning(left.pid));
    expect(await orphans.sweep([left], graceMs)).toEqual(new Map());
    expect(left.pids.slice(1).filter(isRunning)).toHaveLength(1);
  });
});
