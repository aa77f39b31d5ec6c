import fc from 'fast-check';
import { admitKinds } from '../../../src/domain/admit-rule.ts';
import { describe, expect, test } from 'vitest';
import { deliveryStates, failureReasons } from '../../../src/domain/delivery.ts';
import { flightStates } from '../../../src/domain/flight.ts';
import type { ControlMessage, FlightEvents, Forward, PeerAnswer, PeerQuery } from '../../../src/domain/messages.ts';
import { Answer, ControlFrame, FlightEvents as WireEvents, Query } from '../../../src/gen/beckon/v1/mesh.ts';
import { WorktreeState } from '../../../src/gen/beckon/v1/worktree.ts';
import type { GoodbyeReason } from '../../../src/gen/beckon/v1/mesh.ts';
import { decodeControl, decodeFlightEvents, decodeForward, encodeControl, encodeFlightEvents, encodeForward } from '../../../src/mesh/control-frames.ts';
import type { MessageFrame } from '../../../src/mesh/control-frames.ts';
import { decodeGoodbye } from '../../../src/mesh/hello.ts';
import { decodeAnswer, decodeQuery, encodeAnswer, encodeQuery } from '../../../src/mesh/queries.ts';
import { worktreeVerbs } from '../../../src/domain/worktree.ts';
import * as observed from '../rpc/observation-samples.ts';
import * as samples from '../rpc/samples.ts';

const number = fc.nat({ max: Number.MAX_SAFE_INTEGER });
const bytes = fc.uint8Array({ minLength: 1, maxLength: 50 });
const { invocationId, hlc } = samples;
const type = <Type extends string>(name: Type): fc.Arbitrary<Type> => fc.constant(name);
const signed = fc.record({ payload: bytes, signature: bytes });
const short = fc.uint8Array({ minLength: 8, maxLength: 8 }).map((each) => Buffer.from(each).toString('hex'));

const message: fc.Arbitrary<Exclude<ControlMessage, Forward>> = fc.oneof(
  fc.record({ type: type('receipt'), invocationId, receivedAtMs: number, hlc }),
  fc.record({ type: type('reject'), invocationId, reason: fc.constantFrom(...failureReasons), error: samples.errorInfo, hlc }),
  fc.record({ type: type('draining'), invocationId, attempt: fc.nat(), hlc }),
  fc.record({
    type: type('sync'),
    items: fc.array(fc.record({ invocationId, receipted: fc.boolean(), lastSeq: number, cancelRequested: fc.boolean() }), { maxLength: 5 }),
  }),
  fc.record({
    type: type('sync_reply'),
    items: fc.array(fc.record({ invocationId, state: fc.constantFrom('unknown' as const, ...flightStates), run: fc.nat(), lastSeq: number }), { maxLength: 5 }),
  }),
  fc.record({ type: type('cancel'), invocationId, hlc }),
  fc.record({ type: type('cancelled_unknown'), invocationId, hlc }),
  fc.record({ type: type('reply'), invocationId, request: samples.requestId, reply: samples.reply, by: fc.constant('uid:501'), hlc }),
  fc.record({ type: type('reply_outcome'), invocationId, request: samples.requestId, error: samples.errorInfo, hlc }, { requiredKeys: ['type', 'invocationId', 'request', 'hlc'] }),
  fc.record({ type: type('event_ack'), invocationId, seq: number, unknown: fc.boolean() }),
  fc.record({ type: type('registry_change'), change: fc.record({ head: signed, records: fc.array(signed, { maxLength: 4 }), gone: fc.array(short, { maxLength: 4 }) }) }),
  fc.record({ type: type('registry_entry'), entry: fc.record({ chain: fc.record({ leaf: bytes, issuer: bytes }), head: signed, departure: signed, revocation: signed }, { requiredKeys: [] }) }),
  fc.record({ type: type('presence'), presence: signed }),
  fc.record({
    type: type('roster'),
    members: fc.array(fc.record({ chain: fc.record({ leaf: bytes, issuer: bytes }), addresses: fc.array(fc.constant('laptop:7423'), { maxLength: 3 }) }), { maxLength: 3 }),
    admission: fc.record({ rules: fc.array(fc.record({ kind: fc.constantFrom(...admitKinds), value: fc.constantFrom('tag:x', 'ann') }), { maxLength: 3 }), proof: fc.record({ certificate: bytes, attestation: bytes }) }),
  }, { requiredKeys: ['type', 'members'] }),
);

