/**
 * Nodes of one mesh with real registries, real signatures and real SQL (in memory), on a network that a test takes in hand:
 * each message, question, answer and piece of gossip is delivered, late, twice or never, over links that come and go.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { createRecordSeal } from '../../src/app/record-seal.ts';
import { systemDigest } from '../../src/app/system-digest.ts';
import { Chronicler } from '../../src/broker/chronicler.ts';
import { Registry } from '../../src/broker/registry.ts';
import { Roster } from '../../src/broker/roster.ts';
import { BrokerError, unavailable } from '../../src/domain/errors.ts';
import type { GossipNews } from '../../src/domain/gossip-port.ts';
import type { MeshId, NodeId } from '../../src/domain/ids.ts';
import type { AnswerTo, ControlMessage, Forward, PeerAnswer, PeerQuery, RegistryAnswer, RegistryQuery } from '../../src/domain/messages.ts';
import type { Link, Mesh } from '../../src/domain/mesh-port.ts';
import type { Clock, Log, RecordSeal } from '../../src/domain/ports.ts';
import type { Registration } from '../../src/domain/registration.ts';
import type { Member, Store } from '../../src/domain/store-port.ts';
import type { CertificateChain, PeerIdentity } from '../../src/domain/trust.ts';
import { Answer, ControlFrame, Query } from '../../src/gen/beckon/v1/mesh.ts';
import { decodeControl, encodeControl } from '../../src/mesh/control-frames.ts';
import type { MessageFrame } from '../../src/mesh/control-frames.ts';
import { decodeAnswer, decodeQuery, encodeAnswer, encodeQuery } from '../../src/mesh/queries.ts';
import { decodeGossip, encodeGossip } from '../../src/rpc/registry.ts';
import type { Connection } from '../../src/store/connection.ts';
import type { NodeKey } from '../../src/trust/node-key.ts';
import { FakeClock } from './fake-clock.ts';
import { memoryDatabase, storeOver } from './memory-store.ts';
import { chainOf, home, keyFor, verify } from './registry-identities.ts';
import { silentLog, utf8 } from './temp-store.ts';

const heartbeatMs = 3_000;

/** One end of a session. */
class MemoryLink implements Link {
  readonly epoch = 1;
  readonly previousEpoch = undefined;
  readonly seenEpochs = [];
  isUp = true;
  readonly peer: PeerIdentity;
  readonly #open = new Set<(error: Error) => void>();
  readonly #net: RegistryMesh;
  readonly #from: RegistryNode;
  readonly #to: RegistryNode;

  constructor(net: RegistryMesh, from: RegistryNode, to: RegistryNode) {
    this.#net = net;
    this.#from = from;
    this.#to = to;
    this.peer = verify(chainOf({ nodeId: to.nodeId, name: to.name }));
  }

  send(message: ControlMessage): void {
    if (!this.isUp) return;
    const frame = ControlFrame.encode({ frame: encodeControl(message as Exclude<ControlMessage, Forward>) }).finish();
    this.#net.post({
      from: this.#from,
      to: this.#to,
      bytes: frame.length,
      deliver: () => this.#to.received(this.#from, decodeControl(ControlFrame.decode(frame).frame as Exclude<MessageFrame, { $case: 'forward' }>)),
    });
  }

  down(): void {
    this.isUp = false;
    for (const reject of this.#open) reject(unavailable('the link went down'));
  }

  sendEvents(): Promise<void> {
    return Promise.resolve();
  }

  ask<Q extends PeerQuery>(query: Q, timeoutMs: number): Promise<AnswerTo<Q>> {
    if (!this.isUp) return Promise.reject(unavailable('the link is down'));
    const asked = Query.encode({ number: 1, query: encodeQuery(query) }).finish();
    return new Promise((resolve, reject) => {
      const cancel = this.#net.clock.setTimer(timeoutMs, () => reject(new BrokerError('deadline', 'no answer')));
      this.#open.add(reject);
      const back = (deliver: () => void, bytes: number): void => this.#net.post({ from: this.#to, to: this.#from, bytes, deliver: () => (cancel(), deliver()) });
      this.#net.post({
        from: this.#from,
        to: this.#to,
        bytes: asked.length,
        deliver: async () => {
          try {
            const answer = await this.#to.asked(this.#from, decodeQuery(Query.decode(asked).query) as RegistryQuery);
            const given = Answer.encode({ number: 1, answer: encodeAnswer(answer), error: undefined }).finish();
            back(() => resolve(decodeAnswer(Answer.decode(given).answer) as AnswerTo<Q>), given.length);
          } catch (error) {
            back(() => reject(error as Error), 50);
          }
        },
      });
    });
  }
}

