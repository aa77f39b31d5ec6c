/** Which other versions of the protocol this one talks to. Pure. */
import type { PeerQuery } from '../domain/messages.ts';

export interface ProtocolVersion {
  readonly major: number;
  readonly minor: number;
}

/**
 * Another major can't be talked to. A minor adds frames, fields and values that those before it skip; nodes one minor
 * apart work together, which is what is tested. `buf breaking` keeps minors what they are.
 */
export const protocol: ProtocolVersion = { major: 1, minor: 1 };

/** What this version can do that its minor does not promise of every node: asked for by name in the peer's Hello. */
export const ownFeatures = ['reach', 'introduce', 'dial_back', 'rename', 'renew', 'issuer', 'leave', 'remove', 'registry', 'resting', 'observe'] as const;
export type Feature = (typeof ownFeatures)[number];

/** Questions that an older node would not understand. */
export const featureOf: Partial<Readonly<Record<PeerQuery['type'], Feature>>> = {
  reach: 'reach',
  dial_back: 'dial_back',
  rename: 'rename',
  renew: 'renew',
  issuer_key: 'issuer',
  become_issuer: 'issuer',
  renew_issuer: 'issuer',
  leave: 'leave',
  remove: 'remove',
  revoked: 'remove',
  registry_digest: 'registry',
  registry_entries: 'registry',
  registry_records: 'registry',
  facts: 'observe',
  find: 'observe',
  report: 'observe',
};

/** @returns which side has to be updated, or undefined when they work together */
export function whoIsBehind(own: ProtocolVersion, peer: ProtocolVersion): 'own' | 'peer' | undefined {
  if (own.major !== peer.major) return own.major < peer.major ? 'own' : 'peer';
  if (Math.abs(own.minor - peer.minor) <= 1) return undefined;
  return own.minor < peer.minor ? 'own' : 'peer';
}

export function formatProtocol({ major, minor }: ProtocolVersion): string {
  return `${major}.${minor}`;
}
