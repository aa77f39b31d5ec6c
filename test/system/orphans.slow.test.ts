/** What a dead node left running is ended by its next start: that, all of that, and nothing else. */
import { spawn } from 'node:child_process';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { kill } from '../support/belongings.ts';
import type { Json } from '../support/cli.ts';
import { Cluster } from '../support/cluster.ts';
import type { TestNode } from '../support/node-process.ts';
import { isRunning } from '../support/processes.ts';
import { because, notLinux } from '../support/programs.ts';
import { waitFor } from '../support/wait-for.ts';

describe.skipIf(notLinux !== undefined)(`a node that was killed while agents ran${because(notLinux)}`, () => {
  let cluster: Cluster;
  let laptop: TestNode;

  beforeAll(async () => {
    cluster = await Cluster.create();
    laptop = await cluster.node('laptop');
    await laptop.up();
    // One that waits, one that ignores TERM and has children, one that may be run again.
    await laptop.addAgent('plain', ['/bin/sh', '-c', 'echo $$; exec sleep 600']);
    await laptop.addAgent('stubborn', ['/bin/sh', '-c', "trap '' TERM; sleep 601 & sleep 602 & echo $$ $!; wait; wait; sleep 603"]);
    await laptop.addAgent('again', ['/bin/sh', '-c', 'echo run $BECKON_RUN; [ $BECKON_RUN = 2 ] || exec sleep 605']);
  });
  afterAll(() => cluster?.[Symbol.asyncDispose]());

  const begun = async (agent: string): Promise<{ id: string; pids: number[] }> => {
    const id = (await laptop.beckon(['invoke', agent, 'work', '--detach'])).text.trim();
    const line = await waitFor(`the process ids of ${agent}`, async () => /^[\d ]+\n/m.exec((await laptop.beckon(['flight', 'output', id])).text)?.[0]);
    return { id, pids: line.trim().split(' ').map(Number) };
  };
  const sleepers = (): readonly string[] => cluster.processes.map(({ command }) => command.trim()).filter((command) => /^sleep 60\d$/.test(command));

  test('leaves no orphan after its next start; the flights are indeterminate and say how many processes were ended', async () => {
    const agents = { plain: await begun('plain'), stubborn: await begun('stubborn') };
    const rerun = (await laptop.beckon(['invoke', 'again', 'work', '--rerunnable', '--detach'])).text.trim();
    await waitFor('the rerunnable one to run', () => sleepers().includes('sleep 605'));
    // The same program, as somebody else would have started it.
    const bystander = spawn('sleep', ['606'], { detached: true, stdio: 'ignore', cwd: cluster.directory });
    await laptop.kill9();
    expect(sleepers()).toEqual(expect.arrayContaining(['sleep 600', 'sleep 601', 'sleep 602', 'sleep 605']));

    await laptop.up();
    expect(sleepers()).toEqual(['sleep 606']);
    if (bystander.pid !== undefined) kill(bystander.pid, 'SIGKILL');
    for (const { pids } of Object.values(agents)) expect(pids.filter(isRunning)).toEqual([]);
    for (const [name, atLeast] of [['plain', 1], ['stubborn', 3]] as const) {
      const waited = await laptop.beckon(['flight', 'wait', agents[name].id]);
      expect(waited.code).toBe(9);
      const { flight } = await laptop.json(['flight', 'show', agents[name].id]);
      expect(flight).toMatchObject({ state: 'indeterminate' });
      expect((flight as Json)['ended']).toBeGreaterThanOrEqual(atLeast);
    }
    expect((await laptop.beckon(['flight', 'wait', rerun])).code).toBe(0);
    expect((await laptop.beckon(['flight', 'output', rerun])).text).toContain('run 2');
    expect(laptop.log).toMatch(/left these running: ended/);
  });
});
