/** Who this node is, from what is stored. */
import { selfRemovedWords } from '../broker/removal.ts';
import type { Self } from '../broker/self.ts';
import { outsideError } from '../domain/membership.ts';
import { namedSince } from '../domain/name-holder.ts';
import type { Store } from '../domain/store-port.ts';
import { authoritiesOf } from '../trust/authorities.ts';
import type { Authorities } from '../trust/authorities.ts';
import { parseLeaf } from '../trust/certificate.ts';
import { personHere } from './person.ts';

export interface SelfParts {
  readonly store: Store;
  readonly nodeId: Self['nodeId'];
  readonly epoch: number;
  readonly previousEpoch: number;
  readonly version: string;
  readonly unjoinedName: () => string;
}

export function selfOf({ store, nodeId, epoch, previousEpoch, version, unjoinedName }: SelfParts): Self {
  // Asked for each time a name is looked up; reading a certificate takes half a millisecond.
  let read: { readonly leaf: Uint8Array; readonly atMs: number; readonly namedMs: number } | undefined;
  const certified = (): { readonly atMs: number; readonly namedMs: number } => {
    const leaf = store.read.membership()?.chain.leaf;
    if (leaf === undefined) return { atMs: 0, namedMs: 0 };
    if (read?.leaf !== leaf) {
      const identity = parseLeaf(leaf);
      read = { leaf, atMs: identity.notBeforeMs, namedMs: namedSince(identity) };
    }
    return read;
  };
  return {
    nodeId,
    epoch,
    previousEpoch,
    version,
    name: () => (store.read.membership() ?? store.read.removedFrom())?.name ?? unjoinedName(),
    owner: () => (store.read.membership() ?? store.read.removedFrom())?.owner ?? personHere(),
    certifiedAtMs: () => certified().atMs,
    namedSinceMs: () => certified().namedMs,
    mesh: () => store.read.mesh(),
  };
}

export function removedNote(store: Store): string | undefined {
  const from = store.read.removedFrom();
  return from === undefined ? undefined : selfRemovedWords(from);
}

/** What certificates of this node's mesh may lead to. @throws BrokerError `conflict` outside of a mesh */
export function rootsOf(store: Pick<Store, 'read'>): Authorities {
  const membership = store.read.membership();
  if (membership === undefined) throw outsideError(store.read.removedFrom());
  return authoritiesOf(membership.rootDer, membership.authorities);
}
