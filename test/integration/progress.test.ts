/** What an agent on another node does besides answering, as its caller is told. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { FlightEventBody } from '../../src/domain/flight-event.ts';
import { longestThought } from '../../src/domain/progress.ts';
import { AskingHarness } from '../support/asking-harness.ts';
import { LocalPair } from '../support/local-node.ts';

let pair: LocalPair;
let agent: string;

beforeAll(async () => {
  pair = await new LocalPair().start([new AskingHarness()]);
  agent = await pair.desktop.addAgent('asker', { harness: 'asking' });
  await pair.knows(pair.laptop, agent);
}, 60_000);

afterAll(() => pair[Symbol.asyncDispose]());

test('progress arrives in order with the output and is no part of the answer', async () => {
  const tool = { kind: 'tool', call: '1', title: 'run tests', tool: 'execute', state: 'running' };
  const thought = { kind: 'thought', text: 'x'.repeat(100_000) };
  const task = [`tell ${JSON.stringify(tool)}`, 'say one', `tell ${JSON.stringify(thought)}`, 'say two', `tell ${JSON.stringify({ ...tool, state: 'done' })}`].join('\n');
  const { flightId } = await pair.laptop.invoke(agent, task);
  await pair.laptop.becomes(flightId, 'completed');
  const bodies: FlightEventBody[] = [];
  for await (const update of pair.laptop.client.follow(flightId)) if (update.type === 'event') bodies.push(update.event.body);
  expect(bodies.map((body) => body.kind)).toEqual(['started', 'tool', 'output', 'thought', 'output', 'tool']);
  expect(bodies[1]).toEqual(tool);
  expect(bodies[3]).toMatchObject({ text: `${'x'.repeat(longestThought - 1)}…` });
  expect(await pair.laptop.outputOf(flightId)).toBe('one\ntwo\n');
});

test('40,000 reports arrive without a gap', async () => {
  const report = `tell ${JSON.stringify({ kind: 'tool', call: '1', title: 'again and again', tool: 'x', state: 'running' })}`;
  const { flightId } = await pair.laptop.invoke(agent, Array.from({ length: 40_000 }, () => report).join('\n'));
  const { lastSeq } = await pair.laptop.becomes(flightId, 'completed', 60_000);
  expect(lastSeq).toBe(40_002);
}, 90_000);
