/** A program that watches the agents of all nodes, while they come, go, and their node does. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { AgentView } from '../../src/client/types.ts';
import { specOf } from '../support/asking.ts';
import { LocalPair } from '../support/local-node.ts';
import { waitFor } from '../support/wait-for.ts';

let pair: LocalPair;
beforeEach(async () => {
  pair = await new LocalPair().start();
}, 30_000);
afterEach(() => pair[Symbol.asyncDispose]());

/** What a watcher on the laptop knows. */
function watching(): { readonly known: ReadonlyMap<string, AgentView>; readonly updates: readonly number[]; readonly stop: () => Promise<void> } {
  const letGo = new AbortController();
  const known = new Map<string, AgentView>();
  const updates: number[] = [];
  const reading = (async () => {
    for await (const { agents, gone } of pair.laptop.client.watchAgents({ node: 'desktop' }, { signal: letGo.signal })) {
      updates.push(agents.length + gone.length);
      for (const view of agents) known.set(view.registration.address, view);
      for (const { address } of gone) known.delete(address);
    }
  })();
  return { known, updates, stop: () => (letGo.abort(), reading) };
}

test('what another node adds, changes and removes is told, and that the node is gone', async () => {
  const { known, updates, stop } = watching();
  await waitFor('the first update', () => updates.length === 1);
  expect(known.size).toBe(0);
  await pair.laptop.addAgent('elsewhere', { argv: ['cat'] });
  const address = await pair.desktop.addAgent('echo', { argv: ['cat'] });
  await waitFor('it to be told', () => known.has(address));
  expect([...known.values()]).toMatchObject([{ nodeName: 'desktop', state: 'alive', registration: { available: true } }]);
  const other = await pair.desktop.addAgent('other', { argv: ['cat'] });
  await waitFor('the other', () => known.has(other));
  await pair.desktop.client.removeAgent(other);
  await waitFor('it to be gone', () => !known.has(other));
  await pair.desktop.stop();
  await waitFor('its node to be missed', () => known.get(address)?.state === 'unreachable');
  await stop();
});

test('a hundred agents at once are few updates, and none is missed', async () => {
  const { known, updates, stop } = watching();
  await waitFor('the first update', () => updates.length === 1);
  const beganMs = performance.now();
  const all = await Promise.all(Array.from({ length: 100 }, (_each, number) => pair.desktop.addAgent(`agent${number}`, { argv: ['cat'] })));
  await waitFor('all to be told', () => known.size === all.length, { timeoutMs: 20_000 });
  expect(updates.length).toBeLessThanOrEqual(2 + (performance.now() - beganMs) / 250);
  await stop();
});

test('an agent that is described at great length is refused where it is added', async () => {
  await expect(pair.desktop.client.addAgent(specOf({ name: 'long', workspace: 'main', harness: 'command', labels: { note: 'x'.repeat(9000) } }))).rejects.toMatchObject({ code: 'invalid' });
});
