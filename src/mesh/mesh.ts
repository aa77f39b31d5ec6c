/** The network of one node: its sessions with all peers, kept up, watched and handed to the core as links. */
import type { Duplex } from 'node:stream';
import type { TLSSocket } from 'node:tls';
import type { BrokerError } from '../domain/errors.ts';
import type { Candidate } from '../domain/discovery-port.ts';
import type { NodeId } from '../domain/ids.ts';
import type { PeerAnswer, PeerQuery } from '../domain/messages.ts';
import type { CloneSighting, Link, LinkHandler, PeerView } from '../domain/mesh-port.ts';
import { ignoreLimits } from '../domain/limits.ts';
import { within } from '../domain/pause.ts';
import { restWords } from '../domain/peer.ts';
import type { CancelTimer } from '../domain/ports.ts';
import type { MeshIdentity, PeerIdentity } from '../domain/trust.ts';
import { Clones } from './clones.ts';
import { Detector } from './detector.ts';
import { Dialler } from './dialler.ts';
import type { TargetView } from './dialler.ts';
import { Introductions } from './introductions.ts';
import { isWork, LinkDemand } from './link-demand.ts';
import { LinkSeeker } from './link-seeker.ts';
import { StallWatch, tickMs } from './liveness.ts';
import { News } from './news.ts';
import type { PeerListener } from './news.ts';
import { OpenSessions } from './open-sessions.ts';
import type { Settle } from './open-sessions.ts';
import { Outgoing } from './outgoing.ts';
import type { NewSession } from './outgoing.ts';
import type { LiveSession, MeshParts, MemberAt, NodeMesh } from './node-mesh.ts';
import { PeerTable, strangerView } from './peers.ts';
import { answerReach, probeMs } from './reach-answers.ts';
import { Roll } from './roll.ts';
import { directly } from './route.ts';
import { MeshServer } from './server.ts';
import type { Arrival } from './server.ts';
import { Session } from './session.ts';
import { SessionAdmission } from './session-admission.ts';
import type { SessionEnd, SessionOwner } from './session-parts.ts';
import { TaskRoom } from '../rpc/task-room.ts';

/** How long `stop` waits for goodbyes to get through. */
const farewellMs = 1_000;

export function createMesh(parts: MeshParts): NodeMesh {
  return new SessionMesh(parts);
}

class SessionMesh implements NodeMesh, SessionOwner {
  readonly #parts: MeshParts;
  #identity: MeshIdentity | undefined;
  readonly #server: MeshServer;
  readonly #dialler: Dialler;
  readonly #peers: PeerTable;
  readonly #taskRoom = new TaskRoom();
  /** The one live session with each peer. */
  readonly #live = new Map<NodeId, Session>();
  readonly #open = new OpenSessions();
  readonly #outgoing: Outgoing;
  readonly #detector: Detector;
  readonly #introductions: Introductions;
  readonly #demand: LinkDemand;
  readonly #clones: Clones;
  readonly #admission: SessionAdmission;
  readonly #roll: Roll;
  readonly #news: News;
  readonly #seeker: LinkSeeker;
  #watch: StallWatch | undefined;
  #cancelTick: CancelTimer | undefined;
  #isRunning = false;
  /** Aborts dials. */
  #stopping = new AbortController();

