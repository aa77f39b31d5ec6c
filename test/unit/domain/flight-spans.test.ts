import * as semconv from '@opentelemetry/semantic-conventions/incubating';
import { describe, expect, test } from 'vitest';
import { systemDigest } from '../../../src/app/system-digest.ts';
import { flightTraces } from '../../../src/app/telemetry.ts';
import type { EventKind, Fact } from '../../../src/domain/event.ts';
import { spansOf } from '../../../src/domain/flight-spans.ts';
import type { FlightStory } from '../../../src/domain/flight-spans.ts';
import type { Invocation } from '../../../src/domain/invocation.ts';
import type { Span } from '../../../src/domain/span.ts';
import { nodeIdFor, Story } from '../../support/temp-store.ts';

const [origin, owner] = [nodeIdFor(1), nodeIdFor(2)];
const trace = { traceId: '0af7651916cd43dd8448eb211c80319c', parentId: 'b7ad6b7169203331', flags: 1, state: 'a=1' };
const story = new Story();
const invocation = story.invocation({ origin, owner }, { target: '@fabric@desktop#main', trace });

function facts(...told: readonly (readonly [EventKind, number, Readonly<Record<string, string>>?])[]): Fact[] {
  return told.map(([what, atMs, detail = {}]) => ({ ...story.stamp(), atMs: invocation.acceptedAtMs + atMs, id: 'evt_1' as Fact['id'], nodeId: origin, what, invocationId: invocation.id, detail }));
}

const told = (at: Fact['nodeId'], of: readonly Fact[], newFrom = 0, asked: Invocation = invocation): readonly Span[] => spansOf({ invocation: asked, facts: of, newFrom } satisfies FlightStory, at, systemDigest);
const named = (spans: readonly Span[], name: string): Span => {
  const found = spans.filter((span) => span.name === name);
  expect(found.map((span) => span.name)).toEqual([name]);
  return found[0] as Span;
};

const atOrigin = facts(
  ['invocation.accepted', 1], ['delivery.deferred', 1, { reason: 'peer_unreachable', why: 'secret words' }], ['delivery.sent', 50, { attempt: '1' }],
  ['delivery.deferred', 60, { reason: 'peer_unreachable' }], ['delivery.sent', 90, { attempt: '2' }], ['delivery.received', 95], ['flight.started', 96, { run: '1' }], ['flight.finished', 120, { state: 'completed', exitCode: '0', by: 'owner' }],
);
const atOwner = facts(['invocation.received', 93], ['flight.started', 100, { run: '1' }], ['flight.waiting', 101, { reason: 'approval', request: 'req_1' }], ['flight.resumed', 105], ['flight.finished', 115, { state: 'failed', exitCode: '3', by: 'owner' }]);

