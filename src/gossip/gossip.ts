/**
 * News to all members at once, by libp2p's gossipsub (https://github.com/libp2p/specs/tree/master/pubsub/gossipsub) among
 * members only. Best effort by design: whatever goes wrong here is logged, and the sessions bring what was missed.
 */
import { toBrokerError } from '../domain/errors.ts';
import type { Gossip, GossipHandler, GossipNews, GossipVerdict } from '../domain/gossip-port.ts';
import type { HostPort } from '../domain/host-port.ts';
import { parseHostPort } from '../domain/host-port.ts';
import type { MeshId, NodeId } from '../domain/ids.ts';
import type { LimitName, OverLimit } from '../domain/limits.ts';
import type { CancelTimer, Clock, Log, Random, Startable } from '../domain/ports.ts';
import { decodeGossip, encodeGossip } from '../rpc/registry.ts';
import { multiaddrText } from './addresses.ts';
import { Allowance } from '../domain/allowance.ts';
import type { AllowanceRate } from '../domain/allowance.ts';
import { pause } from '../domain/pause.ts';
import { Conduct } from './conduct.ts';
import { createGater } from './gater.ts';
import { createHost, largestNews } from './host.ts';
import type { Host } from './host.ts';
import { load } from './libp2p.ts';
import type { Connection, Libraries, PeerId } from './libp2p.ts';
import type { GossipMeasures } from './measures.ts';
import { exchangeEveryMs, mostInbound, Neighbourhood, wantedNeighbours } from './neighbourhood.ts';
import type { Neighbours } from './neighbourhood.ts';
import { asNodeIdOf } from './peer-id.ts';

export interface GossipMember {
  readonly nodeId: NodeId;
  /** host:port */
  readonly gossipAddresses: readonly string[];
}

export interface GossipParts {
  readonly nodeId: NodeId;
  /** Of the node, Ed25519: seed and public key, 64 bytes. */
  readonly key: Uint8Array;
  readonly meshId: MeshId;
  /** Port 0: a free one. */
  readonly listen: readonly HostPort[];
  /** An unrevoked member of this mesh. */
  readonly isMember: (nodeId: NodeId) => boolean;
  /** Whom to dial, and where; this node and those without an address are left out. */
  readonly members: () => readonly GossipMember[];
  readonly handler: GossipHandler;
  readonly measures?: GossipMeasures;
  readonly onOverLimit?: OverLimit | undefined;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}

/** News of one neighbour that are judged, that is, not those that others had brought already. */
export const newsRate: AllowanceRate = { perSecond: 200, burst: 2000 };
const tendEveryMs = 1_000;
const dialMs = 10_000;
/** How long a neighbour may take until it is heard as one. */
const settleMs = 10_000;
const stopMs = 3_000;
const strangersToldEveryMs = 60_000;

export class MeshGossip implements Gossip, Startable {
  readonly #parts: GossipParts;
  readonly #topic: string;
  readonly #neighbourhood: Neighbourhood;
  readonly #conduct = new Conduct();
  readonly #allowances = new Map<NodeId, Allowance>();
  readonly #dialling = new Set<NodeId>();
  #strangers = { toldAtMs: Number.NEGATIVE_INFINITY, unsaid: 0 };
  #host: Host | undefined;
  #libraries: Libraries | undefined;
  #cancelTimer: CancelTimer = () => undefined;
  #exchangedAtMs = 0;

  constructor(parts: GossipParts) {
    this.#parts = parts;
    this.#topic = `beckon/${parts.meshId}/1`;
    this.#neighbourhood = new Neighbourhood(parts.random);
  }

