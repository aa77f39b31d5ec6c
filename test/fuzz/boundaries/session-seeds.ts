/** What members say to each other, one message for each kind: what the boundaries of sessions begin with. */
import fc from 'fast-check';
import { systemDigest } from '../../../src/app/system-digest.ts';
import type { ControlMessage, PeerQuery } from '../../../src/domain/messages.ts';
import { encodeHlc } from '../../../src/domain/hlc.ts';
import { invocationIdOf } from '../../../src/domain/ids.ts';
import type { InvocationId } from '../../../src/domain/ids.ts';
import type { Invocation } from '../../../src/domain/invocation.ts';
import { ControlRequest, DataRequest } from '../../../src/gen/beckon/v1/mesh.ts';
import type { ControlFrame, DataFrame } from '../../../src/gen/beckon/v1/mesh.ts';
import { encodeControl, encodeFlightEvents, encodeForward } from '../../../src/mesh/control-frames.ts';
import { encodeGoodbye, encodeHello } from '../../../src/mesh/hello.ts';
import { encodeQuery } from '../../../src/mesh/queries.ts';
import { encodedTask } from '../../../src/rpc/large-task.ts';
import * as samples from '../../unit/rpc/samples.ts';
import { nodeKey, nowMs, who } from './mesh-keys.ts';
import { toldSet } from './peer-words.ts';
import type { Cards } from './world.ts';

const seed = 7;
const few = 6;
export const hlc = encodeHlc({ ms: nowMs, counter: 1 });
const [peer, self] = [nodeKey(who.peer).nodeId, nodeKey(who.self).nodeId];
/** Of an invocation that the member hands over. */
export const handed: InvocationId = invocationIdOf('01J9Z6M3T4V8Q2X7K5B1C0D9EF');

/** The first byte of an input. */
export const streams = { control: 0, data: 1, both: 2, hello: 3 } as const;
const on = (stream: number, bytes: Uint8Array): Uint8Array => Buffer.concat([Buffer.from([stream]), bytes]);
const control = (...frames: readonly ControlFrame['frame'][]): Uint8Array => on(streams.control, ControlRequest.encode({ frames: frames.map((frame) => ({ frame })) }).finish());
const data = (...frames: readonly DataFrame['frame'][]): Uint8Array => on(streams.data, DataRequest.encode({ frames: frames.map((frame) => ({ frame })) }).finish());

export const peerHello = (epoch = 3): Extract<ControlFrame['frame'], { $case: 'hello' }> => ({
  $case: 'hello',
  value: encodeHello({ epoch, previousEpoch: 2, seenEpochs: () => [5], bootNonce: new Uint8Array(16).fill(1), version: '1.0.0', addresses: () => ['100.64.0.10:7423'], hlc: () => hlc }, self, '00'.repeat(16), nowMs),
});

