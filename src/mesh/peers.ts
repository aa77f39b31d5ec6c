/** What this node believes of each other node, and why. */
import type { NodeId } from '../domain/ids.ts';
import type { PeerView } from '../domain/mesh-port.ts';
import { canMovePeer } from '../domain/peer.ts';
import type { PeerState } from '../domain/peer.ts';
import type { Clock } from '../domain/ports.ts';
import type { TargetView } from './dialler.ts';

export const leftTheMesh = 'it left the mesh';

export class PeerTable {
  readonly #clock: Clock;
  readonly #peers = new Map<NodeId, PeerView>();
  readonly #onMove: (peer: PeerView, from: PeerState | undefined) => void;

  /** @param onMove told of each peer that became known, and of each change of state with the one before */
  constructor(clock: Clock, onMove: (peer: PeerView, from: PeerState | undefined) => void) {
    this.#clock = clock;
    this.#onMove = onMove;
  }

  has(nodeId: NodeId): boolean {
    return this.#peers.has(nodeId);
  }

  /** Makes a peer known; one that is known keeps its state and gets its new name. */
  discovered({ nodeId, name }: { readonly nodeId: NodeId; readonly name: string }, source: string): void {
    const known = this.#peers.get(nodeId);
    const fresh = { nodeId, state: 'discovered', why: 'not reached yet', sinceMs: this.#clock.now(), source } as const;
    const view = { ...(known ?? fresh), name };
    this.#peers.set(nodeId, view);
    if (known === undefined) this.#onMove(view, undefined);
  }

  note(nodeId: NodeId, facts: Partial<Pick<PeerView, 'address' | 'path' | 'source' | 'rttMs' | 'lastSeenMs' | 'version'>>): void {
    const known = this.#peers.get(nodeId);
    if (known !== undefined) this.#peers.set(nodeId, { ...known, ...facts });
  }

  /** Moves through the states between where the table of moves asks for it. Not to be moved from there, it stays. */
  move(nodeId: NodeId, to: PeerState, why: string): void {
    const known = this.#peers.get(nodeId);
    if (known === undefined) return;
    if (known.state === to) {
      if (known.why !== why) this.#peers.set(nodeId, { ...known, why });
      return;
    }
    const step = canMovePeer(known.state, to) ? undefined : between(known.state, to);
    if (step !== undefined) this.move(nodeId, step, why);
    const now = this.#peers.get(nodeId) ?? known;
    if (!canMovePeer(now.state, to)) return;
    const moved = { ...now, state: to, why, sinceMs: this.#clock.now() };
    this.#peers.set(nodeId, moved);
    this.#onMove(moved, now.state);
  }

  nameOf(nodeId: NodeId): string {
    return this.#peers.get(nodeId)?.name ?? nodeId;
  }

  state(nodeId: NodeId): PeerState | undefined {
    return this.#peers.get(nodeId)?.state;
  }

  lastSeenMs(nodeId: NodeId): number | undefined {
    return this.#peers.get(nodeId)?.lastSeenMs;
  }

  clear(): void {
    this.#peers.clear();
  }

  views(): PeerView[] {
    return [...this.#peers.values()];
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
