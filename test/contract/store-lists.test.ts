import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { flightOfInvocation, ulidOf } from '../../src/domain/ids.ts';
import type { InvocationId, NodeId } from '../../src/domain/ids.ts';
import { flightStates } from '../../src/domain/flight.ts';
import { deliveryStates } from '../../src/domain/delivery.ts';
import type { DeliveryFilter, FlightFilter } from '../../src/domain/messages.ts';
import type { Delivery, Flight, Page, PageRequest } from '../../src/domain/records.ts';
import type { Store } from '../../src/domain/store-port.ts';
import { nodeIdFor, openTempStore, Story, textTask } from '../support/temp-store.ts';
import type { TempStore } from '../support/temp-store.ts';

const [me, desktop, server] = [nodeIdFor(1), nodeIdFor(2), nodeIdFor(3)];
const names: Record<NodeId, string> = { [me]: 'laptop', [desktop]: 'desktop', [server]: 'server' };

let temp: TempStore;
let store: Store;
let story: Story;
const ids: InvocationId[] = [];
let flights: Flight[];
let deliveries: Delivery[];

/** Flights of all roles, agents, nodes and states, in a mixed order. */
beforeAll(async () => {
  temp = await openTempStore(me);
  store = temp.store;
  story = new Story();
  const writes: Promise<unknown>[] = [];
  for (let index = 0; index < 150; index += 1) {
    story.nowMs += 1000;
    const [origin, owner] = ([[me, me], [me, desktop], [me, server], [desktop, me], [server, me]] as const)[index % 5]!;
    const target = `@${['fabric', 'fab', 'fabric-2'][index % 3]}@${names[owner]}#${['main', 'feature-x'][index % 2]}`;
    const invocation = story.invocation({ origin, owner }, { target });
    ids.push(invocation.id);
    writes.push(write(invocation, index));
  }
  await Promise.all(writes);
  flights = ids.map((id) => store.read.flight(flightOfInvocation(id))!).toReversed();
  deliveries = ids.map((id) => store.read.delivery(id)).filter((each) => each !== undefined).toReversed();
});

async function write(invocation: ReturnType<Story['invocation']>, index: number): Promise<void> {
  const flightId = flightOfInvocation(invocation.id);
  const stamp = story.stamp();
  if (invocation.originNodeId !== me) {
    await store.write.receive({ stamp, invocation, task: textTask('t'), queueLimit: 1e6 });
  } else if (invocation.ownerNodeId === me) {
    await store.write.accept(story.accept(invocation));
  } else {
    const plan = index % 2 === 0 ? { kind: 'send', attemptId: story.attemptId() } as const : { kind: 'defer', reason: 'timeout', detail: '' } as const;
    await store.write.accept(story.accept(invocation, plan));
    if (index % 4 < 2) {
      const outcome = { state: (['cancelled', 'indeterminate', 'failed', 'expired'] as const)[Math.floor(index / 5) % 4]! };
      await store.write.endAtOrigin({ stamp, flightId, outcome, delivery: { status: index % 3 === 0 ? 'dead' : 'cancelled', reason: 'timeout' }, unlessSent: false });
    }
    return;
  }
  if (index % 4 === 0) return;
  await store.write.start({ stamp, flightId });
  if (index % 4 === 1) return;
  await store.write.finish({ stamp, flightId, outcome: { state: (['completed', 'failed', 'cancelled', 'indeterminate'] as const)[Math.floor(index / 3) % 4]! } });
}

afterAll(async () => {
  await temp[Symbol.asyncDispose]();
});

async function all<Item>(list: (page: PageRequest) => Promise<Page<Item>>, limit: number): Promise<Item[]> {
  const items: Item[] = [];
  let after: string | undefined;
  do {
    const page: Page<Item> = await list({ limit, ...(after === undefined ? {} : { after }) });
    expect(page.items.length).toBeLessThanOrEqual(limit);
    if (page.next !== undefined) expect(page.items).toHaveLength(limit);
    items.push(...page.items);
    after = page.next;
  } while (after !== undefined);
  return items;
}

const agents = [
  'fabric', 'fab', 'fabric-2', 'none', '@fabric', '@fabric@laptop#main', '@fabric@desktop#feature-x', 'fab@server/main',
  'fabric@laptop', 'fab@desktop', 'fabric/main', 'fabric-2/feature-x', '@none@laptop#main',
];

