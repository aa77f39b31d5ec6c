import { setImmediate as nextTurn } from 'node:timers/promises';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { toBrokerError } from '../../src/domain/errors.ts';
import { isTerminal } from '../../src/domain/flight.ts';
import { flightOfInvocation } from '../../src/domain/ids.ts';
import type { InvocationId } from '../../src/domain/ids.ts';
import type { FlightEvent } from '../../src/domain/flight-event.ts';
import { inputOf } from '../support/asking.ts';
import { agentName, UnreliablePair } from '../support/unreliable-pair.ts';
import type { Machine } from '../support/unreliable-pair.ts';
import { waitFor } from '../support/wait-for.ts';

type Side = 'left' | 'right';

type Step =
  | { readonly do: 'invoke'; readonly at: Side; readonly rerunnable: boolean; readonly key: number | undefined }
  | { readonly do: 'deliver'; readonly from: Side; readonly count: number; readonly again: 'no' | 'at once' | 'later' }
  | { readonly do: 'deliver late'; readonly which: number }
  | { readonly do: 'connect' }
  | { readonly do: 'cut' }
  | { readonly do: 'notice'; readonly at: Side }
  | { readonly do: 'cancel'; readonly which: number }
  | { readonly do: 'ask'; readonly at: Side }
  | { readonly do: 'reply'; readonly which: number; readonly at: Side; readonly isYes: boolean }
  | { readonly do: 'print'; readonly at: Side }
  | { readonly do: 'end'; readonly at: Side }
  | { readonly do: 'wait'; readonly ms: number }
  | { readonly do: 'drain'; readonly at: Side }
  | { readonly do: 'die'; readonly at: Side };

const side = fc.constantFrom<Side>('left', 'right');
const often: fc.WeightedArbitrary<Step>[] = [
  { weight: 5, arbitrary: fc.record({ do: fc.constant('invoke' as const), at: side, rerunnable: fc.boolean(), key: fc.option(fc.nat(2), { nil: undefined }) }) },
  { weight: 12, arbitrary: fc.record({ do: fc.constant('deliver' as const), from: side, count: fc.integer({ min: 1, max: 6 }), again: fc.constantFrom('no' as const, 'at once' as const, 'later' as const) }) },
  { weight: 5, arbitrary: fc.record({ do: fc.constant('deliver late' as const), which: fc.nat(30) }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('connect' as const) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('cut' as const) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('notice' as const), at: side }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('print' as const), at: side }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('end' as const), at: side }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('wait' as const), ms: fc.integer({ min: 100, max: 30_000 }) }) },
];
const cancel: fc.WeightedArbitrary<Step> = { weight: 2, arbitrary: fc.record({ do: fc.constant('cancel' as const), which: fc.nat(10) }) };
const asking: fc.WeightedArbitrary<Step>[] = [
  { weight: 5, arbitrary: fc.record({ do: fc.constant('ask' as const), at: side }) },
  { weight: 8, arbitrary: fc.record({ do: fc.constant('reply' as const), which: fc.nat(6), at: side, isYes: fc.boolean() }) },
  { weight: 1, arbitrary: fc.constant({ do: 'wait', ms: 61_000 } as const) },
];
const drain: fc.WeightedArbitrary<Step> = { weight: 1, arbitrary: fc.record({ do: fc.constant('drain' as const), at: side }) };
const die: fc.WeightedArbitrary<Step> = { weight: 1, arbitrary: fc.record({ do: fc.constant('die' as const), at: side }) };

interface Asked {
  readonly origin: Machine;
  readonly owner: Machine;
  readonly id: InvocationId;
  readonly rerunnable: boolean;
}

