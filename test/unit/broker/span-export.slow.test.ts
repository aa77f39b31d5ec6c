import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { systemDigest } from '../../../src/app/system-digest.ts';
import { SpanExport } from '../../../src/broker/span-export.ts';
import { flightOfInvocation } from '../../../src/domain/ids.ts';
import type { InvocationId } from '../../../src/domain/ids.ts';
import type { Log } from '../../../src/domain/ports.ts';
import type { Span, SpanDelivery } from '../../../src/domain/span.ts';
import type { Store } from '../../../src/domain/store-port.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { nodeIdFor, openTempStore, silentLog, Story } from '../../support/temp-store.ts';
import type { TempStore } from '../../support/temp-store.ts';
import { waitFor } from '../../support/wait-for.ts';

const me = nodeIdFor(1);
const traced = (flags = 1) => ({ traceId: '0af7651916cd43dd8448eb211c80319c', parentId: 'b7ad6b7169203331', flags });

let temp: TempStore;
let story: Story;
let clock: FakeClock;
let marked: number | undefined;
let answer: () => SpanDelivery | Promise<SpanDelivery>;
let batches: Span[][];
let lines: string[];
let running: SpanExport[];

beforeEach(async () => {
  temp = await openTempStore(me);
  clock = new FakeClock();
  story = new Story(clock.now());
  [marked, batches, lines, running] = [undefined, [], [], []];
  answer = () => ({ type: 'taken' });
  await temp.store.write.boot({ stamp: story.stamp(), nodeId: me, version: '1' });
});
afterEach(async () => {
  await Promise.all(running.map(stopped));
  await temp[Symbol.asyncDispose]();
});

const log: Log = { ...silentLog, warn: (_fields, words) => lines.push(words), info: (_fields, words) => lines.push(words) };

async function begun(store: Pick<Store, 'read' | 'inspect'> = temp.store): Promise<SpanExport> {
  const sink = { host: 'collector:4318', deliver: async (spans: readonly Span[]) => (batches.push([...spans]), await answer()), close: () => Promise.resolve() };
  const mark = { read: () => Promise.resolve(marked), write: (fact: number) => Promise.resolve(void (marked = fact)) };
  const spans = new SpanExport({ store, sink, mark, nodeId: me, digest: systemDigest, clock, random: () => 1, log });
  running.push(spans);
  await spans.start();
  return spans;
}

/** Time goes on until it has stopped. */
async function stopped(spans: SpanExport): Promise<void> {
  let isOver = false;
  const stopping = spans.stop().then(() => (isOver = true));
  await passes(() => isOver);
  await stopping;
}

async function passes(until: () => boolean, stepMs = 1000): Promise<void> {
  await waitFor('what time brings', async () => {
    if (until()) return true;
    await clock.advance(stepMs);
    return until();
  }, { timeoutMs: 10_000, pollMs: 5 });
}

async function invoked(trace: ReturnType<typeof traced> | undefined = traced()): Promise<InvocationId> {
  story.nowMs = Math.max(story.nowMs, clock.now());
  const invocation = story.invocation({ origin: me, owner: me }, trace === undefined ? {} : { trace });
  await temp.store.write.accept(story.accept(invocation));
  await temp.store.write.start({ stamp: story.stamp(), flightId: flightOfInvocation(invocation.id) });
  await temp.store.write.finish({ stamp: story.stamp(), flightId: flightOfInvocation(invocation.id), outcome: { state: 'completed', exitCode: 0 } });
  return invocation.id;
}

const names = (): string[] => batches.flat().map(({ name }) => name);