function fits(flight: Flight, { state, agent }: FlightFilter): boolean {
  const parts = /^@?([^@#/]+)(?:@([^#/]+))?(?:[#/](.+))?$/.exec(agent ?? '');
  const [, name, node, workspace] = parts ?? [];
  const [, targetName, targetNode, targetWorkspace] = /^@([^@#]+)@([^#]+)#(.+)$/.exec(flight.target)!;
  return (state === undefined || flight.state === state)
    && (name === undefined || name === targetName) && (node === undefined || node === targetNode)
    && (workspace === undefined || workspace === targetWorkspace);
}

const some = <T>(...values: T[]) => fc.constantFrom(undefined, ...values);
function present<T extends object>(filter: T): { [Key in keyof T]?: Exclude<T[Key], undefined> } {
  return Object.fromEntries(Object.entries(filter).filter(([, value]) => value !== undefined)) as never;
}

describe('lists', () => {
  test('the fixture has every kind', () => {
    expect(new Set(flights.map((each) => each.state)).size).toBeGreaterThanOrEqual(7);
    expect(new Set(deliveries.map((each) => each.status)).size).toBeGreaterThanOrEqual(5);
  });

  test('of flights give, newest first, what a look at each flight would, under every filter and page size', async () => {
    const filters = fc.record({
      state: some(...flightStates), agent: some(...agents),
    });
    await fc.assert(fc.asyncProperty(filters, fc.integer({ min: 1, max: 60 }), async (raw, limit) => {
      const filter = present(raw);
      const listed = await all((page) => store.inspect.flights(filter, page), limit);
      expect(listed).toEqual(flights.filter((flight) => fits(flight, filter)));
    }), { numRuns: 150 });
  });

  test('of deliveries likewise', async () => {
    const filters = fc.record({
      status: some(...deliveryStates), invocationId: some(...ids.slice(0, 6)), sinceIndex: some(0, 30, 75, 149),
    });
    await fc.assert(fc.asyncProperty(filters, fc.integer({ min: 1, max: 60 }), async ({ sinceIndex, ...raw }, limit) => {
      const since = sinceIndex === undefined ? undefined : ids[sinceIndex]!;
      const filter: DeliveryFilter = present({ ...raw, sinceMs: since === undefined ? undefined : timeOf(since) });
      const listed = await all((page) => store.inspect.deliveries(filter, page), limit);
      expect(listed).toEqual(deliveries.filter((each) =>
        (filter.status === undefined || each.status === filter.status)
        && (filter.invocationId === undefined || each.invocationId === filter.invocationId)
        && (since === undefined || each.invocationId >= since)));
    }), { numRuns: 100 });
  });

  test('go on from where they were when more is stored meanwhile', async () => {
    const first = await store.inspect.flights({}, { limit: 10 });
    const invocation = story.invocation({ origin: me, owner: me });
    const { flight } = await store.write.accept(story.accept(invocation));
    const second = await store.inspect.flights({}, { limit: 10, after: first.next! });
    expect(second.items).toEqual(flights.slice(10, 20));
    flights.unshift(flight);
    deliveries.unshift(store.read.delivery(invocation.id)!);
  });

  test.each([
    ['garbage', 'garbage'],
    ['nothing', ''],
    ['another list’s', Buffer.from(`deliveries:inv_01HF7YAT010000000000000001`).toString('base64url')],
    ['no id', Buffer.from('flights:inv_1').toString('base64url')],
    ['SQL', Buffer.from("flights:' OR 1=1").toString('base64url')],
  ])('refuse a cursor that is %s', async (_, after) => {
    await expect(store.inspect.flights({}, { limit: 10, after })).rejects.toMatchObject({ code: 'invalid' });
  });

  test.each([0, -1, 1001, 1.5, Number.NaN])('refuse a page of %s', async (limit) => {
    await expect(store.inspect.flights({}, { limit })).rejects.toMatchObject({ code: 'invalid' });
    await expect(store.inspect.deliveries({}, { limit })).rejects.toMatchObject({ code: 'invalid' });
  });

  test('an agent that is no address is refused', async () => {
    await expect(store.inspect.flights({ agent: 'no such@@' }, { limit: 1 })).rejects.toMatchObject({ code: 'invalid' });
  });

  test('the counts are those of the flights', async () => {
    const counts: Record<string, number> = {};
    for (const { state } of flights) counts[state] = (counts[state] ?? 0) + 1;
    expect(await store.inspect.countFlights()).toEqual(counts);
  });
});

describe('a suffix of an id', () => {
  test('finds at most two, newest first, and only whole suffixes', async () => {
    const suffix = ulidOf(ids[7]!).slice(-6);
    expect(store.read.flightsBySuffix(suffix).map((each) => each.invocationId)).toEqual([ids[7]]);
    expect(store.read.flightsBySuffix('0000')).toEqual([]);
    expect(store.read.flightsBySuffix(`1${suffix}`)).toEqual([]);
    expect(store.read.flightsBySuffix('%%%%')).toEqual([]);
    const end = ulidOf(ids[9]!).slice(-4);
    const older = `inv_01AAAAAAAA${'0'.repeat(12)}${end}` as InvocationId;
    await store.write.accept(story.accept(story.invocation({ origin: me, owner: me }, { id: older })));
    expect(store.read.flightsBySuffix(end).map((each) => each.invocationId)).toEqual([ids[9], older]);
  });

  test('finds deliveries too', async () => {
    const { invocationId } = deliveries[3]!;
    expect(await store.inspect.deliveriesBySuffix(ulidOf(invocationId).slice(-8))).toEqual([deliveries[3]]);
  });

  test('the newest flight is the one of the greatest id', () => {
    expect(store.read.newestFlight()).toEqual(flights[0]);
  });
});

function timeOf(id: InvocationId): number {
  let ms = 0;
  for (const digit of ulidOf(id).slice(0, 10)) ms = ms * 32 + '0123456789ABCDEFGHJKMNPQRSTVWXYZ'.indexOf(digit);
  return ms;
}