/** Plays the steps, then lets everything get through until all is told. */
async function play(pair: UnreliablePair, steps: readonly Step[], begin: (asked: Map<InvocationId, Asked>) => Promise<void> = () => Promise.resolve()): Promise<Asked[]> {
  const asked = new Map<InvocationId, Asked>();
  const cancels: Promise<unknown>[] = [];
  pair.connect();
  await peaceUntil(pair, 'each knows the other’s agent', async () => {
    const lists = await Promise.all([pair.left, pair.right].map((each) => each.broker.listAgents({}, { limit: 10 })));
    return lists.every((each) => each.items.length === 2);
  });
  await begin(asked);
  for (const step of steps) await take(pair, step, asked, cancels);
  for (const machine of [pair.left, pair.right]) if (machine.isDraining) await pair.die(machine);
  pair.connect();
  await peaceUntil(pair, 'everything ends, and its origin has all of it', () => [...asked.values()].every(isTold));
  await Promise.all(cancels);
  return [...asked.values()];
}

async function take(pair: UnreliablePair, step: Step, asked: Map<InvocationId, Asked>, cancels: Promise<unknown>[]): Promise<void> {
  switch (step.do) {
    case 'invoke': {
      const origin = pair[step.at];
      // It would refuse.
      if (origin.isDraining) return;
      const owner = pair.other(origin);
      const key = step.key === undefined ? undefined : `key ${step.key}`;
      const { flight } = await origin.broker.invoke(inputOf(`@${agentName}@${owner.name}#main`, 'go', { ...(key === undefined ? {} : { key }), rerunnable: step.rerunnable }));
      if (!asked.has(flight.invocationId)) asked.set(flight.invocationId, { origin, owner, id: flight.invocationId, rerunnable: flight.rerunnable });
      return;
    }
    case 'deliver':
      await pair.deliver(pair[step.from], step.count, step.again);
      return;
    case 'deliver late':
      pair.deliverLate(step.which);
      return;
    case 'connect':
      pair.connect();
      return;
    case 'cut':
      pair.cut();
      return;
    case 'notice':
      pair.notice(pair[step.at]);
      return;
    case 'cancel': {
      const one = [...asked.values()][step.which];
      const flight = one?.origin.store.read.flight(flightOfInvocation(one.id));
      if (one === undefined || flight === undefined || isTerminal(flight.state)) return;
      const { boot } = one.origin;
      const cancelled = one.origin.broker.cancelFlight(flight.id, 0).catch((error: unknown) => {
        // It may have ended before the wish was stored; and a node that has died since answers nobody.
        if (one.origin.boot === boot) expect(toBrokerError(error).code).toBe('conflict');
      });
      cancels.push(cancelled);
      await nextTurn();
      return;
    }
    case 'ask':
      for (const run of pair[step.at].runs.slice(0, 2)) run.ask();
      await nextTurn();
      return;
    case 'reply': {
      const machine = pair[step.at];
      const all = [...asked.values()].filter(({ id }) => machine.store.read.flight(flightOfInvocation(id))?.waiting !== undefined);
      const one = all[step.which % Math.max(1, all.length)];
      const flight = one === undefined ? undefined : machine.store.read.flight(flightOfInvocation(one.id));
      if (flight?.waiting === undefined) return;
      const { boot } = machine;
      const reply = { kind: step.isYes ? ('approved' as const) : ('denied' as const) };
      const replied = machine.broker.replyToFlight({ id: flight.id, request: flight.waiting.request, reply, by: 'uid:1', waitMs: 0 }).catch((error: unknown) => {
        if (machine.boot === boot) expect(toBrokerError(error).code).toBe('conflict');
      });
      cancels.push(replied);
      await nextTurn();
      return;
    }
    case 'print':
      for (const run of pair[step.at].runs.slice(0, 2)) await run.print(`line of ${run.request.invocationId}\n`);
      return;
    case 'end':
      pair[step.at].runs[0]?.end();
      return;
    case 'wait':
      await pair.clock.advance(step.ms);
      return;
    case 'drain':
      pair[step.at].drain();
      return;
    case 'die':
      await pair.die(pair[step.at]);
      return;
  }
}

async function peaceUntil(pair: UnreliablePair, what: string, condition: () => boolean | Promise<boolean>): Promise<void> {
  await waitFor(what, async () => {
    await pair.peace();
    await pair.clock.advance(1000);
    return condition();
  }, { timeoutMs: 10_000, pollMs: 5 });
}