export class RegistryNode {
  readonly key: NodeKey;
  readonly name: string;
  readonly nodeId: NodeId;
  readonly seal: RecordSeal;
  readonly links = new Map<NodeId, MemoryLink>();
  readonly logged: string[] = [];
  /** Whether gossip reaches it. */
  gossips = false;
  addresses: readonly string[];
  meshId: MeshId = home;
  /** In place of the registry's own answers: of a peer that lies. */
  lie: ((query: RegistryQuery) => RegistryAnswer | undefined) | undefined;
  /** Writes that its store does not take. */
  readonly failing = new Set<string>();
  registry!: Registry;
  roster!: Roster;
  store!: Store;
  #db: Connection;
  #epoch = 0;
  readonly #net: RegistryMesh;

  constructor(net: RegistryMesh, number: number) {
    this.#net = net;
    this.key = keyFor(number);
    this.name = `n${number}`;
    this.nodeId = this.key.nodeId;
    this.addresses = [`10.0.0.${number}:1`];
    this.seal = createRecordSeal(this.key, () => this.meshId);
    this.#db = memoryDatabase();
  }

  get chain(): CertificateChain {
    return chainOf({ nodeId: this.nodeId, name: this.name });
  }

  get member(): Member {
    return { nodeId: this.nodeId, name: this.name, owner: 'ada', chain: this.chain, notBeforeMs: 1, addresses: [] };
  }

