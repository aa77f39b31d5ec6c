/** What a session is made of, and what it reports to whoever keeps the sessions. */
import type { Duplex } from 'node:stream';
import type { NodeId } from '../domain/ids.ts';
import type { PeerAnswer, PeerMessage, PeerQuery } from '../domain/messages.ts';
import type { OverLimit } from '../domain/limits.ts';
import type { LinkHandler } from '../domain/mesh-port.ts';
import type { Clock, Log } from '../domain/ports.ts';
import type { SignedRecord } from '../domain/registration.ts';
import type { PeerIdentity } from '../domain/trust.ts';
import type { Farewell, OwnHello } from './hello.ts';
import type { Session } from './session.ts';
import type { Refusal } from './session-admission.ts';
import type { TaskRoom } from '../rpc/task-room.ts';

/** Why a session is over. */
export interface SessionEnd {
  /** For people. */
  readonly why: string;
  /** The reason the peer gave, or this side gave the peer. */
  readonly farewell?: Farewell;
  readonly saidBy?: 'peer' | 'here';
  readonly wasUp: boolean;
  /** The peer's proof that this node was removed. */
  readonly revocation?: SignedRecord;
}

/** What a session reports. `up` and `down` come once each at most, `down` always. */
export interface SessionOwner {
  /** The peer's Hello is in. Undefined takes the session; only of an inbound one may the answer take time. */
  admit(session: Session): Refusal | undefined | Promise<Refusal | undefined>;
  up(session: Session): void;
  /** Whether this node holds on to that session. */
  holds(session: Session): boolean;
  message(session: Session, message: PeerMessage): Promise<void>;
  query(session: Session, query: PeerQuery): Promise<PeerAnswer>;
  /** The peer asks that this node be told to dial it. */
  introduce(session: Session, nodeId: NodeId): void;
  /** The peer says that this node asks to be dialled, and where it listens. */
  dialRequest(session: Session, nodeId: NodeId, addresses: readonly string[]): void;
  down(session: Session, end: SessionEnd): void;
}

export interface SessionParts {
  readonly peer: PeerIdentity;
  readonly path: 'outbound' | 'inbound';
  /** host:port of the other end. */
  readonly address: string;
  readonly control: Duplex;
  /** The dialler's side: opens the data stream of the same connection. */
  readonly openData?: () => Duplex;
  /** Hexadecimal, chosen by the dialler, who gives it. */
  readonly sessionId?: string;
  /** Closes the connection, soon or at once. */
  readonly hangUp: (isOrderly: boolean) => void;
  readonly own: OwnHello;
  /** As the peer knows it. */
  readonly ownName: string;
  readonly clock: Clock;
  readonly log: Log;
  readonly owner: SessionOwner;
  /** Of the node, for all its sessions. */
  readonly taskRoom: TaskRoom;
  readonly onOverLimit: OverLimit;
  readonly digests: Pick<LinkHandler, 'digest' | 'onDigest'>;
}
