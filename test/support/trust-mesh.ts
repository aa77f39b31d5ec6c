/**
 * Nodes of one mesh as far as membership goes: real keys, real certificates, real SQL (in memory) and the real parts that admit,
 * renew, remove and appoint, on one fake clock. In place of TLS a link comes about as a handshake would have it, judged as of the
 * clock's now; in place of the entrance the issuer's desk is asked directly. So a year takes seconds.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as nextTurn, setTimeout as realTime } from 'node:timers/promises';
import { CertificateEnds } from '../../src/app/certificate-ends.ts';
import { CountedMembers } from '../../src/app/counted-members.ts';
import { issuerPorts } from '../../src/app/issuing.ts';
import { MeshMembership } from '../../src/app/membership.ts';
import { authorityPorts, MeshRoots } from '../../src/app/roots.ts';
import { rootsOf, selfOf } from '../../src/app/node-self.ts';
import { createRecordSeal } from '../../src/app/record-seal.ts';
import { renewalDesk } from '../../src/app/renewal.ts';
import { Standing } from '../../src/app/standing.ts';
import { systemDigest } from '../../src/app/system-digest.ts';
import { Chronicler } from '../../src/broker/chronicler.ts';
import { Feed } from '../../src/broker/feed.ts';
import { makeMembership } from '../../src/broker/membership.ts';
import type { MembershipSides } from '../../src/broker/membership.ts';
import { RegistrySpread } from '../../src/broker/registry-spread.ts';
import { RegistryState } from '../../src/broker/registry-state.ts';
import { revocationsOf } from '../../src/broker/removal.ts';
import type { Runner } from '../../src/broker/runner.ts';
import { BrokerError, denied, notFound, toBrokerError, unavailable } from '../../src/domain/errors.ts';
import { asNodeId } from '../../src/domain/ids.ts';
import type { NodeId } from '../../src/domain/ids.ts';
import type { Mesh } from '../../src/domain/mesh-port.ts';
import type { ControlMessage, PeerAnswer, PeerQuery } from '../../src/domain/messages.ts';
import type { CertificateChain, PeerIdentity } from '../../src/domain/trust.ts';
import type { LiveSession } from '../../src/mesh/node-mesh.ts';
import type { Connection } from '../../src/store/connection.ts';
import { parseLeaf, recogniseChain, verifyChain } from '../../src/trust/certificate.ts';
import { after } from '../../src/trust/issue.ts';
import { issuerProofOf } from '../../src/trust/issuer-proof.ts';
import { keepIssuerKey, wishIssuerKey } from '../../src/trust/mesh-authority.ts';
import { generateNodeKey, rawPublicKey } from '../../src/trust/node-key.ts';
import { createRevocationSeal } from '../../src/trust/revocation.ts';
import { FakeClock } from './fake-clock.ts';
import { believed } from './handshake.ts';
import { memoryDatabase, storeOver } from './memory-store.ts';
import { TrustLink } from './trust-link.ts';
import { silentLog } from './temp-store.ts';

export class TrustNode {
  readonly net: TrustMesh;
  readonly name: string;
  readonly key = generateNodeKey();
  readonly links = new Map<NodeId, TrustLink>();
  isUp = false;
  sides!: MembershipSides;
  membership!: MeshMembership;
  standing!: Standing;
  state!: RegistryState;
  ends!: CertificateEnds;
  roots!: MeshRoots;
  readonly #db: Connection = memoryDatabase();
  readonly store: ReturnType<typeof storeOver>;
  readonly trustDir: string;

  constructor(net: TrustMesh, name: string) {
    this.net = net;
    this.name = name;
    this.trustDir = join(net.root, name);
    this.store = storeOver(this.#db, this.nodeId);
  }

  get nodeId(): NodeId {
    return this.key.nodeId;
  }

  get own(): PeerIdentity | undefined {
    const leaf = this.store.read.membership()?.chain.leaf;
    return leaf === undefined ? undefined : this.net.read(leaf);
  }

  /** With what is stored; all else is made anew. */
  async boot(): Promise<void> {
    const { store, key, net, nodeId, trustDir } = this;
    const { clock } = net;
    const chronicler = new Chronicler(clock);
    const log = silentLog;
    const addresses = () => [{ host: '127.0.0.1', port: 7423 }];
    const self = selfOf({ store, nodeId, epoch: 1, previousEpoch: 0, version: '1', unjoinedName: () => this.name });
    const membership = new MeshMembership({
      ...{ store, trustDir, nodeKey: key, clock, chronicler, log, addresses },
      nodeName: () => this.name, owner: () => 'ada', otherMeshes: () => Promise.resolve([]), detour: () => undefined as never, onJoined: () => undefined,
      refusedKey: { check: () => undefined, note: () => Promise.resolve(), forget: () => Promise.resolve() },
    });
    const standing = new Standing(store);
    const counted = new CountedMembers(store, standing);
    const seal = createRecordSeal(key, () => self.mesh()?.id);
    const mesh: Mesh = {
      link: (id) => this.links.get(id), links: () => [...this.links.values()], peers: () => [], onPeer: () => () => undefined, clones: () => [], heardOf: () => undefined,
      want: (id) => Promise.resolve(this.links.get(id)),
      dialNow: (id) => Promise.resolve((net.connect(this, net.byId(id)), this.links.get(id))),
    };
    const revocations = revocationsOf(store.read, () => this.sides.removal);
    const state = new RegistryState({ store, self, seal, digest: systemDigest, revocations, counts: (member) => counted.counts(member) });
    const spread = new RegistrySpread({ mesh: () => mesh, gossip: () => ({ publish: () => undefined, neighbours: () => new Set() }) });
    const runner = { callerRemoved: () => Promise.resolve(), renamed: () => undefined } as unknown as Runner;
    const verify = (chain: CertificateChain): PeerIdentity => standing.member(verifyChain(chain, rootsOf(store), clock.now()));
    this.sides = makeMembership({
      ...{ store, self, chronicler, mesh: () => mesh, clock, log, random: () => net.random(), seal, runner, feed: new Feed(), harnesses: new Map(), state, spread, revocations, verify },
      find: (text) => net.nodes.find((each) => each.name === text)?.nodeId ?? (() => { throw notFound(`no node ${text}`); })(),
      ownAddresses: () => ['127.0.0.1:7423'],
      onMembers: (members) => {
        for (const each of members) {
          state.memberChanged(each.nodeId);
          if (each.removed !== undefined) net.disconnect(this, net.byId(each.nodeId));
        }
        standing.cutAmong(members, this.#sessions());
      },
      issuerProof: () => issuerProofOf(membership.issuer, nodeId),
      isIssuer: (id, proof) => standing.provesIssuer(id, proof, clock.now()),
      onAddresses: () => undefined,
      onChanged: () => this.sides.renewal.look(),
      setLeaving: () => undefined,
      ports: net.waitedFor({
        certify: (wish) => membership.certify(wish),
        onRenamed: async () => void (await membership.load()),
        onRenewed: async () => void (await membership.load()),
        readLeaf: parseLeaf,
        recognise: (chain) => standing.member(recogniseChain(chain, rootsOf(store), clock.now())),
        renewAtEntrance: (chain) => this.#renewAtEntrance(chain),
        ...authorityPorts({ store, membership, standing, clock, network: () => ({ setIdentity: () => undefined, mesh: { sessions: () => this.#sessions() } }) }),
        lossesOfKeys: () => Promise.resolve([]),
        onSelfRemoved: () => {
          membership.close();
          net.disconnectAll(this);
          return Promise.resolve();
        },
        renewKey: () => Promise.resolve(),
        isKeyRefused: () => false,
        revocations: createRevocationSeal({ issuer: () => membership.issuer, roots: () => (store.read.membership() === undefined ? undefined : rootsOf(store)), clock }),
        onLeft: () => Promise.resolve(),
        ...issuerPorts({ store, trustDir, nodeKey: key, clock, chronicler, membership }),
      }),
    });
    Object.assign(this, { membership, standing, state });
    this.ends = new CertificateEnds({
      store, clock, log, onEnded: () => undefined,
      sessions: () => this.#sessions(),
    });
    await membership.load();
    this.roots = new MeshRoots({ store, trustDir, nodeId, clock, log, by: () => `ada on ${this.name}`, find: (text) => net.node(text).nodeId, authorities: () => this.sides.authorities });
    state.load();
    this.isUp = true;
  }

  #sessions(): LiveSession[] {
    return [...this.links.values()].map((link) => ({ peer: link.peer, address: '', path: 'outbound', cut: () => this.net.disconnect(this, link.to) }));
  }

  down(): void {
    this.net.disconnectAll(this);
    this.isUp = false;
  }

  /** Certified by that node, as its admission does it; a second issuer too, where it can make one. */
  async join(issuer: TrustNode, isIssuer = false): Promise<void> {
    const { clock } = this.net;
    const authority = issuer.membership.issuer;
    const theirs = issuer.store.read.membership();
    if (authority === undefined || theirs === undefined) throw new Error(`${issuer.name} is no issuer`);
    const chain = await authority.issue({ publicKey: this.key.publicKey, name: this.name, owner: 'ada' }, after(undefined, clock.now()));
    const { notBeforeMs } = parseLeaf(chain.leaf);
    const key = await wishIssuerKey(this.trustDir, authority.meshId);
    const issuerDer = isIssuer ? await authority.certifyIssuer(rawPublicKey(key), clock.now()) : undefined;
    if (issuerDer !== undefined) await keepIssuerKey(this.trustDir, authority.meshId, key);
    const stamp = new Chronicler(clock).stamp();
    const as = issuerDer === undefined ? {} : { issuerDer };
    await issuer.store.write.admitMember({ stamp, member: { nodeId: this.nodeId, name: this.name, owner: 'ada', chain, notBeforeMs, addresses: [] }, ...as });
    issuer.state.memberChanged(this.nodeId);
    const other = { nodeId: issuer.nodeId, name: issuer.name, owner: 'ada', chain: theirs.chain, notBeforeMs: parseLeaf(theirs.chain.leaf).notBeforeMs, addresses: [] };
    await this.membership.enterAs({ ...theirs, name: this.name, chain, isIssuer: issuerDer !== undefined, ...as }, [other]);
    this.state.load();
  }

  async received(link: TrustLink, message: ControlMessage): Promise<void> {
    if (this.sides.removal.isRemoved(link.peer.nodeId)) return;
    if (message.type === 'roster') await this.sides.roster.received(link, message);
    if (message.type === 'registry_entry') await this.sides.roster.entries([message.entry], link.peer.nodeId);
  }

  asked(link: TrustLink, query: PeerQuery): Promise<PeerAnswer> {
    const { renewals, appointing, removal } = this.sides;
    if (removal.isRemoved(link.peer.nodeId)) return Promise.reject(denied('it was removed'));
    switch (query.type) {
      case 'renew':
        return renewals.answer(link, query);
      case 'issuer_key':
      case 'become_issuer':
      case 'renew_issuer':
        return appointing.answer(link, query);
      case 'remove':
      case 'revoked':
        return removal.answer(link, query);
      default:
        return Promise.reject(new Error(`nobody asks for ${query.type} here`));
    }
  }

  async #renewAtEntrance(chain: CertificateChain): Promise<CertificateChain> {
    const { net } = this;
    for (const issuer of net.nodes) {
      const isServing = issuer !== this && issuer.isUp && issuer.membership.issuer !== undefined && net.isInForce(issuer);
      if (!isServing || !net.mayMeet(this, issuer)) continue;
      const shown = issuer.store.read.membership()?.authorities;
      if (shown !== undefined) await this.sides.authorities.heard(shown, issuer.nodeId);
      const desk = renewalDesk({ store: issuer.store, standing: issuer.standing, clock: net.clock, renewals: () => issuer.sides.renewals });
      const verdict = await desk(chain, net.clock.now()).catch((error: unknown) => toBrokerError(error));
      if (verdict instanceof BrokerError) continue;
      if ('chain' in verdict) return verdict.chain;
      await this.sides.removal.received(verdict.revocation);
      throw denied('this node was removed');
    }
    throw unavailable('no issuer is there');
  }
}

export class TrustMesh implements AsyncDisposable {
  readonly root = mkdtempSync(join(tmpdir(), 'beckon-trust-mesh-'));
  readonly clock: FakeClock;
  readonly nodes: TrustNode[];
  /** Whether two machines reach each other now. */
  mayMeet: (a: TrustNode, b: TrustNode) => boolean = () => true;
  readonly random: () => number;
  /** How much longer than usual each key and certificate takes, in time of this machine. */
  busyMs = 0;
  readonly #working = new Set<Promise<void>>();
  /** What was read, and what was verified: either takes longer than all else of a step. */
  readonly #read = new Map<string, PeerIdentity>();
  readonly #verified = new Map<string, PeerIdentity | undefined>();

  private constructor(names: readonly string[], random: () => number, startMs: number) {
    this.clock = new FakeClock(startMs);
    this.random = random;
    this.nodes = names.map((name) => new TrustNode(this, name));
  }

  /** The first founds it, the second is an issuer too; all are up and know each other. */
  static async start(names: readonly string[], random: () => number = () => 0.5, startMs = Date.UTC(2026, 0, 1)): Promise<TrustMesh> {
    const mesh = new TrustMesh(names, random, startMs);
    const [founder] = mesh.nodes;
    for (const [index, node] of mesh.nodes.entries()) {
      await node.boot();
      if (founder === undefined || node === founder) await node.membership.createMesh({ name: 'home', new: true });
      else await node.join(founder, index === 1);
      node.state.load();
    }
    await mesh.pass(10_000);
    return mesh;
  }

  node(name: string): TrustNode {
    const found = this.nodes.find((each) => each.name === name);
    if (found === undefined) throw new Error(`no node ${name}`);
    return found;
  }

  byId(nodeId: string): TrustNode | undefined {
    return this.nodes.find((each) => each.nodeId === asNodeId(nodeId));
  }

  isInForce({ own }: TrustNode): boolean {
    return own !== undefined && own.notBeforeMs <= this.clock.now() && own.notAfterMs >= this.clock.now();
  }

  read(leaf: Uint8Array): PeerIdentity {
    const key = Buffer.from(leaf).toString('latin1');
    const known = this.#read.get(key) ?? parseLeaf(leaf);
    this.#read.set(key, known);
    return known;
  }

  /** As a handshake goes: each judges the other's certificate, as of now. */
  connect(a: TrustNode, b: TrustNode | undefined): void {
    if (b === undefined || a === b || a.links.has(b.nodeId) || !a.isUp || !b.isUp || !this.mayMeet(a, b)) return;
    // A handshake, as node:tls has it: each shows its chain, and believes the other's or not.
    const [ofA, ofB] = [this.#believed(a, b), this.#believed(b, a)];
    if (ofA === undefined || ofB === undefined) return;
    if (this.#tellsRemoval(a, ofB, b) || this.#tellsRemoval(b, ofA, a)) return;
    for (const [from, to, peer] of [[a, b, ofB], [b, a, ofA]] as const) from.links.set(to.nodeId, new TrustLink(from, to, peer));
    for (const [from, to] of [[a, b], [b, a]] as const) {
      const link = from.links.get(to.nodeId);
      if (link === undefined) continue;
      from.sides.roster.linkUp(link);
      from.sides.renewal.linkUp();
    }
  }

  disconnect(a: TrustNode, b: TrustNode | undefined): void {
    if (b === undefined) return;
    for (const [from, to] of [[a, b], [b, a]] as const) {
      const link = from.links.get(to.nodeId);
      if (link !== undefined) link.isUp = false;
      from.links.delete(to.nodeId);
    }
  }

  disconnectAll(node: TrustNode): void {
    for (const other of this.nodes) this.disconnect(node, other);
  }

  track(work: Promise<unknown>): void {
    const tracked = Promise.allSettled([work]).then(() => void this.#working.delete(tracked));
    this.#working.add(tracked);
  }

  /** Keys and certificates are made on other threads: however long a busy machine takes for that, no time of the mesh passes meanwhile. */
  waitedFor<Ports extends object>(ports: Ports): Ports {
    const waited = (value: unknown) => (...input: unknown[]): unknown => {
      const result: unknown = (value as (...input: unknown[]) => unknown)(...input);
      if (!(result instanceof Promise)) return result;
      const late = this.busyMs === 0 ? result : result.then(async (made: unknown) => (await realTime(this.busyMs), made));
      this.track(late);
      return late;
    };
    return Object.fromEntries(Object.entries(ports).map(([name, value]) => [name, typeof value === 'function' ? waited(value) : value])) as Ports;
  }

  /** So much later: whoever can meet has met, has compared what it knows, and has looked after its certificates. */
  async pass(ms: number): Promise<void> {
    await this.clock.advance(ms);
    const up = this.nodes.filter(({ isUp }) => isUp);
    for (const node of up) node.ends.look();
    for (const a of up) for (const b of up) if (!this.mayMeet(a, b)) this.disconnect(a, b);
    for (let round = 0; round < 3; round += 1) {
      for (const a of up) for (const b of up) this.connect(a, b);
      await this.settle();
      for (const a of up) for (const link of a.links.values()) await this.#compare(a, link.to);
      for (const node of up) {
        node.sides.renewal.look();
        node.sides.appointing.look();
        node.roots.look();
      }
      await this.settle();
    }
  }

  async settle(): Promise<void> {
    for (let quiet = 0; quiet < 12; quiet += 1) {
      await nextTurn();
      if (this.#working.size > 0) quiet = 0;
      while (this.#working.size > 0) await Promise.all(this.#working);
    }
    for (const node of this.nodes) if (node.isUp) await node.sides.removal.settled();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.settle();
    rmSync(this.root, { recursive: true, force: true });
  }

  /** What differs is asked for, in the bytes of the registry's own entries. */
  async #compare(asker: TrustNode, other: TrustNode): Promise<void> {
    if (asker.state.digest.root === other.state.digest.root || !asker.links.has(other.nodeId)) return;
    const all = [...other.state.digest.nodesIn(Array.from({ length: 256 }, (_, bucket) => bucket))];
    const entries = all.flatMap((nodeId) => other.state.entries(nodeId));
    await asker.sides.roster.entries(entries, other.nodeId);
  }

  /** Who `shows` is to `judge`. */
  #believed(shows: TrustNode, judge: TrustNode): PeerIdentity | undefined {
    const [own, theirs] = [shows.store.read.membership(), judge.store.read.membership()];
    if (own === undefined || theirs === undefined) return undefined;
    const key = Buffer.concat([own.chain.leaf, own.chain.issuer, own.authorities ?? Buffer.of(0), Buffer.of(1), theirs.authorities ?? Buffer.of(0)]).toString('latin1');
    if (!this.#verified.has(key)) this.#verified.set(key, believed(own, theirs, this.clock.now()));
    const identity = this.#verified.get(key);
    return identity === undefined || identity.notBeforeMs > this.clock.now() || identity.notAfterMs < this.clock.now() ? undefined : identity;
  }

  /** One that was removed is told so with proof, and gets no link. */
  #tellsRemoval(judge: TrustNode, shown: PeerIdentity, of: TrustNode): boolean {
    if (judge.standing.withdrawalOf(shown) !== undefined) return true;
    const known = judge.standing.revocationOf(shown);
    if (known === undefined) return false;
    this.track(of.sides.removal.received(known.record).then(() => undefined));
    return true;
  }
}
