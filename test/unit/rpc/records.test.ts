import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { longestDiff } from '../../../src/domain/progress.ts';
import * as wire from '../../../src/gen/beckon/v1/record.ts';
import { decodeErrorInfo, encodeErrorInfo } from '../../../src/rpc/error-info.ts';
import * as records from '../../../src/rpc/records.ts';
import * as work from '../../../src/rpc/work.ts';
import * as samples from './samples.ts';

interface Codec<Message> {
  encode(message: Message): { finish(): Uint8Array };
  decode(bytes: Uint8Array): Message;
}

function survives<Domain, Message>(values: fc.Arbitrary<Domain>, codec: Codec<Message>, encode: (value: Domain) => Message, decode: (message: Message) => Domain): void {
  fc.assert(
    fc.property(values, (value) => {
      expect(decode(codec.decode(codec.encode(encode(value)).finish()))).toEqual(value);
    }),
    { numRuns: 200 },
  );
}

describe('every record is the same after the wire', () => {
  test('invocation', () => survives(samples.invocation, wire.Invocation, work.encodeInvocation, work.decodeInvocation));
  test('task', () => survives(samples.task, wire.Task, work.encodeTask, work.decodeTask));
  test('flight event', () => survives(samples.flightEvent, wire.FlightEvent, work.encodeFlightEvent, work.decodeFlightEvent));
  test('flight', () => survives(samples.flight, wire.Flight, records.encodeFlight, records.decodeFlight));
  test('delivery', () => survives(samples.delivery, wire.Delivery, records.encodeDelivery, records.decodeDelivery));
  test('fact', () => survives(samples.fact, wire.Fact, records.encodeFact, records.decodeFact));
  test('registration', () => survives(samples.registration, wire.Registration, records.encodeRegistration, records.decodeRegistration));
  test('error', () => survives(samples.errorInfo, wire.ErrorInfo, encodeErrorInfo, decodeErrorInfo));
});

describe('what a newer or a broken peer sends', () => {
  test('a trace that is malformed or endless is none, and refuses nothing', () => {
    const [invocation] = fc.sample(samples.invocation, { numRuns: 1, seed: 1 });
    if (invocation === undefined) throw new Error('no sample');
    const { trace: _, ...rest } = invocation;
    for (const traceparent of ['nonsense', '00-00-00-00', 'x'.repeat(1_000_000)]) {
      expect(work.decodeInvocation({ ...work.encodeInvocation(rest), traceparent, tracestate: 'x'.repeat(1_000_000) })).toEqual(rest);
    }
  });

  const [sample] = fc.sample(samples.flight, { numRuns: 1, seed: 1 });
  if (sample === undefined) throw new Error('no sample');
  const flight = records.encodeFlight(sample);

  test('a state that only a newer version knows is incompatible, and never read as another', () => {
    const state = 99 as wire.FlightState;
    expect(() => records.decodeFlight(wire.Flight.decode(wire.Flight.encode({ ...flight, state }).finish()))).toThrow(
      expect.objectContaining({ code: 'incompatible', message: expect.stringContaining('flight state 99') as string }),
    );
  });

  test('an error code that only a newer version knows becomes internal and keeps its number', () => {
    const error = { ...encodeErrorInfo({ code: 'denied', message: 'no' }), code: 77 as wire.ErrorCode };
    expect(decodeErrorInfo(error)).toEqual({ code: 'internal', message: 'no', detail: { code: '77' } });
  });

  test('a kind of fact that only a newer version knows is kept as it came', () => {
    const [fact] = fc.sample(samples.fact, { numRuns: 1, seed: 1 });
    if (fact === undefined) throw new Error('no sample');
    expect(records.decodeFact({ ...records.encodeFact(fact), what: 'agent.cloned' }).what).toBe('agent.cloned');
    expect(() => records.decodeFact({ ...records.encodeFact(fact), what: 'x\u001b[2J' })).toThrow(expect.objectContaining({ code: 'invalid' }));
  });

  test.each([
    ['id', { id: 'flt_x' }],
    ['invocationId', { invocationId: flight.id }],
    ['originNodeId', { originNodeId: 'k51' }],
    ['state', { state: 0 as const }],
    ['limits', { limits: undefined }],
    ['lastSeq', { lastSeq: -1 }],
    ['target', { target: '' }],
    ['caller', { caller: 'x'.repeat(2000) }],
  ])('a flight with a wrong %s is invalid', (_field, change) => {
    expect(() => records.decodeFlight({ ...flight, ...change })).toThrow(expect.objectContaining({ code: 'invalid' }));
  });

  test('an event of a kind that only a newer version knows keeps its place: to skip it would leave a gap', () => {
    const known = wire.FlightEvent.encode({ seq: 7, atMs: 1, hlc: '000000000001-0001', body: undefined }).finish();
    // Field 60, three bytes that mean nothing here.
    const newer = Uint8Array.of(...known, 0xe2, 0x03, 3, 1, 2, 3);
    expect(work.decodeFlightEvent(wire.FlightEvent.decode(newer))).toMatchObject({ seq: 7, body: { kind: 'unknown' } });
  });

  test('output of a stream that only a newer version knows keeps its place too; output of none is invalid', () => {
    const event = { seq: 7, atMs: 1, hlc: '000000000001-0001' };
    const content = Buffer.from('x');
    expect(work.decodeFlightEvent({ ...event, body: { $case: 'output', value: { stream: 99 as wire.OutputStream, content } } })).toMatchObject({ seq: 7, body: { kind: 'unknown' } });
    expect(() => work.decodeFlightEvent({ ...event, body: { $case: 'output', value: { stream: 0, content } } })).toThrow(expect.objectContaining({ code: 'invalid' }));
  });

  test('a state of a step that only a newer version knows is one that is not over', () => {
    const value = { call: '1', title: 't', tool: 'x', state: 99 as wire.StepState };
    const message = { seq: 1, atMs: 1, hlc: '000000000001-0001', body: { $case: 'tool', value } } as const;
    expect(work.decodeFlightEvent(wire.FlightEvent.decode(wire.FlightEvent.encode(message).finish())).body).toMatchObject({ kind: 'tool', state: 'running' });
  });

  test('progress without bounds is cut, and the stream goes on', () => {
    const value = { path: 'p', patch: 'x'.repeat(longestDiff + 1) };
    const { body } = work.decodeFlightEvent({ seq: 1, atMs: 1, hlc: '000000000001-0001', body: { $case: 'diff', value } });
    expect(body.kind === 'diff' && body.patch.length).toBe(longestDiff);
  });
});
