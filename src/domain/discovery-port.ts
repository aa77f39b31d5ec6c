/** What the node sees of ways to find others: lists of places worth a try, which change. */
import type { Startable } from './ports.ts';

/** A machine that may run a node. Proves nothing: who answers there must show its certificate. */
export interface Candidate {
  /** host:port, best first: the same machine at each. */
  readonly addresses: readonly string[];
  /** By the source's last word: false is tried a few times and then left alone until it is true. */
  readonly isOnline: boolean;
}

export interface DiscoverySource extends Startable {
  /** As `peers` shows it: seed, tailnet, member. */
  readonly name: string;
  /** All that are known now, one a machine. */
  candidates(): readonly Candidate[];
  /** @returns what ends it */
  onChange(listener: () => void): () => void;
}