function isTold({ origin, owner, id }: Asked): boolean {
  const here = origin.store.read.flight(flightOfInvocation(id));
  const there = owner.store.read.flight(flightOfInvocation(id));
  if (here === undefined || !isTerminal(here.state) || origin.store.read.openReplies(owner.identity.nodeId, 1).length > 0) return false;
  return there === undefined || (isTerminal(there.state) && here.lastSeq === there.lastSeq && owner.store.read.unacknowledged(origin.identity.nodeId, undefined, 1).length === 0);
}

/** Two agents at work on either side, each with two requests, and their origins know. */
async function askEverywhere(pair: UnreliablePair, asked: Map<InvocationId, Asked>): Promise<void> {
  for (const at of ['left', 'right', 'left', 'right'] as const) await take(pair, { do: 'invoke', at, rerunnable: false, key: undefined }, asked, []);
  const allAre = (what: string, isSo: (one: Asked) => boolean): Promise<unknown> =>
    waitFor(what, async () => {
      for (const machine of [pair.left, pair.right]) await pair.deliver(machine, 100, 'later');
      return [...asked.values()].every(isSo);
    });
  await allAre('all to be at work', ({ owner, id }) => owner.runs.some(({ request }) => request.invocationId === id));
  for (const { runs } of [pair.left, pair.right]) for (const run of [...runs, ...runs]) run.ask();
  await allAre('all to wait', ({ origin, id }) => origin.store.read.flight(flightOfInvocation(id))?.waiting !== undefined);
}

/** Each request was answered once at most, the agent was told that answer, and who gave another one was refused. */
async function checkRequests({ origin, owner, id }: Asked): Promise<number> {
  const resumed = (await owner.store.inspect.facts(id)).filter((fact) => fact.what === 'flight.resumed');
  const answered = new Map(resumed.map(({ detail }) => [detail['request'] ?? '', detail['reply']]));
  expect(answered.size, 'a request is answered once').toBe(resumed.length);
  const told = owner.effects.filter((each) => each.invocationId === id).flatMap((each) => each.answers.map(({ kind }) => kind)).filter((kind) => kind !== 'ended');
  // A node that died had no time to tell it.
  expect([...answered.values()]).toEqual(expect.arrayContaining(told));
  for (const fact of await origin.store.inspect.facts(id)) {
    if (fact.what !== 'flight.reply_given') continue;
    const stored = origin.store.read.reply(id, fact.detail['request'] ?? '');
    expect(stored?.isSettled, 'the owner has said what it made of it').toBe(true);
    if (stored?.error === undefined) expect(answered.get(stored?.request ?? '')).toBe(stored?.reply.kind);
    else expect(stored.error.code).toBe('conflict');
  }
  return resumed.length;
}

function eventsOf(machine: Machine, id: InvocationId): readonly FlightEvent[] {
  return machine.store.read.events(flightOfInvocation(id), 0, 1e6);
}

function checkOne({ origin, owner, id, rerunnable }: Asked): void {
  const flightId = flightOfInvocation(id);
  const here = origin.store.read.flight(flightId);
  const there = owner.store.read.flight(flightId);
  const delivery = origin.store.read.delivery(id);
  const runs = owner.effects.filter((each) => each.invocationId === id).map((each) => each.run);
  expect(new Set(runs).size, 'each run begins once').toBe(runs.length);
  if (!rerunnable) expect(runs.length, 'nothing runs twice').toBeLessThanOrEqual(1);
  expect(origin.effects.filter((each) => each.invocationId === id)).toEqual([]);
  if (there === undefined) {
    expect([here?.state, delivery?.status, runs]).toEqual(['cancelled', 'cancelled', []]);
    return;
  }
  expect(eventsOf(origin, id), 'the origin has the owner’s events').toEqual(eventsOf(owner, id));
  expect(eventsOf(owner, id).map((each) => each.seq)).toEqual(eventsOf(owner, id).map((_, index) => index + 1));
  expect([delivery?.status, delivery?.receivedAtMs, here?.receivedAtMs]).toEqual(['received', there.receivedAtMs, there.receivedAtMs]);
  expect([here?.state, here?.verdictBy]).toEqual([there.state, 'owner']);
}

