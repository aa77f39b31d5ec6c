/** A queue in which much waits of callers of whom it can't be said yet what they may: what a look at it costs, and who goes first. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Chronicler } from '../../../src/broker/chronicler.ts';
import { Runner } from '../../../src/broker/runner.ts';
import type { RunnerParts } from '../../../src/broker/runner.ts';
import { Sharing } from '../../../src/broker/sharing.ts';
import type { SharingParts } from '../../../src/broker/sharing.ts';
import { denied } from '../../../src/domain/errors.ts';
import type { Harness, RunEnd } from '../../../src/domain/harness-port.ts';
import { flightOfInvocation } from '../../../src/domain/ids.ts';
import type { FlightId, NodeId } from '../../../src/domain/ids.ts';
import type { Invocation } from '../../../src/domain/invocation.ts';
import type { Flight } from '../../../src/domain/records.ts';
import type { StoreReads } from '../../../src/domain/store-port.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { nodeIdFor, openTempStore, silentLog, Story, textTask } from '../../support/temp-store.ts';
import type { TempStore } from '../../support/temp-store.ts';
import { waitFor } from '../../support/wait-for.ts';

const [me, bob, ada] = [nodeIdFor(1), nodeIdFor(2), nodeIdFor(3)];
const target = '@deploy@laptop#main';
const many = 10_000;

let temp: TempStore;
const story = new Story();

interface Sent {
  readonly origin?: NodeId;
  readonly owner?: string;
  readonly at?: string;
  readonly changes?: Partial<Invocation>;
}

async function receive({ origin = bob, owner = 'bob', at = target, changes = {} }: Sent = {}): Promise<FlightId> {
  const invocation = story.invocation({ origin, owner: me }, { target: at, ...changes });
  await temp.store.write.receive({ stamp: story.stamp(), invocation, task: textTask('x'), queueLimit: 2 * many, originOwner: owner, sessionOwner: owner });
  return flightOfInvocation(invocation.id);
}

async function addAgent(at: string, concurrency = 1): Promise<void> {
  await temp.store.write.addAgent({
    stamp: story.stamp(),
    endpoint: { agentId: `agt_${story.ulid()}` as never, address: at, harness: 'command', cwd: '/', argv: ['cat'], env: [], path: '', permissions: 'ask', isolate: false, concurrency },
    registration: { address: at, nodeId: me, harness: 'command', capabilities: [], labels: {}, visibility: 'mesh', description: '', isDefault: false, available: true },
  });
}

/** What is asked of the store from now on. */
function counting() {
  const cost = { reads: 0, rows: 0, flights: 0, judged: 0 };
  const read = new Proxy(temp.store.read, {
    get(of, name) {
      const own = Reflect.get(of, name) as (...args: unknown[]) => unknown;
      return (...args: unknown[]) => {
        cost.reads += 1;
        const answer = own(...args);
        if (name === 'flight') cost.flights += 1;
        if (Array.isArray(answer)) cost.rows += answer.length;
        return answer;
      };
    },
  }) as StoreReads;
  return { cost, read, since: (work: () => void) => (Object.assign(cost, { reads: 0, rows: 0, flights: 0, judged: 0 }), work(), { ...cost }) };
}

/** A runner over the store: who is known, what began, and the end of each. */
function running(unknown: (flight: Flight) => boolean) {
  const clock = new FakeClock();
  const { cost, read, since } = counting();
  const begun: FlightId[] = [];
  const ends = new Map<FlightId, (end: RunEnd) => void>();
  const start = ({ flightId }: { flightId: FlightId }) => {
    const { promise, resolve } = Promise.withResolvers<RunEnd>();
    ends.set(flightId, resolve);
    return { ended: promise, stop: async () => (resolve({ signal: 'SIGTERM' }), 1) };
  };
  const parts = {
    store: { read, write: temp.store.write },
    harnesses: new Map([['command', { name: 'command', keepsSessions: true, start } as unknown as Harness]]),
    isolation: {
      place: async (_flight: Flight, endpoint: unknown) => ({ endpoint }),
      begin: async ({ id }: Flight) => {
        begun.push(id);
        return (await temp.store.write.start({ stamp: story.stamp(), flightId: id }))?.flight;
      },
      dropped: async () => undefined,
    },
    chronicler: new Chronicler(clock), clock, log: silentLog, refusalOf: () => undefined, isUnknown: (flight: Flight) => ((cost.judged += 1), unknown(flight)),
    feed: { changed: () => undefined }, ulids: { next: () => story.ulid() }, environmentOf: () => ({}), onEvents: () => undefined, onDoubt: () => undefined, mayStart: () => true,
  } as unknown as RunnerParts;
  const it = new Runner(parts);
  /** Ends what runs, and waits until something else does, or nothing. */
  const end = async (id: FlightId): Promise<void> => {
    await waitFor('its process', () => ends.has(id));
    ends.get(id)?.({ exitCode: 0 });
    await waitFor('its end', () => temp.store.read.flight(id)?.state === 'completed');
    await waitFor('its place to be free', () => !it.runningFor(temp.store.read.flight(id)?.target ?? '').some((flight) => flight.id === id));
  };
  const stop = async (): Promise<void> => {
    const forced = new AbortController();
    const drained = it.drain(forced.signal);
    for (const id of begun) ends.get(id)?.({ exitCode: 0 });
    forced.abort();
    await drained;
  };
  return { it, clock, cost, begun, since, end, stop };
}

