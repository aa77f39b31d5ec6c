/** Calls to the control socket, over a real socket, of a client that writes any bytes as its messages; behind it the whole core. */
import { credentials, makeGenericClientConstructor, Metadata } from '@grpc/grpc-js';
import type { Client } from '@grpc/grpc-js';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { ControlServer } from '../../../src/control/server.ts';
import { ControlServiceService } from '../../../src/gen/beckon/v1/control.ts';
import { AttachedHarness } from '../../../src/harness/attached/harness.ts';
import { FakeHealth } from '../../support/fake-health.ts';
import { holds } from '../engine/boundary.ts';
import type { Boundary, Mutate, Target, Verdict } from '../engine/boundary.ts';
import { protobufMutation } from '../engine/mutate-protobuf.ts';
import { scratch } from './places.ts';
import { cards, World } from './world.ts';
import type { Cards } from './world.ts';

/** By their place in the service: the first byte of an input. */
const methods = Object.values(ControlServiceService).toSorted((a, b) => (a.path < b.path ? -1 : 1));
const mostTurns = 60;
const same = (bytes: Buffer): Buffer => bytes;
/** What a call may be ended with. `internal`, and what the library says of a message that it can't read, is 13. */
const refusals: ReadonlySet<number> = new Set([1, 3, 4, 5, 6, 7, 8, 9, 10, 14, 16]);
const words = ['fabric', '@fabric@laptop#main', '@review@desktop#main', 'desktop', 'last', '30s', 'inv_', 'uid:501', '/', '.', 'person:bob', 'tag:x', 'command', 'ZmxpZ2h0czo', '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'];

/** The name of the message that a method takes: that of the method, or of what it does. */
function requestOf(path: string): Mutate | undefined {
  const name = path.slice(path.lastIndexOf('/') + 1);
  for (const candidate of [`beckon.v1.${name}Request`]) {
    try {
      return protobufMutation(candidate, words);
    } catch {
      return undefined;
    }
  }
  return undefined;
}

const mutations = methods.map(({ path }) => requestOf(path));

export const control: Boundary = {
  name: 'control',
  what: 'calls to the control socket, by any method, with any bytes as messages',
  seeds: () => Object.fromEntries(methods.map(({ path }, index) => {
    // Made from nothing, as the schema has it: the first steps fill it.
    return [path, Buffer.from([index])] as const;
  })),
  words,
  mutate: (input, dice, other) => {
    const index = dice.chance(0.1) ? dice.between(0, methods.length - 1) : (input[0] ?? 0) % methods.length;
    const like = (other[0] ?? 0) % methods.length === index ? other.subarray(1) : input.subarray(1);
    return Buffer.concat([Buffer.from([index]), mutations[index]?.(input.subarray(1), dice, like) ?? input.subarray(1)]);
  },
  renewEvery: 2_000,
  longest: 32 * 1024,
  open: async () => {
    const target = new ControlTarget(await cards());
    await target.renew();
    return target;
  },
};

class ControlTarget implements Target {
  readonly #cards: Cards;
  readonly #place = scratch();
  #world: World | undefined;
  #server: ControlServer | undefined;
  #client: Client | undefined;

  constructor(given: Cards) {
    this.#cards = given;
  }

  async renew(): Promise<void> {
    await this.#end();
    const world = (this.#world = await World.open(this.#cards));
    await world.send();
    const { broker, clock, log } = world;
    const socketPath = join(this.#place.path, 'run', 'control.sock');
    this.#server = new ControlServer({ api: broker, served: new AttachedHarness({ clock, onServersChanged: () => Promise.resolve() }), socketPath, uid: process.getuid?.() ?? 0, clock, log, config: () => Promise.resolve({ path: '/c', exists: false, settings: [], flaws: [] }), health: new FakeHealth() });
    await this.#server.start();
    const RawClient = makeGenericClientConstructor({}, 'beckon.v1.ControlService');
    this.#client = new RawClient(`unix:${socketPath}`, credentials.createInsecure(), { 'grpc.use_local_subchannel_pool': 1 });
  }

  async close(): Promise<void> {
    await this.#end();
    this.#place.close();
  }

  state(): string {
    return this.#world?.state() ?? '';
  }

  async settle(): Promise<void> {
    await this.#world?.settled(100);
  }

  async run(input: Uint8Array): Promise<Verdict> {
    const [world, client, method] = [this.#world, this.#client, methods[(input[0] ?? 0) % methods.length]];
    if (world === undefined || client === undefined || method === undefined) throw new Error('it was closed');
    const call = client.makeBidiStreamRequest<Buffer, Buffer>(method.path, same, same, new Metadata());
    let status: number | undefined;
    let answers = 0;
    call.on('data', () => void (answers += 1));
    call.on('error', () => undefined);
    call.on('status', ({ code }: { readonly code: number }) => void (status = code));
    call.write(Buffer.from(input.subarray(1)));
    call.end();
    for (let turn = 0; status === undefined && turn < mostTurns; turn += 1) {
      await nextTurn();
      // What waits for time is not waited for.
      if (turn > 20 && turn % 4 === 0) await world.clock.advance(2_000);
    }
    if (status === undefined) call.cancel();
    await world.settled();
    world.checked();
    // 13: a message that is none, which the library answers itself.
    holds(status === undefined || status === 0 || status === 12 || status === 13 || refusals.has(status), 'a call ends by a status that is documented');
    return status === 0 || status === undefined || answers > 0 ? 'accepted' : 'refused';
  }

  async #end(): Promise<void> {
    this.#client?.close();
    const stopped = this.#server?.stop();
    // Its grace is by the clock of that world.
    for (let turn = 0; turn < 5; turn += 1) await this.#world?.clock.advance(3_000);
    await stopped;
    await this.#world?.close();
    this.#world = undefined;
  }
}
