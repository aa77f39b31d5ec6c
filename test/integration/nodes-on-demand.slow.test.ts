/** Two dozen whole nodes in this process: work between two that have no link. */
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createSystemClock } from '../../src/app/system-clock.ts';
import { restWords } from '../../src/domain/peer.ts';
import { restAfterMs } from '../../src/mesh/link-demand.ts';
import { neighboursEachWay } from '../../src/mesh/link-choice.ts';
import { LocalNode } from '../support/local-node.ts';
import { waitFor } from '../support/wait-for.ts';

const size = 24;
const usual = 2 * neighboursEachWay;
const root = mkdtempSync(join(tmpdir(), 'beckon-many-'));
const system = createSystemClock();
let laterMs = 0;
const clock = { ...system, now: () => system.now() + laterMs, monotonic: () => system.monotonic() + laterMs, setTimer: (ms: number, fn: () => void) => system.setTimer(ms, fn) };
const nodes = Array.from({ length: size }, (_, index) => new LocalNode(`node${index}`, root));
const [first] = nodes as [LocalNode, ...LocalNode[]];

beforeAll(async () => {
  await first.start({ clock });
  await first.client.createMesh({ new: false });
  for (const node of nodes.slice(1)) {
    const { token } = await first.client.createInvite({});
    // Enrolment is rate-limited.
    laterMs += 20_000;
    await node.start({ clock, join: token });
    // Not with the first, once there are many.
    await waitFor(`${node.name} to have a link`, async () => (await linked(node)).length > 0, { timeoutMs: 30_000, pollMs: 100 });
  }
  await waitFor('all to know all', async () => (await Promise.all(nodes.map((node) => node.client.peers()))).every((peers) => peers.length === size - 1), { timeoutMs: 60_000, pollMs: 500 });
  await rested();
}, 240_000);
afterAll(async () => {
  await Promise.all(nodes.map((node) => node[Symbol.asyncDispose]()));
  rmSync(root, { recursive: true, force: true });
}, 60_000);

const linked = async (node: LocalNode): Promise<string[]> => (await node.client.peers()).filter(({ state }) => state === 'alive').map(({ name }) => name);

/** Five minutes later: only the links that are always there. */
async function rested(): Promise<void> {
  laterMs += restAfterMs;
  await waitFor('links that nobody needs to be gone', async () => (await Promise.all(nodes.map(linked))).every((links) => links.length === usual), { timeoutMs: 60_000, pollMs: 300 });
}

async function strangers(): Promise<[LocalNode, LocalNode]> {
  const known = await linked(first);
  const other = nodes.find((node) => node !== first && !known.includes(node.name));
  if (other === undefined) throw new Error('the first is linked with all');
  return [first, other];
}

async function knows(node: LocalNode, address: string): Promise<void> {
  await waitFor(`${address} at ${node.name}`, async () => (await node.client.listAgents({}, { limit: 200 })).items.some((each) => each.registration.address === address), { timeoutMs: 40_000, pollMs: 200 });
}

test('an invocation between two that have no link is done within seconds, and the link goes again', async () => {
  const [origin, owner] = await strangers();
  const address = await owner.addAgent('echo', { argv: ['cat'] });
  await knows(origin, address);
  expect((await origin.client.peers()).find(({ name }) => name === owner.name)).toMatchObject({ state: 'discovered', why: restWords });
  const began = performance.now();
  const { flightId } = await origin.invoke(address, 'hello');
  await origin.becomes(flightId, 'completed');
  expect(performance.now() - began).toBeLessThan(6_000);
  expect(await linked(origin)).toContain(owner.name);
  await rested();
  expect(await linked(origin)).not.toContain(owner.name);
});

test('work held for one that sleeps is delivered when it is back, and its end comes to an origin that was away', async () => {
  const [origin, owner] = await strangers();
  const gate = join(root, 'gate');
  const address = await owner.addAgent('slow', { argv: ['sh', '-c', `cat; until [ -e ${gate} ]; do sleep 0.05; done`] });
  await knows(origin, address);
  await owner.stop();
  const { flightId } = await origin.invoke(address, 'held');
  await waitFor('it to be held', async () => (await origin.client.getFlight(flightId)).flight.state === 'queued');
  await owner.start({ clock });
  await owner.becomes(flightId, 'running', 30_000);
  await origin.stop();
  expect(existsSync(gate)).toBe(false);
  writeFileSync(gate, '');
  await owner.becomes(flightId, 'completed', 30_000);
  await origin.start({ clock });
  await origin.becomes(flightId, 'completed', 30_000);
  expect(await origin.outputOf(flightId)).toBe('held');
});
