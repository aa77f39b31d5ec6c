/** A PeerId and a node id are the same key, written differently. */
import { nodeIdOfPublicKey } from '../domain/ids.ts';
import type { NodeId } from '../domain/ids.ts';
import type { PeerId } from './libp2p.ts';

const known = new WeakMap<PeerId, NodeId>();

/** Undefined for a key that no node has. */
export function asNodeIdOf(peer: PeerId): NodeId | undefined {
  if (peer.type !== 'Ed25519') return undefined;
  const found = known.get(peer) ?? nodeIdOfPublicKey(peer.publicKey.raw);
  known.set(peer, found);
  return found;
}
