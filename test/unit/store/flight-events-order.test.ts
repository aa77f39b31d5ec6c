import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { FlightEvent, FlightEventBody } from '../../../src/domain/flight-event.ts';
import { flightOfInvocation } from '../../../src/domain/ids.ts';
import { nodeIdFor, Story, utf8 } from '../../support/temp-store.ts';
import { codeOf, request, scratchWriter } from './scratch.ts';

const [me, desktop] = [nodeIdFor(1), nodeIdFor(2)];

const bodies: FlightEventBody[] = [
  { kind: 'started', run: 1 },
  { kind: 'output', stream: 'stdout', bytes: utf8('a') },
  { kind: 'waiting', reason: 'input', request: 'r', prompt: 'p', choices: [] },
  { kind: 'output', stream: 'stderr', bytes: utf8('bb') },
  { kind: 'resumed' },
  { kind: 'requeued', run: 2 },
  { kind: 'started', run: 2 },
  { kind: 'output', stream: 'stdout', bytes: utf8('ccc') },
  { kind: 'finished', state: 'completed', exitCode: 0 },
];

test('however links repeat, cut, lose and swap what the owner sends, the origin ends with the same events', () => {
  const { commit, read } = scratchWriter(me);
  const story = new Story();
  const events: FlightEvent[] = bodies.map((body, index) => ({ seq: index + 1, ...story.stamp(), body }));
  const slice = fc.tuple(fc.nat(bodies.length), fc.nat(bodies.length));
  const verdict = fc.option(fc.tuple(fc.nat(12), fc.constantFrom('indeterminate' as const, 'cancelled' as const, 'failed' as const)), { nil: undefined });
  fc.assert(fc.property(fc.array(slice, { maxLength: 12 }), verdict, (slices, given) => {
    const invocation = story.invocation({ origin: me, owner: desktop }, { target: '@fabric@desktop#main' });
    const flightId = flightOfInvocation(invocation.id);
    commit(request('accept', story.accept(invocation, { kind: 'send', attemptId: story.attemptId() })));
    const apply = (list: readonly FlightEvent[]) =>
      commit(request('applyEvents', { stamp: story.stamp(), invocationId: invocation.id, fromNodeId: desktop, receivedAtMs: 1, events: list }));
    let reached = 0;
    let ended: string | undefined;
    for (const [index, [from, to]] of slices.entries()) {
      if (given?.[0] === index && reached < events.length) {
        const outcome = { state: given[1] };
        expect(commit(request('endAtOrigin', { stamp: story.stamp(), flightId, outcome, delivery: undefined, unlessSent: false })).map(codeOf)).toEqual(['ok']);
        ended = given[1];
      }
      expect(apply(events.slice(from, to)).map(codeOf)).toEqual(['ok']);
      if (from <= reached) reached = Math.max(reached, to);
      expect(read.flight(flightId)?.lastSeq).toBe(reached);
    }
    expect(apply(events).map(codeOf)).toEqual(['ok']);
    const stored = read.events(flightId, 0, 1e9).map((event) =>
      event.body.kind === 'output' ? { ...event, body: { ...event.body, bytes: new Uint8Array(event.body.bytes) } } : event);
    expect(stored).toEqual(events);
    expect(read.flight(flightId)).toMatchObject({
      lastSeq: 9, run: 2, stdoutBytes: 4, stderrBytes: 2,
      state: ended === undefined || ended === 'indeterminate' ? 'completed' : ended,
    });
  }), { numRuns: 150 });
});
