import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
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

  test('an event that only a newer version knows keeps its place: to skip it would leave a gap', () => {
    const event = { seq: 1, atMs: 1, hlc: '000000000001-0001' };
    expect(work.decodeFlightEvent({ ...event, body: undefined }).body).toEqual({ kind: 'output', stream: 'stderr', bytes: new Uint8Array() });
    const content = Buffer.from('x');
    expect(() => work.decodeFlightEvent({ ...event, body: { $case: 'output', value: { stream: 0, content } } })).toThrow(expect.objectContaining({ code: 'invalid' }));
  });
});
