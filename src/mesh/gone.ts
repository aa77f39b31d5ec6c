/** Nodes that are members no longer: none is dialled, and what is left of their links ends in that state. */
import type { NodeId } from '../domain/ids.ts';
import type { SignedRecord } from '../domain/registration.ts';
import { leftTheMesh } from './peers.ts';
import type { PeerTable } from './peers.ts';
import type { Session } from './session.ts';

/** Why a node is no member: what others are told, and what proves it to the node itself. */
export interface RemovedPeer {
  readonly why: string;
  readonly revocation: SignedRecord;
}

/** By its own word, or by that of an issuer. */
export type Gone = { readonly kind: 'left' } | ({ readonly kind: 'removed' } & RemovedPeer);

export class GoneNodes {
  readonly #gone = new Map<NodeId, Gone>();
  readonly #peers: PeerTable;

  constructor(peers: PeerTable) {
    this.#peers = peers;
  }

  /** @param live its session, which a removed one is told on, and loses */
  add(nodeId: NodeId, gone: Gone, live: Session | undefined): void {
    this.#gone.set(nodeId, gone);
    if (gone.kind === 'removed') live?.close('removed', gone.why, gone.revocation);
    if (gone.kind === 'removed' || live === undefined) this.unlinked(nodeId);
  }

  has(nodeId: NodeId): boolean {
    return this.#gone.has(nodeId);
  }

  /** It is a member again, by a new certificate. */
  back(nodeId: NodeId): void {
    if (this.#gone.delete(nodeId)) this.#peers.move(nodeId, 'discovered', 'not reached yet');
  }

  /** Its last session is gone. */
  unlinked(nodeId: NodeId): void {
    const gone = this.#gone.get(nodeId);
    if (gone !== undefined) this.#peers.move(nodeId, gone.kind, gone.kind === 'left' ? leftTheMesh : gone.why);
  }

  clear(): void {
    this.#gone.clear();
  }
}