  async enter(others: readonly RegistryNode[]): Promise<void> {
    const { clock } = this.#net;
    const store = storeOver(this.#db, this.nodeId);
    const membership = { meshId: this.meshId, meshName: 'home', name: this.name, owner: 'ada', rootDer: utf8('root'), chain: this.chain, isIssuer: false };
    await store.write.saveMembership({ stamp: new Chronicler(clock).stamp(), membership, members: others.map((each) => each.member), what: 'mesh.joined' });
  }

  async boot(): Promise<void> {
    const net = this.#net;
    const { clock } = net;
    this.store = storeOver(this.#db, this.nodeId, this.failing);
    const { store, nodeId, name, seal } = this;
    const chronicler = new Chronicler(clock);
    const { epoch } = await store.write.boot({ stamp: chronicler.stamp(), nodeId, version: '1' });
    this.#epoch = epoch;
    const log: Log = { ...silentLog, warn: (fields, message) => void this.logged.push(`${message} ${JSON.stringify(fields)}`), error: (fields, message) => void this.logged.push(`${message} ${String(fields['err'])}`) };
    const self = { nodeId, epoch: this.#epoch, previousEpoch: 0, version: '1', name: () => name, owner: () => 'ada', certifiedAtMs: () => 1, namedSinceMs: () => 1, mesh: () => ({ id: this.meshId, name: 'home' }) };
    const mesh: Mesh = { link: (id) => this.links.get(id), links: () => [...this.links.values()], peers: () => [], onPeer: () => () => undefined, dialNow: () => Promise.resolve(undefined), want: () => Promise.resolve(undefined), heardOf: () => undefined, clones: () => [] };
    const onMembers = (members: readonly Member[]): void => this.registry.membersChanged(members);
    const shared = { store, self, seal, chronicler, mesh: () => mesh, clock: clock as Clock, log, ownAddresses: () => this.addresses, onMembers };
    this.registry = new Registry({
      ...shared,
      digest: systemDigest,
      random: () => net.random(),
      gossip: () => ({ publish: (news) => net.gossip(this, news), neighbours: () => new Set(net.neighbours(this).map((each) => each.nodeId)) }),
      roster: () => this.roster,
    });
    const { state, spread } = this.registry;
    this.roster = new Roster({ ...shared, state, spread, revocations: undefined, recognise: verify, isFallen: () => false, onOwnChain: () => Promise.resolve(), onLeft: () => Promise.resolve(), issuerProof: () => undefined, isIssuer: () => false, authorities: () => ({ linkUp: () => undefined, heard: () => Promise.resolve() }) });
    await this.registry.start();
  }

  async add(agent: string, description = ''): Promise<void> {
    const address = `@${agent}@${this.name}#main`;
    await this.remove(agent);
    const registration: Registration = { address, nodeId: this.nodeId, harness: 'command', capabilities: [], labels: {}, visibility: 'mesh', description, isDefault: false, available: true };
    const endpoint = { agentId: `agt_${agent}` as never, address, harness: 'command', cwd: '/', argv: [], env: [], path: '', permissions: 'ask', isolate: false } as const;
    await this.store.write.addAgent({ stamp: new Chronicler(this.#net.clock).stamp(), endpoint, registration });
    this.registry.changed();
  }

  async remove(agent: string): Promise<void> {
    const address = `@${agent}@${this.name}#main`;
    if (this.store.read.endpoint(address) === undefined) return;
    await this.store.write.removeAgent({ stamp: new Chronicler(this.#net.clock).stamp(), address });
    this.registry.changed();
  }

  move(address: string): void {
    this.addresses = [address];
    this.registry.changed();
  }

  /** Comes back with what is stored, or with what was stored then. */
  async restart(stored?: Buffer): Promise<void> {
    for (const other of this.#net.nodes) this.#net.disconnect(this, other);
    await this.registry.stop();
    if (stored !== undefined) this.#db = memoryDatabase(stored);
    await this.boot();
  }

  snapshot(): Buffer {
    return this.#db.serialize();
  }

  received(from: RegistryNode, message: ControlMessage): Promise<void> {
    const link = this.links.get(from.nodeId);
    if (link === undefined) return Promise.resolve();
    return message.type === 'roster' ? this.roster.received(link, message) : this.registry.news(link, message as GossipNews);
  }

  asked(from: RegistryNode, query: RegistryQuery): Promise<PeerAnswer> {
    const lie = this.lie?.(query);
    if (lie !== undefined) return Promise.resolve(lie);
    const link = this.links.get(from.nodeId);
    return link === undefined ? Promise.reject(unavailable('gone')) : this.registry.answer(link, query);
  }

  /** All that its database holds of the registry, to the byte. */
  rows(): string {
    const text = (sql: string): string => JSON.stringify(this.#db.prepare(sql).all(), (_key, value: unknown) => (value instanceof Uint8Array ? Buffer.from(value).toString('base64') : value));
    return [
      text('SELECT n.id, h.epoch, h.version, h.count, h.root_hash, h.payload, h.signature, h.addresses, h.gossip_addresses FROM registry_heads h JOIN nodes n ON n.number = h.node ORDER BY n.id'),
      text('SELECT n.id, r.address, r.harness, r.capabilities, r.labels, r.visibility, r.description, r.is_default, r.available, r.payload, r.signature, r.hash FROM registrations r JOIN nodes n ON n.number = r.node ORDER BY n.id, r.address'),
    ].join('\n');
  }

  /** The same, of everything that is replicated: also who is a member. */
  all(): string {
    const members = this.store.read.members().map(({ nodeId, name, chain, left }) => [nodeId, name, Buffer.from(chain.leaf).toString(), left === undefined ? '' : Buffer.from(left.record.payload).toString('base64')]);
    return `${this.rows()}\n${JSON.stringify(members)}`;
  }

  facts(): string[] {
    return (this.#db.prepare('SELECT what FROM events').all() as { what: string }[]).map(({ what }) => what);
  }

  /** Of one node as it is known here: address and description. */
  known(owner: RegistryNode): string[] {
    return this.store.read.registrations(owner.nodeId).map(({ registration: { address, description } }) => `${address} ${description}`).toSorted();
  }

  /** As its own agents are, whatever it told. */
  own(): string[] {
    return this.store.read.ownRegistrations().map(({ address, description }) => `${address} ${description}`).toSorted();
  }
}

interface Posted {
  readonly from: RegistryNode;
  readonly to: RegistryNode;
  readonly bytes: number;
  readonly deliver: () => unknown;
}

export class RegistryMesh {
  readonly clock = new FakeClock();
  readonly nodes: RegistryNode[] = [];
  readonly wire: Posted[] = [];
  /** All bytes that were posted. */
  bytes = 0;
  readonly #heard = new Map<RegistryNode, Set<string>>();
  #seed = 1;

  static async of(count: number, { gossiping = 0 } = {}): Promise<RegistryMesh> {
    const net = new RegistryMesh();
    for (let number = 0; number < count; number += 1) net.nodes.push(new RegistryNode(net, number));
    for (const [number, node] of net.nodes.entries()) {
      node.gossips = number < gossiping;
      await node.enter(net.nodes.filter((each) => each !== node));
      await node.boot();
    }
    return net;
  }

  random(): number {
    this.#seed = (this.#seed * 48_271) % 2_147_483_647;
    return this.#seed / 2_147_483_647;
  }

  post(posted: Posted): void {
    this.bytes += posted.bytes;
    this.wire.push(posted);
  }

  neighbours(node: RegistryNode): RegistryNode[] {
    return node.gossips ? this.nodes.filter((each) => each !== node && each.gossips) : [];
  }

  /** Each hears of each piece once, and passes on what it accepts. */
  gossip(from: RegistryNode, news: GossipNews): void {
    const bytes = encodeGossip(news);
    const id = Buffer.from(bytes).toString('base64');
    if (this.#isHeard(from, id)) return;
    for (const to of this.neighbours(from)) this.post({ from, to, bytes: bytes.length, deliver: () => this.#gossiped(to, from, bytes, id) });
  }

  connect(a: RegistryNode, b: RegistryNode): void {
    if (a === b || a.links.has(b.nodeId)) return;
    for (const [from, to] of [[a, b], [b, a]] as const) from.links.set(to.nodeId, new MemoryLink(this, from, to));
    for (const [from, to] of [[a, b], [b, a]] as const) {
      const link = from.links.get(to.nodeId);
      if (link === undefined) continue;
      from.roster.linkUp(link);
      from.registry.linkUp(link);
      this.#beat(from, to, link);
    }
  }

  disconnect(a: RegistryNode, b: RegistryNode): void {
    for (const [from, to] of [[a, b], [b, a]] as const) {
      const link = from.links.get(to.nodeId);
      if (link === undefined) continue;
      link.down();
      from.links.delete(to.nodeId);
      from.registry.linkDown(link);
    }
  }

  /** One that waits on the wire, by any number. `again`: it stays there too. */
  async deliver(which: number, again = false): Promise<void> {
    const at = this.wire.length === 0 ? 0 : which % this.wire.length;
    const posted = again ? this.wire[at] : this.wire.splice(at, 1)[0];
    if (posted !== undefined) await this.#carry(posted);
  }

  /** Delivers all, in the order in which it was posted, for so long. */
  async run(ms: number, { isLost = (): boolean => false, untilIdle = true } = {}): Promise<void> {
    const endMs = this.clock.monotonic() + ms;
    do {
      for (let rounds = 0; this.wire.length > 0 && rounds < 200; rounds += 1) {
        const posted = this.wire.splice(0);
        for (const each of posted) if (!isLost()) void this.#carry(each);
        for (let turn = 0; turn < 4; turn += 1) await nextTurn();
      }
      await this.clock.advance(250);
    } while (this.clock.monotonic() < endMs && !(untilIdle && this.isConverged()));
  }

  isConverged(): boolean {
    const [first, ...others] = this.nodes;
    if (first === undefined) return true;
    const root = first.registry.ownDigest().root;
    if (others.some((each) => each.registry.ownDigest().root !== root)) return false;
    const rows = first.rows();
    return others.every((each) => each.rows() === rows) && this.nodes.every((owner) => this.nodes.every((each) => String(each.known(owner)) === String(owner.own())));
  }

  async stop(): Promise<void> {
    for (const a of this.nodes) for (const b of this.nodes) this.disconnect(a, b);
    await Promise.all(this.nodes.map((node) => node.registry.stop()));
  }

  async #carry({ from, to, deliver }: Posted): Promise<void> {
    if (!from.links.has(to.nodeId) && !(from.gossips && to.gossips)) return;
    try {
      await deliver();
    } catch (error) {
      to.logged.push(`not taken: ${String(error)}`);
    }
  }

  async #gossiped(to: RegistryNode, from: RegistryNode, bytes: Uint8Array, id: string): Promise<void> {
    if (this.#isHeard(to, id)) return;
    const news = decodeGossip(bytes);
    if (news === undefined || (await to.registry.gossiped(news, from.nodeId)) !== 'accept') return;
    for (const next of this.neighbours(to)) if (next !== from) this.post({ from: to, to: next, bytes: bytes.length, deliver: () => this.#gossiped(next, to, bytes, id) });
  }

  #isHeard(node: RegistryNode, id: string): boolean {
    const heard = this.#heard.get(node) ?? new Set<string>();
    this.#heard.set(node, heard);
    if (heard.has(id)) return true;
    heard.add(id);
    return false;
  }

  #beat(from: RegistryNode, to: RegistryNode, link: MemoryLink): void {
    if (!link.isUp) return;
    const digest = from.registry.ownDigest();
    this.post({
      from,
      to,
      bytes: 16,
      deliver: () => {
        const back = to.links.get(from.nodeId);
        if (back !== undefined) to.registry.onDigest(back, digest);
      },
    });
    this.clock.setTimer(heartbeatMs, () => this.#beat(from, to, link));
  }
}
