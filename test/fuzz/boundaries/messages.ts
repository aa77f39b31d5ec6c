/** What a member says in a session: frames on its two streams, read by a real session and carried out by the core behind it. */
import { Duplex } from 'node:stream';
import { TaskRoom } from '../../../src/rpc/task-room.ts';
import { BrokerError, unavailable } from '../../../src/domain/errors.ts';
import { ControlRequest, DataRequest } from '../../../src/gen/beckon/v1/mesh.ts';
import { FrameStream } from '../../../src/mesh/frame-stream.ts';
import { Session } from '../../../src/mesh/session.ts';
import type { SessionEnd, SessionOwner } from '../../../src/mesh/session-parts.ts';
import { holds } from '../engine/boundary.ts';
import type { Boundary, Target, Verdict } from '../engine/boundary.ts';
import { protobufMutation } from '../engine/mutate-protobuf.ts';
import { both, handed, hlc, peerHello, sessionSeeds, streams } from './session-seeds.ts';
import { cards, World } from './world.ts';
import type { Cards } from './world.ts';

const words = (): readonly string[] => [handed, 'req_01J9Z6M3T4V8Q2X7K5B1C0D9EF', 'ses_01J9Z6M3T4V8Q2X7K5B1C0D9EF', hlc, 'uid:501', 'denied', 'continue', '@fabric@laptop#main', '@review@desktop#main'];

export const messages: Boundary = {
  name: 'messages',
  what: 'frames of a session between members: hello, forwards, tasks in pieces, receipts, events, questions, rosters',
  seeds: async () => {
    const given = await cards();
    const world = await World.open(given);
    const sent = await world.send();
    await world.close();
    return sessionSeeds(given, sent);
  },
  mutate: (() => {
    const [control, data] = [protobufMutation('beckon.v1.ControlRequest', words()), protobufMutation('beckon.v1.DataRequest', words())];
    return (input, dice, other) => {
      const stream = (input[0] ?? 0) % 4;
      const bytes = input.subarray(1);
      // Only what is of the same stream can be taken from another.
      const like = (other[0] ?? 0) % 4 === stream ? other.subarray(1) : bytes;
      if (stream !== streams.both) return Buffer.concat([Buffer.from([stream]), (stream === streams.data ? data : control)(bytes, dice, like)]);
      const [first, second] = split(bytes);
      const [one, two] = dice.chance(0.5) ? [control(first, dice, first), second] : [first, data(second, dice, second)];
      return both(Buffer.concat([Buffer.of(0), one.subarray(0, 60_000)]), Buffer.concat([Buffer.of(0), two]));
    };
  })(),
  renewEvery: 2_000,
  longest: 100_000,
  open: async () => {
    const target = new MessagesTarget(await cards());
    await target.renew();
    return target;
  },
};

function split(bytes: Uint8Array): readonly [Uint8Array, Uint8Array] {
  const length = ((bytes[0] ?? 0) << 8) | (bytes[1] ?? 0);
  return [bytes.subarray(2, 2 + length), bytes.subarray(2 + length)];
}

/** One end of a call of raw messages; what this node says on it has to be readable. */
class Line extends Duplex {
  readonly #check: (message: Buffer) => void;

  constructor(check: (message: Buffer) => void) {
    super({ objectMode: true, read: () => undefined });
    this.#check = check;
  }

  override _write(message: Buffer, _encoding: string, done: (error?: Error | null) => void): void {
    this.#check(message);
    done();
  }
}

class MessagesTarget implements Target {
  readonly #cards: Cards;
  #world: World | undefined;
  #session: Session | undefined;
  #control: Line | undefined;
  #data: Line | undefined;
  #end: SessionEnd | undefined;
  /** Of messages, questions, and what one of these lists, that reached the core. */
  #delivered = 0;
  #wasUp = false;
  readonly #afterwards: (() => void)[] = [];

  constructor(given: Cards) {
    this.#cards = given;
  }

  state(): string {
    return this.#world?.state() ?? '';
  }

  async renew(): Promise<void> {
    await this.close();
    this.#world = await World.open(this.#cards);
    await this.#world.send();
  }

