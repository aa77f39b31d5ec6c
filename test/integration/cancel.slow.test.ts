/** A cancel in each situation that a flight can be in: the right state on both sides, and no process of it is left. */
import { randomUUID } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { FlightId } from '../../src/domain/ids.ts';
import type { LocalNode } from '../support/local-node.ts';
import { PartiblePair } from '../support/partible-pair.ts';
import { processesNaming } from '../support/processes.ts';
import { waitFor } from '../support/wait-for.ts';

let pair: PartiblePair;
/** In the command line of every process of this test's agents. */
let mark: string;
let agent: string;
const addAgent = (name: string, script: string): Promise<string> => pair.addScript(name, script, mark);

beforeEach(async () => {
  pair = await new PartiblePair().start();
  mark = `mark-${randomUUID()}`;
  agent = await addAgent('sleeper', 'echo up; sleep 1000');
});

afterEach(async () => {
  await pair[Symbol.asyncDispose]();
  const left = processesNaming(mark);
  if (left.length > 0) throw new Error(`left behind: ${JSON.stringify(left)}`);
});

/** Its agent has printed: it is in the middle of its work. */
async function running(address = agent): Promise<FlightId> {
  const { flightId } = await pair.laptop.invoke(address);
  await waitFor('the agent to be at work', async () => (await pair.laptop.outputOf(flightId)).startsWith('up'));
  expect(processesNaming(mark).length).toBeGreaterThan(0);
  return flightId;
}

const codeOf = (work: Promise<unknown>): Promise<unknown> => work.then(() => 'done', (error: { code?: string; message: string }) => [error.code, error.message]);
const knows = (node: LocalNode, id: FlightId): Promise<unknown> => codeOf(node.flight(id));

describe('before it has started', () => {
  test('held, since its node can not be reached: cancelled at once, and its node never hears of it', async () => {
    await pair.separate();
    const { flightId } = await pair.laptop.invoke(agent);
    const { code, json } = await pair.laptop.cli('flight', 'cancel', flightId, '--json');
    expect([code, json]).toEqual([0, { flightId, state: 'cancelled', confirmed: true, ended: 0 }]);
    await pair.reunite();
    expect(await pair.laptop.client.getDelivery(flightId)).toMatchObject({ delivery: { status: 'cancelled', attempts: 0 }, attempts: [] });
    expect(await knows(pair.desktop, flightId)).toMatchObject(['not_found', expect.any(String)]);
  });

  test('queued at its node behind others: cancelled on both sides without a start', async () => {
    const others = await Promise.all(Array.from({ length: 4 }, () => running()));
    const { flightId } = await pair.laptop.invoke(agent);
    await pair.desktop.becomes(flightId, 'queued');
    expect(await pair.laptop.client.cancelFlight(flightId, 5000)).toMatchObject({ confirmed: true, flight: { state: 'cancelled', ended: 0, verdictBy: 'owner' } });
    const there = await pair.desktop.flight(flightId);
    expect([there.state, there.startedAtMs]).toEqual(['cancelled', undefined]);
    await Promise.all(others.map((id) => pair.laptop.client.cancelFlight(id, 5000)));
  });

  test('in the moment of its start: cancelled, whichever was first, and nothing runs', async () => {
    for (let count = 0; count < 12; count += 1) {
      const { flightId } = await pair.laptop.invoke(agent);
      // Each at another moment of the way from acceptance to the first output.
      for (let turn = 0; turn < count; turn += 1) await new Promise((resolve) => setImmediate(resolve));
      expect(await pair.laptop.client.cancelFlight(flightId, 10_000)).toMatchObject({ confirmed: true, flight: { state: 'cancelled' } });
      await pair.desktop.becomes(flightId, 'cancelled');
      expect(processesNaming(mark)).toEqual([]);
    }
  });

  test('sent, and unknown at its node: that promises never to take it', async () => {
    const held = await running();
    // While it drains a node takes nothing and says nothing of what it is sent.
    await pair.desktop.client.shutdown(false);
    const { flightId } = await pair.laptop.invoke(agent);
    await waitFor('it to be sent', async () => (await pair.laptop.client.getDelivery(flightId)).delivery.status === 'sent');
    expect(await pair.laptop.client.cancelFlight(flightId, 10_000)).toMatchObject({ confirmed: true, flight: { state: 'cancelled', ended: 0 } });
    expect(await pair.laptop.client.getDelivery(flightId)).toMatchObject({ delivery: { status: 'cancelled', attempts: 1 } });
    expect(await knows(pair.desktop, flightId)).toMatchObject(['not_found', expect.any(String)]);
    await pair.laptop.client.cancelFlight(held, 10_000);
  });
});

