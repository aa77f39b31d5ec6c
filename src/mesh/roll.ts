/** Who belongs to the mesh, as its members tell, and where they are to be dialled. */
import type { NodeId } from '../domain/ids.ts';
import type { MeshIdentity } from '../domain/trust.ts';
import type { Dialler } from './dialler.ts';
import { GoneNodes } from './gone.ts';
import type { LinkDemand } from './link-demand.ts';
import type { MemberAt } from './node-mesh.ts';
import type { PeerTable } from './peers.ts';
import type { Session } from './session.ts';

export interface RollParts {
  readonly peers: PeerTable;
  readonly dialler: Pick<Dialler, 'setAddresses'>;
  readonly demand: LinkDemand;
  readonly identity: () => MeshIdentity | undefined;
  readonly live: (nodeId: NodeId) => Session | undefined;
}

export class Roll {
  readonly #parts: RollParts;
  readonly #gone: GoneNodes;

  constructor(parts: RollParts) {
    this.#parts = parts;
    this.#gone = new GoneNodes(parts.peers);
  }

  /** Adds members, or what has become of them. This node itself is skipped. */
  add(members: readonly MemberAt[]): void {
    const { peers, dialler, identity, live } = this.#parts;
    const told: [NodeId, readonly string[]][] = [];
    for (const { identity: who, addresses, gone } of members) {
      const { nodeId } = who;
      if (nodeId === identity()?.nodeId) continue;
      peers.discovered(who, 'member');
      const session = live(nodeId);
      // Its certificate there is the one that it was dialled with; it may have been given another name since.
      if (session !== undefined && session.peer.name !== who.name) session.peer = { ...session.peer, name: who.name };
      if (gone !== undefined) {
        dialler.setAddresses(nodeId, []);
        this.#gone.add(nodeId, gone, live(nodeId));
        continue;
      }
      this.#gone.back(nodeId);
      if (addresses.length > 0) told.push([nodeId, addresses]);
    }
    // Whom to dial depends on who is there.
    this.changed();
    for (const [nodeId, addresses] of told) dialler.setAddresses(nodeId, addresses);
  }

  /** A session proves a peer to be a member, whether anybody has told of it or not. */
  greeted(who: { readonly nodeId: NodeId; readonly name: string }, source: string): void {
    const { peers } = this.#parts;
    const isNew = !peers.has(who.nodeId);
    peers.discovered(who, source);
    if (isNew) this.changed();
  }

  /** Its last session is gone. */
  unlinked(nodeId: NodeId): void {
    this.#gone.unlinked(nodeId);
  }

  /** Members, or this node's own identity, are not what they were. */
  changed(): void {
    const { demand, identity, peers } = this.#parts;
    const { meshId, nodeId: self } = identity() ?? {};
    demand.setMembers(meshId, self, peers.views().map(({ nodeId }) => nodeId).filter((nodeId) => !this.#gone.has(nodeId)));
  }

  clear(): void {
    const { peers, dialler } = this.#parts;
    for (const { nodeId } of peers.views()) dialler.setAddresses(nodeId, []);
    this.#gone.clear();
    peers.clear();
    this.changed();
  }
}
