/** Members, and strangers, that do too much of what they may do, stand still in the middle of it, or lie about how much it is. */
import { credentials } from '@grpc/grpc-js';
import type { ClientDuplexStream } from '@grpc/grpc-js';
import { randomBytes } from 'node:crypto';
import { connect as connectPlain } from 'node:net';
import type { Socket } from 'node:net';
import { afterAll, beforeAll, expect } from 'vitest';
import { parseHostPort } from '../../src/domain/host-port.ts';
import type { ControlFrame } from '../../src/gen/beckon/v1/mesh.ts';
import { RawClient } from '../../src/mesh/raw-mesh.ts';
import { decodeErrorInfo } from '../../src/rpc/error-info.ts';
import { encodeGossip } from '../../src/rpc/registry.ts';
import { clientTls } from '../../src/trust/client-tls.ts';
import { attack } from '../support/attack.ts';
import type { Told } from '../support/attack.ts';
import { AttackedMesh } from '../support/attacked-mesh.ts';
import { otherMachine } from '../support/false-member.ts';
import { FalseNeighbour } from '../support/false-neighbour.ts';
import { endHeaders, frame, frameType, grpcCall, headers, RawPeer } from '../support/http2-frames.ts';
import { waitFor } from '../support/wait-for.ts';
import { counterOf } from '../support/watched-node.ts';

let mesh: AttackedMesh;

beforeAll(async () => {
  mesh = await AttackedMesh.start();
}, 60_000);
afterAll(() => mesh?.[Symbol.asyncDispose]());

const victim = () => mesh.attacked();
const usual = { victim, arrange: () => mesh.enter() } as const;
const brokeTheProtocol = { line: /broke the protocol/ } as const;
type Frame = NonNullable<ControlFrame['frame']>;
const ids = (count: number): number[] => Array.from({ length: count }, (_, index) => index);

attack('5,000 forwards for an agent that is not there', {
  ...usual,
  act: async ({ mallory, session }) => {
    const forwards = ids(5_000).map(() => mallory.forward({ nodeId: mesh.victimId, address: '@none@victim#main' }));
    for (const forward of forwards) session.say({ $case: 'forward', value: forward });
    await waitFor('all to be answered', () => session.framesOf('reject').length === forwards.length, { timeoutMs: 40_000, pollMs: 50 });
    return session.framesOf('reject').map(({ error }): Told => (error === undefined ? { code: 'silence' } : { code: decodeErrorInfo(error).code }));
  },
  refused: { code: ['unavailable', 'not_found'] },
  logged: { line: /an invocation was refused/ },
  growsMb: 128,
  shows: 'each is rejected, the log has one line a minute of it, and a friend is served as before',
  timeoutMs: 90_000,
});

attack('5,000 questions at once', {
  ...usual,
  act: async ({ session }) => {
    for (const number of ids(5_000)) session.say({ $case: 'query', value: { number, query: { $case: 'flights', value: { state: 0, agent: '', limit: 1000, after: '' } } } });
    await waitFor('all to be answered', () => session.framesOf('answer').length === 5_000, { timeoutMs: 40_000, pollMs: 50 });
    const refused = session.framesOf('answer').flatMap(({ error }): Told[] => (error === undefined ? [] : [{ code: decodeErrorInfo(error).code }]));
    expect(refused.length).toBeGreaterThan(1_000);
    return refused;
  },
  refused: { code: 'overload' },
  logged: { counter: 'beckon_refused_total{limit="session_questions"}', by: 1_000 },
  growsMb: 128,
  shows: '16 are looked at, the others are told to come back: no queue grows',
  timeoutMs: 90_000,
});

attack('100,000 heartbeats, of which no answer is read', {
  ...usual,
  act: async ({ session }) => {
    session.wire.control.pause();
    const beat = (number: number): Frame => ({ $case: 'heartbeat', value: { number, digest: Buffer.alloc(0), gossips: false, holds: false } });
    for (const round of ids(100)) session.say(...ids(1_000).map((number) => beat(round * 1_000 + number)));
    session.wire.control.resume();
    return session.farewell();
  },
  refused: { code: 'cut', words: /heartbeats a second/ },
  logged: brokeTheProtocol,
  growsMb: 128,
  shows: 'a session is for work: who only beats is cut',
  timeoutMs: 60_000,
});

