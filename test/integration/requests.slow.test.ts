/** What running agents ask, across two nodes: told, answered from either side, once, in time or not at all. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Flight } from '../../src/domain/records.ts';
import { AskingHarness } from '../support/asking-harness.ts';
import { PartiblePair } from '../support/partible-pair.ts';
import { waitFor } from '../support/wait-for.ts';

let pair: PartiblePair;
let harness: AskingHarness;
let agent: string;
const uid = process.getuid?.() ?? 0;

beforeAll(async () => {
  harness = new AskingHarness();
  pair = await new PartiblePair().start([harness]);
  agent = await pair.desktop.addAgent('asker', { harness: 'asking' });
  await pair.knows(pair.laptop, agent);
}, 60_000);

afterAll(() => pair[Symbol.asyncDispose]());

beforeEach(() => harness.answers.splice(0));

async function waiting(task: string, at = pair.laptop): Promise<Flight & { waiting: NonNullable<Flight['waiting']> }> {
  const { flightId } = await pair.laptop.invoke(agent, task);
  const flight = await at.becomes(flightId, 'waiting');
  if (flight.waiting === undefined) throw new Error('it waits for nothing');
  return { ...flight, waiting: flight.waiting };
}

describe('a request reaches its people and their word the agent', () => {
  test('approved from the origin', async () => {
    const flight = await waiting('say before\napproval may I?');
    expect(flight.waiting).toMatchObject({ reason: 'approval', prompt: 'may I?', choices: ['once'], request: expect.stringMatching(/^req_/) });
    // The end was counted a moment before it was written down.
    expect(Math.abs((flight.waiting.untilMs ?? 0) - flight.waiting.sinceMs - 600_000)).toBeLessThan(1_000);
    expect(await pair.laptop.outputOf(flight.id)).toBe('before\n');
    const said = await pair.laptop.cli('flight', 'approve', flight.id, flight.waiting.request, '--json');
    expect([said.code, said.json]).toEqual([0, { flightId: flight.id, request: flight.waiting.request, state: expect.any(String), confirmed: true }]);
    await pair.laptop.becomes(flight.id, 'completed');
    expect(await pair.laptop.outputOf(flight.id)).toBe(`before\nmay I?: approved by uid:${uid} on laptop\n`);
  });

  test('denied from the owner', async () => {
    const flight = await waiting('approval may I?', pair.desktop);
    expect((await pair.desktop.cli('flight', 'deny', flight.id, flight.waiting.request.slice(-6))).code).toBe(0);
    await pair.laptop.becomes(flight.id, 'completed');
    expect(harness.answers).toEqual([{ kind: 'denied', by: `uid:${uid}` }]);
  });

  test('a question is answered with text', async () => {
    const flight = await waiting('input which one?');
    expect((await pair.laptop.cli('flight', 'reply', flight.id, 'the second')).code).toBe(0);
    await pair.laptop.becomes(flight.id, 'completed');
    expect(await pair.laptop.outputOf(flight.id)).toContain('which one?: text the second by');
  });

  test('two at once are put one after the other, in order', async () => {
    const flight = await waiting('both first|second');
    expect(flight.waiting.prompt).toBe('first');
    await pair.laptop.cli('flight', 'approve', flight.id, flight.waiting.request);
    const next = await waitFor('the second request', async () => {
      const now = await pair.laptop.flight(flight.id);
      return now.waiting?.prompt === 'second' ? now.waiting : undefined;
    });
    expect(next.request).not.toBe(flight.waiting.request);
    await pair.laptop.cli('flight', 'deny', flight.id, 'last');
    await pair.laptop.becomes(flight.id, 'completed');
    expect(harness.answers.map((each) => each.kind)).toEqual(['approved', 'denied']);
  });

  test('the trace tells who said what, on both nodes', async () => {
    const flight = await waiting('approval may I?');
    const { request } = flight.waiting;
    await pair.laptop.cli('flight', 'approve', flight.id, request);
    await pair.laptop.becomes(flight.id, 'completed');
    const { entries, gaps } = await pair.laptop.client.trace(flight.id);
    expect(gaps).toEqual([]);
    const told = entries.filter(({ fact }) => fact.detail['request'] === request).map(({ fact, nodeName }) => [nodeName, fact.what, fact.detail['reply']]);
    expect(told).toContainEqual(['laptop', 'flight.reply_given', 'approved']);
    expect(told).toContainEqual(['desktop', 'flight.resumed', 'approved']);
  });

  test('invoke shows the request with the commands to paste, and as JSON', async () => {
    const watched = pair.laptop.cli('invoke', agent, 'approval may I?');
    const { waiting: items } = await waitFor('it to wait', async () => {
      const found = await pair.laptop.client.listWaiting();
      return found.waiting.length > 0 ? found : undefined;
    });
    const id = items[0]?.flight.id ?? '';
    const request = items[0]?.flight.waiting?.request ?? '';
    await pair.laptop.client.replyToFlight({ id, request, reply: { kind: 'approved' }, waitMs: 5000 });
    const { stderr, code } = await watched;
    expect(code).toBe(0);
    expect(stderr).toContain('waiting for approval: may I?\n');
    expect(stderr).toContain(`  beckon flight approve ${id.slice(-6)} ${request.slice(-6)}\n  beckon flight deny ${id.slice(-6)} ${request.slice(-6)}\n`);
    const { events } = await pair.laptop.cli('flight', 'follow', id, '--json');
    expect(events.map((each) => each['type'])).toEqual(['accepted', 'received', 'started', 'waiting', 'resumed', 'output', 'finished']);
    expect(events[3]).toMatchObject({ reason: 'approval', request, prompt: 'may I?', choices: ['once'] });
  });
});

describe('too late, or not at all', () => {
  test('nobody answers: denied when the time is over, and a late answer is a conflict that says so', async () => {
    const flight = await waiting('within 300\napproval may I?\nhang', pair.desktop);
    await pair.desktop.becomes(flight.id, 'running');
    expect(harness.answers).toEqual([{ kind: 'timeout' }]);
    const late = await pair.desktop.cli('flight', 'approve', flight.id, flight.waiting.request);
    expect([late.code, late.stderr]).toEqual([6, expect.stringContaining('was not answered in time')]);
    await pair.laptop.client.cancelFlight(flight.id, 5000);
  });

  test('the same answer again changes nothing; another one is a conflict', async () => {
    const flight = await waiting('approval may I?\nhang');
    const approve = () => pair.laptop.cli('flight', 'approve', flight.id, flight.waiting.request);
    expect((await approve()).code).toBe(0);
    expect((await approve()).code).toBe(0);
    const other = await pair.laptop.cli('flight', 'deny', flight.id, flight.waiting.request);
    expect([other.code, other.stderr]).toEqual([6, expect.stringContaining('is answered already: approved')]);
    const fromOwner = await pair.desktop.cli('flight', 'deny', flight.id, flight.waiting.request);
    expect(fromOwner.code).toBe(6);
    expect(harness.answers).toHaveLength(1);
    await pair.laptop.client.cancelFlight(flight.id, 5000);
  });

  test('a request that is not open, an answer of the wrong kind, a flight that has ended: conflict', async () => {
    const flight = await waiting('approval may I?\ninput what?');
    const { request } = flight.waiting;
    expect((await pair.laptop.cli('flight', 'reply', flight.id, 'yes')).stderr).toContain('it waits for an approval');
    expect((await pair.laptop.cli('flight', 'approve', flight.id, 'ABCDEF')).code).toBe(6);
    await pair.laptop.cli('flight', 'approve', flight.id, request);
    await waitFor('the question', async () => (await pair.laptop.flight(flight.id)).waiting?.reason === 'input');
    expect((await pair.laptop.cli('flight', 'deny', flight.id, 'last')).stderr).toContain('it waits for text');
    await pair.laptop.cli('flight', 'reply', flight.id, 'this');
    await pair.laptop.becomes(flight.id, 'completed');
    const late = await pair.laptop.cli('flight', 'reply', flight.id, 'that');
    expect([late.code, late.stderr]).toEqual([6, expect.stringContaining('it has ended already: completed')]);
  });

  test('a cancel ends the request with the run', async () => {
    const flight = await waiting('both first|second');
    const { state, confirmed } = await pair.laptop.client.cancelFlight(flight.id, 5000).then(({ flight: ended, ...rest }) => ({ ...ended, ...rest }));
    expect([state, confirmed]).toEqual(['cancelled', true]);
    await waitFor('the agent to be told', () => harness.answers.length === 2);
    expect(harness.answers).toEqual([{ kind: 'ended' }, { kind: 'ended' }]);
    expect((await pair.desktop.flight(flight.id)).waiting).toBeUndefined();
    expect((await pair.laptop.cli('flight', 'approve', flight.id, flight.waiting.request)).code).toBe(6);
  });
});

describe('while the nodes can not reach each other', () => {
  test('an answer is stored, stands, and counts when the link is back', async () => {
    const flight = await waiting('approval may I?');
    await pair.separate();
    const said = await pair.laptop.client.replyToFlight({ id: flight.id, request: flight.waiting.request, reply: { kind: 'approved' }, waitMs: 0 });
    expect(said.confirmed).toBe(false);
    expect(harness.answers).toEqual([]);
    await pair.reunite();
    await pair.laptop.becomes(flight.id, 'completed');
    expect(harness.answers).toEqual([{ kind: 'approved', by: `uid:${uid} on laptop` }]);
  });

  test('one that comes too late is refused by the owner, and its giver is told', async () => {
    const flight = await waiting('approval may I?\nhang');
    await pair.separate();
    const { request } = flight.waiting;
    expect((await pair.desktop.cli('flight', 'deny', flight.id, request)).code).toBe(0);
    const said = pair.laptop.cli('flight', 'approve', flight.id, request);
    await waitFor('the reply to be stored', async () => (await pair.laptop.client.trace(flight.id)).entries.some(({ fact }) => fact.what === 'flight.reply_given'));
    await pair.reunite();
    const { code, stderr } = await said;
    expect([code, stderr]).toEqual([6, expect.stringContaining('is answered already: denied')]);
    expect(harness.answers.map((each) => each.kind)).toEqual(['denied']);
    const { entries } = await pair.laptop.client.trace(flight.id);
    expect(entries.map(({ fact }) => fact.what)).toContain('flight.reply_refused');
    await pair.laptop.client.cancelFlight(flight.id, 5000);
  });
});

describe('inbox', () => {
  test('names what waits, here and on the other nodes of the same owner, once each', async () => {
    const local = await pair.desktop.invoke(agent, 'input whose?');
    await pair.desktop.becomes(local.flightId, 'waiting');
    const across = await waiting('approval may I?');
    const here = (await pair.laptop.cli('inbox', '--json')).json;
    expect(here['gaps']).toEqual([]);
    expect(here['waiting']).toEqual([
      { flightId: local.flightId, invocationId: local.invocationId, target: agent, reason: 'input', request: expect.any(String), prompt: 'whose?', choices: [], since: expect.any(String), until: expect.any(String), node: 'desktop', nodeId: expect.any(String) },
      expect.objectContaining({ flightId: across.id, reason: 'approval', request: across.waiting.request, prompt: 'may I?', choices: ['once'], node: 'laptop' }),
    ]);
    expect((await pair.desktop.cli('inbox', '--json')).json['waiting']).toHaveLength(2);
    await pair.separate();
    const alone = await pair.laptop.client.listWaiting();
    expect(alone.waiting.map(({ flight }) => flight.id)).toEqual([across.id]);
    expect(alone.gaps).toEqual([{ nodeId: expect.any(String), nodeName: 'desktop', why: expect.stringContaining('not reachable') }]);
    await pair.reunite();
    await pair.laptop.client.replyToFlight({ id: across.id, reply: { kind: 'denied' }, waitMs: 10_000 });
    await pair.desktop.client.replyToFlight({ id: local.flightId, reply: { kind: 'text', text: 'mine' }, waitMs: 0 });
    await waitFor('nothing to wait', async () => (await pair.laptop.client.listWaiting()).waiting.length === 0);
  });
});
