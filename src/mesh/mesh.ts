/** The network of one node: its sessions with all peers, kept up, watched and handed to the core as links. */
import { randomBytes } from 'node:crypto';
import type { Duplex } from 'node:stream';
import type { TLSSocket } from 'node:tls';
import { BrokerError, conflict, invalid, unavailable } from '../domain/errors.ts';
import type { Candidate } from '../domain/discovery-port.ts';
import type { NodeId } from '../domain/ids.ts';
import type { Link, LinkHandler, PeerView } from '../domain/mesh-port.ts';
import type { CancelTimer } from '../domain/ports.ts';
import type { MeshIdentity, PeerIdentity } from '../domain/trust.ts';
import type * as wire from '../gen/beckon/v1/mesh.ts';
import { Dialler } from './dialler.ts';
import type { DialResult, TargetView } from './dialler.ts';
import { choose } from './election.ts';
import type { FrameStream } from './frame-stream.ts';
import { StallWatch, suspectAfterMs, tickMs } from './liveness.ts';
import { connect, dialTimeoutMs } from './outbound.ts';
import { directly } from './route.ts';
import type { Outbound } from './outbound.ts';
import type { MeshParts, MemberAt, NodeMesh } from './node-mesh.ts';
import { PeerTable, strangerView } from './peers.ts';
import { MeshServer } from './server.ts';
import type { Arrival } from './server.ts';
import { Session } from './session.ts';
import type { SessionEnd, SessionOwner } from './session.ts';

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
  /** The one live session with each peer. */
  readonly #live = new Map<NodeId, Session>();
  /** Sessions that are not down yet, live or still opening, and what waits for them to come up. */
  readonly #open = new Map<Session, { readonly settle?: (end: SessionEnd | undefined) => void }>();
  /** Data streams of inbound sessions, to find what they send. */
  readonly #dataOf = new Map<FrameStream, Session>();
  /** Nodes that a dial has reached but not greeted yet. */
  readonly #greeting = new Set<NodeId>();
  #watch: StallWatch | undefined;
  #cancelTick: CancelTimer | undefined;
  #isRunning = false;
  /** Aborts dials. */
  #stopping = new AbortController();

  constructor(parts: MeshParts) {
    const { clock, random, log } = parts;
    this.#parts = parts;
    this.#identity = parts.identity;
    this.#peers = new PeerTable(clock, (peer, from) =>
      log.info({ peer: peer.name, nodeId: peer.nodeId, address: peer.address, from, to: peer.state }, `peer ${peer.name} is ${peer.state}: ${peer.why}`),
    );
    this.#server = new MeshServer({
      clock,
      log,
      onControl: (arrival, call) => this.#arrived(arrival, call),
      onData: (arrival, sessionId, stream, rest) => this.#dataArrived(arrival, sessionId, stream, rest),
      pullData: (stream) => this.#dataOf.get(stream)?.pullData(),
    });
    this.#dialler = new Dialler({
      clock,
      random,
      dial: (address, lookMs) => this.#dial(address, lookMs),
      isLinked: (nodeId) => this.#live.has(nodeId),
      lastSeenMs: (nodeId) => this.#live.get(nodeId)?.lastHeardWallMs ?? this.#peers.lastSeenMs(nodeId),
      onFailure: (target, error) => this.#dialFailed(target, error),
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
    const closed = [...this.#open.keys()].map((session) => session.closed);
    this.#closeAll('this node is stopping');
    let cancelTimer: CancelTimer = () => undefined;
    const timeout = new Promise<void>((resolve) => {
      cancelTimer = this.#parts.clock.setTimer(farewellMs, resolve);
    });
    await Promise.race([Promise.all([stopped, ...closed]), timeout]);
    cancelTimer();
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
    for (const session of this.#live.values()) this.#noteLive(session);
    const strangers = this.#dialler.targets().filter(({ isSeed, nodes, isSelf }) => isSeed && !isSelf && nodes.length === 0);
    return [...this.#peers.views(), ...strangers.map(strangerView)];
  }

  async dialNow(nodeId: NodeId, timeoutMs: number): Promise<Link | undefined> {
    const live = this.#live.get(nodeId);
    if (live !== undefined || !this.#isRunning || this.#identity === undefined) return live;
    let cancelTimer: CancelTimer = () => undefined;
    const timeout = new Promise<void>((resolve) => {
      cancelTimer = this.#parts.clock.setTimer(timeoutMs, resolve);
    });
    await Promise.race([this.#dialler.dialNow(nodeId), timeout]);
    cancelTimer();
    return this.#live.get(nodeId);
  }

  accept(socket: TLSSocket, peer: PeerIdentity): void {
    if (this.#identity === undefined || peer.meshId !== this.#identity.meshId || peer.nodeId === this.#identity.nodeId) socket.destroy();
    else this.#server.inject(socket, peer);
  }

  setIdentity(identity: MeshIdentity | undefined): void {
    const previous = this.#identity;
    this.#identity = identity;
    if (previous !== undefined && previous.meshId !== identity?.meshId) this.#closeAll('this node left the mesh');
    if (!this.#isRunning) return;
    if (identity === undefined) void this.#dialler.stop();
    else {
      this.#dialler.start();
      this.#dialler.wake();
    }
  }

  addMembers(members: readonly MemberAt[]): void {
    for (const { identity, addresses } of members) {
      if (identity.nodeId === this.#identity?.nodeId) continue;
      this.#peers.discovered(identity, 'member');
      if (addresses.length > 0) this.#dialler.setAddresses(identity.nodeId, addresses);
    }
  }

  setSeeds(seeds: readonly string[]): void {
    this.#dialler.setSeeds(seeds);
  }

  setCandidates(source: string, candidates: readonly Candidate[]): void {
    this.#dialler.setCandidates(source, candidates);
  }

  admit(session: Session): ReturnType<SessionOwner['admit']> {
    const { peer } = session;
    if (!this.#isRunning) return { farewell: 'stopping', detail: 'this node is stopping' };
    const old = this.#live.get(peer.nodeId);
    if (old === undefined) return undefined;
    const choice = choose({ ...old.claim, dialledBy: this.#diallerOf(old) }, { ...session.claim, dialledBy: this.#diallerOf(session) });
    if (choice === 'take_new') return undefined;
    if (choice === 'keep_old') return { farewell: 'replaced', detail: 'the two nodes have another session already' };
    const detail = `two machines use the key of ${peer.name} at once: at ${old.address} (kept) and at ${session.address} (refused)`;
    this.#parts.log.error({ peer: peer.name, nodeId: peer.nodeId, kept: old.address, refused: session.address }, detail);
    return { farewell: 'clone', detail };
  }

  up(session: Session): void {
    const { peer } = session;
    const old = this.#live.get(peer.nodeId);
    this.#live.set(peer.nodeId, session);
    // Its `down` finds a successor in its place and so says nothing of the peer.
    old?.close('replaced', 'a newer session took its place');
    this.#peers.discovered(peer, session.path === 'inbound' ? 'inbound' : this.#sourceOf(session.address));
    this.#noteLive(session);
    this.#peers.move(peer.nodeId, 'alive', 'connected');
    this.#dialler.setAddresses(peer.nodeId, session.hello?.addresses ?? []);
    this.#open.get(session)?.settle?.(undefined);
    this.#call('up', peer, () => this.#parts.handler.onUp(session));
  }

  message(session: Session, message: Parameters<LinkHandler['onMessage']>[1]): Promise<void> {
    return this.#parts.handler.onMessage(session, message);
  }

  query(session: Session, query: Parameters<LinkHandler['onQuery']>[1]): ReturnType<LinkHandler['onQuery']> {
    return this.#parts.handler.onQuery(session, query);
  }

  down(session: Session, end: SessionEnd): void {
    const { peer } = session;
    const settle = this.#open.get(session)?.settle;
    this.#open.delete(session);
    for (const [stream, owner] of this.#dataOf) if (owner === session) this.#dataOf.delete(stream);
    if (end.farewell === 'protocol') {
      this.#parts.log.warn({ peer: peer.name, address: session.address, saidBy: end.saidBy }, `the session with ${peer.name} broke the protocol: ${end.why}`);
    }
    if (end.farewell === 'clone' && end.saidBy === 'peer') {
      this.#parts.log.error({ peer: peer.name, address: session.address }, `${peer.name} refuses this node: ${end.why}`);
    }
    settle?.(end);
    const isLast = this.#live.get(peer.nodeId) === session;
    if (isLast) this.#live.delete(peer.nodeId);
    if (end.wasUp) this.#peers.note(peer.nodeId, { lastSeenMs: session.lastHeardWallMs });
    if (!this.#live.has(peer.nodeId)) this.#judge(session, end);
    if (end.wasUp) this.#call('down', peer, () => this.#parts.handler.onDown(session, end.why));
    if (isLast) this.#dialler.wake(peer.nodeId, this.#redialAfterMs(peer.nodeId, end));
  }

  /** What the end of a session says of its peer. */
  #judge({ peer, address, path }: Session, end: SessionEnd): void {
    if (end.farewell === 'incompatible') {
      this.#peers.discovered(peer, path === 'inbound' ? 'inbound' : this.#sourceOf(address));
      this.#peers.note(peer.nodeId, { address, path });
      this.#peers.move(peer.nodeId, 'incompatible', end.why);
    } else if (end.wasUp) {
      const isGone = (end.farewell === 'stopping' && end.saidBy === 'peer') || end.why === silence;
      this.#peers.move(peer.nodeId, isGone ? 'unreachable' : 'suspect', end.why);
    }
  }

  #redialAfterMs(nodeId: NodeId, { farewell }: SessionEnd): number {
    // A reason that will be there again: no hurry.
    if (farewell === 'protocol' || farewell === 'clone') return 10_000;
    // Both sides have lost the link: the lower id goes first, so that they rarely meet.
    return this.#identity !== undefined && this.#identity.nodeId > nodeId ? 250 : 0;
  }

  #tick(): void {
    if (!this.#isRunning) return;
    const { clock, log } = this.#parts;
    this.#cancelTick = clock.setTimer(tickMs, () => this.#tick());
    const isGrace = this.#watch?.tick(clock.monotonic(), clock.now()) ?? false;
    if (isGrace) {
      log.info({}, 'this machine slept or stalled: all peers get time to be heard');
      this.#dialler.wake();
    }
    for (const session of this.#open.keys()) {
      const state = session.tick(isGrace);
      if (this.#live.get(session.peer.nodeId) !== session) continue;
      if (state === 'suspect') this.#peers.move(session.peer.nodeId, 'suspect', `not heard of for ${suspectAfterMs / 1000} s`);
      else this.#peers.move(session.peer.nodeId, 'alive', 'connected');
    }
    this.#peers.expire((nodeId) => this.#live.has(nodeId));
  }

  #arrived(arrival: Arrival, control: Duplex): void {
    const { peer, address } = arrival;
    this.#session({ peer, path: 'inbound', address, control, hangUp: (isOrderly) => arrival.hangUp(isOrderly) });
  }

  #dataArrived({ peer }: Arrival, sessionId: string, stream: FrameStream, rest: readonly wire.DataFrame[]): void {
    for (const session of this.#open.keys()) {
      if (session.path !== 'inbound' || session.peer.nodeId !== peer.nodeId) continue;
      if (session.hello?.sessionId !== sessionId || !session.wantsData) continue;
      this.#dataOf.set(stream, session);
      return session.attachData(stream, rest);
    }
    throw invalid('no session of that id waits for its data stream');
  }

  async #dial(address: string, lookMs: number | undefined): Promise<DialResult> {
    const identity = this.#identity;
    if (identity === undefined || !this.#isRunning) throw unavailable('this node is in no mesh');
    let known: DialResult | undefined;
    let greeted: NodeId | undefined;
    let outbound: Outbound;
    const { clock, tls: makeTls, route = directly } = this.#parts;
    const { signal } = this.#stopping;
    const way = await route(address, { clock, signal, ...(lookMs === undefined ? {} : { lookMs }) });
    try {
      const onServer = (peer: PeerIdentity): void => {
        if (peer.nodeId === identity.nodeId) known = { kind: 'self' };
        else if (this.#live.has(peer.nodeId) || this.#greeting.has(peer.nodeId)) known = { kind: 'linked', peer };
        if (known !== undefined) throw conflict('no connection is needed');
        greeted = peer.nodeId;
        this.#greeting.add(greeted);
      };
      outbound = await connect(way.target, identity, { makeTls, clock, signal, onServer });
    } catch (error) {
      if (greeted !== undefined) this.#greeting.delete(greeted);
      if (known !== undefined) return known;
      throw error;
    } finally {
      way.close();
    }
    try {
      return await this.#greet(address, outbound);
    } finally {
      this.#greeting.delete(outbound.peer.nodeId);
    }
  }

  #greet(address: string, { peer, control, openData, hangUp }: Outbound): Promise<DialResult> {
    return new Promise((resolve, reject) => {
      const sessionId = randomBytes(16).toString('hex');
      const session = this.#session(
        { peer, path: 'outbound', address, control, openData, sessionId, hangUp },
        (end) => {
          cancelTimer();
          if (end === undefined) return resolve({ kind: 'up', peer });
          if (end.farewell === 'replaced') return resolve({ kind: 'linked', peer });
          reject(new BrokerError(end.farewell === 'incompatible' ? 'incompatible' : 'unavailable', end.why));
        },
      );
      const cancelTimer = this.#parts.clock.setTimer(dialTimeoutMs, () => {
        if (!session.isUp) session.cut(`no answer within ${dialTimeoutMs / 1000} s`);
      });
    });
  }

  #session(
    own: Pick<Session, 'peer' | 'path' | 'address'> & {
      readonly control: Duplex;
      readonly hangUp: (isOrderly: boolean) => void;
      readonly openData?: () => Duplex;
      readonly sessionId?: string;
    },
    settle?: (end: SessionEnd | undefined) => void,
  ): Session {
    const { clock, log, hello } = this.#parts;
    const session = new Session({ ...own, own: hello, clock, log, owner: this });
    this.#open.set(session, settle === undefined ? {} : { settle });
    return session;
  }

  #closeAll(why: string): void {
    for (const session of this.#open.keys()) session.close('stopping', why);
  }

  #dialFailed({ address, sources, nodes, why }: TargetView, error: BrokerError): void {
    // Most machines that discovery finds run no node, and that is nobody's trouble.
    const level = nodes.length > 0 || sources.includes('seed') ? 'info' : 'debug';
    this.#parts.log[level]({ address, sources, code: error.code }, `${address} can't be reached: ${why}`);
    for (const nodeId of nodes) {
      if (this.#live.has(nodeId)) continue;
      this.#peers.note(nodeId, { address });
      const state = this.#peers.state(nodeId);
      if (state === 'discovered' || state === 'unreachable') this.#peers.move(nodeId, 'unreachable', why);
    }
  }

  #diallerOf({ path, peer }: Session): NodeId {
    return path === 'inbound' || this.#identity === undefined ? peer.nodeId : this.#identity.nodeId;
  }

  #sourceOf(address: string): string {
    const target = this.#dialler.targets().find((each) => each.address === address || each.alternatives.includes(address));
    return target?.isSeed === true ? 'seed' : (target?.sources[0] ?? 'member');
  }

  #noteLive({ peer, address, path, rttMs, lastHeardWallMs, hello }: Session): void {
    this.#peers.note(peer.nodeId, {
      address,
      path,
      source: path === 'inbound' ? 'inbound' : this.#sourceOf(address),
      lastSeenMs: lastHeardWallMs,
      ...(rttMs === undefined ? {} : { rttMs }),
      ...(hello === undefined ? {} : { version: hello.version }),
    });
  }

  /** A fault of the core must not take the session's bookkeeping with it. */
  #call(what: string, peer: PeerIdentity, handle: () => void): void {
    try {
      handle();
    } catch (error) {
      this.#parts.log.error({ peer: peer.name, err: error }, `the core failed at a link that went ${what}`);
    }
  }
}

const silence = 'no sign of life';
