/** Agents that do what no agent should: what becomes of them, of what they started, and of their flights. */
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { kill } from '../support/belongings.ts';
import { beckonPath } from '../support/cli.ts';
import type { Json } from '../support/cli.ts';
import { Cluster } from '../support/cluster.ts';
import type { TestNode } from '../support/node-process.ts';
import { isRunning } from '../support/processes.ts';
import { because, notLinux } from '../support/programs.ts';
import { waitFor } from '../support/wait-for.ts';

let cluster: Cluster;
let laptop: TestNode;
beforeAll(async () => {
  cluster = await Cluster.create();
  laptop = await cluster.node('laptop');
  await laptop.up();
});
afterAll(() => cluster?.[Symbol.asyncDispose]());

const shell = (name: string, script: string): Promise<string> => laptop.addAgent(name, ['/bin/sh', '-c', script]);
const outputOf = (events: readonly Json[], stream: string): string => events.filter((each) => each['type'] === 'output' && each['stream'] === stream).map((each) => String(each['text'])).join('');

describe('an agent', () => {
  test('that ignores TERM is killed 5 s after its run limit, with all that it started, and has failed', async () => {
    await shell('stubborn', `trap '' TERM; sh -c "trap '' TERM; while :; do sleep 0.1; done" & echo $$ $!; while :; do sleep 0.1; done`);
    const { code, last, events } = await laptop.invoke(['stubborn', '', '--run-limit', '1s']);
    expect(code).toBe(1);
    expect(last).toMatchObject({ type: 'finished', state: 'failed', error: { code: 'deadline', message: expect.stringContaining('run limit') } });
    const pids = outputOf(events, 'stdout').trim().split(' ').map(Number);
    expect(pids).toHaveLength(2);
    expect(pids.filter(isRunning)).toEqual([]);
    const [startedAt, finishedAt] = ['started', 'finished'].map((type) => Date.parse(String(events.find((each) => each['type'] === type)?.['at'])));
    expect((finishedAt ?? 0) - (startedAt ?? 0)).toBeGreaterThanOrEqual(5900);
  });

  test.skipIf(notLinux !== undefined)(`that leaves a daemon in a session of its own completes, and the daemon stays, unread${because(notLinux)}`, async () => {
    const pidFile = cluster.path('daemon-pid');
    // It holds the agent's stdout and stderr, and goes on printing when nobody reads any more.
    const daemon = cluster.program('daemon', `trap '' PIPE\necho $$ >'${pidFile}.new'; mv '${pidFile}.new' '${pidFile}'\nwhile :; do echo still here 2>/dev/null; sleep 0.1; done`);
    await shell('forker', `setsid '${daemon}' & until [ -e '${pidFile}' ]; do sleep 0.02; done; echo off I go`);
    const { code, last, events } = await laptop.invoke(['forker', '']);
    const pid = Number(await waitFor('the daemon', () => readFileSync(pidFile, 'utf8').trim()));
    try {
      expect([code, last['state']]).toEqual([0, 'completed']);
      expect(outputOf(events, 'stdout')).toContain('off I go\n');
      expect(isRunning(pid)).toBe(true);
      const printed = events.filter((each) => each['type'] === 'output').map((each) => Date.parse(String(each['at'])));
      // 3 s of it, and what a busy machine adds.
      expect((printed.at(-1) ?? 0) - (printed[0] ?? 0)).toBeLessThan(15_000);
      // Its flight is over: what it prints now is in no record.
      const id = String(last['flightId'] ?? events[0]?.['flightId']);
      const kept = (await laptop.beckon(['flight', 'output', id])).text;
      expect(kept).toBe(outputOf(events, 'stdout'));
    } finally {
      kill(pid, 'SIGKILL');
    }
  });

  test('that calls itself is refused before acceptance, with the chain, and goes on', async () => {
    await shell('narcissus', `${beckonPath} invoke narcissus@laptop/main again; echo "exit $?"`);
    const { code, events } = await laptop.invoke(['narcissus', 'begin']);
    expect(code).toBe(0);
    expect(outputOf(events, 'stdout')).toBe('exit 6\n');
    expect(outputOf(events, 'stderr')).toContain('@narcissus@laptop#main is at work on this already: @narcissus@laptop#main → @narcissus@laptop#main');
    const { flights } = await laptop.json(['flights', '--agent', 'narcissus']);
    expect(flights).toHaveLength(1);
  });
});
