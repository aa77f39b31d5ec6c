/**
 * With whom a session is wanted now: neighbours always, others while work asks for one. Keeps no timer, and says nothing
 * of a node that is no member: a seed, or whoever calls, is always welcome.
 */
import type { MeshId, NodeId } from '../domain/ids.ts';
import type { PeerView } from '../domain/mesh-port.ts';
import type { PeerMessage, PeerQuery } from '../domain/messages.ts';
import type { PeerState } from '../domain/peer.ts';
import type { Clock } from '../domain/ports.ts';
import { allLinkedUpTo, neighboursOf, ringOrder } from './link-choice.ts';

/** A session that no work passed over for so long, and that nobody needs, is let go. */
export const restAfterMs = 5 * 60_000;
/** One that no work ever passed over: it was made to see whether its peer is there. */
export const lookedAfterMs = 10_000;

/** A member that no link was needed with for so long is looked at: an address without its node passes over those unseen for 7 days. */
const visitAfterMs = 24 * 3_600_000;

export interface LinkDemandParts {
  readonly clock: Clock;
  readonly stateOf: (nodeId: NodeId) => PeerState | undefined;
  /** The core has something open with that node. */
  readonly isOwed: (nodeId: NodeId) => boolean;
}

/** A session as it is judged here. */
export interface UsedLink {
  readonly peer: { readonly nodeId: NodeId };
  /** Monotonic ms. */
  readonly beganMs: number;
  /** Monotonic ms of the last work that passed over it; none: there was none. */
  readonly usedMs: number | undefined;
  /** What the peer said last: it holds on to this link. */
  readonly isHeldByPeer: boolean;
}

export class LinkDemand {
  readonly #parts: LinkDemandParts;
  readonly #askedForMs = new Map<NodeId, number>();
  #whose = '';
  #order: readonly NodeId[] = [];
  #members: ReadonlySet<NodeId> = new Set();
  #neighbours: ReadonlySet<NodeId> | undefined;
  /** As of the last `newNeighbours`. */
  #named: ReadonlySet<NodeId> = new Set();

  constructor(parts: LinkDemandParts) {
    this.#parts = parts;
  }

  /** Replaces who is a member besides this node. */
  setMembers(meshId: MeshId | undefined, self: NodeId | undefined, others: readonly NodeId[]): void {
    if (this.#whose === `${meshId} ${self}` && others.length === this.#members.size && others.every((nodeId) => this.#members.has(nodeId))) return;
    this.#whose = `${meshId} ${self}`;
    this.#order = meshId === undefined || self === undefined ? [] : ringOrder(meshId, self, others);
    this.#members = new Set(this.#order);
    this.#neighbours = undefined;
    for (const nodeId of this.#askedForMs.keys()) if (!this.#members.has(nodeId)) this.#askedForMs.delete(nodeId);
  }

  /** Somebody went away or came back. */
  stateChanged(): void {
    this.#neighbours = undefined;
  }

  /** Neighbours since the last call: somebody else went away, or there is another member. They are to be dialled. */
  newNeighbours(): readonly NodeId[] {
    const now = this.#currentNeighbours();
    const fresh = [...now].filter((nodeId) => !this.#named.has(nodeId));
    this.#named = now;
    return fresh;
  }

  /** Work asks for a link with that node. */
  ask(nodeId: NodeId): void {
    if (!this.#isSmall) this.#askedForMs.set(nodeId, this.#parts.clock.monotonic());
  }

  /** Whether a session with that node is missed while there is none. */
  needs(nodeId: NodeId): boolean {
    return this.#isSmall || !this.#members.has(nodeId) || this.#isNeighbour(nodeId) || this.#isAskedFor(nodeId);
  }

  /** Whether that node is to be dialled when there is no session with it. */
  wants(nodeId: NodeId): boolean {
    // It could not be had when it was needed, or went without a word: it is looked for, now and then.
    return this.needs(nodeId) || this.#parts.stateOf(nodeId) !== 'discovered';
  }

  /** Whether that node is one that answers as far as is known, and that a link is made with when there is work. */
  rests(nodeId: NodeId): boolean {
    return this.#parts.stateOf(nodeId) === 'discovered' && !this.wants(nodeId);
  }

  /** One that nothing was heard of for a day, and nobody looked for. */
  longUnseen(peers: readonly Pick<PeerView, 'nodeId' | 'sinceMs' | 'lastSeenMs'>[]): NodeId | undefined {
    if (this.#isSmall) return undefined;
    const beforeMs = this.#parts.clock.now() - visitAfterMs;
    return peers.find(({ nodeId, sinceMs, lastSeenMs = 0 }) => Math.max(sinceMs, lastSeenMs) < beforeMs && this.rests(nodeId))?.nodeId;
  }

  /** Whether this node holds on to that link: what its peer is told with each heartbeat. */
  holds({ peer: { nodeId }, beganMs, usedMs }: UsedLink): boolean {
    if (this.#isSmall || this.#isNeighbour(nodeId) || this.#isAskedFor(nodeId)) return true;
    const untilMs = usedMs === undefined ? beganMs + lookedAfterMs : usedMs + restAfterMs;
    return this.#parts.clock.monotonic() < untilMs || this.#parts.isOwed(nodeId);
  }

  /** Whether nobody would miss it. */
  mayRest(link: UsedLink): boolean {
    return !link.isHeldByPeer && this.#members.has(link.peer.nodeId) && !this.holds(link);
  }

  get #isSmall(): boolean {
    return this.#order.length <= allLinkedUpTo;
  }

  #isNeighbour(nodeId: NodeId): boolean {
    return this.#currentNeighbours().has(nodeId);
  }

  #currentNeighbours(): ReadonlySet<NodeId> {
    this.#neighbours ??= neighboursOf(this.#order, (each) => isAway(this.#parts.stateOf(each)));
    return this.#neighbours;
  }

  #isAskedFor(nodeId: NodeId): boolean {
    const askedMs = this.#askedForMs.get(nodeId);
    return askedMs !== undefined && this.#parts.clock.monotonic() - askedMs < restAfterMs;
  }
}

/** Whether it is work, and not what nodes tell each other all the time. */
export function isWork({ type }: PeerMessage | PeerQuery): boolean {
  switch (type) {
    case 'registry_change':
    case 'registry_entry':
    case 'presence':
    case 'roster':
    case 'registry_digest':
    case 'registry_entries':
    case 'registry_records':
    case 'reach':
    case 'dial_back':
      return false;
    default:
      return true;
  }
}

function isAway(state: PeerState | undefined): boolean {
  return state === 'unreachable' || state === 'incompatible';
}