describe('the telling of spans', () => {
  test('tells what is stored, once it is, and nothing of what is in no trace or is not sampled', async () => {
    const spans = await begun();
    await invoked();
    await invoked(traced(0));
    await temp.store.write.accept(story.accept(story.invocation({ origin: me, owner: me })));
    await passes(() => batches.length > 0);
    await clock.advance(5000);
    expect(names()).toEqual(['accept', 'start', 'run', 'finish', 'invoke']);
    expect(spans.counts()).toEqual({ told: 5, dropped: 0 });
  });

  test('keeps the trace of what is stored over a restart, and goes on after what was told', async () => {
    const first = await begun();
    const id = await invoked();
    await passes(() => batches.length > 0 && marked !== undefined);
    await stopped(first);
    const again = await temp.reopen();
    expect(again.read.invocation(id)?.trace).toEqual(traced());
    batches.length = 0;
    await invoked();
    const second = await begun();
    await passes(() => batches.length > 0);
    expect(names()).toEqual(['accept', 'start', 'run', 'finish', 'invoke']);
    expect(second.counts().told).toBe(5);
  });

  test('begins with what comes: nothing of before is told by a node that told none', async () => {
    await invoked();
    await begun();
    await clock.advance(5000);
    expect(batches).toEqual([]);
  });

  test('begins with what comes in a store that was put back', async () => {
    marked = 1_000_000;
    await begun();
    await invoked();
    await passes(() => batches.length > 0);
    expect(names()).toHaveLength(5);
  });

  test('while nobody takes them: one line, one page held, and all are told once somebody does', async () => {
    answer = () => ({ type: 'failed', why: 'ECONNREFUSED' });
    const spans = await begun();
    for (let count = 0; count < 24; count += 1) await invoked();
    await passes(() => batches.length >= 5);
    expect(new Set(batches.map((batch) => batch.length)).size).toBe(1);
    expect(batches[0]?.length).toBeLessThan(400);
    expect(lines).toHaveLength(1);
    expect(spans.counts()).toMatchObject({ told: 0, dropped: 0, failing: { why: 'ECONNREFUSED' } });
    answer = () => ({ type: 'taken' });
    await passes(() => spans.counts().told === 120);
    expect(lines).toHaveLength(2);
    expect(new Set(batches.flat().map(({ spanId }) => spanId)).size).toBe(120);
  });

  test('what nobody took for ten minutes is dropped and counted, and what is newer is kept', async () => {
    answer = () => ({ type: 'failed', why: 'ECONNREFUSED' });
    const spans = await begun();
    await invoked();
    await passes(() => batches.length > 0);
    await clock.advance(11 * 60_000);
    await passes(() => spans.counts().dropped === 5);
    await invoked();
    answer = () => ({ type: 'taken' });
    await passes(() => spans.counts().told === 5);
    expect(spans.counts()).toEqual({ told: 5, dropped: 5 });
    expect(lines).toHaveLength(2);
  });

  test('what is refused for good is dropped and counted, and holds nothing up', async () => {
    const answers: SpanDelivery[] = [{ type: 'refused', why: 'it answers 400' }];
    answer = () => answers.pop() ?? { type: 'taken' };
    const spans = await begun();
    await invoked();
    await passes(() => spans.counts().dropped === 5);
    await invoked();
    await passes(() => spans.counts().told === 5);
  });

  test('a stop waits two seconds for one that does not answer, and not at all once that is known', async () => {
    answer = () => new Promise<SpanDelivery>(() => undefined);
    const spans = await begun();
    await invoked();
    await passes(() => batches.length > 0);
    let isOver = false;
    const stopping = spans.stop().then(() => (isOver = true));
    await clock.advance(1999);
    expect(isOver).toBe(false);
    await clock.advance(1);
    await stopping;
    expect(marked).toBeUndefined();
  });

  test('what a store can not answer now is asked again', async () => {
    let isBroken = true;
    const { read, inspect } = temp.store;
    const storiesIn = (after: number, limit: number) => (isBroken ? Promise.reject(new Error('the store is busy')) : inspect.storiesIn(after, limit));
    const spans = await begun({ read, inspect: { factsBefore: (ms: number) => inspect.factsBefore(ms), storiesIn } as unknown as Store['inspect'] });
    await invoked();
    await passes(() => lines.length > 0);
    isBroken = false;
    await passes(() => spans.counts().told === 5);
  });
});