attack('6,000 lists of agents', {
  ...usual,
  act: async ({ mallory, session }) => {
    const { seal } = mallory;
    // Each signed, and each other than the one before, so that each costs a signature.
    const lists = ids(6_000).map((version) => seal.sealHead({ nodeId: mallory.nodeId, epoch: 1, version: 6_000 - version, count: 0, rootHash: seal.hash(''), addresses: [], gossipAddresses: [] }));
    for (const { payload, signature } of lists) session.say({ $case: 'registryChange', value: { head: { payload: Buffer.from(payload), signature: Buffer.from(signature) }, records: [], gone: Buffer.alloc(0) } });
    return session.sayToNobody();
  },
  refused: { code: 'silence' },
  logged: { line: /more than 200 of its news of the registry a second: dropped/ },
  stores: [{ table: 'registry_heads', most: 1, why: 'its own list, which is empty, and of which the first was the newest' }],
  growsMb: 128,
  shows: 'what one node tells of agents has a rate: more is dropped, and found again by comparing digests',
  timeoutMs: 60_000,
});

attack('60,000 calls, each reset at once', {
  victim,
  arrange: async () => {
    const mallory = await mesh.member('resetter');
    return RawPeer.open(parseHostPort(mesh.victim.place.listen), mallory.identity);
  },
  act: async (peer) => {
    const call = headers(grpcCall('/beckon.v1.MeshService/Control'));
    let stream = -1;
    for (let round = 0; round < 300 && peer.isOpen; round += 1) {
      await peer.send(Buffer.concat(ids(200).flatMap(() => [frame(frameType.headers, endHeaders, (stream += 2), call), frame(frameType.reset, 0, stream, Buffer.of(0, 0, 0, 8))])));
    }
    await peer.closed;
    return { code: 'cut' };
  },
  refused: { code: 'cut' },
  logged: { line: /resetter connected, and no session came of it/ },
  // Which of two bounds is reached first is for the machine to say.
  besides: /a connection of a peer was cut/,
  growsMb: 128,
  shows: 'rapid resets end the connection that they come on',
  timeoutMs: 60_000,
});

attack('a peer that asks, and never reads', {
  ...usual,
  act: async ({ session }) => {
    session.wire.control.pause();
    // Answers of some KB each, for as long as they are taken.
    const all = ids(256);
    const ask = (number: number): Frame => ({ $case: 'query', value: { number, query: { $case: 'registryEntries', value: { buckets: all, after: '' } } } });
    for (let number = 0; number < 60_000 && !session.isOver; number += 100) {
      session.say(...ids(100).map((each) => ask(number + each)));
      await new Promise((resolve) => setImmediate(resolve));
      if (session.wire.control.writableLength > 16 * 1024 * 1024) break;
    }
    await new Promise((resolve) => setTimeout(resolve, 1_500));
    session[Symbol.dispose]();
    return { code: 'silence' };
  },
  refused: { code: 'silence' },
  logged: { counter: 'beckon_refused_total{limit="session_questions"}', by: 100 },
  besides: /news of the registry a second|reads too slowly/,
  growsMb: 160,
  shows: 'what waits for a peer that does not read is bounded, and so is what it can ask for',
  timeoutMs: 60_000,
});

attack('a task of 4 GB is announced', {
  ...usual,
  act: ({ mallory, session }) => {
    session.say({ $case: 'forward', value: mallory.forward({ nodeId: mesh.victimId, address: mesh.echo }, {}, { task: undefined, taskBytes: 4_294_967_296 }) });
    return session.farewell();
  },
  refused: { code: 'cut', words: /a task of 4294967296 bytes was announced/ },
  logged: brokeTheProtocol,
  shows: 'no room is made for what no task may have',
});

