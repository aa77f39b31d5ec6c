import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { AcceptInput, AcceptPlan } from '../../../src/domain/accepting.ts';
import { attemptIdOf, groupIdOf, invocationIdOf, nodeIdOfPublicKey } from '../../../src/domain/ids.ts';
import type { Invocation, SessionChoice } from '../../../src/domain/invocation.ts';
import { newFlight } from '../../../src/domain/new-flight.ts';
import { flightOf } from '../../../src/store/flight-row.ts';
import { newFlightRow } from '../../../src/store/new-flight.ts';
import { packAccept, unpackAccept } from '../../../src/store/packed-accept.ts';
import { Hold, packAnswers, packRequests, unpackAnswers, unpackRequests } from '../../../src/store/parcel.ts';
import { nodeIdFor, Story } from '../../support/temp-store.ts';

const ulid = '01J9Z6M3T4V8Q2X7K5B1C0D9EF';
const id = invocationIdOf(ulid);
const nodes = [nodeIdFor(1), nodeIdFor(2)] as const;

const some = <Value>(value: Value): fc.Arbitrary<Value | undefined> => fc.option(fc.constant(value), { nil: undefined });
const whole = fc.nat({ max: 2 ** 40 });
const session: fc.Arbitrary<SessionChoice> = fc.oneof(fc.constantFrom<SessionChoice>({ mode: 'new' }, { mode: 'continue' }), fc.string().map((name) => ({ mode: 'named' as const, name })));
const plan: fc.Arbitrary<AcceptPlan> = fc.oneof(
  fc.record({ kind: fc.constant('local'), queueLimit: whole, retryAfterMs: whole, sessionOwner: fc.string() }, { requiredKeys: ['kind', 'queueLimit'] }) as fc.Arbitrary<AcceptPlan>,
  fc.constantFrom<AcceptPlan>({ kind: 'send', attemptId: attemptIdOf(ulid) }, { kind: 'defer', reason: 'overload', detail: 'much' }),
);
const ancestry: fc.Arbitrary<Invocation['ancestry']> = fc.constantFrom(
  { rootId: id, depth: 0, path: [] }, { parentId: id, rootId: id, depth: 1, path: ['@a@b#c'] }, { rootId: invocationIdOf(`7${ulid.slice(1)}`), depth: 0, path: [] }, { rootId: id, depth: 2, path: [] }, { rootId: id, depth: 0, path: ['@a@b#c'] },
);
const invocation: fc.Arbitrary<Invocation> = fc.record({
  id: fc.constant(id), originNodeId: fc.constantFrom(...nodes), ownerNodeId: fc.constantFrom(...nodes), caller: fc.string(), addressTyped: fc.string(), target: fc.constant('@fabric@laptop#main'), session,
  limits: fc.record({ holdMs: whole, totalMs: whole, runMs: whole, idleMs: whole }, { requiredKeys: ['holdMs', 'totalMs'] }), rerunnable: fc.boolean(), ancestry, acceptedAtMs: whole,
  redriveOf: fc.constant(id), groupId: fc.constant(groupIdOf(ulid)),
}, { requiredKeys: ['id', 'originNodeId', 'ownerNodeId', 'caller', 'addressTyped', 'target', 'session', 'limits', 'rerunnable', 'ancestry', 'acceptedAtMs'] }) as fc.Arbitrary<Invocation>;
const accepted: fc.Arbitrary<AcceptInput> = fc.record({
  stamp: fc.record({ atMs: whole, hlc: fc.constant(new Story().stamp().hlc) }), invocation, plan, payloadHash: fc.string(), notify: fc.boolean(), key: fc.string(),
  task: fc.record({ text: fc.uint8Array(), files: fc.array(fc.record({ name: fc.string(), bytes: fc.uint8Array() }), { maxLength: 2 }) }),
}, { requiredKeys: ['stamp', 'invocation', 'plan', 'payloadHash', 'notify', 'task'] });

test('an acceptance is the same on the other side', () => {
  fc.assert(fc.property(accepted, (input) => {
    expect(unpackAccept(structuredClone(packAccept(input, input.task)))).toEqual(input);
  }));
});

test('the record of a new flight is the one that its row is read as', () => {
  fc.assert(fc.property(invocation, fc.boolean(), some('ses_x'), some('person'), (each, isOwned, sessionId, originOwner) => {
    fc.pre(isOwned || each.originNodeId !== each.ownerNodeId);
    const isLocal = each.originNodeId === each.ownerNodeId;
    const [origin, owner] = [1, isLocal ? 1 : 2];
    const row = newFlightRow(each, { origin, owner, self: isOwned ? owner : origin, storedBytes: 7, session: sessionId as never, originOwner, atMs: 5 });
    const read = flightOf(row, { idOf: (number) => (number === origin ? each.originNodeId : each.ownerNodeId) });
    expect(newFlight(each, { isOwned, atMs: 5, sessionId: sessionId as never, originOwner } as never)).toEqual(read);
  }));
});

describe('a message between threads', () => {
  test('holds requests and answers as they were', () => {
    const requests = [{ id: 7, name: 'accept', size: 512, input: ['a', undefined, 1] }, { id: 8, name: 'saw', size: 1, input: { nodeId: nodeIdOfPublicKey(new Uint8Array(32)) } }];
    expect(unpackRequests(structuredClone(packRequests(requests)))).toEqual(requests);
    const answers = [{ id: 7, value: undefined }, { id: 8, error: { code: 'conflict' as const, message: 'no' }, cause: 'why' }, { id: 9, value: { error: 'a value all the same' } }];
    expect(unpackAnswers(structuredClone(packAnswers(answers)))).toEqual(answers);
  });

  test('takes each byte along once: small pieces share a buffer, large ones have their own', () => {
    const hold = new Hold();
    const sizes = [0, 1, 100, 4000, 200, 16 * 1024, 15_000, 100_000, 60_000, 5];
    const pieces = sizes.map((size, index) => new Uint8Array(size).fill(index));
    const copies = pieces.map((piece) => hold.copy(piece));
    for (const piece of pieces) piece.fill(255);
    const buffers = hold.empty();
    expect(copies.every(({ buffer, length }) => length === 0 || buffers.includes(buffer as ArrayBuffer))).toBe(true);
    expect(new Set(buffers).size).toBe(buffers.length);
    expect(buffers.length).toBeLessThan(7);
    const moved = structuredClone(copies, { transfer: buffers });
    expect(moved.map((each) => [each.length, each.every((byte) => byte === moved.indexOf(each))])).toEqual(sizes.map((size) => [size, true]));
    expect(hold.empty()).toEqual([]);
  });
});
