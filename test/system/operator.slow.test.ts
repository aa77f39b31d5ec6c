/** The operator's view of three real nodes: under load, and while one of the two that have the work is dead. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { connect } from '../../src/client/connect.ts';
import { accepted, requestOf } from '../support/asking.ts';
import { because } from '../support/programs.ts';
import { controlC, noTerminal } from '../support/terminal.ts';
import type { Json } from '../support/cli.ts';
import { Cluster } from '../support/cluster.ts';
import type { TestNode } from '../support/node-process.ts';
import { waitFor } from '../support/wait-for.ts';

let cluster: Cluster;
/** Where work is asked for. */
let laptop: TestNode;
/** Where it is done. */
let desktop: TestNode;
/** Where somebody looks. */
let server: TestNode;
const addresses: string[] = [];

beforeAll(async () => {
  ({ cluster, laptop, desktop, server } = await Cluster.meshed('laptop', 'desktop', 'server'));
  for (const node of [laptop, desktop, server]) addresses.push(await node.addAgent('true', ['/bin/true']));
  await desktop.addAgent('sleeper', [cluster.program('sleeper', 'sleep 600')]);
  for (const node of [laptop, desktop, server]) await waitFor(`the agents at ${node.name}`, async () => ((await node.json(['agents']))['agents'] as Json[]).length === 4);
  await server.peer('desktop', 'alive');
}, 120_000);
afterAll(() => cluster?.[Symbol.asyncDispose]());

/** Accepted there, one after the other, each for the next of the three nodes. */
async function invoke(node: TestNode, count: number): Promise<string[]> {
  const client = await connect({ socketPath: node.socketPath });
  const ids: string[] = [];
  try {
    for (let number = 0; number < count; number += 1) {
      ids.push((await accepted(client, requestOf(addresses[number % 3] ?? ''))).invocationId);
    }
  } finally {
    client.close();
  }
  return ids;
}

test('tail of three nodes under load: every fact once, in the order of the hybrid clocks', async () => {
  const tailing = server.start(['tail', '--json', '--since', '1h'], { timeoutMs: 120_000 });
  await tailing.event('event');
  const each = 40;
  const invoked = (await Promise.all([laptop, desktop, server].map((node) => invoke(node, each)))).flat();
  const ends = (): Json[] => tailing.events.filter(({ type, what }) => type === 'event' && what === 'flight.finished');
  // At the owner, and at the origin where that is another: two of three.
  await waitFor('all ends', () => ends().filter(({ invocationId }) => invoked.includes(String(invocationId))).length === (invoked.length * 5) / 3, { timeoutMs: 60_000, pollMs: 200 });
  tailing.signal('SIGINT');
  expect((await tailing.ended).code).toBe(0);

  const facts = tailing.events.filter(({ type }) => type === 'event');
  expect(new Set(facts.map(({ node }) => String(node)))).toEqual(new Set(['laptop', 'desktop', 'server']));
  expect(new Set(facts.map(({ id }) => String(id))).size).toBe(facts.length);
  expect(tailing.events.filter(({ type }) => type === 'gap')).toEqual([]);
  const inOrder = facts.filter(({ late }) => late !== true).map(({ hlc }) => String(hlc));
  expect(inOrder).toEqual(inOrder.toSorted());
  // A node whose answer took longer than the window is told late: that is said, and rare.
  expect(facts.length - inOrder.length).toBeLessThan(facts.length / 10);

  // The same again, from the stores: what was live is what is on record.
  const again = await server.beckon(['tail', '--json', '--since', '1h', '--no-follow']);
  const recorded = again.events.filter(({ type }) => type === 'event').map(({ id }) => String(id));
  expect(recorded).toEqual(expect.arrayContaining(facts.map(({ id }) => String(id))));
}, 150_000);