const reread = (frame: ControlFrame['frame']): ControlFrame['frame'] => ControlFrame.decode(ControlFrame.encode({ frame }).finish()).frame;

describe('every message is the same after the wire', () => {
  test('control messages', () => {
    fc.assert(
      fc.property(message, (each) => {
        expect(decodeControl(reread(encodeControl(each)) as Exclude<MessageFrame, { $case: 'forward' }>)).toEqual(each);
      }),
      { numRuns: 400 },
    );
  });

  test('a forward with its task', () => {
    const forward = fc.record({ type: type('forward'), invocation: samples.invocation, task: samples.task, attempt: fc.nat(), hlc });
    fc.assert(
      fc.property(forward, (each) => {
        const frame = reread(encodeForward(each));
        expect(frame?.$case === 'forward' && decodeForward(frame.value)).toEqual(each);
      }),
    );
  });

  test('events, however they are split', () => {
    fc.assert(
      fc.property(invocationId, number, fc.array(samples.flightEvent, { maxLength: 12 }), fc.integer({ min: 1, max: 4000 }), (id, receivedAtMs, events, most) => {
        const whole: FlightEvents = { type: 'flight_events', invocationId: id, receivedAtMs, events };
        const parts = encodeFlightEvents(whole, most).map((part) => decodeFlightEvents(WireEvents.decode(WireEvents.encode(part).finish())));
        expect(parts.flatMap((part) => part.events)).toEqual(events);
        for (const part of parts) expect({ ...part, events: [] }).toEqual({ ...whole, events: [] });
        expect(parts.length).toBeGreaterThan(0);
      }),
    );
  });

  test('questions', () => {
    const page = fc.record({ limit: fc.integer({ min: 1, max: 1000 }), after: fc.string({ minLength: 1 }) }, { requiredKeys: ['limit'] });
    const settle = fc.record({ verb: fc.constantFrom(...worktreeVerbs), tree: samples.objectName, by: fc.constant('uid:501') }, { requiredKeys: ['verb', 'by'] });
    const query: fc.Arbitrary<PeerQuery> = fc.oneof(
      fc.constant({ type: 'ping' } as const),
      fc.record({ type: type('reach'), nodeId: samples.nodeId }),
      fc.constant({ type: 'dial_back' } as const),
      fc.record({ type: type('trace'), invocationId }),
      fc.record({ type: type('facts'), after: number, sinceMs: number, limit: fc.integer({ min: 1, max: 500 }), hlc }, { requiredKeys: ['type', 'limit', 'hlc'] }),
      fc.record({ type: type('find'), suffix: fc.constantFrom('8Q2X', '01J9Z6M3T4V8Q2X7K5B1C0D9EF') }),
      fc.record({ type: type('report'), sinceMs: number }),
      fc.record({ type: type('diff'), invocationId, offset: number, snapshot: fc.string({ minLength: 1 }) }, { requiredKeys: ['type', 'invocationId', 'offset'] }),
      fc.record({ type: type('worktree'), invocationId, settle }, { requiredKeys: ['type', 'invocationId'] }),
      fc.record({ type: type('reply'), invocationId, request: fc.string({ maxLength: 30 }), reply: samples.reply, by: fc.constant('uid:501'), waitMs: number }),
      fc
        .tuple(page, fc.record({ state: fc.constantFrom(...flightStates), agent: fc.string({ minLength: 1 }) }, { requiredKeys: [] }))
        .map(([rest, filter]) => ({ type: 'flights', filter, ...rest }) as const),
      fc
        .tuple(page, fc.record({ status: fc.constantFrom(...deliveryStates), invocationId, sinceMs: number }, { requiredKeys: [] }))
        .map(([rest, filter]) => ({ type: 'deliveries', filter, ...rest }) as const),
    );
    fc.assert(
      fc.property(query, (each) => {
        expect(decodeQuery(Query.decode(Query.encode({ number: 1, query: encodeQuery(each) }).finish()).query)).toEqual(each);
      }),
    );
  });

  test('answers', () => {
    const pageOf = <Item>(item: fc.Arbitrary<Item>) =>
      fc.record({ items: fc.array(item, { maxLength: 3 }), next: fc.string({ minLength: 1 }) }, { requiredKeys: ['items'] });
    const answer: fc.Arbitrary<PeerAnswer> = fc.oneof(
      fc.record({ type: type('ping'), nowMs: number }, { requiredKeys: ['type'] }),
      fc.record({ type: type('reach'), reached: fc.boolean(), epoch: number }),
      fc.record({
        type: type('dial_back'),
        results: fc.array(fc.record({ address: fc.constant('laptop:7423'), reached: fc.boolean(), why: fc.string({ minLength: 1 }) }, { requiredKeys: ['address', 'reached'] }), { maxLength: 3 }),
      }),
      observed.trace,
      observed.facts,
      observed.find,
      observed.report,
      fc.record({ type: type('flights'), page: pageOf(samples.flight) }),
      fc.record({ type: type('diff'), snapshot: fc.string({ minLength: 1 }), summary: samples.diffSummary, bytes: fc.uint8Array({ maxLength: 50 }) }),
      fc.record({ type: type('worktree'), isolation: samples.isolation, tip: samples.objectName }, { requiredKeys: ['type', 'isolation'] }),
      fc.record({ type: type('reply'), flight: samples.flight, request: samples.requestId, confirmed: fc.boolean() }),
      fc.record({ type: type('deliveries'), page: pageOf(samples.delivery) }),
    );
    fc.assert(
      fc.property(answer, (each) => {
        const encoded = Answer.encode({ number: 1, error: undefined, answer: encodeAnswer(each) }).finish();
        expect(decodeAnswer(Answer.decode(encoded).answer)).toEqual(each);
      }),
    );
  });
});

