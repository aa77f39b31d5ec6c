/** The operator's view from a node that has no part in the work, and from that of a stranger: whole nodes on loopback. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { TailUpdate } from '../../src/client/types.ts';
import type { FlightId, InvocationId } from '../../src/domain/ids.ts';
import { LocalNode, LocalPair } from '../support/local-node.ts';
import { waitFor } from '../support/wait-for.ts';

let pair: LocalPair;
/** Of the same person, with no part in anything. */
let server: LocalNode;
/** Of another person. */
let stranger: LocalNode;
let echo: string;
let flight: { readonly invocationId: InvocationId; readonly flightId: FlightId };

beforeAll(async () => {
  pair = await new LocalPair().start();
  [server, stranger] = [new LocalNode('server', pair.root), new LocalNode('stranger', pair.root)];
  await server.start({ join: (await pair.laptop.client.createInvite({})).token });
  await stranger.start({ join: (await pair.laptop.client.createInvite({ forPerson: 'bob' })).token });
  for (const node of [server, stranger]) for (const peer of [pair.laptop, pair.desktop]) await node.sees(peer, 'alive');
  await server.sees(stranger, 'alive');
  echo = await pair.desktop.addAgent('echo', { argv: ['cat'] });
  for (const node of [pair.laptop, stranger]) await pair.knows(node, echo);
  flight = await pair.laptop.invoke(echo, 'a secret task');
  await pair.laptop.becomes(flight.flightId, 'completed');
}, 60_000);

afterAll(async () => {
  await Promise.all([server, stranger].map((node) => node[Symbol.asyncDispose]()));
  await pair[Symbol.asyncDispose]();
});

async function told(node: LocalNode, input: { sinceMs?: number; node?: string }): Promise<TailUpdate[]> {
  const updates: TailUpdate[] = [];
  for await (const update of node.client.tail({ ...input, noFollow: true })) updates.push(update);
  return updates;
}

