/** What the core sees of the network: authenticated links to peers, and questions over them. */
import type { AnswerTo, ControlMessage, CoreQuery, FlightEvents, PeerAnswer, PeerMessage, PeerQuery } from './messages.ts';
import type { NodeId } from './ids.ts';
import type { PeerIdentity } from './trust.ts';
import type { PeerState } from './peer.ts';

/** One live session with a peer. `peer` comes from its verified certificate, never from what it says; its name follows when it is given another. */
export interface Link {
  readonly peer: PeerIdentity;
  /** host:port at the other end, where it is known. */
  readonly address?: string;
  /** The peer's boot epoch. */
  readonly epoch: number;
  /** What the peer's store had before this boot; undefined when it does not say. */
  readonly previousEpoch: number | undefined;
  /** Epochs of this node that the peer saw. */
  readonly seenEpochs: readonly number[];
  /** Queues on the control stream, in order. On a link that is down it does nothing: `onDown` is the word. */
  send(message: ControlMessage): void;
  /** Queues on the data stream, in order; resolves when there is room for more, or the link is down. */
  sendEvents(message: FlightEvents): Promise<void>;
  /**
   * @throws BrokerError `unavailable` when the link goes down first, `deadline` after `timeoutMs`, `incompatible` when the
   * peer's version does not know the question, or the peer's own error
   */
  ask<Q extends PeerQuery>(query: Q, timeoutMs: number): Promise<AnswerTo<Q>>;
  readonly isUp: boolean;
}

/** What a side says of itself with every heartbeat. */
export interface LinkDigest {
  /** Of all that it knows of members and their agents, 8 bytes in lower-case hex; empty when it does not say. */
  readonly root: string;
  /** Whether it has gossip neighbours: one that has none is told news over its sessions. */
  readonly gossips: boolean;
}

/** The core's side of a link. Calls for one link come in order and start synchronously in that order. */
export interface LinkHandler {
  onUp(link: Link): void;
  /** The adapter reads on while this is pending, up to a bounded number of bytes. */
  onMessage(link: Link, message: PeerMessage): Promise<void>;
  onQuery(link: Link, query: CoreQuery): Promise<PeerAnswer>;
  /** Whether something is open with that node, so that a link with it is to stay. Asked often. */
  isOwed?(nodeId: NodeId): boolean;
  onDown(link: Link, why: string): void;
  /** Of each node once an hour at most, however many machines use its key, from wherever. */
  onClone?(sighting: CloneSighting): void;
  /** That peer takes this node for the second machine with its key: each time that it says so. */
  onRefusedAsClone?(peer: PeerIdentity, why: string): void;
  /** What this node's heartbeats say. Never throws. */
  digest(): LinkDigest;
  /** What the peer's heartbeat said. Never throws. */
  onDigest(link: Link, digest: LinkDigest): void;
}

/** Two machines that use the key of one node at once. Times are wall clock, ms. */
export interface CloneSighting {
  readonly nodeId: NodeId;
  readonly name: string;
  /** host:port of the one that was there first and stays. */
  readonly kept: string;
  readonly refused: string;
  readonly firstMs: number;
  readonly lastMs: number;
}

/** A peer as `beckon peers` shows it. */
export interface PeerView {
  /** The empty text for a seed that has not shown who it is; `name` is then its address. */
  readonly nodeId: NodeId;
  readonly name: string;
  readonly state: PeerState;
  readonly why: string;
  readonly sinceMs: number;
  /** host:port of the live link, or of the last try. */
  readonly address?: string;
  /** Who dialled: this node or the peer. */
  readonly path?: 'outbound' | 'inbound';
  /** Where the address came from: seed, member, inbound. */
  readonly source?: string;
  readonly rttMs?: number;
  readonly lastSeenMs?: number;
  readonly version?: string;
}

export interface Mesh {
  link(nodeId: NodeId): Link | undefined;
  /**
   * Work asks for a link with that node. One that has none only because nobody needed it is dialled at once: resolves with
   * the link, or with undefined when its addresses were tried in vain. Any other is being dialled anyway: resolves at once.
   */
  want(nodeId: NodeId): Promise<Link | undefined>;
  links(): readonly Link[];
  peers(): readonly PeerView[];
  /** Seen within the hour: of each node the last. */
  clones(): readonly CloneSighting[];
  /** Tells of each peer that becomes known and of each change of state, in order, until the returned function is called. */
  onPeer(listen: (peer: PeerView, from: PeerState | undefined) => void): () => void;
  /** Something that node signed a moment ago came by way of others: it is up. Counts where no link with it is needed. */
  heardOf(nodeId: NodeId): void;
  /** One try to have a link now, whatever the backoff says, by way of a common member too; resolves with it or undefined after `timeoutMs` at the latest. */
  dialNow(nodeId: NodeId, timeoutMs: number): Promise<Link | undefined>;
}
