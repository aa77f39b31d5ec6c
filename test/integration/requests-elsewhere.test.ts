/** What agents ask, answered on a node that is neither the agent's nor the one where it was invoked. */
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import type { Flight } from '../../src/domain/records.ts';
import { AskingHarness } from '../support/asking-harness.ts';
import { LocalNode, LocalPair } from '../support/local-node.ts';

const uid = process.getuid?.() ?? 0;
let pair: LocalPair;
let server: LocalNode;
let stranger: LocalNode;
let harness: AskingHarness;
let agent: string;

beforeAll(async () => {
  harness = new AskingHarness();
  pair = await new LocalPair().start([harness]);
  [server, stranger] = [new LocalNode('server', pair.root), new LocalNode('stranger', pair.root)];
  await server.start({ join: (await pair.laptop.client.createInvite({})).token });
  await stranger.start({ join: (await pair.laptop.client.createInvite({ forPerson: 'bob' })).token });
  for (const node of [server, stranger]) for (const peer of [pair.laptop, pair.desktop]) await node.sees(peer, 'alive');
  agent = await pair.desktop.addAgent('asker', { harness: 'asking' });
  await pair.knows(pair.laptop, agent);
}, 60_000);

afterAll(async () => {
  await Promise.all([server, stranger].map((node) => node[Symbol.asyncDispose]()));
  await pair[Symbol.asyncDispose]();
});

beforeEach(() => harness.answers.splice(0));

async function waiting(task: string): Promise<Flight> {
  const { flightId } = await pair.laptop.invoke(agent, task);
  return pair.laptop.becomes(flightId, 'waiting');
}

test('approved as the inbox there tells it, with the name of who said it', async () => {
  const flight = await waiting('approval may I?');
  const inbox = (await server.cli('inbox')).stdout;
  const command = /beckon (flight approve \S+ \S+)/.exec(inbox)?.[1]?.split(' ') ?? [];
  const said = await server.cli(...command, '--json');
  expect([said.code, said.json]).toEqual([0, { flightId: flight.id, request: flight.waiting?.request, state: expect.any(String), confirmed: true }]);
  await pair.laptop.becomes(flight.id, 'completed');
  expect(harness.answers).toEqual([{ kind: 'approved', by: `uid:${uid} on server` }]);
  const { entries } = (await server.cli('audit', '--json')).json as { entries: object[] };
  expect(entries[0]).toMatchObject({ kind: 'request.approved', who: { is: 'user', id: `uid:${uid}` }, about: { flight: flight.id, agent, request: flight.waiting?.request } });
  const again = await server.cli(...command);
  expect([again.code, again.stderr]).toEqual([3, expect.stringContaining('nothing with the id')]);
});

test('a question is answered with text; a request that is not the open one is a conflict', async () => {
  const flight = await waiting('input which?');
  expect((await server.cli('flight', 'reply', flight.id, 'x')).code).toBe(0);
  await pair.laptop.becomes(flight.id, 'completed');
  expect(harness.answers).toEqual([{ kind: 'text', text: 'x', by: `uid:${uid} on server` }]);
  const next = await waiting('approval may I?');
  expect((await server.cli('flight', 'approve', next.id, 'req_01J9Z6M3T4V8Q2X7K5B1C0D9EF')).code).toBe(6);
  expect((await server.cli('flight', 'deny', next.id, 'last')).code).toBe(0);
});

test('a node of another person neither sees it nor answers for it', async () => {
  const flight = await waiting('approval may I?');
  expect((await stranger.cli('inbox', '--json')).json['waiting']).toEqual([]);
  expect((await stranger.cli('flight', 'approve', flight.id, 'last')).code).toBe(3);
  expect(harness.answers).toEqual([]);
  await pair.laptop.client.cancelFlight(flight.id, 5000);
});