/** On a hang: what is asserted has no clock. */
const boundMs = 90_000;
const runsOf = { numRuns: 8, endOnFailure: true } as const;
const stepsOf = (kinds: readonly fc.WeightedArbitrary<Step>[]): fc.Arbitrary<Step[]> => fc.array(fc.oneof(...kinds), { minLength: 20, maxLength: 60 });

test('however messages come twice, late, in another order or not at all, each invocation runs once and its origin has all of it', async () => {
  await fc.assert(
    fc.asyncProperty(stepsOf(often), async (steps) => {
      await using pair = await new UnreliablePair().start();
      for (const one of await play(pair, steps)) {
        checkOne(one);
        // Nobody died and nobody cancelled: nothing can stand in its way.
        expect(one.origin.store.read.flight(flightOfInvocation(one.id))?.state).toBe('completed');
        expect(one.owner.effects.filter((each) => each.invocationId === one.id).length).toBe(1);
      }
    }),
    runsOf,
  );
}, boundMs);

test('a cancel that comes twice, late or before its invocation ends it once, the same on both sides', async () => {
  await fc.assert(
    fc.asyncProperty(stepsOf([...often, cancel]), async (steps) => {
      await using pair = await new UnreliablePair().start();
      for (const one of await play(pair, steps)) checkOne(one);
    }),
    runsOf,
  );
}, boundMs);

test('nodes that drain and die at any moment run nothing twice by themselves, and both sides agree on how it ended', async () => {
  await fc.assert(
    fc.asyncProperty(stepsOf([...often, cancel, drain, die]), async (steps) => {
      await using pair = await new UnreliablePair().start();
      for (const one of await play(pair, steps)) checkOne(one);
    }),
    runsOf,
  );
}, boundMs);

test('whatever becomes of a reply on its way, its request is answered once, and whoever replied is told what came of it', async () => {
  let answers = 0;
  await fc.assert(
    fc.asyncProperty(stepsOf([...often, ...asking, cancel, die]), async (steps) => {
      await using pair = await new UnreliablePair().start();
      for (const one of await play(pair, steps, (asked) => askEverywhere(pair, asked))) {
        checkOne(one);
        answers += await checkRequests(one);
      }
    }),
    { ...runsOf, interruptAfterTimeLimit: boundMs },
  );
  expect(answers).toBeGreaterThan(0);
}, boundMs);

test('a reply given while the nodes are apart goes out as soon as they meet, and so does one whose outcome was lost', async () => {
  await using pair = await new UnreliablePair().start();
  const asked = new Map<InvocationId, Asked>();
  await play(pair, [], async () => askEverywhere(pair, asked).then(async () => {
    const [one] = asked.values();
    if (one === undefined) throw new Error('nothing was asked');
    const { origin, owner } = one;
    const request = origin.store.read.flight(flightOfInvocation(one.id))?.waiting?.request ?? '';
    const answers = owner.effects.find((each) => each.invocationId === one.id)?.answers ?? [];
    for (const machine of [origin, owner]) pair.notice(machine);
    const replied = origin.broker.replyToFlight({ id: one.id, request, reply: { kind: 'approved' }, by: 'uid:1', waitMs: 60_000 });
    await waitFor('the reply to be stored', () => origin.store.read.reply(one.id, request) !== undefined);
    pair.connect();
    await waitFor('the agent to be told, without a clock that moves', async () => {
      await pair.deliver(origin, 100, 'later');
      return answers.length === 1;
    });
    // The owner has taken it, and its word is lost with the session.
    for (const machine of [owner, origin]) pair.notice(machine);
    pair.connect();
    await waitFor('the outcome to be told', async () => {
      for (const machine of [origin, owner]) await pair.deliver(machine, 100, 'no');
      return origin.store.read.reply(one.id, request)?.isSettled;
    });
    expect(await replied).toMatchObject({ confirmed: true });
    expect(answers).toEqual([{ kind: 'approved', by: `uid:1 on ${origin.name}` }]);
  }));
}, boundMs);