test('report and trace from a third node while one of the two is down: what is known, what is not, and why', async () => {
  const { invocationId } = (await laptop.beckon(['invoke', 'sleeper@desktop', 'a secret task', '--detach', '--json'])).events[0] as Json;
  const id = String(invocationId);
  await waitFor('it to run, as the laptop has it', async () => ((await laptop.json(['flight', 'show', id]))['flight'] as Json)['state'] === 'running');
  await desktop.kill9();
  for (const node of [laptop, server]) await node.peer('desktop', 'unreachable', { timeoutMs: 40_000 });
  const held = String(((await laptop.beckon(['invoke', 'true@desktop', 'later', '--detach', '--json'])).events[0] as Json)['invocationId']);

  const trace = await server.json(['trace', id]);
  expect((trace['entries'] as Json[]).map(({ node, what }) => `${String(node)} ${String(what)}`)).toEqual([
    'laptop invocation.accepted', 'laptop delivery.sent', 'laptop delivery.received', 'laptop flight.started',
  ]);
  expect(trace['gaps']).toMatchObject([{ node: 'desktop', why: expect.stringContaining("desktop can't be reached"), since: expect.any(String), unknown: expect.arrayContaining(['whether it has ended']) }]);
  expect(trace['parties']).toMatchObject([{ node: 'laptop', role: 'origin', state: 'running' }, { node: 'desktop', role: 'owner' }]);
  expect(JSON.stringify(trace)).not.toContain('secret');

  const report = await server.json(['report']);
  expect((report['nodes'] as Json[]).map(({ node }) => String(node))).toEqual(['server', 'laptop']);
  expect(report['gaps']).toMatchObject([{ node: 'desktop', why: expect.stringContaining("desktop can't be reached"), since: expect.any(String), lastSeen: expect.any(String) }]);
  expect((report['nodes'] as Json[])[1]).toMatchObject({
    undelivered: { count: 1, oldest: { invocationId: held, owner: 'desktop' } },
    owing: [{ node: 'desktop', undelivered: { count: 1 }, open: { count: 1 } }],
  });
  expect((await server.beckon(['report'])).text).toMatch(/gap: desktop can't be reached[^]*known: 1 held at laptop for it/);

  await desktop.up();
  await waitFor('what the dead node knows', async () => {
    const later = await server.json(['trace', id]);
    return (later['gaps'] as Json[]).length === 0 && (later['parties'] as Json[]).every(({ state }) => state === 'indeterminate');
  }, { timeoutMs: 40_000, pollMs: 500 });
  await waitFor('nothing open', async () => ((await server.json(['report']))['nodes'] as Json[]).every(({ undelivered }) => (undelivered as Json)['count'] === 0), { timeoutMs: 20_000, pollMs: 500 });
  expect(((await server.json(['report']))['nodes'] as Json[]).find(({ node }) => node === 'desktop')).toMatchObject({ indeterminate: { count: 1, newest: [{ invocationId: id }] } });
}, 180_000);

test('export while the node works, and while it is down: whole, and the same for what was over', async () => {
  const working = invoke(laptop, 20);
  const live = await laptop.beckon(['export']);
  await working;
  await laptop.down();
  const quiet = await laptop.beckon(['export']);
  await laptop.up();
  for (const { code, events } of [live, quiet]) {
    expect([code, events[0]?.['type'], events.at(-1)?.['type']]).toEqual([0, 'export', 'end']);
    const facts = new Set(events.filter(({ type, what }) => type === 'fact' && what === 'flight.finished').map(({ invocationId }) => String(invocationId)));
    expect(events.filter(({ type, state }) => type === 'flight' && state === 'completed').filter(({ invocationId }) => !facts.has(String(invocationId)))).toEqual([]);
  }
  const over = (events: readonly Json[]): Map<string, Json> => new Map(events.filter(({ type, state }) => type === 'flight' && state === 'completed').map((each) => [String(each['id']), each]));
  const later = over(quiet.events);
  expect(later.size).toBeGreaterThan(20);
  for (const [id, each] of over(live.events)) expect(later.get(id)).toEqual(each);
}, 120_000);

test.skipIf(noTerminal !== undefined).each([
  ['q', 'q', undefined],
  ['Ctrl-C', controlC, undefined],
  ['a kill', undefined, 'SIGTERM'],
] as const)(`top on a terminal ends with %s and gives the screen back${because(noTerminal)}`, async (_name, key, signal) => {
  const watching = server.start(['top'], { terminal: true, typing: true, timeoutMs: 60_000 });
  await watching.says(/laptop/);
  if (key !== undefined) watching.write(key);
  if (signal !== undefined) process.kill(await waitFor('its process', () => cluster.processes.find(({ command }) => /(src\/main\.ts|dist\/main\.js) top( |$)/.test(command))?.pid), signal);
  const { code, text } = await watching.ended;
  expect(code).toBe(0);
  expect(text.indexOf('\u001b[?1049h')).toBeGreaterThanOrEqual(0);
  expect(text.lastIndexOf('\u001b[?1049l')).toBeGreaterThan(text.lastIndexOf('\u001b[?1049h'));
}, 60_000);