attack('a task that is larger than was announced, and pieces that leave some out', {
  victim,
  arrange: async () => [await mesh.enter(), await mesh.enter()] as const,
  act: async ([one, two]) => {
    const told: Told[] = [];
    for (const [{ mallory, session }, offset] of [[one, 0], [two, 40_000]] as const) {
      const forward = mallory.forward({ nodeId: mesh.victimId, address: mesh.echo }, {}, { task: undefined, taskBytes: 50_000 });
      const invocationId = forward.invocation?.id ?? '';
      session.say({ $case: 'forward', value: forward });
      await session.isServed();
      const piece = (at: number) => ({ $case: 'taskPiece' as const, value: { invocationId, offset: at, content: Buffer.alloc(32_000) } });
      session.sayData(piece(0), piece(offset === 0 ? 32_000 : offset));
      const { code, words = '' } = await session.farewell();
      told.push({ code, words });
    }
    return told;
  },
  refused: { code: 'cut', words: /has more bytes than announced|starts at 40000, not at 32000/ },
  logged: { ...brokeTheProtocol, each: true },
  shows: 'a task has the bytes that were announced, in their order, or none of it is taken',
});

attack('a message that says it has 4 GB', {
  victim,
  arrange: async () => {
    const mallory = await mesh.member('liar');
    return RawPeer.open(parseHostPort(mesh.victim.place.listen), mallory.identity);
  },
  act: async (peer) => {
    await peer.send(frame(frameType.headers, endHeaders, 1, headers(grpcCall('/beckon.v1.MeshService/Control'))));
    await peer.send(frame(frameType.data, 0, 1, Buffer.of(0, 0xff, 0xff, 0xff, 0xff)));
    let sent = 0;
    // As much of it as is taken.
    for (; sent < 4096 && peer.isOpen && peer.count(frameType.reset) === 0 && peer.count(frameType.headers) === 0; sent += 1) await peer.send(Buffer.concat(ids(64).map(() => frame(frameType.data, 0, 1, Buffer.alloc(16_000)))));
    expect(sent).toBeLessThan(64);
    peer.socket.destroy();
    return { code: 'cut' };
  },
  refused: { code: 'cut' },
  logged: { line: /a message of a peer was larger than any may be/ },
  shows: 'a length that no message may have ends the call when it is read, not when it is filled',
});

attack('a message that unpacks to 400 times its size', {
  victim,
  arrange: () => mesh.member('packer'),
  act: async (mallory) => {
    const tls = clientTls(mallory.identity);
    const client = new RawClient(mesh.victim.place.listen, credentials.createFromSecureContext(tls.secureContext, { checkServerIdentity: tls.checkServerIdentity }), {
      ...{ 'grpc.ssl_target_name_override': 'x', 'grpc.use_local_subchannel_pool': 1, 'grpc.default_compression_algorithm': 2, 'grpc.max_send_message_length': -1 },
    });
    try {
      const call = (client['control'] as () => ClientDuplexStream<Buffer, Buffer>).call(client);
      const ended = new Promise<Told>((resolve) => call.once('error', (error: { code?: number; details?: string }) => resolve({ code: 'cut', words: error.details ?? '' })).once('end', () => resolve({ code: 'cut' })));
      call.resume();
      call.write(Buffer.alloc(256 * 1024 * 1024));
      return await ended;
    } finally {
      client.close();
    }
  },
  refused: { code: 'cut' },
  logged: { line: /a message of a peer was larger than any may be/ },
  growsMb: 48,
  shows: 'a message is unpacked up to the size that it may have, and no further',
  timeoutMs: 60_000,
});

attack('a data stream for another node’s session', {
  victim,
  arrange: async () => ({ ...(await mesh.enter()), theirs: randomBytes(16) }),
  act: async ({ session, theirs }) => {
    const stream = session.wire.nameData(theirs);
    await new Promise<void>((resolve) => stream.once('end', () => resolve()).once('error', () => resolve()).resume());
    await session.isServed();
    return { code: 'cut' };
  },
  refused: { code: 'cut' },
  logged: { line: /a data stream was refused/ },
  shows: 'a data stream belongs to a session of its own node that waits for it',
});

attack('hello, said again as another session', {
  ...usual,
  act: ({ session }) => {
    session.wire.hello({ sessionId: randomBytes(16) });
    return session.farewell();
  },
  refused: { code: 'cut', words: /hello came twice/ },
  logged: brokeTheProtocol,
  shows: 'who a session is with is said once',
});