/** @param sent an invocation of this node that the member works on */
export function sessionSeeds({ chains, meshId }: Cards, sent: InvocationId): Readonly<Record<string, Uint8Array>> {
  const plain: Invocation = {
    id: handed, originNodeId: peer, ownerNodeId: self, caller: 'uid:501', addressTyped: 'fabric', target: '@fabric@laptop#main', session: { mode: 'new' },
    limits: { holdMs: 60_000, totalMs: 3_600_000 }, rerunnable: false, ancestry: { rootId: handed, depth: 0, path: [] }, acceptedAtMs: nowMs,
  };
  const task = { text: Buffer.from('build it'), files: [{ name: 'a.txt', bytes: Buffer.from('x') }] };
  const large = { text: Buffer.alloc(40_000, 0x61), files: [] };
  const encoded = encodedTask(large);
  const messages: readonly Exclude<ControlMessage, { readonly type: 'forward' }>[] = [
    { type: 'receipt', invocationId: sent, receivedAtMs: nowMs, hlc },
    { type: 'reject', invocationId: sent, reason: 'denied', error: { code: 'denied', message: 'no', hint: 'ask', candidates: [{ address: '@a@b#c', why: 'x' }], detail: { a: 'b' } }, hlc },
    { type: 'draining', invocationId: sent, attempt: 1, hlc },
    { type: 'sync', items: [{ invocationId: handed, receipted: true, lastSeq: 2, cancelRequested: true }] },
    { type: 'sync_reply', items: [{ invocationId: sent, state: 'running', run: 1, lastSeq: 2 }, { invocationId: handed, state: 'unknown', run: 0, lastSeq: 0 }] },
    { type: 'cancel', invocationId: handed, hlc },
    { type: 'cancelled_unknown', invocationId: sent, hlc },
    { type: 'reply', invocationId: handed, request: 'req_01J9Z6M3T4V8Q2X7K5B1C0D9EF', reply: { kind: 'text', text: 'yes' }, by: 'uid:501', hlc },
    { type: 'reply_outcome', invocationId: sent, request: 'req_01J9Z6M3T4V8Q2X7K5B1C0D9EF', hlc },
    { type: 'event_ack', invocationId: handed, seq: 3, unknown: false },
    { type: 'roster', members: [{ chain: chains.other, addresses: ['100.64.0.11:7423'] }], admission: { rules: [{ kind: 'tag', value: 'tag:x' }], proof: { certificate: chains.peer.issuer, attestation: new Uint8Array(64) } } },
    { type: 'registry_change', change: toldSet(meshId, ['review', 'test'], 2).change },
    { type: 'registry_entry', entry: { chain: chains.other } },
  ];
  const queries: readonly PeerQuery[] = [
    { type: 'ping' }, { type: 'reach', nodeId: peer }, { type: 'dial_back' }, { type: 'rename', name: 'studio-2' }, { type: 'renew', nowMs }, { type: 'issuer_key' },
    { type: 'become_issuer', certificate: chains.peer.issuer }, { type: 'renew_issuer' }, { type: 'remove', nodeId: nodeKey(who.other).nodeId, by: 'ada' },
    { type: 'registry_digest', root: systemDigest(['x']).slice(0, 16) }, { type: 'registry_entries', buckets: [1, 2, 255] }, { type: 'registry_records', nodeId: self, have: ['0123456789abcdef'] },
    { type: 'standings', invocationIds: [handed, sent] }, { type: 'diff', invocationId: handed, offset: 0, snapshot: 'x' }, { type: 'worktree', invocationId: handed, settle: { verb: 'discarded', by: 'ada' } as never },
    { type: 'reply', invocationId: handed, request: 'req_01J9Z6M3T4V8Q2X7K5B1C0D9EF', reply: { kind: 'approved' }, by: 'ada', waitMs: 10 },
    { type: 'flights', filter: { state: 'running', agent: 'fabric' }, limit: 10 }, { type: 'deliveries', filter: { status: 'sent', sinceMs: 1 }, limit: 10, after: 'ZmxpZ2h0czo' },
  ];
  const events = fc.sample(samples.flightEvent, { numRuns: 12, seed }).map((each, index) => ({ ...each, seq: index + 1 }));
  const invocations = fc.sample(samples.invocation, { numRuns: few, seed }).map((each) => ({ ...each, originNodeId: peer, ownerNodeId: self, target: '@fabric@laptop#main' }));
  return {
    'a hello': on(streams.hello, ControlRequest.encode({ frames: [{ frame: peerHello() }] }).finish()),
    'a forward': control(encodeForward({ type: 'forward', invocation: plain, task, attempt: 1, hlc })),
    'a forward of another’s': control(encodeForward({ type: 'forward', invocation: { ...plain, id: invocationIdOf('01J9Z6M3T4V8Q2X7K5B1C0D9EG'), originNodeId: nodeKey(who.other).nodeId }, task, attempt: 1, hlc })),
    ...Object.fromEntries(invocations.map((invocation, index) => [`a forward ${index}`, control(encodeForward({ type: 'forward', invocation, task, attempt: 1, hlc }))])),
    'a large task': both(control(encodeForward({ type: 'forward', invocation: plain, task: large, attempt: 1, hlc }, encoded.bytes)), data({ $case: 'taskPiece', value: { invocationId: handed, offset: 0, content: Buffer.concat([...encoded.parts].map((each) => Buffer.from(each))).subarray(0, 32_768) } })),
    'a piece': data({ $case: 'taskPiece', value: { invocationId: handed, offset: 0, content: Buffer.from('x') } }),
    ...Object.fromEntries(messages.map((each, index) => [`${each.type} ${index}`, control(encodeControl(each))])),
    ...Object.fromEntries(queries.map((each) => [`the question ${each.type}`, control({ $case: 'query', value: { number: 1, query: encodeQuery(each) } })])),
    ...Object.fromEntries(events.map((event) => [`the event ${event.seq} ${event.body.kind}`, data({ $case: 'flightEvents', value: encodeFlightEvents({ type: 'flight_events', invocationId: sent, receivedAtMs: nowMs, events: [event] }, 1e6)[0] ?? { invocationId: sent, receivedAtMs: 0, events: [] } })])),
    'all events': data(...encodeFlightEvents({ type: 'flight_events', invocationId: sent, receivedAtMs: nowMs, events }, 1e6).map((value) => ({ $case: 'flightEvents', value }) as const)),
    'a heartbeat': control({ $case: 'heartbeat', value: { number: 1, holds: true, digest: Buffer.alloc(8), gossips: false } as never }),
    'an answer': control({ $case: 'answer', value: { number: 1, error: undefined, answer: { $case: 'ping', value: { nowMs } } } }),
    'an introduction': control({ $case: 'introduce', value: { nodeId: nodeKey(who.other).nodeId } }),
    'a wish to be dialled': control({ $case: 'dialRequest', value: { nodeId: nodeKey(who.other).nodeId, addresses: ['100.64.0.11:7423'] } }),
    'a goodbye': control({ $case: 'goodbye', value: encodeGoodbye('stopping', 'bye') }),
    'a second hello': control(peerHello()),
  };
}

/** Control and data of one input: the length of the first in two bytes in front. */
export function both(first: Uint8Array, second: Uint8Array): Uint8Array {
  const length = Buffer.alloc(2);
  length.writeUInt16BE(first.length - 1);
  return on(streams.both, Buffer.concat([length, first.subarray(1), second.subarray(1)]));
}
