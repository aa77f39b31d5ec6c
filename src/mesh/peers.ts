/** What this node believes of each other node, and why. */
import type { NodeId } from '../domain/ids.ts';
import type { PeerView } from '../domain/mesh-port.ts';
import { canMovePeer } from '../domain/peer.ts';
import type { PeerState } from '../domain/peer.ts';
import type { Clock } from '../domain/ports.ts';
import type { TargetView } from './dialler.ts';

/** A link that is gone is redialled for this long before its peer is called unreachable. */
const missingAfterMs = 10_000;

interface Known {
  view: PeerView;
  /** Monotonic ms of the last change of state. */
  changedAtMs: number;
}

export class PeerTable {
  readonly #clock: Clock;
  readonly #peers = new Map<NodeId, Known>();
  readonly #onMove: (peer: PeerView, from: PeerState) => void;

  /** @param onMove told of each change of state: log it */
  constructor(clock: Clock, onMove: (peer: PeerView, from: PeerState) => void) {
    this.#clock = clock;
    this.#onMove = onMove;
  }

  has(nodeId: NodeId): boolean {
    return this.#peers.has(nodeId);
  }

  /** Makes a peer known; one that is known keeps its state and gets its new name. */
  discovered({ nodeId, name }: { readonly nodeId: NodeId; readonly name: string }, source: string): void {
    const known = this.#peers.get(nodeId);
    if (known !== undefined) {
      known.view = { ...known.view, name };
      return;
    }
    this.#peers.set(nodeId, {
      view: { nodeId, name, state: 'discovered', why: 'not reached yet', sinceMs: this.#clock.now(), source },
      changedAtMs: this.#clock.monotonic(),
    });
  }

  note(nodeId: NodeId, facts: Partial<Pick<PeerView, 'address' | 'path' | 'source' | 'rttMs' | 'lastSeenMs' | 'version'>>): void {
    const known = this.#peers.get(nodeId);
    if (known !== undefined) known.view = { ...known.view, ...facts };
  }

  /** Moves through the states between where the table of moves asks for it. Not to be moved from there, it stays. */
  move(nodeId: NodeId, to: PeerState, why: string): void {
    const known = this.#peers.get(nodeId);
    if (known === undefined) return;
    if (known.view.state === to) {
      known.view = { ...known.view, why };
      return;
    }
    const step = canMovePeer(known.view.state, to) ? undefined : between(known.view.state, to);
    if (step !== undefined) this.move(nodeId, step, why);
    const from = known.view.state;
    if (!canMovePeer(from, to)) return;
    known.view = { ...known.view, state: to, why, sinceMs: this.#clock.now() };
    known.changedAtMs = this.#clock.monotonic();
    this.#onMove(known.view, from);
  }

  state(nodeId: NodeId): PeerState | undefined {
    return this.#peers.get(nodeId)?.view.state;
  }

  lastSeenMs(nodeId: NodeId): number | undefined {
    return this.#peers.get(nodeId)?.view.lastSeenMs;
  }

  /** Suspects without a link become unreachable in the end. */
  expire(isLinked: (nodeId: NodeId) => boolean): void {
    const now = this.#clock.monotonic();
    for (const { view, changedAtMs } of this.#peers.values()) {
      const { nodeId, state, why } = view;
      if (state === 'suspect' && !isLinked(nodeId) && now - changedAtMs >= missingAfterMs) this.move(nodeId, 'unreachable', why);
    }
  }

  views(): PeerView[] {
    return [...this.#peers.values()].map(({ view }) => view);
  }
}

/** An address where nobody has shown a certificate of this mesh yet. It has no node id: that is the empty text. */
export function strangerView({ address, why, sinceMs, failures }: TargetView): PeerView {
  const state = failures > 0 ? 'unreachable' : 'discovered';
  return { nodeId: '' as NodeId, name: address, state, why, sinceMs, address, source: 'seed' };
}

function between(from: PeerState, to: PeerState): PeerState | undefined {
  if (from === 'alive' && to === 'unreachable') return 'suspect';
  // A member again: only a session proves it.
  return to === 'alive' && (from === 'left' || from === 'removed') ? 'discovered' : undefined;
}