describe('ten thousand flights of one caller of whom nothing is known yet', () => {
  let waiting: FlightId[];
  beforeAll(async () => {
    temp = await openTempStore(me);
    await addAgent(target);
    waiting = [];
    while (waiting.length < many) waiting.push(...(await Promise.all(Array.from({ length: 1000 }, () => receive()))));
  });
  afterAll(() => temp[Symbol.asyncDispose]());

  test('are put off by one verdict, and cost no more than a few rows with each forward and each round', async () => {
    const { it, begun, since, stop } = running(({ originNodeId }) => originNodeId === bob);
    const first = since(() => it.wakeAll());
    expect(first.judged).toBe(1);
    const forward = since(() => it.wake(target));
    expect(forward.judged).toBe(0);
    const round = since(() => it.wakeAll());
    for (const { reads, rows, flights } of [first, forward, round]) expect([reads < 20, rows < 50, flights < 10]).toEqual([true, true, true]);
    expect(begun).toEqual([]);
    await stop();
  });

  test('keep nobody waiting who comes after them, or with an older id', async () => {
    const { it, begun, end, since, stop } = running(({ originNodeId }) => originNodeId === bob);
    it.wake(target);
    const later = await receive({ origin: ada, owner: 'ada' });
    it.wake(target);
    await waitFor('what came later', () => begun.length === 1);
    await end(later);
    // Held at its origin for long: its id is older than all that waits.
    const id = `inv_${'0'.repeat(26)}` as Invocation['id'];
    const older = await receive({ origin: ada, owner: 'ada', changes: { id } });
    expect(since(() => it.wake(target)).rows).toBeLessThan(50);
    await end(older);
    // The same node, for another person.
    const another = await receive({ owner: 'carol' });
    await stop();
    const { it: next, begun: nextBegun, end: nextEnd, stop: nextStop } = running(({ originOwner }) => originOwner === 'bob');
    next.wake(target);
    await nextEnd(another);
    expect([begun, nextBegun]).toEqual([[later, older], [another]]);
    await nextStop();
  });

  test('leave the turns of a session of somebody else in their order, and begin none in one that is busy', async () => {
    const { it, begun, end, stop } = running(({ originNodeId }) => originNodeId === bob);
    it.wake(target);
    const session = { origin: ada, owner: 'ada' };
    const first = await receive(session);
    const second = await receive({ ...session, changes: { session: { mode: 'continue' } } });
    const third = await receive({ ...session, changes: { session: { mode: 'continue' } } });
    it.wake(target);
    for (const id of [first, second, third]) await end(id);
    expect(begun).toEqual([first, second, third]);
    await stop();
  });

  test('leave what several others have behind them in the order in which it came', async () => {
    const { it, begun, end, stop } = running(({ originNodeId }) => originNodeId === bob);
    const behind: FlightId[] = [];
    for (const [origin, owner] of [[ada, 'ada'], [nodeIdFor(4), 'carol'], [bob, 'bob'], [ada, 'ada'], [nodeIdFor(4), 'dan'], [nodeIdFor(4), 'carol']] as const) {
      const id = await receive({ origin, owner });
      if (origin !== bob) behind.push(id);
    }
    it.wake(target);
    for (const id of behind) await end(id);
    expect(begun).toEqual(behind);
    await stop();
  });

  test('cost nothing when rules change and it is judged again who may', async () => {
    const { cost, read } = counting();
    const judgeQueued = ({ originNodeId }: Flight) => ((cost.judged += 1), originNodeId === bob ? 'unknown' : undefined);
    const sharing = new Sharing({ store: { read }, policy: { judgeQueued }, runner: { runningFor: () => [] }, clock: new FakeClock(), log: silentLog } as unknown as SharingParts);
    expect(await sharing.settleAll()).toEqual({ ended: 0, running: 0 });
    // Of Bob, and of the few that the tests before this one left.
    expect([cost.reads < 20, cost.rows < 20, cost.judged < 6]).toEqual([true, true, true]);
  });

  test('begin in their order once it is known that they may', async () => {
    let isUnknown = true;
    const { it, begun, end, stop } = running(() => isUnknown);
    it.wakeAll();
    isUnknown = false;
    it.wake(target);
    // They are judged with the next round, not with each forward.
    expect(begun).toEqual([]);
    it.wakeAll();
    for (const id of waiting.slice(0, 4)) await end(id);
    expect(begun.slice(0, 4)).toEqual(waiting.slice(0, 4));
    await stop();
  });
});