describe('the spans of an invocation', () => {
  test('at its origin: all of it, its acceptance, each time it was held, each attempt, its end', () => {
    const spans = told(origin, atOrigin);
    const of = (start: number, end: number) => ({ startMs: invocation.acceptedAtMs + start, endMs: invocation.acceptedAtMs + end });
    expect(spans.map(({ name, startMs, endMs }) => ({ name, startMs, endMs }))).toEqual([
      { name: 'accept', ...of(0, 1) },
      { name: 'hold', ...of(1, 50) },
      { name: 'forward', ...of(50, 60) },
      { name: 'hold', ...of(60, 90) },
      { name: 'forward', ...of(90, 95) },
      { name: 'finish', ...of(120, 120) },
      { name: 'invoke', ...of(0, 120) },
    ]);
    const all = named(spans, 'invoke');
    expect(all).toMatchObject({ parent: { spanId: trace.parentId, isRemote: true }, kind: 'producer', isError: false, state: 'a=1' });
    for (const span of spans) if (span !== all) expect(span.parent).toEqual({ spanId: all.spanId, isRemote: false });
    expect(new Set(spans.map(({ spanId }) => spanId)).size).toBe(spans.length);
    expect(spans.filter(({ name }) => name === 'forward').map(({ isError, attributes }) => [isError, attributes['error.type'], attributes['beckon.delivery.attempt']])).toEqual([[true, 'peer_unreachable', 1], [false, undefined, 2]]);
  });

  test('at its owner: all of it below the attempt that brought it, its start, its run, its end', () => {
    const brought = flightTraces(origin, { ratio: 1 }).forwarded(invocation, 2);
    const spans = told(owner, atOwner, 0, brought);
    expect(spans.map(({ name }) => name)).toEqual(['start', 'run', 'finish', 'flight']);
    const forward = told(origin, atOrigin).find(({ name, attributes }) => name === 'forward' && attributes['beckon.delivery.attempt'] === 2);
    const flight = named(spans, 'flight');
    expect(flight).toMatchObject({ parent: { spanId: forward?.spanId, isRemote: true }, kind: 'consumer', isError: true });
    const run = named(spans, 'run');
    expect(run).toMatchObject({ parent: { spanId: flight.spanId, isRemote: false }, attributes: { 'process.exit.code': 3, 'error.type': 'failed', 'gen_ai.agent.name': 'fabric' } });
    expect(run.events.map(({ name }) => name)).toEqual(['flight.waiting', 'flight.resumed']);
  });

  test('what the agent of a run is told as its parent is the span of that run', () => {
    const traces = flightTraces(owner, { ratio: 1 });
    const spans = told(owner, atOwner);
    expect(traces.environment(invocation, 1)).toEqual({ TRACEPARENT: `00-${trace.traceId}-${named(spans, 'run').spanId}-01`, TRACESTATE: 'a=1' });
    expect(traces.ofRun(invocation, 1)?.parentId).toBe(named(spans, 'run').spanId);
  });

  test('a node that tells no spans passes on what it was given, and nothing where nothing was', () => {
    const traces = flightTraces(owner, undefined);
    expect(traces.environment(invocation, 1)).toEqual({ TRACEPARENT: `00-${trace.traceId}-${trace.parentId}-01`, TRACESTATE: 'a=1' });
    expect(traces.forwarded(invocation, 1)).toEqual(invocation);
    expect([traces.begin(undefined, invocation.id), traces.environment({ id: invocation.id }, 1)]).toEqual([{}, {}]);
  });

  test('are the same whenever and however often they are told, each when the fact that ends it is new', () => {
    const whole = told(origin, atOrigin);
    const bit = atOrigin.flatMap((_, at) => told(origin, atOrigin.slice(0, at + 1), at));
    expect(bit.map(({ spanId }) => spanId)).toEqual(whole.map(({ spanId }) => spanId));
    expect(told(origin, atOrigin, atOrigin.length)).toEqual([]);
  });

  test('a run that its node did not survive, and the one after it, have a span each', () => {
    const spans = told(owner, facts(['invocation.received', 1], ['flight.started', 2, { run: '1' }], ['flight.requeued', 50, { run: '2' }], ['flight.started', 60, { run: '2' }], ['flight.finished', 70, { state: 'completed', by: 'owner' }]));
    expect(spans.filter(({ name }) => name === 'run').map(({ attributes, isError }) => [attributes['beckon.run'], isError])).toEqual([[1, true], [2, false]]);
    expect(spans.filter(({ name }) => name === 'start').length).toBe(2);
  });

  test('of a run whose start is too long ago to be at hand the span is told all the same', () => {
    const late: FlightStory = { invocation, receivedAtMs: 5, startedAtMs: 10, facts: facts(['flight.finished', 100, { state: 'completed', by: 'owner' }]), newFrom: 0 };
    const spans = spansOf(late, owner, systemDigest);
    expect([named(spans, 'run').startMs, named(spans, 'flight').startMs]).toEqual([10, 5]);
    expect(named(spans, 'run').spanId).toBe(flightTraces(owner, { ratio: 1 }).ofRun(invocation, 1)?.parentId);
  });

  test('of work for an agent of its own node everything hangs below one span', () => {
    const own = story.invocation({ origin, owner: origin }, { trace });
    const spans = told(origin, facts(['invocation.accepted', 0], ['invocation.received', 0], ['flight.started', 1, { run: '1' }], ['flight.finished', 2, { state: 'cancelled', by: 'owner' }]), 0, own);
    expect(spans.map(({ name }) => name)).toEqual(['accept', 'start', 'run', 'finish', 'invoke']);
    for (const name of ['accept', 'start', 'run', 'finish']) expect(named(spans, name).parent?.spanId).toBe(named(spans, 'invoke').spanId);
    expect(spans.some(({ isError }) => isError)).toBe(false);
  });

  test('a cancelled or dead delivery ends what is open', () => {
    expect(told(origin, facts(['invocation.accepted', 0], ['delivery.deferred', 0, { reason: 'peer_unreachable' }], ['delivery.dead', 9, { reason: 'timeout' }], ['flight.finished', 9, { state: 'expired', by: 'origin' }])).map(({ name, isError }) => [name, isError])).toEqual([['accept', false], ['hold', true], ['finish', true], ['invoke', true]]);
  });

  test('words of a fact are in none', () => {
    expect(JSON.stringify(told(origin, atOrigin))).not.toContain('secret words');
  });

  test('their attributes are those of the semantic conventions, and others begin with beckon', () => {
    const known = new Set(Object.entries(semconv).filter(([name]) => name.startsWith('ATTR_')).map(([, value]) => value as string));
    const keys = [...told(origin, atOrigin), ...told(owner, atOwner)].flatMap(({ attributes, events }) => [attributes, ...events.map((event) => event.attributes)]).flatMap((each) => Object.keys(each));
    expect([...new Set(keys)].filter((key) => !key.startsWith('beckon.') && !known.has(key))).toEqual([]);
  });
});

describe('traces that begin here', () => {
  test('have an id of the invocation, or of the group, and are sampled by it alone', () => {
    const id = story.invocationId();
    const always = flightTraces(origin, { ratio: 1 }).begin(undefined, id).trace;
    expect(always).toMatchObject({ flags: 3 });
    expect(flightTraces(owner, { ratio: 0 }).begin(undefined, id).trace).toEqual({ ...always, flags: 2 });
    const ratios = flightTraces(origin, { ratio: 0.25 });
    const sampled = Array.from({ length: 2000 }, () => ratios.begin(undefined, story.invocationId()).trace?.flags).filter((flags) => flags === 3).length;
    expect(sampled).toBeGreaterThan(400);
    expect(sampled).toBeLessThan(600);
  });

  test('what a caller says stands, sampled or not', () => {
    const given = { ...trace, flags: 0 };
    expect(flightTraces(origin, { ratio: 1 }).begin(given, story.invocationId())).toEqual({ trace: given });
  });
});