test('what names no git object, and what nobody may make of a worktree, is refused', () => {
  const query = (value: object): unknown => decodeQuery({ $case: 'worktree', value: { invocationId: 'inv_01J9Z6M3T4V8Q2X7K5B1C0D9EF', state: WorktreeState.DISCARDED, tree: '', by: 'uid:501', ...value } });
  expect(query({})).toMatchObject({ settle: { verb: 'discarded' } });
  expect(query({ state: WorktreeState.UNSPECIFIED, by: '' })).not.toHaveProperty('settle');
  for (const bad of [{ state: WorktreeState.GONE }, { tree: '--upload-pack=x' }, { by: '' }]) expect(() => query(bad)).toThrow(expect.objectContaining({ code: 'invalid' }));
});

test('a question that only newer versions know is incompatible, a farewell of theirs reads as stopping', () => {
  expect(() => decodeQuery(undefined)).toThrow(expect.objectContaining({ code: 'incompatible' }));
  expect(decodeGoodbye({ reason: 44 as GoodbyeReason, detail: 'x', revocation: undefined })).toEqual({ reason: 'stopping', detail: 'x' });
});

test('no bytes make a decoder throw anything but an error it names', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 80 }), (noise) => {
      let frame: ControlFrame['frame'];
      try {
        ({ frame } = ControlFrame.decode(noise));
      } catch (error) {
        // The session turns this into a goodbye.
        expect(error).toBeInstanceOf(Error);
        return;
      }
      if (frame === undefined || ['hello', 'heartbeat', 'heartbeatReply', 'goodbye', 'query', 'answer', 'introduce', 'dialRequest'].includes(frame.$case)) return;
      const known = frame as MessageFrame;
      try {
        if (known.$case === 'forward') decodeForward(known.value);
        else decodeControl(known);
      } catch (error) {
        expect(error).toMatchObject({ name: 'BrokerError' });
      }
    }),
    { numRuns: 2000 },
  );
});