describe('a queue of many callers', () => {
  beforeAll(async () => {
    temp = await openTempStore(me);
    await addAgent(target);
  });
  afterAll(() => temp[Symbol.asyncDispose]());

  test('of whom nothing is known yet puts off a few of them at a time, and who may goes before them all the same', async () => {
    const others = Array.from({ length: 200 }, (_, number) => nodeIdFor(100 + number));
    await Promise.all(others.map((origin) => receive({ origin })));
    const known = await receive({ origin: ada, owner: 'ada' });
    const { it, clock, begun, end, since, stop } = running(({ originNodeId }) => originNodeId !== ada);
    expect(since(() => it.wakeAll()).judged).toBeLessThan(70);
    await waitFor('the one that may', () => (void clock.advance(0), begun.length > 0));
    await end(known);
    expect(begun).toEqual([known]);
    expect(since(() => it.wake(target)).judged).toBe(0);
    await stop();
  });

  test('is not asked for all of them when only the first is not known', async () => {
    const { it, begun, since, stop } = running(({ originNodeId }) => originNodeId === nodeIdFor(100));
    expect(since(() => it.wake(target)).reads).toBeLessThan(20);
    await waitFor('the second', () => begun.length > 0);
    expect(temp.store.read.flight(begun[0] as FlightId)?.originNodeId).toBe(nodeIdFor(101));
    await stop();
  });

  test('begins one turn of each session, however many places are free, and the next when that is over', async () => {
    const at = '@roomy@laptop#main';
    await addAgent(at, 3);
    const turn = { origin: ada, owner: 'ada', at };
    const first = await receive(turn);
    const second = await receive({ ...turn, changes: { session: { mode: 'continue' } } });
    const other = await receive({ ...turn, owner: 'carol' });
    const { it, begun, end, stop } = running(() => false);
    it.wake(at);
    await waitFor('those that may', () => begun.length === 2);
    await end(other);
    expect(begun).toEqual([first, other]);
    await end(first);
    await end(second);
    expect(begun).toEqual([first, other, second]);
    await stop();
  });

  test('is not read for each place that another agent gets on a full node: the agents that wait for one have it by turns', async () => {
    const agents = Array.from({ length: 100 }, (_, number) => `@agent${number}@laptop#main`);
    for (const at of agents) await addAgent(at);
    const all = await Promise.all(agents.map((at) => receive({ at })));
    const { it, cost, begun, end, stop } = running(({ target: at }) => !at.startsWith('@agent'));
    it.wakeAll();
    await waitFor('the node to be full', () => begun.length === 32);
    cost.reads = 0;
    for (let count = 0; count < 10; count += 1) {
      await end(begun[count] as FlightId);
      await waitFor('the next', () => begun.length === 33 + count);
    }
    // With each of 68 agents it would be thousands.
    expect(cost.reads).toBeLessThan(300);
    while (begun.length < all.length) await end(begun[begun.length - 32] as FlightId);
    expect(new Set(begun)).toEqual(new Set(all));
    await stop();
  });

  test('keeps no place for its agent when another waits for one', async () => {
    const agents = Array.from({ length: 32 }, (_, number) => `@deep${number}@laptop#main`);
    await addAgent('@late@laptop#main');
    for (const at of agents) await addAgent(at);
    for (let count = 0; count < 3; count += 1) await Promise.all(agents.map((at) => receive({ at })));
    const late = await receive({ at: '@late@laptop#main' });
    const { it, begun, end, stop } = running(({ target: at }) => !at.startsWith('@deep') && !at.startsWith('@late'));
    for (const at of agents) it.wake(at);
    it.wake('@late@laptop#main');
    await waitFor('the node to be full', () => begun.length === 32);
    await end(begun[0] as FlightId);
    await waitFor('the next', () => begun.length > 32);
    expect(begun[32]).toBe(late);
    await stop();
  });

  test('loses all that waits of the one who may not, and nothing of anybody else', async () => {
    const [gone, kept] = [nodeIdFor(400), nodeIdFor(401)];
    const theirs = await Promise.all(Array.from({ length: 250 }, () => receive({ origin: gone, owner: 'dan' })));
    const stays = await Promise.all([receive({ origin: kept, owner: 'dan' }), receive({ origin: gone, owner: 'erin' })]);
    const policy = { judgeQueued: ({ originNodeId, originOwner }: Flight) => (originNodeId === gone && originOwner === 'dan' ? denied('no more') : 'unknown'), refused: () => undefined };
    const { it, stop } = running(() => true);
    const sharing = new Sharing({ store: temp.store, policy, runner: it, clock: new FakeClock(), log: silentLog } as unknown as SharingParts);
    expect(await sharing.settleAll()).toEqual({ ended: 250, running: 0 });
    expect(theirs.filter((id) => temp.store.read.flight(id)?.state !== 'failed')).toEqual([]);
    expect(stays.map((id) => temp.store.read.flight(id)?.state)).toEqual(['queued', 'queued']);
    await stop();
  });
});
