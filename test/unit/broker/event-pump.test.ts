/** What leaves in one message, and what is read and written for it. */
import { expect, test } from 'vitest';
import { EventPump, togetherMs } from '../../../src/broker/event-pump.ts';
import type { FlightEvent } from '../../../src/domain/flight-event.ts';
import { flightOfInvocation } from '../../../src/domain/ids.ts';
import type { InvocationId } from '../../../src/domain/ids.ts';
import type { FlightEvents } from '../../../src/domain/messages.ts';
import type { Link } from '../../../src/domain/mesh-port.ts';
import type { Flight } from '../../../src/domain/records.ts';
import type { Store } from '../../../src/domain/store-port.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { nodeIdFor, silentLog, Story, utf8 } from '../../support/temp-store.ts';

const origin = nodeIdFor(2);

/** A pump over flights whose events are given by hand, and all that it does. */
function pumped() {
  const [story, clock] = [new Story(), new FakeClock()];
  const events = new Map<string, FlightEvent[]>();
  const [reads, stored, sent]: [string[], { flightId: string; seq: number }[], { seqs: number[]; id: InvocationId }[]] = [[], [], []];
  const flightNow = (id: InvocationId): Flight => {
    const own = events.get(flightOfInvocation(id)) ?? [];
    const isOver = own.at(-1)?.body.kind === 'finished';
    return { id: flightOfInvocation(id), invocationId: id, originNodeId: origin, state: isOver ? 'completed' : 'running', lastSeq: own.length, receivedAtMs: 7, ...(isOver ? { finishedAtMs: 8 } : {}) } as Flight;
  };
  const store = {
    read: {
      flight: (id: string) => (reads.push('flight'), flightNow(`inv_${id.slice(4)}` as InvocationId)),
      events: (id: string, after: number) => (reads.push('events'), (events.get(id) ?? []).filter(({ seq }) => seq > after)),
      unacknowledged: () => [],
    },
    write: { acknowledged: async (ack: { flightId: string; seq: number }) => void stored.push(ack) },
  } as unknown as Store;
  const link = { isUp: true, peer: { nodeId: origin, name: 'laptop' }, sendEvents: async ({ invocationId: id, events: told }: FlightEvents) => void sent.push({ id, seqs: told.map(({ seq }) => seq) }) } as unknown as Link;
  const pump = new EventPump(link, { store, clock, log: silentLog });
  const add = (id: InvocationId, ...bodies: FlightEvent['body'][]): void => {
    const own = events.get(flightOfInvocation(id)) ?? [];
    for (const body of bodies) own.push({ seq: own.length + 1, ...story.stamp(), body });
    events.set(flightOfInvocation(id), own);
    pump.kick(id, flightNow(id));
  };
  const invocationId = (): InvocationId => story.invocationId();
  return { pump, clock, reads, stored, sent, add, invocationId };
}

const started = { kind: 'started', run: 1 } as const;
const output = { kind: 'output', stream: 'stdout', bytes: utf8('x') } as const;
const finished = { kind: 'finished', state: 'completed', exitCode: 0 } as const;

test('an answer that comes soon leaves in one message with the start', async () => {
  const { clock, sent, reads, add, invocationId } = pumped();
  const id = invocationId();
  add(id, started);
  await clock.advance(togetherMs - 1);
  expect(sent).toEqual([]);
  add(id, output, finished);
  await clock.advance(0);
  expect(sent).toEqual([{ id, seqs: [1, 2, 3] }]);
  expect(reads).toEqual(['events']);
  await clock.advance(60_000);
  expect(sent).toHaveLength(1);
});

test('a start that nothing follows is told by itself, soon, and each has the same time for its answer', async () => {
  const { clock, sent, add, invocationId } = pumped();
  const [one, other, late] = [invocationId(), invocationId(), invocationId()];
  add(one, started);
  await clock.advance(togetherMs / 2);
  add(other, started);
  await clock.advance(togetherMs);
  add(late, started);
  await clock.advance(togetherMs / 2 - 1);
  expect(sent).toEqual([]);
  await clock.advance(1);
  expect(sent).toEqual([{ id: one, seqs: [1] }, { id: other, seqs: [1] }]);
  await clock.advance(togetherMs);
  expect(sent.slice(2)).toEqual([{ id: late, seqs: [1] }]);
  add(one, output);
  await clock.advance(0);
  expect(sent.at(-1)).toEqual({ id: one, seqs: [2] });
});

test('what an origin has of several flights that are over is stored in one turn', async () => {
  const { pump, clock, stored, add, invocationId } = pumped();
  const ids = [invocationId(), invocationId(), invocationId()];
  for (const id of ids) add(id, started, output, finished);
  await clock.advance(0);
  for (const invocation of ids) pump.acknowledged({ type: 'event_ack', invocationId: invocation, seq: 3, unknown: false });
  await clock.advance(togetherMs - 1);
  expect(stored).toEqual([]);
  await clock.advance(1);
  expect(stored.map(({ flightId, seq }) => ({ flightId, seq }))).toEqual(ids.map((id) => ({ flightId: flightOfInvocation(id), seq: 3 })));
});

test('what its link has brought is stored when it goes', async () => {
  const { pump, clock, stored, add, invocationId } = pumped();
  const id = invocationId();
  add(id, started, finished);
  await clock.advance(0);
  pump.acknowledged({ type: 'event_ack', invocationId: id, seq: 2, unknown: false });
  pump.close();
  expect(stored).toHaveLength(1);
  await clock.advance(togetherMs);
  expect(stored).toHaveLength(1);
});

test('an acknowledgement in the middle of a flight reads and writes nothing', async () => {
  const { pump, clock, stored, reads, add, invocationId } = pumped();
  const id = invocationId();
  add(id, started, output);
  await clock.advance(0);
  reads.length = 0;
  pump.acknowledged({ type: 'event_ack', invocationId: id, seq: 2, unknown: false });
  await clock.advance(togetherMs);
  expect([reads, stored]).toEqual([[], []]);
});
