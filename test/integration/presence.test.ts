import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { NodeClient } from '../../src/client/types.ts';
import { LocalPair } from '../support/local-node.ts';
import type { LocalNode } from '../support/local-node.ts';
import { waitFor } from '../support/wait-for.ts';

const pair = new LocalPair();
const { laptop, desktop } = pair;
let [here, there] = ['', ''];

beforeAll(async () => {
  await pair.start();
  // One of a name on each, and none where it is asked for: who asks is the desktop, and a third agent name keeps both apart.
  here = await laptop.addAgent('worker', { argv: ['sh', '-c', 'read -r line; sleep "$line"'] });
  there = await desktop.addAgent('worker', { argv: ['sh', '-c', 'read -r line; sleep "$line"'] });
  await pair.knows(laptop, there);
  await pair.knows(desktop, here);
});

afterAll(async () => {
  await pair[Symbol.asyncDispose]();
});

type Shown = Awaited<ReturnType<NodeClient['getAgent']>>['presence'];

async function load(at: LocalNode, address: string): Promise<Shown> {
  return (await at.client.getAgent(address)).presence;
}

const becomesLoaded = (at: LocalNode, address: string, running: number, queued: number): Promise<unknown> =>
  waitFor(`${address} to be seen with ${running} and ${queued} at ${at.name}`, async () => {
    const seen = await load(at, address);
    return seen?.running === running && seen.queued === queued;
  }, { timeoutMs: 10_000 });

describe('how busy an agent is', () => {
  test('is known on the other node moments after it changes, and again when it is free', async () => {
    await becomesLoaded(laptop, there, 0, 0);
    const flights = await Promise.all(Array.from({ length: 6 }, () => desktop.invoke(there, '20')));
    await becomesLoaded(laptop, there, 4, 2);
    expect(await load(desktop, there)).toEqual({ running: 4, queued: 2, ageMs: 0 });
    expect((await load(laptop, there))?.ageMs).toBeLessThan(5000);
    for (const { flightId } of flights) await desktop.client.cancelFlight(flightId, 10_000);
    await becomesLoaded(laptop, there, 0, 0);
  });

  test('is told by gossip when both gossip', async () => {
    const [mine, its] = await Promise.all([laptop, desktop].map(async (each) => {
      const checks = await waitFor('a gossip neighbour', async () => {
        const gossip = (await each.client.diagnose()).find(({ id }) => id === 'gossip');
        return gossip?.detail.includes('1 of 1') === true ? gossip : undefined;
      }, { timeoutMs: 20_000, pollMs: 500 });
      return checks.ok;
    }));
    expect([mine, its]).toEqual([true, true]);
  });

  test('is in the list and in JSON', async () => {
    const { invocationId } = await desktop.invoke(there, '20');
    await becomesLoaded(laptop, there, 1, 0);
    const table = await laptop.cli('agents');
    expect(table.stdout).toMatch(/@worker@desktop#main +desktop +alive +1 running/);
    expect(table.stdout).toMatch(/@worker@laptop#main +laptop +here +free/);
    const shown = await laptop.cli('agent', 'show', there, '--json');
    expect(shown.json).toMatchObject({ agent: { presence: { state: 'busy', running: 1, queued: 0, ageMs: expect.any(Number) } } });
    await desktop.client.cancelFlight(invocationId, 10_000);
  });

  test('is not known any more when its node is gone', async () => {
    await becomesLoaded(laptop, there, 0, 0);
    await desktop.stop();
    await waitFor('the load to be unknown', async () => (await load(laptop, there)) === undefined);
    expect((await laptop.cli('agents')).stdout).toMatch(/@worker@desktop#main +desktop +unreachable +- /);
    await desktop.start();
    await becomesLoaded(laptop, there, 0, 0);
  });
});