attack('gossip of what is not true, and of more than fits', {
  victim,
  arrange: async () => {
    const mallory = await mesh.member('gossiper');
    const neighbour = await FalseNeighbour.start(mallory.key, mallory.identity.meshId);
    await neighbour.dial(mesh.victim, mesh.victimId);
    await neighbour.isHeard();
    return { mallory, neighbour };
  },
  act: async ({ mallory, neighbour }) => {
    const { seal } = mallory;
    await neighbour.say(Buffer.alloc(1_200_000, 1));
    for (const version of ids(25)) {
      const head = seal.sealHead({ nodeId: mesh.friendId, epoch: Date.now() + 1_000_000, version, count: 0, rootHash: seal.hash(''), addresses: [], gossipAddresses: [] });
      await neighbour.say(encodeGossip({ type: 'registry_change', change: { head, records: [], gone: [] } }));
    }
    await neighbour.isCut();
    await neighbour[Symbol.asyncDispose]();
    return { code: 'cut' };
  },
  refused: { code: 'cut' },
  logged: { line: /a member goes on gossiping what is not true or can not be read/ },
  besides: /what a node told of the registry was not taken/,
  holds: async () => expect(await mesh.agentsAt(mesh.friend)).toContain(mesh.echo),
  shows: 'what is not true is passed on to nobody, and who goes on with it is not listened to for a while',
});

attack('gossip on topics that are none, or another mesh’s', {
  victim,
  arrange: async () => {
    const mallory = await mesh.member('astray');
    const neighbour = await FalseNeighbour.start(mallory.key, mallory.identity.meshId);
    await neighbour.dial(mesh.victim, mesh.victimId);
    await neighbour.isHeard();
    return { mallory, neighbour };
  },
  act: async ({ mallory: { nodeId, seal, identity }, neighbour }) => {
    const head = (version: number) => encodeGossip({ type: 'registry_change', change: { head: seal.sealHead({ nodeId, epoch: 1, version, count: 0, rootHash: seal.hash(''), addresses: [], gossipAddresses: [] }), records: [], gone: [] } });
    const taken = (): Promise<number> => counterOf(mesh.victim, 'beckon_registry_news_total{outcome="applied"}');
    const before = await taken();
    for (const topic of [`beckon/${'a'.repeat(26)}/1`, `beckon/${identity.meshId}/2`, `${neighbour.topic}\0`, '', '__proto__', 'x'.repeat(5_000)]) for (const _each of ids(5)) neighbour.sayOn(topic, head(2));
    // It comes after those, and is older: news only where they were not heard.
    await neighbour.say(head(1));
    await waitFor('the list on the right topic to be taken', async () => (await taken()) > before);
    await neighbour[Symbol.asyncDispose]();
    return { code: 'silence' };
  },
  refused: { code: 'silence' },
  logged: { none: 'a newer version may have another topic: what a node does not listen to it does not read' },
  stores: [{ table: 'registry_heads', what: 'added', row: /"epoch":1,"version":1,/, why: 'its own list, of the mesh’s own topic' }],
  shows: 'a node listens to the one topic of its mesh: what is said on others is not judged, kept or passed on',
});

attack('200 connections that never shake hands', {
  victim,
  act: async () => {
    const { host, port } = parseHostPort(mesh.victim.place.listen);
    const from = otherMachine();
    const closed: Promise<Told>[] = [];
    const sockets: Socket[] = [];
    for (const _each of ids(200)) {
      const socket = connectPlain({ host, port, ...from });
      socket.on('error', () => undefined);
      closed.push(new Promise((resolve) => socket.resume().once('close', () => resolve({ code: 'cut' }))));
      sockets.push(socket);
    }
    // Meanwhile others get in.
    const known = await mesh.member('honest');
    using session = await known.session(mesh.victim);
    await session.isServed();
    return Promise.all(closed);
  },
  refused: { code: 'cut' },
  logged: { line: /a connection was refused/, most: 24 },
  audit: ['invite.made', 'invite.used', 'member.admitted', 'session.refused'],
  stores: [{ table: 'members', what: 'added', why: 'an honest machine entered meanwhile' }, { table: 'invites', what: 'added', why: 'by invitation' }, { table: 'nodes', what: 'added', why: 'with its id' }, { table: 'events', most: 4, why: 'as it is written down' }],
  shows: 'one address gets so many handshakes and so much time for each; others enter and are served meanwhile',
  timeoutMs: 60_000,
});

