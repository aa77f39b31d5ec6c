/** How much of the registry one peer may say and ask, and how often the log speaks of it. */
import type { NodeId } from '../domain/ids.ts';
import { ignoreLimits } from '../domain/limits.ts';
import type { OverLimit } from '../domain/limits.ts';
import type { Clock, Log } from '../domain/ports.ts';

/** A token bucket a peer: `burst` at once, `perSecond` in the long run. */
const burst = 2_000;
const perSecond = 200;
/** Beyond so many, the one that was heard of longest ago is forgotten. */
const mostPeers = 2_000;
const complainEveryMs = 60_000;

interface Peer {
  tokens: number;
  atMs: number;
  complainedAtMs: number;
}

export class PeerLimits {
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #onOverLimit: OverLimit;
  readonly #peers = new Map<NodeId, Peer>();

  constructor(clock: Clock, log: Log, onOverLimit: OverLimit = ignoreLimits) {
    this.#clock = clock;
    this.#log = log;
    this.#onOverLimit = onOverLimit;
  }

  /** True when this is within the limits; then it has been counted. */
  take(nodeId: NodeId): boolean {
    const peer = this.#of(nodeId);
    const now = this.#clock.monotonic();
    peer.tokens = Math.min(burst, peer.tokens + ((now - peer.atMs) / 1000) * perSecond);
    peer.atMs = now;
    if (peer.tokens < 1) {
      this.#onOverLimit('registry_news');
      this.complain(nodeId, `more than ${perSecond} of its news of the registry a second: dropped, and found again by the digests`);
      return false;
    }
    peer.tokens -= 1;
    return true;
  }

  /** One line a peer and minute. */
  complain(nodeId: NodeId, why: string): void {
    const peer = this.#of(nodeId);
    const now = this.#clock.monotonic();
    if (now - peer.complainedAtMs < complainEveryMs) return;
    peer.complainedAtMs = now;
    this.#log.warn({ peerId: nodeId, why }, 'what a node told of the registry was not taken');
  }

  #of(nodeId: NodeId): Peer {
    const known = this.#peers.get(nodeId) ?? { tokens: burst, atMs: this.#clock.monotonic(), complainedAtMs: Number.NEGATIVE_INFINITY };
    this.#peers.delete(nodeId);
    this.#peers.set(nodeId, known);
    const [oldest] = this.#peers.keys();
    if (this.#peers.size > mostPeers && oldest !== undefined) this.#peers.delete(oldest);
    return known;
  }
}
