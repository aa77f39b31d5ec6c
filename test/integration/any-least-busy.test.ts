import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { LocalNode } from '../support/local-node.ts';
import { waitFor } from '../support/wait-for.ts';

const root = mkdtempSync(join(tmpdir(), 'beckon-any-'));
const caller = new LocalNode('caller', root);
const [one, two] = [new LocalNode('one', root), new LocalNode('two', root)];
const workers = new Map<LocalNode, string>();

beforeAll(async () => {
  await caller.start();
  await caller.client.createMesh({ new: false });
  for (const node of [one, two]) {
    const { token } = await caller.client.createInvite({});
    await node.start({ join: token });
    workers.set(node, await node.addAgent('worker', { argv: ['sleep', '30'] }));
    await waitFor('it to be known, and its load', async () => (await caller.client.getAgent(workers.get(node) ?? '')).presence !== undefined, { timeoutMs: 15_000 });
  }
});

afterAll(async () => {
  for (const node of [one, two, caller]) await node[Symbol.asyncDispose]();
  rmSync(root, { recursive: true, force: true });
});

test.each([[one, two], [two, one]])('--any takes the one that is free, wherever the other is', async (busy, free) => {
  const address = workers.get(busy) ?? '';
  const { flightId } = await busy.invoke(address);
  await waitFor('the load to be known', async () => (await caller.client.getAgent(address)).presence?.running === 1, { timeoutMs: 10_000 });
  const resolved = await caller.cli('resolve', 'worker', '--any', '--json');
  expect(resolved.json).toMatchObject({ target: workers.get(free) });
  await busy.client.cancelFlight(flightId, 10_000);
  await waitFor('the load to be gone', async () => (await caller.client.getAgent(address)).presence?.running === 0, { timeoutMs: 10_000 });
});
