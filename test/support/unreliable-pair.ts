/**
 * Two cores with real stores and, between them, sessions that a test takes in hand: each message is delivered, kept
 * back, delivered twice, delivered late over a session that is gone, or lost with it. Either node can die at any time.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { noGossip } from '../../src/domain/gossip-port.ts';
import { createRecordSeal } from '../../src/app/record-seal.ts';
import { systemDigest } from '../../src/app/system-digest.ts';
import { flightTraces } from '../../src/app/telemetry.ts';
import { createSystemUlids } from '../../src/app/system-ulids.ts';
import { Broker } from '../../src/broker/broker.ts';
import { Chronicler } from '../../src/broker/chronicler.ts';
import { internal, unavailable } from '../../src/domain/errors.ts';
import { asMeshId } from '../../src/domain/ids.ts';
import type { InvocationId } from '../../src/domain/ids.ts';
import type { Harness, Run, RunEnd, RunRequest, RunSink } from '../../src/domain/harness-port.ts';
import type { Link, Mesh } from '../../src/domain/mesh-port.ts';
import type { AnswerTo, PeerAnswer, PeerMessage, PeerQuery, RegistryQuery } from '../../src/domain/messages.ts';
import type { Answer } from '../../src/domain/request.ts';
import type { Store } from '../../src/domain/store-port.ts';
import type { PeerIdentity } from '../../src/domain/trust.ts';
import { openStore } from '../../src/store/open.ts';
import { createFlightTokens, flightTokenSecret } from '../../src/trust/flight-tokens.ts';
import { generateNodeKey } from '../../src/trust/node-key.ts';
import { specOf } from './asking.ts';
import { noProjects } from './no-projects.ts';
import { noCheckouts, noWorktrees } from './no-worktrees.ts';
import { PairClock } from './pair-clock.ts';
import { silentLog } from './temp-store.ts';

const meshId = asMeshId('redelivery');
const version = '0.0.0-test';
/** Of messages that answer messages, before something else gets its turn. */
const mostRounds = 200;
export const agentName = 'echo';

/** A run that prints and ends when it is told to. */
class HeldRun implements Run {
  readonly request: RunRequest;
  readonly ended: Promise<RunEnd>;
  readonly #sink: RunSink;
  #end: (end: RunEnd) => void = () => undefined;
  isOver = false;
  readonly answers: Answer[] = [];
  /** Gone with its node: nothing reaches it any more. */
  isDead = false;

  constructor(request: RunRequest, sink: RunSink) {
    this.request = request;
    this.#sink = sink;
    this.ended = new Promise((resolve) => {
      this.#end = (end) => {
        this.isOver = true;
        resolve(end);
      };
    });
  }

  async print(text: string): Promise<void> {
    if (!this.isOver) await this.#sink.output('stdout', new TextEncoder().encode(text));
  }

  /** Asks its people, and keeps what they said. */
  ask(): void {
    if (this.isOver) return;
    void this.#sink.ask({ reason: 'approval', prompt: 'may I?', choices: [], timeoutMs: 60_000 }).then((answer) => {
      if (!this.isDead) this.answers.push(answer);
    });
  }

  end(): void {
    this.#end({ exitCode: 0 });
  }

  stop(): Promise<number> {
    const count = this.isOver ? 0 : 1;
    this.#end({ signal: 'SIGTERM' });
    return Promise.resolve(count);
  }
}

/** One end of a session. */
class HandLink implements Link {
  readonly peer: PeerIdentity;
  readonly epoch: number;
  readonly previousEpoch = undefined;
  readonly seenEpochs = [];
  readonly boot: number;
  readonly out: PeerMessage[] = [];
  isUp = true;
  /** Still up, but nothing it sends arrives. */
  isCut = false;

  constructor(peer: PeerIdentity, epoch: number, boot: number) {
    this.peer = peer;
    this.epoch = epoch;
    this.boot = boot;
  }

  send(message: PeerMessage): void {
    if (this.isUp && !this.isCut) this.out.push(message);
  }

