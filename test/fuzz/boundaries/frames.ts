/** What a member's connection carries inside of TLS: HTTP/2 and gRPC, read by the real server of the mesh port and a real session. */
import { connect } from 'node:http2';
import { setImmediate as nextTurn, setTimeout as pause } from 'node:timers/promises';
import type { NodeId } from '../../../src/domain/ids.ts';
import type { Log } from '../../../src/domain/ports.ts';
import { ControlRequest, DataRequest } from '../../../src/gen/beckon/v1/mesh.ts';
import { MeshServer } from '../../../src/mesh/server.ts';
import { Session } from '../../../src/mesh/session.ts';
import { OpenSessions } from '../../../src/mesh/open-sessions.ts';
import { TaskRoom } from '../../../src/rpc/task-room.ts';
import { parseLeaf } from '../../../src/trust/certificate.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { FakeHealth } from '../../support/fake-health.ts';
import type { Boundary, Target, Verdict } from '../engine/boundary.ts';
import { holds } from '../engine/boundary.ts';
import { http2Mutation } from '../engine/mutate-http2.ts';
import { protobufMutation } from '../engine/mutate-protobuf.ts';
import { nowMs } from './mesh-keys.ts';
import { hlc, peerHello } from './session-seeds.ts';
import { ends, MemberConnections } from './connections.ts';
import { cards } from './world.ts';
import type { Cards } from './world.ts';

/** Turns of the event loop until what a server makes of bytes has come about. */
const turns = 12;
/** Looks for the end of a connection, most of them a millisecond apart. */
const mostTries = 700;

const heartbeat = { $case: 'heartbeat', value: { number: 1, holds: true, digest: Buffer.alloc(8), gossips: false } } as never;
const hello = ControlRequest.encode({ frames: [{ frame: peerHello() }] }).finish();
const calls: Readonly<Record<string, readonly (readonly [path: string, ...messages: readonly Uint8Array[]])[]>> = {
  'a session': [['/beckon.v1.MeshService/Control', hello, ControlRequest.encode({ frames: [{ frame: heartbeat }] }).finish()], ['/beckon.v1.MeshService/Data', DataRequest.encode({ frames: [{ frame: { $case: 'hello', value: { sessionId: Buffer.alloc(16) } } }] }).finish()]],
  'data alone': [['/beckon.v1.MeshService/Data', DataRequest.encode({ frames: [{ frame: { $case: 'hello', value: { sessionId: Buffer.alloc(16, 9) } } }] }).finish()]],
  'two sessions': [['/beckon.v1.MeshService/Control', hello], ['/beckon.v1.MeshService/Control', hello]],
  'health': [['/grpc.health.v1.Health/Check', new Uint8Array(0)], ['/grpc.health.v1.Health/Watch', Buffer.from([0x0a, 0x01, 0x78])]],
  'reflection': [['/grpc.reflection.v1.ServerReflection/ServerReflectionInfo', Buffer.from([0x3a, 0x01, 0x61]), Buffer.from('1a0c6265636b6f6e2e76312e58', 'hex')]],
  'nothing known': [['/nobody.Service/Method', new Uint8Array(3)]],
};

export const frames: Boundary = {
  name: 'frames',
  what: 'HTTP/2 and gRPC frames inside a member’s TLS connection: sessions, health, reflection',
  seeds: async () => Object.fromEntries(await Promise.all(Object.entries(calls).map(async ([name, made]) => [name, await recorded(made)] as const))),
  words: ['grpc-timeout', 'grpc-encoding', 'gzip', 'te', 'trailers', 'content-type', 'application/grpc', ':path', ':method', 'POST', '/beckon.v1.MeshService/Control'],
  mutate: http2Mutation(protobufMutation('beckon.v1.ControlRequest')),
  longest: 64 * 1024,
  open: async () => {
    const given = await cards();
    const target = new FramesTarget(given, await MemberConnections.open(given));
    target.renew();
    return target;
  },
};

class FramesTarget implements Target {
  readonly #cards: Cards;
  readonly #pairs: MemberConnections;
  readonly #clock = new FakeClock(nowMs);
  readonly #faults: unknown[] = [];
  #server: MeshServer | undefined;
  #open = new OpenSessions();
  #ups = 0;
  #messages = 0;

