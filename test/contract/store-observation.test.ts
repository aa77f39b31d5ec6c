/** What the operator's view reads, on a real store. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { flightOfInvocation } from '../../src/domain/ids.ts';
import type { InvocationId } from '../../src/domain/ids.ts';
import type { Fact } from '../../src/domain/event.ts';
import type { ExportedFlight } from '../../src/domain/observation.ts';
import type { Store } from '../../src/domain/store-port.ts';
import { nodeIdFor, openTempStore, Story, textTask } from '../support/temp-store.ts';
import type { TempStore } from '../support/temp-store.ts';

const [me, desktop, server] = [nodeIdFor(1), nodeIdFor(2), nodeIdFor(3)];
const here = '@fabric@laptop#main';
const wait = { kind: 'defer', reason: 'peer_unreachable', detail: 'desktop is not reachable' } as const;
const stepMs = 60_000;

let temp: TempStore;
let store: Store;
let story: Story;
const held: InvocationId[] = [];
let sent: InvocationId;
let dead: InvocationId;
let lost: InvocationId;
let startMs: number;

beforeAll(async () => {
  temp = await openTempStore(me);
  ({ store } = temp);
  story = new Story();
  startMs = story.nowMs;
  const own = async (owner: typeof me, target: string, plan: Parameters<Story['accept']>[1]): Promise<InvocationId> => {
    story.nowMs += stepMs;
    const invocation = story.invocation({ origin: me, owner }, { target });
    await store.write.accept(story.accept(invocation, plan));
    return invocation.id;
  };
  for (let count = 0; count < 3; count += 1) held.push(await own(desktop, '@echo@desktop#main', wait));
  sent = await own(server, '@echo@server#main', { kind: 'send', attemptId: story.attemptId() });
  dead = await own(desktop, '@echo@desktop#main', wait);
  await store.write.endAtOrigin({ stamp: story.stamp(), flightId: flightOfInvocation(dead), outcome: { state: 'expired' }, delivery: { status: 'dead', reason: 'timeout' }, unlessSent: false });
  lost = await own(server, '@echo@server#main', { kind: 'send', attemptId: story.attemptId() });
  await store.write.endAtOrigin({
    stamp: story.stamp(), flightId: flightOfInvocation(lost), outcome: { state: 'indeterminate', error: { code: 'deadline', message: 'nobody knows' } }, delivery: undefined, unlessSent: false,
  });
  for (const tookMs of [1000, 3000, 2000]) {
    story.nowMs += stepMs;
    const invocation = story.invocation({ origin: desktop, owner: me }, { target: here });
    const flightId = flightOfInvocation(invocation.id);
    await store.write.receive({ stamp: story.stamp(), invocation, task: textTask('secret task'), queueLimit: 9 });
    await store.write.start({ stamp: story.stamp(), flightId });
    story.nowMs += tookMs;
    await store.write.finish({ stamp: story.stamp(), flightId, outcome: { state: 'completed', exitCode: 0 } });
  }
  for (const isStarted of [true, false, false]) {
    story.nowMs += stepMs;
    const invocation = story.invocation({ origin: desktop, owner: me }, { target: here });
    await store.write.receive({ stamp: story.stamp(), invocation, task: textTask('secret task'), queueLimit: 9 });
    if (isStarted) await store.write.start({ stamp: story.stamp(), flightId: flightOfInvocation(invocation.id) });
  }
});
afterAll(() => temp[Symbol.asyncDispose]());

async function allFacts(range: { sinceMs?: number; untilMs?: number }, limit: number): Promise<Fact[]> {
  const facts: Fact[] = [];
  let after = range.sinceMs === undefined ? 0 : await store.inspect.factsBefore(range.sinceMs);
  for (;;) {
    const page = await store.inspect.factsIn({ ...range, after }, limit);
    facts.push(...page.facts);
    expect(page.facts.length).toBeLessThanOrEqual(limit);
    if (!page.more) return facts;
    expect(page.next).toBeGreaterThan(after);
    after = page.next;
  }
}

test('pages of facts are all facts, once each and in order, however small the pages', async () => {
  const whole = await allFacts({}, 1000);
  expect(whole.length).toBeGreaterThan(20);
  expect(await allFacts({}, 1)).toEqual(whole);
  expect(await allFacts({}, 7)).toEqual(whole);
  expect(whole.map(({ hlc }) => hlc)).toEqual(whole.map(({ hlc }) => hlc).toSorted());
});

test('a period has the facts that were written in it, and no others', async () => {
  const whole = await allFacts({}, 1000);
  const [sinceMs, untilMs] = [startMs + 4 * stepMs, startMs + 9 * stepMs];
  const wanted = whole.filter(({ atMs }) => atMs >= sinceMs && atMs < untilMs);
  expect(wanted.length).toBeGreaterThan(3);
  expect(wanted.length).toBeLessThan(whole.length);
  expect(await allFacts({ sinceMs, untilMs }, 2)).toEqual(wanted);
  expect(await allFacts({ sinceMs: story.nowMs + 1 }, 2)).toEqual([]);
});

test('a page ends at the number that it is to go up to, whatever is written meanwhile', async () => {
  const upTo = store.read.newestFact();
  await store.write.note({ stamp: story.stamp(), what: 'invocation.refused' });
  expect((await store.inspect.factsIn({ after: upTo - 1, upTo }, 100)).facts).toHaveLength(1);
  expect(await store.inspect.factsIn({ after: upTo, upTo }, 100)).toEqual({ facts: [], next: upTo, more: false });
});

describe('troubles', () => {
  const troubles = (sinceMs = 0) => store.inspect.troubles({ sinceMs, nowMs: story.nowMs + 1000 });

  test('what is not delivered is counted, and the oldest of it has its reason', async () => {
    const { undelivered } = await troubles();
    expect(undelivered).toMatchObject({ count: 4, more: false, oldest: { invocationId: held[0], target: '@echo@desktop#main', ownerNodeId: desktop, attempts: 0 } });
    expect(undelivered.oldest?.why).toBe('peer_unreachable: desktop is not reachable');
    expect(undelivered.oldest?.sinceMs).toBe(store.read.flight(flightOfInvocation(held[0] as InvocationId))?.acceptedAtMs);
  });

  test('dead letters and indeterminate flights are those of the period', async () => {
    const found = await troubles();
    expect(found.dead).toMatchObject({ count: 1, newest: [{ invocationId: dead, why: 'timeout' }] });
    expect(found.indeterminate).toMatchObject({ count: 1, newest: [{ invocationId: lost, why: 'nobody knows', attempts: 1 }] });
    const later = await troubles(story.nowMs);
    expect([later.dead.count, later.indeterminate.count, later.undelivered.count]).toEqual([0, 0, 4]);
  });

  test('an agent’s pace: how much waits and runs, since when, and what is usual', async () => {
    const { paces } = await troubles();
    expect(paces).toEqual([{ address: here, queued: 2, running: 1, oldestQueuedMs: expect.any(Number), longestRunMs: expect.any(Number), usualRunMs: 2001 }]);
    const [pace] = paces;
    expect(pace?.oldestQueuedMs).toBeGreaterThan(stepMs);
    expect(pace?.longestRunMs).toBeGreaterThan(pace?.oldestQueuedMs ?? 0);
  });

  test('what is open with a node, for those that something is open with', async () => {
    const owing = await store.inspect.owedTo([desktop, server, nodeIdFor(9)]);
    expect(owing).toMatchObject([
      { nodeId: desktop, undelivered: { count: 3, oldest: { invocationId: held[0] } }, open: { count: 0 } },
      { nodeId: server, undelivered: { count: 1, oldest: { invocationId: sent } }, open: { count: 1 } },
    ]);
  });
});

describe('export', () => {
  async function exported(range: { sinceMs?: number; untilMs?: number }, limit: number): Promise<ExportedFlight[]> {
    const flights: ExportedFlight[] = [];
    const upTo = store.read.newestFlight()?.invocationId as InvocationId;
    for (let after: InvocationId | undefined; ; ) {
      const page = await store.inspect.exported({ ...range, upTo, ...(after === undefined ? {} : { after }) }, limit);
      flights.push(...page.flights);
      if (page.last === undefined) return flights;
      after = page.last;
    }
  }

  test('every flight once, oldest first, with its invocation, delivery and tries, in pages of any size', async () => {
    const whole = await exported({}, 500);
    expect(whole).toHaveLength(12);
    expect(await exported({}, 1)).toEqual(whole);
    for (const { flight, invocation, delivery, attempts } of whole) {
      expect(flight).toEqual(store.read.flight(flight.id));
      expect(invocation).toEqual(store.read.invocation(flight.invocationId));
      expect(delivery).toEqual(store.read.delivery(flight.invocationId));
      expect(attempts).toEqual(await store.inspect.attempts(flight.invocationId));
    }
    expect(JSON.stringify(whole)).not.toContain('secret');
  });

  test('of a period: what was accepted in it', async () => {
    const range = { sinceMs: startMs + 2 * stepMs, untilMs: startMs + 6 * stepMs };
    const within = (await exported({}, 500)).filter(({ flight }) => flight.acceptedAtMs >= range.sinceMs && flight.acceptedAtMs < range.untilMs);
    expect(within.length).toBeGreaterThan(2);
    expect(await exported(range, 2)).toEqual(within);
  });
});
