/** Addresses that a person gave: where to look for other nodes first. */
import type { Candidate, DiscoverySource } from '../domain/discovery-port.ts';
import { formatHostPort, meshPort, parseHostPort } from '../domain/host-port.ts';

/** Each as host:port, once. @throws BrokerError `invalid`, naming the one that is wrong */
export function readSeeds(texts: readonly string[]): readonly string[] {
  return [...new Set(texts.map((text) => formatHostPort(parseHostPort(text.trim(), meshPort))))];
}

/** They never change. */
export class SeedSource implements DiscoverySource {
  readonly name = 'seed';
  readonly #candidates: readonly Candidate[];

  /** @param seeds as `readSeeds` gives them */
  constructor(seeds: readonly string[]) {
    this.#candidates = seeds.map((address) => ({ addresses: [address], isOnline: true }));
  }

  start(): Promise<void> {
    return Promise.resolve();
  }

  stop(): Promise<void> {
    return Promise.resolve();
  }

  candidates(): readonly Candidate[] {
    return this.#candidates;
  }

  onChange(): () => void {
    return () => undefined;
  }
}