  /** @throws BrokerError `unavailable` when it can't listen where it is to; nothing is left behind then */
  async start(): Promise<void> {
    if (this.#host !== undefined) return;
    const { key, listen, clock, nodeId } = this.#parts;
    const libraries = await load();
    const host = await createHost({
      libraries,
      ...{ key, listen, clock, topic: this.#topic },
      mostConnections: 2 * (mostInbound + wantedNeighbours),
      gater: createGater({
        self: nodeId,
        isWelcome: (each) => this.#isWelcome(each),
        isDialled: (each) => this.#dialling.has(each) || this.#connections().some(({ nodeId: other, connection }) => other === each && connection.direction === 'outbound' && this.#ageMs(connection) < settleMs),
        isFull: () => this.#neighbours().inbound.size >= mostInbound && this.#over('gossip_neighbours'),
        onStranger: (each) => this.#refused(each),
        cut: (each) => this.#cut(each, 'it has dialled anew'),
      }),
    });
    try {
      await host.libp2p.start();
    } catch (error) {
      await stopped(host, clock);
      throw toBrokerError(error);
    }
    this.#libraries = libraries;
    this.#host = host;
    this.#exchangedAtMs = clock.monotonic();
    host.pubsub.topicValidators.set(this.#topic, (from, message) => this.#judge(from, message.data) as ReturnType<NonNullable<ReturnType<typeof host.pubsub.topicValidators.get>>>);
    host.pubsub.subscribe(this.#topic);
    this.#tend();
  }

  /** Takes a few seconds at most, whatever the others do. */
  async stop(): Promise<void> {
    const host = this.#host;
    this.#host = undefined;
    this.#cancelTimer();
    this.#allowances.clear();
    if (host !== undefined) await stopped(host, this.#parts.clock);
  }

  /** Where others can dial it; none while it is stopped. */
  addresses(): readonly HostPort[] {
    return this.#host?.addresses() ?? [];
  }

  publish(news: GossipNews): void {
    const { log } = this.#parts;
    // Said to nobody it would count as said, and saying it again to those that come would go nowhere.
    if (this.#host === undefined || this.neighbours().size === 0) return;
    const bytes = encodeGossip(news);
    if (bytes.length > largestNews) return log.debug({ frame: news.type, bytes: bytes.length }, 'news are too large for gossip: the sessions bring them');
    this.#parts.measures?.published.add('published');
    this.#parts.measures?.bytes.add('published', bytes.length);
    void this.#host.pubsub.publish(this.#topic, bytes).then(undefined, (error: unknown) => log.debug({ frame: news.type, err: error }, 'news were not gossiped'));
  }

  /** Those that listen to the same. */
  neighbours(): ReadonlySet<NodeId> {
    const host = this.#host;
    if (host === undefined) return new Set();
    return new Set(host.pubsub.getSubscribers(this.#topic).flatMap((each) => asNodeIdOf(each) ?? []));
  }

  /** Somebody was removed, let in, or listens elsewhere: connections with those that are members no longer are cut at once. */
  membersChanged(): void {
    const { isMember } = this.#parts;
    this.#conduct.retain(isMember);
    for (const nodeId of this.#allowances.keys()) if (!isMember(nodeId)) this.#allowances.delete(nodeId);
    if (this.#host !== undefined) this.#tend();
  }

  #isWelcome(nodeId: NodeId): boolean {
    const { isMember, clock } = this.#parts;
    return isMember(nodeId) && !this.#conduct.isShunned(nodeId, clock.monotonic());
  }

  /** Keys cost a stranger nothing: one line a minute for all of them. */
  #refused(nodeId: NodeId | undefined): void {
    const now = this.#parts.clock.monotonic();
    if (now - this.#strangers.toldAtMs < strangersToldEveryMs) return void (this.#strangers.unsaid += 1);
    const { unsaid } = this.#strangers;
    this.#strangers = { toldAtMs: now, unsaid: 0 };
    this.#parts.log.warn({ peerId: nodeId, ...(unsaid === 0 ? {} : { count: unsaid }) }, 'a gossip connection was refused: its key is no member’s, or it is not listened to');
  }

  async #judge(peer: PeerId, data: Uint8Array): Promise<GossipVerdict> {
    const verdict = await this.#verdictFrom(peer, data);
    this.#parts.measures?.received.add(verdict);
    this.#parts.measures?.bytes.add('received', data.length);
    return verdict;
  }

  async #verdictFrom(peer: PeerId, data: Uint8Array): Promise<GossipVerdict> {
    const { clock, log, handler } = this.#parts;
    const from = asNodeIdOf(peer);
    if (from === undefined || !this.#isWelcome(from)) return 'ignore';
    const waitMs = this.#allowanceOf(from).charge(1, clock.monotonic());
    if (waitMs > 0) await pause(clock, waitMs);
    const verdict = await this.#verdict(data, from, handler);
    if (verdict === 'reject' && this.#conduct.fault(from, clock.monotonic())) {
      this.#over('gossip_shunned');
      log.warn({ peerId: from }, 'a member goes on gossiping what is not true or can not be read: it is not listened to for a while');
      this.#cut(from, 'it says what is not true');
    }
    return verdict;
  }

  async #verdict(data: Uint8Array, from: NodeId, handler: GossipHandler): Promise<GossipVerdict> {
    if (data.length > largestNews) return 'reject';
    let news: GossipNews | undefined;
    try {
      news = decodeGossip(data);
    } catch (error) {
      this.#parts.log.debug({ peerId: from, err: error }, 'gossip that can not be read');
      return 'reject';
    }
    // What only a newer version knows can't be judged, and is not passed on unjudged.
    if (news === undefined) return 'ignore';
    try {
      return await handler(news, from);
    } catch (error) {
      this.#parts.log.warn({ peerId: from, frame: news.type, err: error }, 'news of gossip were not taken');
      return 'ignore';
    }
  }

  #over(limit: LimitName): true {
    this.#parts.onOverLimit?.(limit);
    return true;
  }

  #allowanceOf(nodeId: NodeId): Allowance {
    const found = this.#allowances.get(nodeId) ?? new Allowance(newsRate, this.#parts.clock.monotonic());
    this.#allowances.set(nodeId, found);
    return found;
  }

  #ageMs({ timeline }: Connection): number {
    return this.#parts.clock.now() - timeline.open;
  }

  #connections(): { readonly connection: Connection; readonly nodeId: NodeId }[] {
    const open = (this.#host?.libp2p.getConnections() ?? []).filter(({ status }) => status === 'open');
    return open.flatMap((connection) => {
      const nodeId = asNodeIdOf(connection.remotePeer);
      return nodeId === undefined ? [] : [{ connection, nodeId }];
    });
  }

  #neighbours(): Neighbours {
    const all = this.#connections();
    const of = (direction: Connection['direction']): Set<NodeId> => new Set(all.filter((each) => each.connection.direction === direction).map(({ nodeId }) => nodeId));
    return { inbound: of('inbound'), outbound: of('outbound') };
  }

  #cut(nodeId: NodeId, why: string): void {
    for (const each of this.#connections()) if (each.nodeId === nodeId) each.connection.abort(new Error(why));
  }

  /** Every second: cuts who is a member no longer, dials whom it lacks, and sees to it that who is connected is heard. */
  #tend(): void {
    const { clock, members, nodeId: self } = this.#parts;
    this.#cancelTimer();
    for (const { connection, nodeId: peer } of this.#connections()) if (!this.#parts.isMember(peer)) connection.abort(new Error('it is a member no longer'));
    this.#mend();
    const now = clock.monotonic();
    const dialable = new Map(members().filter((each) => each.nodeId !== self && each.gossipAddresses.length > 0 && this.#isWelcome(each.nodeId)).map((each) => [each.nodeId, each]));
    const ids = [...dialable.keys()];
    for (const nodeId of this.#neighbourhood.toDial(ids, this.#neighbours(), this.#dialling, now)) this.#dial(dialable.get(nodeId));
    if (now - this.#exchangedAtMs >= exchangeEveryMs) {
      this.#exchangedAtMs = now;
      const exchange = this.#neighbourhood.exchange(ids, this.#neighbours(), this.#dialling, now);
      if (exchange !== undefined) this.#dial(dialable.get(exchange.dial), exchange.leave);
    }
    this.#cancelTimer = clock.setTimer(tendEveryMs, () => this.#tend());
  }

  /** A stream can end while its connection goes on; and a connection on which nobody speaks is none. */
  #mend(): void {
    const heard = this.neighbours();
    for (const { connection, nodeId } of this.#connections()) {
      const speaks = connection.streams.some(({ direction, protocol }) => direction === 'outbound' && protocol !== '');
      if (!speaks) this.#host?.greet(connection);
      if (heard.has(nodeId)) this.#neighbourhood.forgive(nodeId);
      else if (this.#ageMs(connection) > settleMs) {
        this.#neighbourhood.failed(nodeId, this.#parts.clock.monotonic());
        connection.abort(new Error('it does not listen'));
      }
    }
  }

  /** @param leave gives its place once the other is there */
  #dial(member: GossipMember | undefined, leave?: NodeId): void {
    const host = this.#host;
    const libraries = this.#libraries;
    if (member === undefined || host === undefined || libraries === undefined) return;
    const { nodeId } = member;
    const { clock, log } = this.#parts;
    this.#dialling.add(nodeId);
    const controller = new AbortController();
    const cancelTimer = clock.setTimer(dialMs, () => controller.abort());
    const dialling = (async () => {
      const peer = libraries.peerIdFromString(nodeId);
      const addresses = member.gossipAddresses.flatMap((each) => multiaddrText(parseHostPort(each)) ?? []);
      await host.libp2p.dial(addresses.map((each) => libraries.multiaddr(`${each}/p2p/${peer.toString()}`)), { signal: controller.signal });
      if (leave !== undefined) this.#cut(leave, 'it gave its place to another');
    })();
    void dialling
      .catch((error: unknown) => {
        log.debug({ peerId: nodeId, err: error }, 'a member could not be dialled for gossip');
        this.#neighbourhood.failed(nodeId, clock.monotonic());
      })
      .finally(() => {
        cancelTimer();
        this.#dialling.delete(nodeId);
        if (this.#host === host) this.#tend();
      });
  }
}

/** Waits for its end no longer than `stopMs`. Never throws. */
async function stopped({ libp2p }: Host, clock: Clock): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const cancelTimer = clock.setTimer(stopMs, resolve);
  // The library would say goodbye to each, and wait half a second for those that do not answer.
  for (const connection of libp2p.getConnections()) connection.abort(new Error('this node stops'));
  void Promise.resolve(libp2p.stop()).then(resolve, () => resolve());
  await promise;
  cancelTimer();
}
