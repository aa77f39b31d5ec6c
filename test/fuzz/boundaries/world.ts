/** The core of a node, whole and in this process: real use cases, the SQL of its store in memory, real keys and certificates; what it is told comes from a member. */
import { createHash } from 'node:crypto';
import { setImmediate as nextTurn, setTimeout as pause } from 'node:timers/promises';
import type { MeshMembership } from '../../../src/app/membership.ts';
import { rootsOf } from '../../../src/app/node-self.ts';
import { createRecordSeal } from '../../../src/app/record-seal.ts';
import { authorityPorts } from '../../../src/app/roots.ts';
import { CountedMembers } from '../../../src/app/counted-members.ts';
import { Standing } from '../../../src/app/standing.ts';
import { systemDigest } from '../../../src/app/system-digest.ts';
import { flightTraces } from '../../../src/app/telemetry.ts';
import { Broker } from '../../../src/broker/broker.ts';
import { Chronicler } from '../../../src/broker/chronicler.ts';
import { BrokerError, unavailable } from '../../../src/domain/errors.ts';
import { noGossip } from '../../../src/domain/gossip-port.ts';
import type { Harness } from '../../../src/domain/harness-port.ts';
import { base32 } from '../../../src/domain/base32.ts';
import type { InvocationId, MeshId, NodeId, Ulid } from '../../../src/domain/ids.ts';
import type { Link, Mesh } from '../../../src/domain/mesh-port.ts';
import type { Clock, Log } from '../../../src/domain/ports.ts';
import type { Store } from '../../../src/domain/store-port.ts';
import type { CertificateChain, PeerIdentity } from '../../../src/domain/trust.ts';
import type { Connection, Statement } from '../../../src/store/connection.ts';
import { lifeOf, meshIdOf, parseLeaf, readCertificate, recogniseChain, verifyChain } from '../../../src/trust/certificate.ts';
import { createFlightTokens } from '../../../src/trust/flight-tokens.ts';
import { createRevocationSeal } from '../../../src/trust/revocation.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { memoryDatabase } from '../../support/memory-store.ts';
import { noProjects } from '../../support/no-projects.ts';
import { noCheckouts, noWorktrees } from '../../support/no-worktrees.ts';
import { storeInMemory } from './store-in-memory.ts';
import { toldByPeer } from './peer-words.ts';
import { Broken } from '../engine/boundary.ts';
import { meshOf, nodeKey, nowMs, who } from './mesh-keys.ts';
import type { FuzzMesh } from './mesh-keys.ts';

const never = (): Promise<never> => Promise.reject(unavailable('not in this world'));
const version = '0.0.0-fuzz';
/** Of answers to answers, before what was set off is over. */
const mostTurns = 100;

export interface Cards {
  readonly mesh: FuzzMesh;
  readonly meshId: MeshId;
  readonly chains: Readonly<Record<keyof typeof who, CertificateChain>>;
}

let made: Promise<Cards> | undefined;

/** The same each time: certificates have numbers by chance. */
export function cards(): Promise<Cards> {
  return (made ??= issued());
}

async function issued(): Promise<Cards> {
  const mesh = await meshOf(1);
  const chain = (number: number, name: string, owner: string): Promise<CertificateChain> => mesh.chainOf(number, name, { owner });
  return {
    mesh,
    meshId: meshIdOf(readCertificate(mesh.root)),
    chains: { self: await chain(who.self, 'laptop', 'ada'), peer: await chain(who.peer, 'desktop', 'ada'), other: await chain(who.other, 'studio', 'ada'), stranger: await chain(who.stranger, 'tower', 'bob') },
  };
}

export class World {
  readonly clock = new FakeClock(nowMs);
  readonly nodeId: NodeId = nodeKey(who.self).nodeId;
  readonly peer: PeerIdentity;
  readonly broker: Broker;
  readonly store: Store;
  readonly chronicler: Chronicler;
  /** What it logged of what it did not take. */
  readonly refusals: string[] = [];
  /** What it logged as its own fault. */
  readonly faults: unknown[] = [];
  readonly links = new Map<NodeId, Link>();
  readonly log: Log;
  readonly cards: Cards;
  readonly #db: Connection;
  readonly #changes: Statement<[], { readonly changes: number }>;
  #pending = 0;
  #seen = { changes: -1, content: '' };