  constructor(given: Cards, pairs: MemberConnections) {
    this.#cards = given;
    this.#pairs = pairs;
  }

  renew(): void {
    this.#stop();
    const fault = (fields: { readonly err?: unknown }, message: string): void => void this.#faults.push(fields.err ?? message);
    const log: Log = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: fault };
    const clock = this.#clock;
    const owner = {
      admit: () => undefined,
      up: () => void (this.#ups += 1),
      holds: () => false,
      message: () => Promise.resolve(void (this.#messages += 1)),
      query: () => Promise.resolve({ type: 'ping', nowMs } as const),
      introduce: () => undefined,
      dialRequest: (_session: unknown, _nodeId: NodeId) => undefined,
      down: (session: Session, end: Parameters<OpenSessions['down']>[1]) => this.#open.down(session, end),
    };
    this.#server = new MeshServer({
      clock, log, health: new FakeHealth(), refusal: () => undefined,
      onControl: (arrival, control) => {
        const session = new Session({
          peer: arrival.peer, path: 'inbound', address: arrival.address, control, hangUp: (isOrderly) => arrival.hangUp(isOrderly), ownName: 'laptop', clock, log, owner, taskRoom: new TaskRoom(), onOverLimit: () => undefined,
          own: { epoch: 5, previousEpoch: 4, seenEpochs: () => [3], bootNonce: new Uint8Array(16).fill(2), version: '1.0.0', addresses: () => [], hlc: () => hlc },
          digests: { digest: () => ({ root: '', gossips: false }), onDigest: () => undefined },
        });
        this.#open.add(session);
      },
      onData: (arrival, sessionId, stream, rest) => this.#open.attach(arrival.peer.nodeId, sessionId, stream, rest),
      pullData: (stream) => this.#open.pull(stream),
    });
    this.#server.start();
  }

  close(): void {
    this.#stop();
    this.#pairs.close();
  }

  #stop(): void {
    this.#server?.stop();
    this.#server = undefined;
    this.#open = new OpenSessions();
  }

  state(): string {
    return `${this.#messages} messages`;
  }

  async run(input: Uint8Array): Promise<Verdict> {
    const before = this.#ups;
    const { client, server } = await this.#pairs.connect();
    let said = 0;
    client.on('data', (bytes: Buffer) => void (said += bytes.length));
    this.#server?.inject(server, parseLeaf(this.#cards.chains.peer.leaf));
    client.write(input);
    for (let turn = 0; turn < turns; turn += 1) await nextTurn();
    // The end of who waits for nothing more.
    client.destroy();
    const isGone = async (tries: number): Promise<void> => {
      for (let at = 0; at < tries && !server.destroyed; at += 1) await (at < 20 ? nextTurn() : pause(1));
    };
    await isGone(mostTries / 10);
    await this.#clock.advance(11_000);
    await isGone(mostTries);
    holds(server.destroyed, 'a connection that its other end left is gone');
    holds(this.#open.all().length === 0, 'a session ends with its connection');
    holds(said < 4 * 1024 * 1024, 'an answer is no larger than any message');
    const [fault] = this.#faults.splice(0);
    if (fault !== undefined) throw fault;
    return this.#ups > before ? 'accepted' : 'refused';
  }
}

/** The bytes of a client of those calls that hears no answer. */
async function recorded(made: (typeof calls)[string]): Promise<Uint8Array> {
  const [near, far] = ends();
  const bytes: Buffer[] = [];
  far.on('data', (chunk: Buffer) => void bytes.push(chunk));
  const session = connect('http://mesh', { createConnection: () => near });
  session.on('error', () => undefined);
  for (const [path, ...messages] of made ?? []) {
    const stream = session.request({ ':method': 'POST', ':path': path, te: 'trailers', 'content-type': 'application/grpc', 'user-agent': 'grpc-node-js/1.14.7' });
    stream.on('error', () => undefined);
    for (const message of messages) {
      const head = Buffer.alloc(5);
      head.writeUInt32BE(message.length, 1);
      stream.write(Buffer.concat([head, message]));
    }
    for (let turn = 0; turn < 5; turn += 1) await nextTurn();
  }
  for (let turn = 0; turn < 10; turn += 1) await nextTurn();
  session.destroy();
  return Buffer.concat(bytes);
}