describe('while it runs', () => {
  test('every process of it ends, also those that it started itself, and their number is told', async () => {
    const family = await addAgent('family', 'sleep 1000 & (sleep 1000; :) & echo up; wait');
    const flightId = await running(family);
    const before = processesNaming(mark).length;
    const { code, json } = await pair.laptop.cli('flight', 'cancel', flightId, '--json');
    expect([code, json]).toEqual([0, { flightId, state: 'cancelled', confirmed: true, ended: expect.any(Number) }]);
    expect(json['ended']).toBeGreaterThanOrEqual(Math.max(4, before));
    expect(processesNaming(mark)).toEqual([]);
    expect(await pair.desktop.flight(flightId)).toMatchObject({ state: 'cancelled', ended: json['ended'] });
  });

  test('one that ignores TERM is killed after 5 s', async () => {
    const stubborn = await addAgent('stubborn', 'trap "" TERM; echo up; while :; do sleep 1; done');
    const flightId = await running(stubborn);
    const beganMs = performance.now();
    expect(await pair.laptop.client.cancelFlight(flightId, 20_000)).toMatchObject({ confirmed: true, flight: { state: 'cancelled' } });
    expect(performance.now() - beganMs).toBeGreaterThan(4500);
    expect(processesNaming(mark)).toEqual([]);
  });

  test('one that ends well on TERM is cancelled all the same', async () => {
    const polite = await addAgent('polite', 'trap "exit 0" TERM; echo up; while :; do sleep 0.1; done');
    const flightId = await running(polite);
    expect(await pair.laptop.client.cancelFlight(flightId, 10_000)).toMatchObject({ confirmed: true, flight: { state: 'cancelled' } });
    expect((await pair.desktop.flight(flightId)).state).toBe('cancelled');
  });

  test('asked for at its own node, the origin learns of it', async () => {
    const flightId = await running();
    expect(await pair.desktop.client.cancelFlight(flightId, 10_000)).toMatchObject({ confirmed: true, flight: { state: 'cancelled' } });
    expect((await pair.laptop.becomes(flightId, 'cancelled')).verdictBy).toBe('owner');
  });

  test('twice at once, and once more', async () => {
    const flightId = await running();
    const both = await Promise.all([pair.laptop.client.cancelFlight(flightId, 10_000), pair.laptop.client.cancelFlight(flightId, 10_000)]);
    for (const each of both) expect(each).toMatchObject({ confirmed: true, flight: { state: 'cancelled' } });
    const third = await pair.laptop.cli('flight', 'cancel', flightId);
    expect([third.code, third.stderr]).toEqual([6, expect.stringContaining('it has ended already: cancelled')]);
    expect((await pair.laptop.client.trace(flightId)).entries.filter(({ fact, nodeName }) => nodeName === 'laptop' && fact.what === 'flight.cancel_requested')).toHaveLength(1);
  });
});

describe('while its node can not be reached', () => {
  test('the request stands, unconfirmed, and is carried out when the link is back', async () => {
    const flightId = await running();
    await pair.separate();
    const asked = await pair.laptop.client.cancelFlight(flightId, 100);
    expect(asked).toMatchObject({ confirmed: false, flight: { state: 'running', cancelRequestedAtMs: expect.any(Number) } });
    expect(await pair.laptop.client.cancelFlight(flightId, 0)).toMatchObject({ confirmed: false });
    expect((await pair.desktop.flight(flightId)).state).toBe('running');
    pair.heal();
    expect((await pair.laptop.becomes(flightId, 'cancelled', 20_000)).verdictBy).toBe('owner');
    expect((await pair.desktop.flight(flightId)).state).toBe('cancelled');
    expect(processesNaming(mark)).toEqual([]);
  });

  test('also when the node where it was asked for was restarted in between', async () => {
    const flightId = await running();
    await pair.separate();
    await pair.laptop.client.cancelFlight(flightId, 0);
    await pair.laptop[Symbol.asyncDispose]();
    pair.heal();
    await pair.laptop.start();
    await pair.laptop.becomes(flightId, 'cancelled', 20_000);
    expect((await pair.desktop.flight(flightId)).state).toBe('cancelled');
  });

  test('it had ended there before: a conflict that names its end, and that end stands on both sides', async () => {
    const brief = await addAgent('brief', `echo up; while [ ! -e ${pair.desktop.home}/go ]; do sleep 0.05; done`);
    const flightId = await running(brief);
    await pair.separate();
    const asked = pair.laptop.cli('flight', 'cancel', flightId);
    await waitFor('the wish to be stored', async () => (await pair.laptop.flight(flightId)).cancelRequestedAtMs !== undefined);
    await pair.desktop.addAgent('touch', { argv: ['/bin/sh', '-c', `: > ${pair.desktop.home}/go`] });
    await pair.desktop.invoke('@touch@desktop#main');
    await pair.desktop.becomes(flightId, 'completed');
    pair.heal();
    const { code, stderr } = await asked;
    expect([code, stderr]).toEqual([6, expect.stringContaining('it has ended already: completed')]);
    expect((await pair.laptop.flight(flightId)).state).toBe('completed');
  });
});

test('after it has ended a cancel is a conflict that names its state, on both sides', async () => {
  const done = await addAgent('done', 'echo up; exit 3');
  const { flightId } = await pair.laptop.invoke(done);
  await pair.laptop.becomes(flightId, 'failed');
  for (const node of [pair.laptop, pair.desktop]) {
    const { code, json } = await node.cli('flight', 'cancel', flightId, '--json');
    expect([code, json['error']]).toEqual([6, expect.objectContaining({ code: 'conflict', message: 'it has ended already: failed' })]);
  }
});