  constructor(parts: MeshParts) {
    const { clock, random, log } = parts;
    this.#parts = parts;
    this.#identity = parts.identity;
    this.#news = new News(clock, log);
    this.#peers = new PeerTable(clock, (peer, from) => {
      this.#demand.stateChanged();
      this.#news.moved(peer, from);
    });
    this.#demand = new LinkDemand({ clock, stateOf: (nodeId) => this.#peers.state(nodeId), isOwed: (nodeId) => parts.handler.isOwed?.(nodeId) === true });
    this.#clones = new Clones({ clock, log, onSeen: (sighting) => parts.handler.onClone?.(sighting) });
    this.#admission = new SessionAdmission({ clock, live: this.#live, clones: this.#clones, self: () => this.#identity?.nodeId, removed: parts.removed });
    this.#server = new MeshServer({
      clock,
      log,
      onControl: (arrival, call) => this.#arrived(arrival, call),
      onData: ({ peer }, sessionId, stream, rest) => this.#open.attach(peer.nodeId, sessionId, stream, rest),
      pullData: (stream) => this.#open.pull(stream),
      refusal: (peer) => (peer.meshId === this.#identity?.meshId ? parts.refusal?.(peer) : 'this node is no member of that mesh'),
      health: parts.health,
      onOverLimit: parts.onOverLimit,
    });
    const isWanted = (nodeId: NodeId): boolean => this.#seeker.isAsked(nodeId) || (this.#live.has(nodeId) ? !this.#detector.trusts(nodeId) : this.#demand.wants(nodeId));
    this.#dialler = new Dialler({
      clock,
      random,
      dial: (address, lookMs) => this.#outgoing.dial(address, lookMs),
      isSettled: (nodeId) => !isWanted(nodeId),
      isIdle: (nodeId) => !this.#seeker.isAsked(nodeId) && !this.#demand.needs(nodeId),
      isAlone: () => this.#live.size === 0,
      lastSeenMs: (nodeId) => this.#live.get(nodeId)?.lastHeardWallMs ?? this.#peers.lastSeenMs(nodeId),
      onFailure: (target, error) => this.#dialFailed(target, error),
    });
    this.#roll = new Roll({ peers: this.#peers, dialler: this.#dialler, demand: this.#demand, identity: () => this.#identity, live: (nodeId) => this.#live.get(nodeId) });
    this.#outgoing = new Outgoing({
      clock,
      makeTls: parts.tls,
      route: parts.route ?? directly,
      identity: () => (this.#isRunning ? this.#identity : undefined),
      isWanted,
      begin: (connection, settle) => this.#session(connection, settle),
      signal: () => this.#stopping.signal,
    });
    this.#detector = new Detector({
      clock,
      random,
      log,
      peers: this.#peers,
      links: () => this.#live,
      tries: (nodeId) => this.#dialler.targetsOf(nodeId),
      needs: (nodeId) => this.#demand.needs(nodeId),
      redial: (nodeId) => this.#dialler.wake(nodeId),
      giveUp: (nodeId, why) => this.#live.get(nodeId)?.cut(why),
    });
    this.#seeker = new LinkSeeker({
      clock,
      dialler: this.#dialler,
      demand: this.#demand,
      detector: this.#detector,
      isLinked: (nodeId) => this.#live.has(nodeId),
      isAlone: () => this.#live.size === 0,
    });
    this.#introductions = new Introductions({
      clock,
      link: (nodeId) => this.#live.get(nodeId),
      isMember: (nodeId) => this.#peers.has(nodeId),
      dial: (nodeId, addresses) => this.#seeker.dialAsked(nodeId, addresses),
    });
    this.#dialler.setSeeds(parts.seeds);
  }

  start(): Promise<void> {
    if (this.#isRunning) return Promise.resolve();
    this.#isRunning = true;
    this.#stopping = new AbortController();
    const { clock } = this.#parts;
    this.#server.start();
    this.#watch = new StallWatch(clock.monotonic(), clock.now());
    this.#cancelTick = clock.setTimer(tickMs, () => this.#tick());
    if (this.#identity !== undefined) this.#dialler.start();
    return Promise.resolve();
  }

  async stop(): Promise<void> {
    if (!this.#isRunning) return;
    this.#isRunning = false;
    this.#cancelTick?.();
    this.#stopping.abort();
    const stopped = this.#dialler.stop();
    const closed = this.#open.all().map((session) => session.closed);
    this.#open.closeAll('stopping', 'this node is stopping');
    await within(this.#parts.clock, farewellMs, Promise.all([stopped, ...closed]));
    this.#server.stop();
    await stopped;
  }

  link(nodeId: NodeId): Link | undefined {
    return this.#live.get(nodeId);
  }

  links(): readonly Link[] {
    return [...this.#live.values()];
  }

  peers(): readonly PeerView[] {
    this.#detector.refresh();
    for (const session of this.#live.values()) this.#noteLive(session);
    for (const { nodeId } of this.#peers.views()) if (this.#demand.rests(nodeId)) this.#peers.move(nodeId, 'discovered', restWords);
    const strangers = this.#dialler.targets().filter(({ isSeed, nodes, isSelf }) => isSeed && !isSelf && nodes.length === 0);
    return [...this.#peers.views().map((each) => this.#clones.marked(each)), ...strangers.map(strangerView)];
  }

  clones(): readonly CloneSighting[] {
    return this.#clones.list();
  }

  onPeer(listen: PeerListener): () => void {
    return this.#news.listen(listen);
  }

  async want(nodeId: NodeId): Promise<Link | undefined> {
    if (this.#isRunning) await this.#seeker.want(nodeId);
    return this.#live.get(nodeId);
  }

  async dialNow(nodeId: NodeId, timeoutMs: number): Promise<Link | undefined> {
    if (this.#isRunning && this.#identity !== undefined) await this.#seeker.seek(nodeId, timeoutMs);
    return this.#live.get(nodeId);
  }

  heardOf(nodeId: NodeId): void {
    if (this.#live.has(nodeId) || this.#peers.state(nodeId) !== 'unreachable' || this.#demand.needs(nodeId)) return;
    this.#detector.vouched(nodeId);
    // Failures of before count no more.
    this.#dialler.wake(nodeId);
  }

  accept(socket: TLSSocket, peer: PeerIdentity): void {
    if (this.#identity === undefined || peer.meshId !== this.#identity.meshId || peer.nodeId === this.#identity.nodeId) socket.destroy();
    else this.#server.inject(socket, peer);
  }

  setIdentity(identity: MeshIdentity | undefined): void {
    const previous = this.#identity;
    this.#identity = identity;
    if (previous !== undefined && previous.meshId !== identity?.meshId) this.#leave();
    this.#roll.changed();
    this.#server.judgeAgain();
    if (!this.#isRunning) return;
    if (identity === undefined) void this.#dialler.stop();
    else {
      this.#dialler.start();
      this.#dialler.wake();
    }
  }

  addMembers(members: readonly MemberAt[]): void {
    this.#roll.add(members);
    this.#server.judgeAgain();
  }

  setSeeds(seeds: readonly string[]): void {
    this.#dialler.setSeeds(seeds);
  }

  setCandidates(source: string, candidates: readonly Candidate[]): void {
    this.#dialler.setCandidates(source, candidates);
  }

  sessions(): readonly LiveSession[] {
    return [...this.#live.values()];
  }

  examine({ peer }: LiveSession, why: string): void {
    const session = this.#live.get(peer.nodeId);
    if (session === undefined) return;
    void session.probe(probeMs).then((isHeard) => {
      if (!isHeard && this.#live.get(peer.nodeId) === session) this.#detector.suspect(peer.nodeId, why);
    });
  }

  admit(session: Session): ReturnType<SessionOwner['admit']> {
    if (!this.#isRunning) return { farewell: 'stopping', detail: 'this node is stopping' };
    return this.#admission.admit(session);
  }

  up(session: Session): void {
    const { peer } = session;
    const old = this.#live.get(peer.nodeId);
    this.#live.set(peer.nodeId, session);
    // Its `down` finds a successor in its place and so says nothing of the peer.
    old?.close('replaced', 'a newer session took its place');
    this.#roll.greeted(peer, this.#dialler.sourceOf(session));
    this.#noteLive(session);
    const wasAway = this.#peers.state(peer.nodeId) === 'unreachable';
    this.#detector.linked(peer);
    if (wasAway) this.#seeker.lookForOthers(this.#peers.views());
    this.#dialler.setAddresses(peer.nodeId, session.hello?.addresses ?? []);
    this.#open.up(session);
    this.#news.began(session);
    this.#seeker.linked(peer.nodeId);
    this.#news.guard('up', peer, () => this.#parts.handler.onUp(session));
  }

  message(session: Session, message: Parameters<LinkHandler['onMessage']>[1]): Promise<void> {
    if (isWork(message)) session.usedMs = this.#parts.clock.monotonic();
    return this.#parts.handler.onMessage(session, message);
  }

  holds(session: Session): boolean {
    return this.#demand.holds(session);
  }

  async query(session: Session, query: PeerQuery): Promise<PeerAnswer> {
    if (query.type === 'reach' || query.type === 'dial_back') {
      return answerReach({ live: this.#live, outgoing: this.#outgoing, look: (nodeId) => this.#seeker.look(nodeId) }, session, query);
    }
    if (isWork(query)) session.usedMs = this.#parts.clock.monotonic();
    return this.#parts.handler.onQuery(session, query);
  }

  introduce(session: Session, nodeId: NodeId): void {
    this.#introductions.introduce(session, nodeId);
  }

  dialRequest(_session: Session, nodeId: NodeId, addresses: readonly string[]): void {
    if (nodeId !== this.#identity?.nodeId) this.#introductions.dialRequest(nodeId, addresses);
  }

  down(session: Session, end: SessionEnd): void {
    const { peer } = session;
    this.#news.ended(session, end);
    if (end.farewell === 'clone' && end.saidBy === 'peer') this.#parts.handler.onRefusedAsClone?.(peer, end.why);
    this.#open.down(session, end);
    const isLast = this.#live.get(peer.nodeId) === session;
    if (isLast) this.#live.delete(peer.nodeId);
    if (end.wasUp) this.#peers.note(peer.nodeId, { lastSeenMs: session.lastHeardWallMs });
    if (!this.#live.has(peer.nodeId)) {
      if (end.farewell === 'incompatible') {
        this.#peers.discovered(peer, this.#dialler.sourceOf(session));
        this.#peers.note(peer.nodeId, { address: session.address, path: session.path });
      }
      this.#detector.ended(peer, end);
      this.#roll.unlinked(peer.nodeId);
    }
    if (end.wasUp) this.#news.guard('down', peer, () => this.#parts.handler.onDown(session, end.why));
    if (isLast) this.#dialler.wake(peer.nodeId, this.#redialAfterMs(peer.nodeId, end));
    if (end.saidBy === 'peer' && end.revocation !== undefined) this.#parts.onRevoked?.(end.revocation, peer);
  }

  #redialAfterMs(nodeId: NodeId, { farewell }: SessionEnd): number {
    // A reason that will be there again: no hurry.
    if (farewell === 'protocol' || farewell === 'clone' || farewell === 'removed') return 10_000;
    // Both sides have lost the link: the lower id goes first, so that they rarely meet.
    return this.#identity !== undefined && this.#identity.nodeId > nodeId ? 250 : 0;
  }

  #tick(): void {
    if (!this.#isRunning) return;
    const { clock, log } = this.#parts;
    this.#cancelTick = clock.setTimer(tickMs, () => this.#tick());
    const tick = this.#watch?.tick(clock.monotonic(), clock.now()) ?? { isGrace: false, lateMs: 0 };
    this.#parts.tickLateSeconds?.observe(tick.lateMs / 1000);
    if (tick.isGrace) {
      log.info({}, 'this machine slept or stalled: all peers get time to be heard');
      this.#dialler.wake();
    }
    for (const session of this.#open.all()) session.tick(tick.isGrace);
    this.#detector.tick(tick);
    for (const nodeId of this.#demand.newNeighbours()) if (!this.#live.has(nodeId)) this.#dialler.wake(nodeId);
    const unseen = this.#demand.longUnseen(this.#peers.views());
    if (unseen !== undefined) void this.want(unseen);
    for (const session of this.#live.values()) if (this.#demand.mayRest(session)) session.close('resting', restWords);
  }

  #arrived(arrival: Arrival, control: Duplex): void {
    const { peer, address } = arrival;
    this.#session({ peer, path: 'inbound', address, control, hangUp: (isOrderly) => arrival.hangUp(isOrderly) });
  }

  #session(own: NewSession, settle?: Settle): Session {
    const { clock, log, hello, handler } = this.#parts;
    const session = new Session({ ...own, own: hello, ownName: this.#identity?.name ?? 'this node', clock, log, owner: this, digests: handler, taskRoom: this.#taskRoom, onOverLimit: this.#parts.onOverLimit ?? ignoreLimits });
    this.#open.add(session, settle);
    return session;
  }

  /** Who the members were is no more this node's business. */
  #leave(): void {
    this.#open.closeAll('left', 'this node left the mesh');
    this.#detector.forget();
    this.#roll.clear();
  }

  #dialFailed(target: TargetView, error: BrokerError): void {
    this.#news.dialFailed(target, error);
    for (const nodeId of target.nodes) if (!this.#live.has(nodeId)) this.#peers.note(nodeId, { address: target.address });
  }

  #noteLive({ peer, address, path, rttMs, lastHeardWallMs, hello }: Session): void {
    this.#peers.note(peer.nodeId, {
      address,
      path,
      source: this.#dialler.sourceOf({ path, address }),
      lastSeenMs: lastHeardWallMs,
      ...(rttMs === undefined ? {} : { rttMs }),
      ...(hello === undefined ? {} : { version: hello.version }),
    });
  }
}