  async close(): Promise<void> {
    this.#session?.cut('a new world');
    this.#session = undefined;
    await this.#world?.close();
    this.#world = undefined;
    this.#afterwards.length = 0;
  }

  /** A session is up before each input. */
  async settle(): Promise<void> {
    const world = this.#world;
    if (world === undefined) return;
    for (const work of this.#afterwards.splice(0)) work();
    if (this.#session === undefined || !this.#session.isUp) {
      this.#open(world);
      this.#control?.push(ControlRequest.encode({ frames: [{ frame: peerHello() }] }).finish());
      await world.settled();
      const data = (this.#data = new Line((message) => void DataRequest.decode(message)));
      const session = this.#session;
      const stream = new FrameStream(data, () => session?.pullData(), { message: () => undefined, ended: () => undefined });
      session?.attachData(stream, []);
    }
    await world.settled(200);
    world.checked();
    world.refusals.length = 0;
    this.#delivered = 0;
    this.#end = undefined;
  }

  async run(input: Uint8Array): Promise<Verdict> {
    const world = this.#world;
    if (world === undefined) throw new Error('it was closed');
    const stream = (input[0] ?? 0) % 4;
    const bytes = Buffer.from(input.subarray(1));
    if (stream === streams.hello) {
      this.#session?.cut('another one comes');
      this.#open(world);
      this.#wasUp = false;
      this.#end = undefined;
      this.#delivered = 0;
      world.refusals.length = 0;
    }
    if (stream === streams.both) {
      const [first, second] = split(bytes);
      this.#control?.push(first);
      this.#data?.push(second);
    } else if (stream === streams.data) this.#data?.push(bytes);
    else this.#control?.push(bytes);
    await world.settled();
    world.checked();
    const end = this.#end as SessionEnd | undefined;
    holds(end?.saidBy !== 'here' || end.farewell === 'protocol' || end.farewell === 'incompatible', 'a session that can not be read ends with a reason');
    if (stream === streams.hello) return this.#wasUp ? 'accepted' : 'refused';
    if (end?.saidBy === 'here' && this.#delivered === 0) return 'refused';
    // Of several in one input some may have been taken; of what has parts, some parts.
    return world.refusals.some((each) => /was not taken|^no: /.test(each)) && this.#delivered <= 1 ? 'refused' : 'accepted';
  }

  #open(world: World): void {
    const control = (this.#control = new Line((message) => void ControlRequest.decode(message)));
    const { broker, links, peer, clock, log } = world;
    const owner: SessionOwner = {
      admit: () => undefined,
      up: (session) => {
        this.#wasUp = true;
        links.set(peer.nodeId, session);
        broker.links.onUp(session);
      },
      holds: () => false,
      message: (session, message) => {
        this.#delivered += Math.max(1, ...Object.values(message).map((value: unknown) => (Array.isArray(value) ? value.length : 1)));
        return world.track(broker.links.onMessage(session, message));
      },
      query: (session, query) => {
        this.#delivered += 1;
        if (query.type === 'reach' || query.type === 'dial_back') return Promise.reject(unavailable('no network here'));
        return world.track(
          broker.links.onQuery(session, query).catch((error: unknown) => {
            if (error instanceof BrokerError && error.code !== 'internal') world.refusals.push(`no: ${error.message}`);
            throw error;
          }),
        );
      },
      introduce: () => undefined,
      dialRequest: () => undefined,
      down: (session, end) => {
        this.#end ??= end;
        if (links.get(peer.nodeId) !== session) return;
        links.delete(peer.nodeId);
        // That a link is gone is written down, whatever was the reason: after it was seen what the input alone did.
        if (end.wasUp) this.#afterwards.push(() => broker.links.onDown(session, end.why));
      },
    };
    this.#session = new Session({
      peer, path: 'inbound', address: '100.64.0.10:7423', control, hangUp: () => undefined, ownName: 'laptop', clock, log, owner, taskRoom: new TaskRoom(), onOverLimit: () => undefined,
      own: { epoch: 5, previousEpoch: 4, seenEpochs: () => [3], bootNonce: new Uint8Array(16).fill(2), version: '1.0.0', addresses: () => [], hlc: () => hlc },
      digests: broker.links,
    });
  }
}