  private constructor(given: Cards) {
    this.cards = given;
    this.peer = parseLeaf(given.chains.peer.leaf);
    this.#db = memoryDatabase();
    this.#changes = this.#db.prepare('SELECT total_changes() AS changes');
    this.log = {
      debug: (fields, message) => void ('why' in fields && this.refusals.push(message)),
      info: () => undefined,
      warn: (fields, message) => {
        this.refusals.push(message);
        if (fields.code === 'internal') this.faults.push(fields.err ?? message);
      },
      // What is told a person, as that a store was put back, is no fault.
      error: (fields) => void (fields.err !== undefined && this.faults.push(fields.err)),
    };
    const chronicler = new Chronicler(this.clock);
    this.store = storeInMemory(this.#db, this.nodeId, (error, cause) => {
      if (error.code === 'internal') this.faults.push(Object.assign(new Error(error.message), { stack: cause }));
    });
    this.chronicler = chronicler;
    this.broker = this.#make();
  }

  static async open(given: Cards): Promise<World> {
    const world = new World(given);
    const { store, chronicler, nodeId } = world;
    await store.write.boot({ stamp: chronicler.stamp(), nodeId, version });
    const { mesh, meshId, chains } = given;
    const members = (['peer', 'other', 'stranger'] as const).map((name) => {
      const { nodeId: id, name: called, owner, notBeforeMs } = parseLeaf(chains[name].leaf);
      return { nodeId: id, name: called, owner, chain: chains[name], notBeforeMs, addresses: [] };
    });
    await store.write.saveMembership({ stamp: chronicler.stamp(), membership: { meshId, meshName: 'home', name: 'laptop', owner: 'ada', rootDer: mesh.root, chain: chains.self, isIssuer: false }, members, what: 'mesh.joined' });
    await world.broker.start();
    await world.broker.addAgent({ name: 'fabric', workspace: 'main', harness: 'command', cwd: '/', permissions: 'ask', isolate: false, isDefault: true, env: [], labels: {}, capabilities: [], visibility: 'mesh', argv: ['true'], path: '/bin', description: '' });
    await world.settled();
    return world;
  }

  /** An invocation of an agent of the member, that was sent to it as far as the store knows. The same id in each world. */
  async send(): Promise<InvocationId> {
    for (const news of toldByPeer(this.cards)) await this.broker.registry.gossiped(news, this.peer.nodeId);
    const { flight } = await this.track(this.broker.invoke({ caller: { id: 'uid:501' }, selector: { address: '@review@desktop#main', any: false, all: false, anyOwner: false, capabilities: [], labels: {}, cwd: '/' }, task: { text: Buffer.from('look at it'), files: [] }, session: { mode: 'new' }, noHold: false, rerunnable: false }));
    await this.settled();
    return flight.invocationId;
  }

  async close(): Promise<void> {
    await this.broker.stop();
    this.#db.close();
  }

  /** What is under way counts until it is over. */
  track<Value>(work: Promise<Value>): Promise<Value> {
    this.#pending += 1;
    return work.finally(() => (this.#pending -= 1));
  }

  /** A moment passes, and what was set off by it or before it is over. */
  async settled(ms = 0): Promise<void> {
    await this.clock.advance(ms);
    for (let turns = 1; this.#pending > 0; turns += 1) {
      // Keys are made, and used, on threads of their own.
      await (turns < mostTurns ? nextTurn() : pause(1));
      if (turns > 2 * mostTurns && turns % 20 === 0) await this.clock.advance(5_000);
      if (turns > 10 * mostTurns) throw new Broken('what a message sets off comes to an end');
    }
    await nextTurn();
    await nextTurn();
  }

  /** Nothing that this node can sign is news any more: it is no member, or its head says that there will be no newer one. */
  hasLost(nodeId: NodeId): boolean {
    const { read } = this.store;
    return read.member(nodeId)?.left !== undefined || read.revocation(nodeId) !== undefined || (read.registryHead(nodeId)?.head.epoch ?? 0) > 1_000;
  }

  /** What is stored, and what is known of the registry. */
  state(): string {
    // What was undone counts as a change: only then the content is looked at.
    const changes = this.#changes.get()?.changes ?? 0;
    if (changes !== this.#seen.changes) this.#seen = { changes, content: createHash('sha256').update(this.#db.serialize()).digest('hex') };
    return `content ${this.#seen.content}, registry ${this.broker.registry.state.digest.root}`;
  }

  /** @throws the first of its own faults */
  checked(): void {
    const [fault] = this.faults.splice(0);
    if (fault !== undefined) throw fault instanceof BrokerError && fault.cause instanceof Error ? fault.cause : fault;
  }

  #make(): Broker {
    const { store, nodeId, chronicler, clock, log, links, cards: { meshId } } = this;
    const now: Clock = clock;
    const meshPort: Mesh = { link: (id) => links.get(id), links: () => [...links.values()], peers: () => [], clones: () => [], heardOf: () => undefined, onPeer: () => () => undefined, want: () => Promise.resolve(undefined), dialNow: () => Promise.resolve(undefined) };
    const harness: Harness = { name: 'command', keepsSessions: false, check: () => Promise.resolve({ available: true }), start: (request) => ({ request, ended: Promise.resolve({ exitCode: 0 }), stop: () => Promise.resolve(0) }) as unknown as ReturnType<Harness['start']> };
    const key = nodeKey(who.self);
    let count = 0;
    const ulids = { next: (): Ulid => (base32(nowMs, 10) + base32((count += 1), 16)) as Ulid };
    const standing = new Standing(store);
    const counted = new CountedMembers(store, standing);
    return new Broker({
      self: { nodeId, epoch: 5, previousEpoch: 0, version, name: () => 'laptop', owner: () => 'ada', certifiedAtMs: () => parseLeaf(this.cards.chains.self.leaf).notBeforeMs, namedSinceMs: () => 0, mesh: () => ({ id: meshId, name: 'home' }) },
      audit: { record: () => Promise.resolve(), refused: () => undefined },
      store, chronicler, clock: now, log, ulids,
      mesh: () => meshPort, gossip: () => noGossip, gossipAddresses: () => [],
      harnesses: new Map([['command', harness]]), orphans: { sweep: () => Promise.resolve(new Map()) },
      worktrees: noWorktrees, checkouts: noCheckouts, projects: noProjects,
      flightTokens: createFlightTokens(new Uint8Array(32).fill(5)), home: '/',
      seal: createRecordSeal(key, () => meshId),
      probe: { directory: (path) => Promise.resolve(path), branch: () => Promise.resolve(undefined) },
      random: () => 0.5, digest: systemDigest, traces: flightTraces(nodeId, undefined),
      meshUseCases: { createMesh: never, createInvite: never, joinMesh: never }, recovery: { exportRecovery: never, importRecovery: never }, authority: { as: () => ({ removeIssuer: never, roots: never, renewRoot: never, retireRoot: never }) },
      ...authorityPorts({ store, membership: { cease: () => Promise.resolve(), load: () => Promise.resolve(undefined) } as unknown as MeshMembership, standing, clock: now, network: () => ({ setIdentity: () => undefined, mesh: { sessions: () => [] } }) }),
      certificateEnd: (leaf) => lifeOf(leaf).notAfterMs,
      verify: (chain) => standing.member(verifyChain(chain, rootsOf(store), clock.now())),
      counts: (member) => counted.counts(member),
      recognise: (chain) => standing.member(recogniseChain(chain, rootsOf(store), clock.now())),
      readLeaf: parseLeaf, lifeOf,
      ownAddresses: () => ['100.64.0.20:7423'], tailnetUser: () => undefined, issuerProof: () => undefined, isIssuer: () => false,
      certify: () => Promise.resolve(undefined), renewAtEntrance: never, holdsRootKey: () => Promise.resolve(false), certifyIssuer: never, offerIssuerKey: never, isOffered: () => false, becomeIssuer: never, isOfKey: () => false,
      onRenewed: () => Promise.resolve(), onRenamed: () => Promise.resolve(), lossesOfKeys: () => Promise.resolve([]), onLeft: () => Promise.resolve(), onSelfRemoved: () => Promise.resolve(), renewKey: () => Promise.resolve(), isKeyRefused: () => false,
      revocations: createRevocationSeal({ issuer: () => undefined, roots: () => rootsOf(store), clock: now }),
      onMembers: () => undefined, pid: 1, notifier: { unable: undefined, notify: () => Promise.resolve(undefined) }, onShutdown: () => undefined,
    });
  }
}