  sendEvents(message: PeerMessage): Promise<void> {
    this.send(message);
    return Promise.resolve();
  }

  /** Who is asked about the registry, at once and without loss; nobody answers anything else. */
  answer: ((query: RegistryQuery) => Promise<PeerAnswer>) | undefined;

  async ask<Q extends PeerQuery>(query: Q): Promise<AnswerTo<Q>> {
    if (!query.type.startsWith('registry_') || this.answer === undefined || this.isCut || !this.isUp) throw unavailable('nobody answers this here');
    return (await this.answer(query as RegistryQuery)) as AnswerTo<Q>;
  }
}

export class Machine {
  readonly name: string;
  readonly identity: PeerIdentity;
  /** What the agents did in the world: it outlives the node. */
  readonly effects: { readonly invocationId: InvocationId; readonly run: number; readonly answers: readonly Answer[] }[] = [];
  boot = 0;
  link: HandLink | undefined;
  /** It takes no new work, and starts nothing more, until it has died. */
  isDraining = false;
  readonly #key = generateNodeKey();
  readonly #path: string;
  readonly #clock: PairClock;
  #runs: HeldRun[] = [];
  #running: { readonly store: Store; readonly broker: Broker } | undefined;
  #peer: Machine | undefined;

  constructor(name: string, directory: string, clock: PairClock) {
    this.name = name;
    this.#path = join(directory, `${name}.db`);
    this.#clock = clock;
    this.identity = { meshId, nodeId: this.#key.nodeId, name, owner: 'ada', serial: '01', notBeforeMs: 0, notAfterMs: Number.MAX_SAFE_INTEGER, publicKey: this.#key.publicKey };
  }

  get broker(): Broker {
    return this.#node.broker;
  }

  get store(): Store {
    return this.#node.store;
  }

  get runs(): readonly HeldRun[] {
    return this.#runs.filter((each) => !each.isOver);
  }

  async start(peer: Machine): Promise<void> {
    this.#peer = peer;
    this.boot += 1;
    this.isDraining = false;
    const { nodeId } = this.identity;
    const store = await openStore({ path: this.#path, nodeId, log: silentLog });
    const clock = this.#clock;
    const chronicler = new Chronicler(clock, store.read.lastHlc());
    const { epoch, previousEpoch } = await store.write.boot({ stamp: chronicler.stamp(), nodeId, version });
    await store.write.saveMembers({ stamp: chronicler.stamp(), members: [memberOf(peer.identity)] });
    const broker: Broker = new Broker({
      self: { nodeId, epoch, previousEpoch, version, name: () => this.name, owner: () => 'ada', certifiedAtMs: () => 0, namedSinceMs: () => 0, mesh: () => ({ id: meshId, name: 'home' }) },
      store,
      mesh: () => this.#mesh(),
      gossip: () => noGossip,
      gossipAddresses: () => [],
      harnesses: new Map([['command', this.#harness(this.boot)]]),
      orphans: { sweep: () => Promise.resolve(new Map()) },
      worktrees: noWorktrees,
      checkouts: noCheckouts,
      projects: noProjects,
      flightTokens: createFlightTokens(flightTokenSecret(this.#key)),
      home: '/',
      seal: createRecordSeal(this.#key, () => meshId),
      probe: { directory: (path) => Promise.resolve(path), branch: () => Promise.resolve(undefined) },
      audit: { record: () => Promise.resolve(), refused: () => undefined },
      chronicler, clock,
      random: () => 0.5, log: silentLog,
      ulids: createSystemUlids(clock),
      digest: systemDigest, traces: flightTraces(nodeId, undefined),
      meshUseCases: { createMesh: never, createInvite: never, joinMesh: never },
      certificateEnd: () => Number.MAX_SAFE_INTEGER, verify: () => this.identity,
      ownAddresses: () => [],
      tailnetUser: () => undefined,
      issuerProof: () => undefined,
      isIssuer: () => false,
      counts: () => true, certify: () => Promise.resolve(undefined), recognise: () => this.identity, readLeaf: () => this.identity, renewAtEntrance: never, isForsaken: () => false, isFallen: () => false, isDisowned: () => false, mergeAuthorities: () => undefined, withdrawnIssuers: () => [], trustedRoots: () => [], issuesAs: () => undefined, onAuthorities: () => Promise.resolve(), authority: { as: () => ({ removeIssuer: never, roots: never, renewRoot: never, retireRoot: never }) }, holdsRootKey: never, certifyIssuer: never, offerIssuerKey: never, isOffered: () => false, becomeIssuer: never, lifeOf: () => ({ notBeforeMs: 0, notAfterMs: Number.MAX_SAFE_INTEGER }), isOfKey: () => false, recovery: { exportRecovery: never, importRecovery: never }, onRenewed: () => Promise.resolve(),
      onRenamed: () => Promise.resolve(),
      lossesOfKeys: () => Promise.resolve([]),
      onLeft: () => Promise.resolve(),
      onSelfRemoved: () => Promise.resolve(),
      renewKey: () => Promise.resolve(),
      isKeyRefused: () => false,
      revocations: { seal: () => undefined, open: () => { throw new Error('nobody is removed here'); }, isBy: () => false, nodeIn: () => { throw new Error('nobody is removed here'); }, isIssuer: () => false, keyOf: () => '', whoIs: () => '' },
      onMembers: () => undefined,
      pid: 1,
      notifier: { unable: undefined, notify: async () => undefined },
      onShutdown: () => undefined,
    });
    this.#running = { store, broker };
    await broker.start();
    if (this.boot > 1) return;
    await broker.addAgent(specOf({ name: agentName, workspace: 'main', harness: 'command', argv: ['true'] }));
  }

  /** As `down` does before the node ends. */
  drain(): void {
    this.isDraining = true;
    void this.broker.drain();
  }

  /** What is committed stays; all else is gone, and nobody is told. */
  async die(): Promise<void> {
    const { store } = this.#node;
    for (const run of this.#runs) run.isDead = true;
    this.#runs = [];
    if (this.link !== undefined) this.link.isUp = false;
    this.link = undefined;
    this.boot += 1;
    await store.close();
    this.#running = undefined;
  }

  async stop(): Promise<void> {
    const running = this.#running;
    this.#running = undefined;
    await running?.broker.stop();
    await running?.store.close();
  }

  get #node(): { readonly store: Store; readonly broker: Broker } {
    if (this.#running === undefined) throw new Error(`${this.name} does not run`);
    return this.#running;
  }

  #mesh(): Mesh {
    return {
      link: (nodeId) => (nodeId === this.#peer?.identity.nodeId ? this.link : undefined),
      links: () => (this.link === undefined ? [] : [this.link]),
      peers: () => [],
      ...{ clones: () => [], heardOf: () => undefined },
      onPeer: () => () => undefined,
      want: () => Promise.resolve(this.link),
      dialNow: () => Promise.resolve(this.link),
    };
  }

  #harness(boot: number): Harness {
    return {
      name: 'command',
      keepsSessions: false,
      check: () => Promise.resolve({ available: true }),
      start: (request, sink) => {
        const run = new HeldRun(request, sink);
        if (boot !== this.boot) return run;
        this.effects.push({ invocationId: request.invocationId, run: request.run, answers: run.answers });
        this.#runs.push(run);
        return run;
      },
    };
  }
}

interface Late {
  readonly to: Machine;
  readonly link: HandLink;
  readonly boot: number;
  readonly message: PeerMessage;
}

export class UnreliablePair implements AsyncDisposable {
  readonly clock = new PairClock();
  readonly left: Machine;
  readonly right: Machine;
  readonly #directory = mkdtempSync(join(tmpdir(), 'beckon-pair-'));
  /** Delivered already, or held up on a session that has ended. */
  readonly #late: Late[] = [];

  constructor() {
    this.left = new Machine('left', this.#directory, this.clock);
    this.right = new Machine('right', this.#directory, this.clock);
  }

  async start(): Promise<this> {
    await this.left.start(this.right);
    await this.right.start(this.left);
    return this;
  }

  other(machine: Machine): Machine {
    return machine === this.left ? this.right : this.left;
  }

  /** A new session; it takes the place of one that is still there. */
  connect(): void {
    const olds = [this.left, this.right].map((machine) => ({ machine, old: machine.link }));
    for (const { machine, old } of olds) {
      machine.link = new HandLink(this.other(machine).identity, this.other(machine).boot, machine.boot);
      if (old !== undefined) {
        old.isUp = false;
        machine.broker.links.onDown(old, 'replaced');
      }
    }
    for (const { machine } of olds) {
      const [far, back] = [this.other(machine), this.other(machine).link];
      if (machine.link !== undefined && back !== undefined) machine.link.answer = (query) => far.broker.links.onQuery(back, query);
    }
    for (const { machine } of olds) if (machine.link !== undefined) machine.broker.links.onUp(machine.link);
  }

  /** What is on its way is held up from now on, and neither side knows yet. */
  cut(): void {
    for (const machine of [this.left, this.right]) {
      const { link } = machine;
      if (link === undefined) continue;
      link.isCut = true;
      this.#holdUp(machine, link);
    }
  }

  /** What was held up never arrives. */
  loseLate(): void {
    this.#late.length = 0;
  }

  /** One side finds that its session is gone. */
  notice(machine: Machine): void {
    const { link } = machine;
    if (link === undefined) return;
    this.#holdUp(machine, link);
    link.isUp = false;
    machine.link = undefined;
    const far = this.other(machine).link;
    if (far !== undefined) far.isCut = true;
    machine.broker.links.onDown(link, 'lost');
  }

  /** Delivers the oldest messages that this machine has sent, each once, twice, or once more at some later time. */
  async deliver(from: Machine, count: number, again: 'no' | 'at once' | 'later' = 'no'): Promise<number> {
    const to = this.other(from);
    const arrived = from.link?.out.splice(0, count) ?? [];
    for (const message of arrived) {
      const { link } = to;
      if (link === undefined) continue;
      void to.broker.links.onMessage(link, message);
      if (again === 'at once') void to.broker.links.onMessage(link, message);
      if (again === 'later') this.#late.push({ to, link, boot: to.boot, message });
    }
    await nextTurn();
    return arrived.length;
  }

  /** Delivers one that was held up or kept, in whatever order, to a receiver that has not died since. */
  deliverLate(which: number): void {
    const late = this.#late.splice(which % Math.max(1, this.#late.length), 1)[0];
    if (late !== undefined && late.boot === late.to.boot) void late.to.broker.links.onMessage(late.link, late.message);
  }

  async die(machine: Machine): Promise<void> {
    const far = this.other(machine).link;
    if (far !== undefined) far.isCut = true;
    await machine.die();
    await machine.start(this.other(machine));
  }

  /** Everything gets through, what is late too, and every agent comes to its end. */
  async peace(): Promise<void> {
    while (this.#late.length > 0) this.deliverLate(0);
    for (const machine of [this.left, this.right]) {
      for (const run of machine.runs) run.end();
      for (let rounds = 0; rounds < mostRounds && (await this.deliver(machine, 100)) > 0; rounds += 1) await nextTurn();
    }
    await nextTurn();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const machine of [this.left, this.right]) await machine.stop();
    rmSync(this.#directory, { recursive: true, force: true });
  }

  #holdUp(from: Machine, link: HandLink): void {
    const to = this.other(from);
    for (const message of link.out.splice(0)) if (to.link !== undefined) this.#late.push({ to, link: to.link, boot: to.boot, message });
  }
}

function memberOf(identity: PeerIdentity) {
  const { nodeId, name, owner, notBeforeMs } = identity;
  return { nodeId, name, owner, notBeforeMs, chain: { leaf: new Uint8Array(), issuer: new Uint8Array() }, addresses: [] };
}

function never(): Promise<never> {
  return Promise.reject(internal('a mesh is not made here'));
}
