/** What the network of a node needs, and what it offers to whoever wires it. */
import type { TLSSocket } from 'node:tls';
import type { Candidate } from '../domain/discovery-port.ts';
import type { Health } from '../domain/health-port.ts';
import type { OverLimit } from '../domain/limits.ts';
import type { LinkHandler, Mesh } from '../domain/mesh-port.ts';
import type { Clock, Log, Random, Startable } from '../domain/ports.ts';
import type { Distribution } from '../domain/measure.ts';
import type { MeshIdentity, PeerIdentity } from '../domain/trust.ts';
import type { SignedRecord } from '../domain/registration.ts';
import type { Gone, RemovedPeer } from './gone.ts';
import type { OwnHello } from './hello.ts';
import type { MakeTls } from './outbound.ts';
import type { Route } from './route.ts';

export interface MeshParts {
  /** Undefined: this node is in no mesh (yet): see `setIdentity`. */
  readonly identity: MeshIdentity | undefined;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** How late each look at all sessions came, seconds. */
  readonly tickLateSeconds?: Distribution;
  /** host:port, as `readSeeds` gives them. */
  readonly seeds: readonly string[];
  readonly handler: LinkHandler;
  readonly hello: OwnHello;
  readonly tls: MakeTls;
  /** How an address is reached; directly when left out. */
  readonly route?: Route;
  /** Asked once its certificate has let a peer in: one that was removed is told so, and nothing else. */
  readonly removed?: (peer: PeerIdentity) => RemovedPeer | undefined;
  /** Asked of who calls for something outside of a session: why it is no member now. */
  readonly refusal?: (peer: PeerIdentity) => string | undefined;
  readonly health: Health;
  readonly onOverLimit?: OverLimit;
  /** That peer said that this node was removed, by that word of an issuer, which is not checked yet. */
  readonly onRevoked?: (revocation: SignedRecord, from: PeerIdentity) => void;
}

/** A member as this node has learned of it; the identity comes from a verified certificate. */
export interface MemberAt {
  readonly identity: Pick<PeerIdentity, 'nodeId' | 'name'>;
  /** host:port of each listener. */
  readonly addresses: readonly string[];
  /** It is a member no longer. */
  readonly gone?: Gone;
}

/** A session that is up, as whoever watches its path sees it: the same object for as long as it lives. */
export interface LiveSession {
  readonly peer: PeerIdentity;
  /** host:port of the other end. */
  readonly address: string;
  readonly path: 'outbound' | 'inbound';
  /** Ends it without a word; the peer is dialled anew. */
  cut(why: string): void;
}

export interface NodeMesh extends Mesh, Startable {
  /** A connection whose peer was verified and is this `peer`; the mesh owns the socket from now on. */
  accept(socket: TLSSocket, peer: PeerIdentity): void;
  /** Speaks as this member from the next connection on. Another mesh, or none, ends all sessions. */
  setIdentity(identity: MeshIdentity | undefined): void;
  /** Adds members, or their new addresses. This node itself is skipped. */
  addMembers(members: readonly MemberAt[]): void;
  /** Replaces the seeds. */
  setSeeds(seeds: readonly string[]): void;
  /** Replaces what a source has found. */
  setCandidates(source: string, candidates: readonly Candidate[]): void;
  sessions(): readonly LiveSession[];
  /** Something speaks against the peer of that session: it is probed, and suspect when it does not answer. */
  examine(session: LiveSession, why: string): void;
}
