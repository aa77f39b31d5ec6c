/** Dead letters: found, and made anew where that runs nothing twice unasked. */
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { isTerminal } from '../../src/domain/flight.ts';
import type { LocalNode } from '../support/local-node.ts';
import { PartiblePair } from '../support/partible-pair.ts';
import { waitFor } from '../support/wait-for.ts';

let pair: PartiblePair;
let agent: string;

beforeEach(async () => {
  pair = await new PartiblePair().start();
  agent = await pair.addScript('echo', 'cat');
});

afterEach(() => pair[Symbol.asyncDispose]());

const trace = { traceId: '0af7651916cd43dd8448eb211c80319c', parentId: 'b7ad6b7169203331', flags: 1 };

/** Held for a node that was not back in time. */
async function expired(): ReturnType<LocalNode['invoke']> {
  await pair.separate();
  const accepted = await pair.laptop.invoke('echo@desktop/main', 'do it', { holdMs: 1, trace });
  await pair.laptop.becomes(accepted.flightId, 'expired');
  return accepted;
}

test('what expired is a dead letter, and redriven it is a new invocation of the same that names the old one', async () => {
  const old = await expired();
  const dead = (await pair.laptop.cli('deliveries', '--status', 'dead', '--json')).json;
  expect(dead['deliveries']).toEqual([expect.objectContaining({ invocationId: old.invocationId, status: 'dead', failureReason: 'timeout' })]);
  await pair.reunite();
  const { code, events } = await pair.laptop.cli('delivery', 'redrive', dead['deliveries'][0].id, '--json');
  expect([code, events]).toEqual([0, [{ type: 'accepted', at: expect.any(String), invocationId: expect.stringMatching(/^inv_/), flightId: expect.stringMatching(/^flt_/), target: agent, deduplicated: false }]]);
  const { invocationId, flightId } = events[0] as { invocationId: string; flightId: typeof old.flightId };
  expect(invocationId).not.toBe(old.invocationId);
  await pair.laptop.becomes(flightId, 'completed');
  expect(await pair.laptop.outputOf(flightId)).toBe('do it');
  const { invocation, flight } = await pair.laptop.client.getFlight(flightId);
  expect(invocation).toMatchObject({ redriveOf: old.invocationId, addressTyped: 'echo@desktop/main', target: agent, limits: { holdMs: 24 * 3_600_000 }, trace });
  expect((await pair.desktop.client.getFlight(flightId)).invocation?.trace).toEqual(trace);
  expect(flight.caller).toBe(`uid:${process.getuid?.() ?? 0}`);
  expect((await pair.laptop.cli('flight', 'show', flightId, '--json')).json['flight']).toMatchObject({ redriveOf: old.invocationId });
  const traceOf = async (id: string) => (await pair.laptop.client.trace(id)).entries.map(({ fact }) => ({ what: fact.what, detail: fact.detail }));
  expect(await traceOf(flightId)).toContainEqual({ what: 'invocation.accepted', detail: expect.objectContaining({ redriveOf: old.invocationId }) });
  expect(await traceOf(old.flightId)).toContainEqual({ what: 'invocation.redriven', detail: { as: invocationId } });
});

test('again gives the first redrive, and names it when that has come to nothing too', async () => {
  const old = await expired();
  const first = await pair.laptop.client.redriveDelivery(old.invocationId, false);
  expect(await pair.laptop.client.redriveDelivery(old.invocationId, false)).toMatchObject({ flightId: first.flightId, deduplicated: true });
  await pair.laptop.client.cancelFlight(first.flightId, 5000);
  await expect(pair.laptop.client.redriveDelivery(old.invocationId, false)).rejects.toMatchObject({ code: 'conflict', message: expect.stringContaining(first.invocationId) });
  expect(await pair.laptop.client.redriveDelivery(first.invocationId, false)).toMatchObject({ deduplicated: false });
});

test('what its node refused can be redriven when the reason is gone', async () => {
  await pair.separate();
  const { flightId } = await pair.laptop.invoke(agent, 'refused once');
  await pair.desktop.client.removeAgent(agent);
  await pair.reunite();
  await pair.laptop.becomes(flightId, 'failed');
  expect((await pair.laptop.cli('deliveries', '--status', 'rejected', '--json')).json['deliveries']).toHaveLength(1);
  await pair.addScript('echo', 'cat');
  const again = await pair.laptop.client.redriveDelivery(flightId, false);
  await pair.laptop.becomes(again.flightId, 'completed');
});

test('what runs, or has completed, is a conflict, whatever is confirmed', async () => {
  const slow = await pair.addScript('slow', 'sleep 1000');
  const running = await pair.laptop.invoke(slow);
  await pair.laptop.becomes(running.flightId, 'running');
  const done = await pair.laptop.invoke(agent, 'x');
  await pair.laptop.becomes(done.flightId, 'completed');
  for (const [id, words] of [[running.flightId, 'may still run'], [done.flightId, 'has completed']] as const) {
    const { code, stderr } = await pair.laptop.cli('delivery', 'redrive', id, '--yes');
    expect([code, stderr]).toEqual([6, expect.stringContaining(words)]);
  }
  await pair.laptop.client.cancelFlight(running.flightId, 10_000);
});

test('what may have run is redriven only with --yes', async () => {
  const slow = await pair.addScript('slow', 'sleep 1000');
  const { flightId } = await pair.laptop.invoke(slow, 'half done');
  await pair.laptop.becomes(flightId, 'running');
  await pair.desktop[Symbol.asyncDispose]();
  await pair.desktop.start();
  await waitFor('the truth about it', async () => isTerminal((await pair.laptop.flight(flightId)).state), { timeoutMs: 20_000 });
  expect((await pair.laptop.flight(flightId)).state).toBe('indeterminate');
  const refused = await pair.laptop.cli('delivery', 'redrive', flightId);
  expect([refused.code, refused.stderr]).toEqual([6, expect.stringContaining('it is indeterminate and may have run')]);
  expect(refused.stderr).toContain('--yes');
  const { code, stdout } = await pair.laptop.cli('delivery', 'redrive', flightId, '--yes');
  expect([code, stdout]).toEqual([0, expect.stringMatching(/^inv_[0-9A-Z]{26}\n$/)]);
  await pair.laptop.client.cancelFlight(stdout.trim(), 10_000);
});

test('a task that was pruned can not be redriven, and the node that does not have the delivery says where to', async () => {
  const old = await expired();
  const db = new Database(join(pair.laptop.home, 'beckon.db'), { timeout: 5000 });
  db.prepare('DELETE FROM payloads WHERE invocation_id = ?').run(old.invocationId);
  db.close();
  await expect(pair.laptop.client.redriveDelivery(old.invocationId, true)).rejects.toMatchObject({ code: 'conflict', message: 'its task is no longer stored' });
  await pair.reunite();
  const { flightId } = await pair.laptop.invoke(agent, 'x');
  await pair.laptop.becomes(flightId, 'completed');
  await expect(pair.desktop.client.redriveDelivery(flightId, false)).rejects.toMatchObject({ code: 'not_found' });
});