describe('trace from a third node', () => {
  test.each(['the whole id', 'the end of it', 'the id of the flight'])('by %s: both sides of the story, and how far each has it', async (which) => {
    const id = which === 'the whole id' ? flight.invocationId : which === 'the end of it' ? flight.invocationId.slice(-8) : flight.flightId;
    const { invocationId, entries, gaps, parties } = await server.client.trace(id);
    expect(invocationId).toBe(flight.invocationId);
    expect(gaps).toEqual([]);
    expect(new Set(entries.map((each) => each.nodeName))).toEqual(new Set(['laptop', 'desktop']));
    expect(entries.map((each) => each.fact.what)).toEqual(expect.arrayContaining(['invocation.accepted', 'invocation.received', 'flight.started', 'flight.finished']));
    expect(entries.map((each) => each.fact.hlc)).toEqual(entries.map((each) => each.fact.hlc).toSorted());
    expect(parties).toMatchObject([
      { nodeName: 'laptop', isOrigin: true, isOwner: false, standing: { state: 'completed' } },
      { nodeName: 'desktop', isOrigin: false, isOwner: true, standing: { state: 'completed', verdictBy: 'owner' } },
    ]);
    expect(JSON.stringify(entries)).not.toContain('secret');
  });

  test('followed to its end: each fact once, then how far each has it', async () => {
    const short = await pair.desktop.addAgent('short', { argv: ['sleep', '2'] });
    await pair.knows(pair.laptop, short);
    const { invocationId } = await pair.laptop.invoke(short);
    const { code, events } = await server.cli('trace', invocationId, '--follow', '--json');
    expect(code).toBe(0);
    const facts = events.filter(({ type }) => type === 'event');
    expect(new Set(facts.map(({ id }) => String(id))).size).toBe(facts.length);
    expect(facts.filter(({ what }) => what === 'flight.finished').map(({ node }) => String(node)).toSorted()).toEqual(['desktop', 'laptop']);
    expect(events.at(-1)).toMatchObject({ type: 'parties', parties: [{ node: 'laptop', state: 'completed' }, { node: 'desktop', state: 'completed' }] });
  }, 30_000);

  test('an id that nobody knows: not found, with how many were asked and who could not say', async () => {
    const missing = await server.cli('trace', 'inv_01J9Z6M3T4V8Q2X7K5B1C0D9EF');
    expect(missing.code).toBe(3);
    expect(missing.stderr).toMatch(/nor on the 2 other nodes that were asked; not known is whether stranger has it/);
  });

  test('`last` is of the own node: others are not asked', async () => {
    expect((await server.cli('trace', 'last')).code).toBe(3);
  });

  test('a node of another person is told nothing of it, not even that it is there', async () => {
    const known = await stranger.cli('trace', flight.invocationId);
    const unknown = await stranger.cli('trace', 'inv_01J9Z6M3T4V8Q2X7K5B1C0D9EF');
    expect([known.code, unknown.code]).toEqual([3, 3]);
    expect(known.stderr.replaceAll(flight.invocationId, 'ID')).toBe(unknown.stderr.replaceAll('inv_01J9Z6M3T4V8Q2X7K5B1C0D9EF', 'ID'));
  });

  test('one who asked for it sees what its owner did, on another person’s node; the owner’s other nodes see it too', async () => {
    await pair.desktop.client.shareAgent({ address: echo, parties: ['bob'] });
    const asked = await stranger.invoke(echo, 'hi', { selector: { address: echo, any: false, all: false, anyOwner: true, capabilities: [], labels: {}, cwd: '/' } });
    await stranger.becomes(asked.flightId, 'completed');
    const own = await stranger.client.trace(asked.flightId);
    expect([own.gaps, own.parties.map(({ standing }) => standing?.state)]).toEqual([[], ['completed', 'completed']]);
    // The stranger's node lets this person inspect what it asked this person's agents for, and nothing else.
    const seen = await server.client.trace(asked.invocationId);
    expect([seen.gaps, seen.parties.map(({ standing }) => standing?.state)]).toEqual([[], ['completed', 'completed']]);
    await pair.desktop.client.unshareAgent({ address: echo, parties: ['bob'] });
  });

  test('with its owner down: what the origin knows, why the rest is missing, and what therefore is not known', async () => {
    const sleeper = await pair.desktop.addAgent('sleeper', { argv: ['sleep', '60'] });
    await pair.knows(pair.laptop, sleeper);
    const running = await pair.laptop.invoke(sleeper);
    await pair.laptop.becomes(running.flightId, 'running');
    await pair.desktop.stop();
    for (const node of [server, pair.laptop]) await node.loses(pair.desktop);
    const held = await pair.laptop.invoke(echo, 'later', { holdMs: 3_600_000 });

    const { entries, gaps, parties } = await server.client.trace(held.invocationId);
    expect(entries.map((each) => each.fact.what)).toEqual(['invocation.accepted', 'delivery.deferred']);
    expect(gaps).toMatchObject([{ nodeName: 'desktop', why: expect.stringContaining("desktop can't be reached"), sinceMs: expect.any(Number), unknown: [expect.stringContaining('whether it was received')] }]);
    expect(parties).toMatchObject([{ nodeName: 'laptop', standing: { state: 'queued' } }, { nodeName: 'desktop' }]);
    expect(parties[1]).not.toHaveProperty('standing');

    const report = await server.client.report(0);
    expect(report.nodes.map(({ name }) => name)).toEqual(['server', 'laptop']);
    expect(report.gaps).toMatchObject([
      { nodeName: 'desktop', why: expect.stringContaining("can't be reached"), sinceMs: expect.any(Number), lastSeenMs: expect.any(Number) },
      { nodeName: 'stranger', why: expect.stringContaining('may not inspect') },
    ]);
    const laptop = report.nodes[1];
    expect(laptop).toMatchObject({ undelivered: { count: 1, oldest: { invocationId: held.invocationId } }, owing: [{ nodeId: report.gaps[0]?.nodeId, undelivered: { count: 1 } }] });

    await pair.desktop.start();
    for (const node of [server, pair.laptop, stranger]) await node.sees(pair.desktop, 'alive');
    await pair.laptop.becomes(held.flightId, 'completed');
    expect((await server.client.trace(held.invocationId)).gaps).toEqual([]);
    expect((await server.client.report(0)).gaps.map(({ nodeName }) => nodeName)).toEqual(['stranger']);
  }, 60_000);
});

