/** Whether an agent can be invoked, as its own node and others know it, before anything is accepted. */
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { LocalPair } from '../support/local-node.ts';
import type { LocalNode } from '../support/local-node.ts';
import { SessionHarness } from '../support/session-harness.ts';
import { waitFor } from '../support/wait-for.ts';

const why = 'claude is not logged in: run claude once';
let pair: LocalPair;
let claude: SessionHarness;
let agent: string;
let count = 0;

beforeAll(async () => {
  claude = new SessionHarness('claude');
  pair = await new LocalPair().start([claude]);
}, 60_000);
afterAll(() => pair[Symbol.asyncDispose]());

beforeEach(async () => {
  count += 1;
  claude.available = { available: false, why };
  claude.turns.splice(0);
  agent = await pair.desktop.addAgent(`helper${count}`, { harness: 'claude' });
  await pair.knows(pair.laptop, agent);
});

async function isAvailable(node: LocalNode): Promise<boolean> {
  return (await node.client.getAgent(agent)).registration.available;
}

test('every node shows that it is not available, and why', async () => {
  for (const node of [pair.desktop, pair.laptop]) {
    const listed = (await node.cli('agents', '--json')).json['agents'].find(({ address }: { address: string }) => address === agent);
    expect(listed).toMatchObject({ harness: 'claude', available: false, unavailableWhy: why });
    expect((await node.cli('agents')).stdout).toContain(`no: ${why}`);
    expect((await node.cli('agent', 'show', agent)).stdout).toContain(`no: ${why}`);
    expect((await node.cli('resolve', agent, '--explain')).stdout).toContain(`exactly this instance; not available: ${why}`);
  }
});

test('an invocation of it is refused before it is accepted, with 4, on every node', async () => {
  for (const node of [pair.desktop, pair.laptop]) {
    const { code, events } = await node.cli('invoke', agent, 'x', '--json');
    expect(code).toBe(4);
    expect(events).toEqual([expect.objectContaining({ type: 'error', error: expect.objectContaining({ code: 'unavailable', message: expect.stringContaining(why) }) })]);
    expect((await node.client.listFlights({ agent }, { limit: 10 })).items).toEqual([]);
  }
});

test('what its own node finds out when it is invoked, all nodes know', async () => {
  claude.available = { available: true };
  await pair.desktop.becomes((await pair.desktop.invoke(agent, 'now')).flightId, 'completed');
  await waitFor('the other node to know', () => isAvailable(pair.laptop));
  const { flightId } = await pair.laptop.invoke(agent, 'hold');
  await waitFor('it to begin', () => claude.turn('hold'));
  claude.available = { available: false, why };
  claude.release('hold', { error: { code: 'unavailable', message: 'not logged in' } });
  await pair.laptop.becomes(flightId, 'failed');
  await waitFor('the other node to know', async () => !(await isAvailable(pair.laptop)));
});

test('without a command and a harness the agent that is installed and ready is taken', async () => {
  const add = () => pair.desktop.cli('agent', 'add', `found${count}`, '--workspace', 'main', '--cwd', pair.desktop.home, '--json');
  const refused = await add();
  expect([refused.code, refused.json['error'].message]).toEqual([2, expect.stringContaining(`claude: ${why}`)]);
  claude.available = { available: true };
  expect((await add()).json['agent']).toMatchObject({ harness: 'claude', available: true });
});