describe('tail', () => {
  test('what all nodes wrote, once each, in the order of their clocks; who does not tell is named', async () => {
    const updates = await told(server, { sinceMs: 0 });
    const facts = updates.flatMap((update) => (update.type === 'fact' ? [update] : []));
    expect(new Set(facts.map(({ nodeName }) => nodeName))).toEqual(new Set(['laptop', 'desktop', 'server']));
    expect(facts.filter(({ late }) => late)).toEqual([]);
    expect(facts.map(({ fact }) => fact.hlc)).toEqual(facts.map(({ fact }) => fact.hlc).toSorted());
    expect(new Set(facts.map(({ fact }) => fact.id)).size).toBe(facts.length);
    expect(updates.filter(({ type }) => type === 'gap')).toMatchObject([{ nodeName: 'stranger', why: expect.stringContaining('may not inspect') }]);
    expect(JSON.stringify(facts)).not.toContain('secret');
  });

  test('of one node: only what it wrote', async () => {
    const updates = await told(server, { sinceMs: 0, node: 'desktop' });
    expect(new Set(updates.map(({ nodeName }) => nodeName))).toEqual(new Set(['desktop']));
    expect(updates.length).toBeGreaterThan(3);
  });

  test('of a node that there is not: not found', async () => {
    await expect(told(server, { node: 'nobody' })).rejects.toMatchObject({ code: 'not_found' });
  });

  test('from now on: nothing of before, and what comes', async () => {
    const letGo = new AbortController();
    const seen: TailUpdate[] = [];
    const reading = (async () => {
      for await (const update of server.client.tail({ noFollow: false }, { signal: letGo.signal })) seen.push(update);
    })();
    // From some moment on all nodes have been asked for the first time; what was before that is not told.
    const asked = new Set<string>();
    const endsOf = (id: string) => seen.filter((each) => each.type === 'fact' && each.fact.invocationId === id && each.fact.what === 'flight.finished').length;
    await waitFor('an end on both nodes', async () => {
      asked.add((await pair.laptop.invoke(echo, 'hi')).invocationId);
      return [...asked].some((id) => endsOf(id) === 2);
    }, { pollMs: 300 });
    letGo.abort();
    await reading;
    const facts = seen.flatMap((each) => (each.type === 'fact' ? [each.fact] : []));
    expect(facts.filter(({ invocationId }) => invocationId === undefined || !asked.has(invocationId))).toEqual([]);
  });

  test('a node that goes away is named; when it is back, so, and what it wrote meanwhile follows', async () => {
    const letGo = new AbortController();
    const seen: TailUpdate[] = [];
    const reading = (async () => {
      for await (const update of pair.laptop.client.tail({ noFollow: false, sinceMs: Date.now() }, { signal: letGo.signal })) seen.push(update);
    })();
    await waitFor('the first round', () => seen.some(({ type }) => type === 'gap'));
    await server.stop();
    await waitFor('the gap', () => seen.some((each) => each.type === 'gap' && each.nodeName === 'server'));
    await server.start();
    await waitFor('its own word', () => seen.some((each) => each.type === 'fact' && each.nodeName === 'server' && each.fact.what === 'node.started'), { timeoutMs: 20_000 });
    letGo.abort();
    await reading;
    const [gap, back, started] = [
      seen.findIndex((each) => each.type === 'gap' && each.nodeName === 'server'),
      seen.findIndex((each) => each.type === 'back' && each.nodeName === 'server'),
      seen.findIndex((each) => each.type === 'fact' && each.nodeName === 'server' && each.fact.what === 'node.started'),
    ];
    expect([gap, back, started]).toEqual([gap, back, started].toSorted((a, b) => a - b));
    expect(seen[back]).toMatchObject({ type: 'back' });
  }, 40_000);

  test('a stranger sees its own node alone', async () => {
    const updates = await told(stranger, { sinceMs: 0 });
    expect(new Set(updates.flatMap((each) => (each.type === 'fact' ? [each.nodeName] : [])))).toEqual(new Set(['stranger']));
    expect(new Set(updates.flatMap((each) => (each.type === 'gap' ? [each.nodeName] : [])))).toEqual(new Set(['laptop', 'desktop', 'server']));
  });
});

test('a stranger’s report is of its own node, and names those that do not tell', async () => {
  const report = await stranger.client.report(0);
  expect(report.nodes.map(({ name }) => name)).toEqual(['stranger']);
  expect(report.gaps.map(({ nodeName }) => nodeName)).toEqual(['desktop', 'laptop', 'server']);
});

test('export has each flight and each fact of its node once, facts of all that the flights say, and nothing of tasks', async () => {
  const { code, events, stdout } = await pair.laptop.cli('export');
  expect(code).toBe(0);
  const of = (type: string) => events.filter((each) => each['type'] === type);
  expect(events[0]).toMatchObject({ type: 'export', node: 'laptop' });
  expect(events.at(-1)).toMatchObject({ type: 'end', flights: of('flight').length, facts: of('fact').length });
  expect(of('flight').map((each) => each['invocationId'])).toContain(flight.invocationId);
  for (const each of of('flight').filter(({ state }) => state === 'completed')) {
    expect(of('fact').some((fact) => fact['invocationId'] === each['invocationId'] && fact['what'] === 'flight.finished')).toBe(true);
  }
  expect(of('flight')[0]).toMatchObject({ state: 'completed', delivery: { status: 'received', to: 'desktop', tries: [{ number: 1, outcome: 'received' }] } });
  expect(stdout).not.toContain('secret');
});
